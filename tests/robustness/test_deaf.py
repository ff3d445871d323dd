"""Bar 16: subscribers that never read, and such whose machine has stopped, cost only themselves."""

import asyncio
import ipaddress
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from robustness.bed import MIB, Bed
from robustness.deaf_main import SERVICE_ENTRY
from robustness.findings import Bar
from robustness.subscriber import DeltaClient, StateClient, channel, open_stream
from robustness.swinging import name_of

from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshbridge.testing.process import Process
from meshbridge_xds.envoy.names import CDS, EDS, cluster_name
from rig.distribution import install
from rig.waiting import until

pytestmark = pytest.mark.asyncio
SERVICES, INSTANCES = 8_000, 10
RATE = 50.0
DEAF, FROZEN = 50, 9
ALONE, TOGETHER = 15.0, 62.0
"""Seconds of changes without them and with them."""
JOINING = 10.0
"""Seconds in which the bridge answers them all for the first time."""


@dataclass
class Healthy:
    """What the subscribers that read have seen."""

    arrived: dict[int, float] = field(default_factory=dict[int, float])
    """When each change came, in monotonic seconds."""
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    """Bytes of the first response of each type."""
    lists: int = 0
    """Whole lists that came over mcp."""


@dataclass(frozen=True)
class Sample:
    """One look at the bridge."""

    at: float
    rss: int
    streams: int


async def test_subscribers_that_never_read_cost_only_themselves(
    tmp_path: Path, bar: Callable[[str], Bar], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by one response for each, and those that read notice nothing."""
    with bar("16, deaf subscribers") as it:
        bed = swinging(tmp_path, it.seed, monkeypatch)
        async with bed.bridge:
            await bed.ready()
            async with reading(bed) as healthy:
                samples: list[Sample] = []
                (tmp_path / "begin").touch()
                await watch(bed, samples, ALONE, it)
                alone, joined = len(samples), time.monotonic()
                async with (
                    deaf(tmp_path, bed, "deaf", DEAF, "never"),
                    deaf(tmp_path, bed, "frozen", FROZEN, "always") as frozen,
                ):
                    everybody = partial(bed.metric, "^meshbridge_(xds|mcp)_streams$")
                    connected, _ = await until(
                        everybody, lambda n: n == 2 + DEAF + FROZEN, within=20
                    )
                    frozen.send(signal.SIGSTOP)
                    stopped = time.monotonic()
                    await watch(bed, samples, TOGETHER, it)
                    frozen.send(signal.SIGCONT)
            judge_memory(it, samples[:alone], samples[alone:], joined, healthy.sizes)
            left = [each.at for each in samples if each.at > stopped and each.streams <= 2 + DEAF]
            it.void_unless(connected == 2 + DEAF + FROZEN, f"{connected:g} streams only")
            gone = min(left, default=float("inf")) - stopped
            it.at_most(f"{FROZEN} whose process is stopped, dropped within", gone, 60.0, "s")
            judge_latency(it, tmp_path / "emitted", healthy, joined)
            it.none("complaints in the bridge's log", bed.complaints())
            bed.must_run()


def judge_memory(
    it: Bar, before: Sequence[Sample], after: Sequence[Sample], joined: float, sizes: dict[str, int]
) -> None:
    """Hold the resident memory against one response in the making for each deaf stream."""
    base = statistics.median(each.rss for each in before[len(before) // 2 :])
    peak = max(each.rss for each in after)
    largest = max(sizes[SERVICE_ENTRY], sizes[CDS] + sizes[EDS])
    it.at_least("bytes of state that each asks for", largest / MIB, 5.0, "MiB")
    growth = (peak - base) / MIB
    once = DEAF * largest / MIB
    what = f"memory for {DEAF} that do not read, peak (limit: one response each)"
    it.at_most(what, growth, once, "MiB")
    late = [each for each in after if each.at > joined + JOINING]
    third = len(late) // 3
    begin, end = (statistics.median(x.rss for x in part) for part in (late[:third], late[-third:]))
    rest = (end - base) / MIB
    it.at_most("at rest (limit: one response each)", rest, once, "MiB")
    it.at_most("drift of it, first to last third of the rest", (end - begin) / MIB, 20.0, "MiB")


def judge_latency(it: Bar, log: Path, healthy: Healthy, joined: float) -> None:
    """Compare how long changes took before and after the deaf ones joined."""
    lines = (line.split() for line in log.read_text().splitlines())
    emitted = {int(number): float(at) for number, at in lines}
    took = {n: at - emitted[n] for n, at in healthy.arrived.items()}
    before = [s for n, s in took.items() if emitted[n] < joined - 1]
    after = [s for n, s in took.items() if emitted[n] > joined + JOINING]
    meanwhile = [s for n, s in took.items() if joined - 1 <= emitted[n] <= joined + JOINING]
    it.at_least("changes (of a planned 5,000; scaled to the time)", len(emitted), 3500)
    it.at_least("of them seen by who reads (others were overtaken)", len(took) / len(emitted), 0.9)
    old, new = percentile(before, 0.99), percentile(after, 0.99)
    it.say(f"median {statistics.median(before):.4f} s and {statistics.median(after):.4f} s")
    it.at_most("p99 of a change before they came", old * 1e3, 250.0, "ms")
    it.at_most("p99 with them; limit 1.1 times before + 10 ms", new * 1e3, old * 1100 + 10, "ms")
    it.at_most("slowest while all of them are answered first", max(meanwhile), 5.0, "s")
    it.at_least("whole lists over mcp to who reads", healthy.lists, 30)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


async def watch(bed: Bed, samples: list[Sample], seconds: float, it: Bar) -> None:
    begun = time.monotonic()
    while (now := time.monotonic()) - begun < seconds:
        bed.must_run()
        streams = int(await bed.metric("^meshbridge_(xds|mcp)_streams$"))
        samples.append(Sample(now, bed.rss(), streams))
        if len(samples) % 20 == 0:
            it.say(f"{samples[-1].rss / MIB:.0f} MiB, {streams} streams")
        await asyncio.sleep(0.5)


def swinging(directory: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """Return a bridge whose registry is the adapter of this folder."""
    entries = {"meshbridge.adapters": {"swinging": "robustness.swinging:Swinging"}}
    folder = install(directory / "strangers", "swinging", modules={}, entry_points=entries)
    tests = Path(__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(tests)]))
    registry = {
        "adapter": "swinging",
        "services": SERVICES,
        "instances": INSTANCES,
        "rate": RATE,
        "seed": seed,
        "begin": str(directory / "begin"),
        "log": str(directory / "emitted"),
    }
    return Bed(directory, registry=registry)


@asynccontextmanager
async def deaf(
    directory: Path, bed: Bed, name: str, count: int, reads: str
) -> AsyncGenerator[Process]:
    main = Path(__file__).with_name("deaf_main.py")
    command: list[str | Path] = [
        sys.executable,
        main,
        bed.xds,
        bed.mcp,
        str(count),
        str(SERVICES),
        reads,
    ]
    process = Process(name, command, directory=directory)
    async with process:

        async def asked() -> bool:
            return "ready" in process.log

        await process.ready(asked, within=30)
        yield process


@asynccontextmanager
async def reading(bed: Bed) -> AsyncGenerator[Healthy]:
    """Read all changes over xds, and whole lists over mcp four times a second."""
    healthy = Healthy()
    async with channel(bed.xds) as xds, channel(bed.mcp) as mcp:
        client = DeltaClient(open_stream(xds, delta=True))
        istiod = StateClient(open_stream(mcp, delta=False))
        await client.ask(CDS)
        healthy.sizes[CDS] = (await client.take()).ByteSize()
        await client.ask(EDS, [cluster_name(f"{name_of(n)}.swinging", 80) for n in range(SERVICES)])
        healthy.sizes[EDS] = (await client.take()).ByteSize()
        await istiod.ask(SERVICE_ENTRY)
        first = await istiod.read()
        healthy.sizes[SERVICE_ENTRY] = first.ByteSize()
        await istiod.ask(SERVICE_ENTRY, after=first)

        async def follow() -> None:
            while True:
                response = await client.take(within=300)
                now = time.monotonic()
                for each in response.resources:
                    note(each.resource.value, now, healthy)
                client.received.clear()

        async def follow_lists() -> None:
            while True:
                response = await istiod.read(within=300)
                healthy.lists += 1
                istiod.received.clear()
                await asyncio.sleep(1)
                await istiod.ask(SERVICE_ENTRY, after=response)

        async with asyncio.TaskGroup() as tasks:
            following = [tasks.create_task(follow()), tasks.create_task(follow_lists())]
            try:
                yield healthy
            finally:
                for each in following:
                    each.cancel()
                client.call.cancel()
                istiod.call.cancel()


_FIRST = ipaddress.IPv4Address("10.0.0.0")


def note(body: bytes, now: float, healthy: Healthy) -> None:
    for locality in ClusterLoadAssignment.FromString(body).endpoints:
        for each in locality.lb_endpoints:
            address = ipaddress.IPv4Address(each.endpoint.address.socket_address.address)
            if address in ipaddress.IPv4Network("10.0.0.0/8"):
                healthy.arrived.setdefault(int(address) - int(_FIRST), now)
