"""Bar 2: the bridge is killed again and again, and nobody but its own log knows."""

import asyncio
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc.aio
import pytest
from robustness.bed import Bed, Instances, document, replace
from robustness.findings import Bar

from meshbridge.cli.demo.traffic import Answer, Load
from meshbridge_xds.envoy.names import CDS
from rig.backends import Backend
from rig.envoy import Api, Envoy, bootstrap
from rig.istiod import Istiod, Stored
from rig.waiting import until

pytestmark = pytest.mark.asyncio
KILLS = 20
WITHIN = 60.0
"""Seconds for all kills."""
RATE = 220.0
"""Requests a second that are sent; 200 must be answered."""
QUIET = 3.0
"""Seconds of load before the first kill and after the last."""
SERVICES = 40
HOST = "orders.file"
CHANGES = (
    r"^(cluster_manager\.cluster_(added|modified|removed)"
    r"|listener_manager\.listener_(added|modified|removed)|cluster\.outbound.*\.membership_change)$"
)


@dataclass
class Mesh:
    """A bridge with both kinds of subscribers, and requests through Envoy."""

    bed: Bed
    envoy: Envoy
    istiod: Istiod
    load: Load
    kills: list[float] = field(default_factory=list[float])
    recoveries: list[float] = field(default_factory=list[float])
    """Seconds from a kill until both had acknowledged the next process' answer."""
    refused: int = 0
    """Kills after which the port was seen refusing."""
    samples: int = 0
    missing: list[str] = field(default_factory=list[str])
    versions: set[str] = field(default_factory=set[str])
    """Of all ServiceEntries together, as each process gave it."""


def kind_of(api: Api) -> str:
    return "incremental" if api == "DELTA_GRPC" else "state of the world"


@pytest.mark.parametrize("api", ["GRPC", "DELTA_GRPC"])
async def test_nobody_notices_that_the_bridge_is_killed_again_and_again(
    api: Api, tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """No request fails, nothing is deleted anywhere, and all are back within seconds."""
    with bar(f"2, kill -9, Envoy {kind_of(api)}") as it:
        chance = it.chance()
        async with mesh(tmp_path, api) as m:
            held, events = dict(m.istiod.store), len(m.istiod.events)
            before = await m.envoy.stats(CHANGES)
            begun = time.monotonic()
            async with m.load.running(), sampling(m, held):
                await asyncio.sleep(QUIET)
                await kill_all(m, chance, it)
                await asyncio.sleep(QUIET)
            took = m.kills[-1] - m.kills[0]
            judge(it, m, took, begun)
            it.none(
                "ServiceEntries created, updated or deleted in istiod", m.istiod.events[events:]
            )
            it.note(
                "istiod's store after all kills",
                "identical" if m.istiod.store == held else "different",
                "identical",
                held=m.istiod.store == held,
            )
            after = await m.envoy.stats(CHANGES)
            it.none("changes that Envoy made", [n for n in after if after[n] != before.get(n)])


def judge(it: Bar, m: Mesh, took: float, begun: float) -> None:
    """Hold the figures against their thresholds."""
    answers = m.load.answers
    end = max(each.done for each in answers)
    first, last = rate(answers, begun, m.kills[0]), rate(answers, end - QUIET, end)
    it.void_unless(first >= 200 and last >= 200, f"load of {first:.0f} and {last:.0f} requests/s")
    it.void_unless(m.refused == len(m.kills), f"port refused after {m.refused} kills only")
    it.at_least("kills, each seen as a refusing port", len(m.kills), KILLS)
    it.at_most("all kills within", took, WITHIN, "s")
    it.at_least("requests answered a second before and after", min(first, last), 200.0, "1/s")
    failures = Counter(each.failure for each in answers if each.failure)
    it.note(f"failed requests of {len(answers):,}", str(failures.total()), "0", held=not failures)
    it.at_most("slowest kill to both having acknowledged", max(m.recoveries), 5.0, "s")
    it.note(
        f"ServiceEntries missing in {m.samples} samples",
        str(len(m.missing)),
        "0",
        held=not m.missing,
    )
    it.at_most("versions of all ServiceEntries over all processes", len(m.versions), 1)
    it.none("complaints in the bridge's log", m.bed.complaints())


def rate(answers: list[Answer], start: float, end: float) -> float:
    good = sum(not each.failure and start <= each.done < end for each in answers)
    return good / (end - start)


async def kill_all(m: Mesh, chance: random.Random, it: Bar) -> None:
    """Kill at drawn moments: mostly when all is well, sometimes while it still starts."""
    begun = time.monotonic()
    while len(m.kills) < KILLS:
        due = begun + len(m.kills) * (WITHIN - 5) / (KILLS - 1)
        await asyncio.sleep(max(0.0, due - time.monotonic()) + chance.uniform(0, 0.4))
        killed = await kill(m)
        while chance.random() < 0.2 and len(m.kills) < KILLS:
            await asyncio.sleep(chance.uniform(0.1, 1.0))
            killed = await kill(m)
        await everybody_is_back(m)
        m.recoveries.append(time.monotonic() - killed)
        it.say(f"{len(m.kills)} kills, back after {m.recoveries[-1]:.2f} s")


async def kill(m: Mesh) -> float:
    m.kills.append(killed := time.monotonic())
    await m.bed.bridge.process.kill()
    with socket.socket() as probe:
        died = m.bed.bridge.process.exit_code == -signal.SIGKILL
        m.refused += died and probe.connect_ex(address(m.bed.xds)) != 0
    m.bed.bridge.process.start()
    return killed


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def everybody_is_back(m: Mesh) -> None:
    """Wait until Envoy and istiod have acknowledged what this process answered."""

    async def acknowledged() -> set[str]:
        try:
            found = await m.bed.listed("/api/subscribers")
        except (aiohttp.ClientError, OSError):
            return set()
        return {str(each["outlet"]) for each in found if has_acknowledged(each["types"])}

    await until(acknowledged, lambda seen: seen == {"xds", "mcp"}, within=15)
    found = await m.bed.listed("/api/subscribers")
    for each in found:
        for url, _, version in types_of(each["types"]):
            if url.endswith("/ServiceEntry"):
                m.versions.add(version)


def types_of(listed: object) -> list[tuple[str, str, str]]:
    assert isinstance(listed, list)
    return [(str(url), str(sent), str(accepted)) for url, sent, accepted in listed]


def has_acknowledged(listed: object) -> bool:
    """Whether the type that everything hangs on was answered, and all answers acknowledged."""
    types = types_of(listed)
    roots = [accepted for url, _, accepted in types if url == CDS or url.endswith("/ServiceEntry")]
    return bool(roots) and all(roots) and all(sent == accepted for _, sent, accepted in types)


@asynccontextmanager
async def sampling(m: Mesh, held: dict[str, Stored]) -> AsyncGenerator[None]:
    """Look ten times a second whether istiod has lost anything."""

    async def look() -> None:
        while True:
            m.samples += 1
            m.missing.extend(held.keys() - m.istiod.store.keys())
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(look())
        try:
            yield
        finally:
            looking.cancel()


@asynccontextmanager
async def staying(istiod: Istiod) -> AsyncGenerator[None]:
    """Connect again whenever the connection breaks."""

    async def stay() -> None:
        while True:
            try:
                async with istiod.connected():
                    await asyncio.Event().wait()
            except* (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(stay())
        try:
            yield
        finally:
            task.cancel()


def patient_bootstrap(bed: Bed, api: Api) -> dict[str, object]:
    """Return the bootstrap with the pauses that docs/envoy.yaml recommends."""
    made = bootstrap(bed.xds, api=api)
    dynamic = made["dynamic_resources"]
    assert isinstance(dynamic, dict)
    service = dynamic["ads_config"]["grpc_services"][0]["envoy_grpc"]
    service["retry_policy"] = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}}
    return made


@asynccontextmanager
async def mesh(directory: Path, api: Api) -> AsyncGenerator[Mesh]:
    bed = Bed(directory)
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(Backend(name)) for name in "abc"]
        services: dict[str, Instances] = {
            f"other-{number}": [(f"10.1.{number}.{place}", 8080) for place in range(1, 6)]
            for number in range(SERVICES)
        }
        services["orders"] = [("127.0.0.1", each.port) for each in backends]
        replace(bed.file, document(services))
        await stack.enter_async_context(bed.bridge)
        await bed.ready()
        istiod = Istiod(bed.mcp)
        await stack.enter_async_context(staying(istiod))
        envoy = await stack.enter_async_context(Envoy(directory, patient_bootstrap(bed, api)))
        load = Load(bed.traffic[0], HOST, RATE)
        m = Mesh(bed, envoy, istiod, load)
        await istiod.until(
            lambda: istiod.is_ready and len(istiod.hosts()) == SERVICES + 1, within=20
        )
        await everybody_is_back(m)
        await until(envoy.is_live, bool, within=10)
        yield m
