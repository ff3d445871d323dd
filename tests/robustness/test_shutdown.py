"""Bar 28: SIGTERM at any moment under load ends the bridge in time, well, and without a trace."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc.aio
import pytest
from robustness.bed import Bed, document, population, replace
from robustness.findings import Bar
from robustness.mesh import QUIET, Mesh, mesh
from robustness.subscriber import StateClient, channel, open_stream

from meshbridge_xds.envoy.names import CDS
from rig.waiting import until

pytestmark = pytest.mark.asyncio
MOMENTS = 200
BESIDE = 4
"""Bridges that are ended at the same time, each again and again: a drain is mostly waiting."""
AT_ONCE = 8
"""Every so many moments a second signal follows."""
SERVICE_ENTRY = "networking.istio.io/v1/ServiceEntry"
LEFT = ("is pending", "unclosed", "was never retrieved", "left behind", "failed while it ended")


@dataclass
class Ends:
    """How the processes ended."""

    codes: list[int] = field(default_factory=list[int])
    """Of those that were asked once."""
    seconds: list[float] = field(default_factory=list[float])
    hasty: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    """(code, seconds after the second signal) of those that were asked twice."""
    early: list[int] = field(default_factory=list[int])
    """Codes of those that were asked before they could hear."""
    streams: int = 0
    """Streams that were open when a signal came."""
    unready: int = 0
    """How many were asked before their first answer."""


@pytest.fixture(autouse=True)
def _tell_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "default::ResourceWarning")


async def test_it_ends_well_at_any_moment_under_load(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """200 of them: four bridges side by side, one with Envoy, istiod and requests, all changing."""
    with bar("28, SIGTERM at any moment") as it:
        ends = Ends()
        async with (
            mesh(tmp_path / "mesh", "DELTA_GRPC") as m,
            m.load.running(),
            asyncio.TaskGroup() as group,
        ):
            begun = time.monotonic()
            await asyncio.sleep(QUIET)
            first = time.monotonic()
            share = MOMENTS // BESIDE
            lanes = [
                group.create_task(alone(tmp_path / f"lane-{number}", share, ends, it))
                for number in range(BESIDE - 1)
            ]
            complaints = await under_traffic(m, share, ends, it)
            for lane in lanes:
                complaints += await lane
            await m.everybody_is_back()
            await asyncio.sleep(QUIET)
        m.judge_load(it, begun, first)
        judge(it, ends, complaints)


def judge(it: Bar, ends: Ends, complaints: list[str]) -> None:
    """Hold the figures against their thresholds."""
    asked = len(ends.codes) + len(ends.hasty) + len(ends.early)
    it.at_least("moments", asked, MOMENTS)
    it.void_unless(ends.streams > MOMENTS, f"only {ends.streams} streams were open at a signal")
    it.void_unless(ends.unready, "no bridge was asked before its first answer")
    it.at_least("streams open at a signal, over all", ends.streams, MOMENTS)
    it.none(f"exit codes of {len(ends.codes)} that are not 0", [c for c in ends.codes if c])
    it.at_most("slowest end", max(ends.seconds), 10.0, "s")
    wrong = [code for code, _ in ends.hasty if code not in {0, -signal.SIGTERM}]
    it.none(f"exit codes of {len(ends.hasty)} asked twice that are none of 0 and 143", wrong)
    it.at_most("slowest end after a second signal", max(s for _, s in ends.hasty), 1.0, "s")
    wrong = [code for code in ends.early if code not in {0, -signal.SIGTERM}]
    it.none(f"other ends than 0 and 143 of {len(ends.early)} asked while Python loads", wrong)
    it.none("complaints, pending tasks and open sockets in the logs", complaints)


async def alone(directory: Path, moments: int, ends: Ends, it: Bar) -> list[str]:
    """End a bridge with scripted subscribers again and again; return what its log complains of."""
    bed, chance = Bed(directory), it.chance(directory.name)
    async with bed.bridge, changing(bed, chance):
        for _ in range(moments):
            if not bed.bridge.process.running:
                bed.bridge.process.start()
            if chance.random() < 0.5:
                await while_it_starts(bed, chance)
                await end(bed, chance, ends)
                continue
            await bed.ready()
            async with subscribers(bed, chance):
                await asyncio.sleep(chance.uniform(0, 0.5))
                await end(bed, chance, ends)
    return complaints_of(bed)


async def under_traffic(m: Mesh, moments: int, ends: Ends, it: Bar) -> list[str]:
    """End the one that feeds Envoy and istiod; they find the next one in the same place."""
    chance = it.chance("mesh")
    for number in range(moments):
        if not m.bed.bridge.process.running:
            m.bed.bridge.process.start()
        if chance.random() < 0.7:
            await m.bed.ready()
            await asyncio.sleep(chance.uniform(0, 0.5))
        else:
            await while_it_starts(m.bed, chance)
        await end(m.bed, chance, ends)
        if number % 10 == 9:
            it.say(f"{len(ends.seconds)} have ended")
    m.bed.bridge.process.start()
    return complaints_of(m.bed)


async def while_it_starts(bed: Bed, chance: random.Random) -> None:
    """Wait for a moment before its first answer: while Python loads, or when it can hear."""
    if chance.random() < 0.3:
        await asyncio.sleep(chance.uniform(0, 0.5))
        return
    await until(lambda: hears_signals(bed.bridge.process.pid), bool, within=20)
    await asyncio.sleep(chance.uniform(0, 0.3))


async def end(bed: Bed, chance: random.Random, ends: Ends) -> None:
    """Ask it to end, sometimes twice, and note how it does."""
    process = bed.bridge.process
    hears = await hears_signals(process.pid)
    streams = await open_streams(bed) if hears else 0
    ends.streams += streams or 0
    ends.unready += streams is None
    twice = hears and chance.randrange(AT_ONCE) == 0
    begun = time.monotonic()
    process.send(signal.SIGTERM)
    if twice:
        await until(lambda: hears_signals(process.pid), lambda hears: not hears, within=5)
        if process.running:
            begun = time.monotonic()
            process.send(signal.SIGTERM)
    code = await process.exited(within=15)
    took = time.monotonic() - begun
    if twice:
        ends.hasty.append((code, took))
    elif hears:
        ends.codes.append(code)
        ends.seconds.append(took)
    else:
        ends.early.append(code)


async def open_streams(bed: Bed) -> int | None:
    """Return how many subscribers there are; ``None`` before the first answer."""
    try:
        return len(await bed.subscribers()) if await bed.is_ready() else None
    except (aiohttp.ClientError, OSError):
        return None


async def hears_signals(pid: int) -> bool:
    """Whether the process takes SIGTERM itself."""
    try:
        status = await asyncio.to_thread(Path(f"/proc/{pid}/status").read_text)
    except OSError:
        return False
    caught = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(caught and int(caught[0], 16) >> (signal.SIGTERM - 1) & 1)


@asynccontextmanager
async def subscribers(bed: Bed, chance: random.Random) -> AsyncGenerator[None]:
    """Hold streams of both outlets; some read, some never do."""
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        reading: list[asyncio.Task[None]] = []
        calls: list[object] = []  # dropping one would cancel it
        for number in range(chance.randrange(1, 12)):
            target, url = ((bed.xds, CDS), (bed.mcp, SERVICE_ENTRY))[number % 2]
            connected = await stack.enter_async_context(channel(target))
            client = StateClient(open_stream(connected, delta=False))
            await client.ask(url)
            calls.append(client)
            if number % 3:
                reading.append(tasks.create_task(read(client, url)))
        yield
        for task in reading:
            task.cancel()


async def read(client: StateClient, url: str) -> None:
    """Take and acknowledge all that comes, to the stream's end."""
    try:
        while True:
            await client.ask(url, after=await client.read(within=60))
            client.received.clear()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError, EOFError):
        return


@asynccontextmanager
async def changing(bed: Bed, chance: random.Random) -> AsyncGenerator[None]:
    """Write the registry's file again and again."""
    services = population(chance, 300, 5)
    replace(bed.file, document(services))

    async def change() -> None:
        while True:
            services[f"service-{chance.randrange(300)}"] = [
                ("10.9.9.9", 1 + chance.randrange(9999))
            ]
            replace(bed.file, document(services))
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(change())
        try:
            yield
        finally:
            task.cancel()


def complaints_of(bed: Bed) -> list[str]:
    lines = bed.bridge.process.log.splitlines()
    return bed.complaints() + [line for line in lines if any(word in line for word in LEFT)]
