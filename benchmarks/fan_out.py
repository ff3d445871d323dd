"""How fast a changed endpoint reaches every subscriber, beside a bare server of the same library.

A bridge under ``meshbridge run`` and a server that can do nothing else (``fan_out_echo``) send the
same bytes to the same kind of load, by turns, so that a busy machine is busy for both.
"""

import asyncio
import re
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import psutil

from benchmarks.fan_out_bridge import Registry, bridge
from benchmarks.fan_out_load import CDS, EDS, opened
from benchmarks.samples import Figure
from benchmarks.spoken import Spoken, spoken
from meshbridge.cli.demo import proxy
from meshbridge.cli.demo.child import ChildFailed
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DiscoveryRequest,
)

_SLOWEST_SHARE = 125.0
"""Percent of a bare server's time: four fifths of its speed."""
_SERVED_WITHIN = 10.0
_REST = 0.3
_ALONE = 5
_AT_ONCE = 500

Change = Callable[[], Awaitable[float]]
"""Makes every subscriber be sent something; returns the time at which it began."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    services: int = 20
    streams: int = 1000
    connections: int = 10
    """0: one for each stream."""
    rounds: int = 15
    delta: bool = True


@dataclass(frozen=True, slots=True)
class Round:
    """One change at all subscribers."""

    seconds: float
    """From the change to the last acknowledgement."""
    cpu: float
    """Processor seconds of the server."""
    responses: int
    bytes: int

    def __str__(self) -> str:
        """Return it for people."""
        each = self.cpu / self.responses * 1e6
        return f"{self.seconds * 1e3:.0f} ms, {each:.0f} us of processor for each stream"


async def fan_out(size: Size, say: Callable[[str], None]) -> tuple[Figure, Figure]:
    """Return the time of a change as a share of a bare server's, and that of a rush of streams.

    What a change takes before the first stream could be served is measured with one stream alone
    and left out.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="meshbridge-bench-")))
        run = await stack.enter_async_context(bridge(folder, size.services))
        sent = await _answers(run.target, run.registry.names, delta=size.delta)
        files = [folder / "logs" / name for name in ("clusters", "endpoints")]
        for file, message in zip(files, sent, strict=True):
            file.write_bytes(message)
        echo = await stack.enter_async_context(spoken("fan_out_echo", *map(str, files)))
        bare_target = f"127.0.0.1:{int(await echo.line())}"

        async def change() -> float:
            return run.registry.change()

        async def push() -> float:
            await echo.hears()
            return time.monotonic()

        async with spoken("fan_out_load", *_load(run.target, size, run.registry, 1)) as one:
            await one.says()
            alone = [await _round(one, run.pid, change) for _ in range(_ALONE)]
        before = statistics.median(each.seconds for each in alone)
        idle = statistics.median(each.cpu for each in alone)
        loads: list[Spoken] = []
        for target in (run.target, bare_target):
            arguments = _load(target, size, run.registry, size.streams)
            loads.append(await stack.enter_async_context(spoken("fan_out_load", *arguments)))
            await loads[-1].says()
        await asyncio.sleep(1)
        shares: list[float] = []
        cpu: list[float] = []
        size_of_one = 0
        for number in range(size.rounds):
            ours = await _round(loads[0], run.pid, change)
            bare = await _round(loads[1], echo.pid, push)
            shares.append((ours.seconds - before) / bare.seconds * 100)
            cpu.append(max(0.0, ours.cpu - idle))
            size_of_one = ours.bytes // ours.responses
            say(f"fan-out {number + 1}/{size.rounds}: {ours}; bare {bare}")
        what = f"{size_of_one / 1000:.0f} KB EDS change to {size.streams:,} streams"
        figure = Figure(f"{what}, of a bare server's time", "%", shares, _SLOWEST_SHARE, cpu)
    return figure, await rush(size, say)


async def rush(size: Size, say: Callable[[str], None]) -> Figure:
    """Let many streams connect at once, each over a connection of its own.

    Raises ChildFailed if anything is encoded for one of them.
    """
    samples: list[float] = []
    with tempfile.TemporaryDirectory(prefix="meshbridge-bench-") as folder:
        async with bridge(Path(folder), size.services) as run:
            encoded = await _encoded(run.status)
            for number in range(3):
                all_own = Size(connections=0, delta=size.delta)
                arguments = _load(run.target, all_own, run.registry, _AT_ONCE)
                async with spoken("fan_out_load", *arguments) as load:
                    samples.append((await load.says())["served"])
                say(f"{_AT_ONCE} streams at once {number + 1}/3: {samples[-1]:.2f} s")
            now = await _encoded(run.status)
            if now != encoded:
                raise ChildFailed(f"{now - encoded} resources were encoded for streams that came")
    return Figure(f"{_AT_ONCE} streams at once → all served", "s", samples, _SERVED_WITHIN)


def _load(target: str, size: Size, registry: Registry, streams: int) -> Sequence[str]:
    return (
        target,
        f"--names={','.join(registry.names)}",
        f"--streams={streams}",
        f"--connections={min(size.connections, streams)}",
        *(("--delta",) if size.delta else ()),
    )


async def _round(load: Spoken, pid: int, change: Change) -> Round:
    await load.hears("round")
    await load.says()
    used = _cpu(pid)
    changed = await change()
    found = await load.says()
    await asyncio.sleep(_REST)
    took = found["last"] - changed
    return Round(took, _cpu(pid) - used, int(found["responses"]), int(found["bytes"]))


async def _answers(target: str, names: Sequence[str], *, delta: bool) -> tuple[bytes, bytes]:
    """Subscribe once; return the answers about all clusters and about the first one's endpoints."""
    options = (("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0))
    async with grpc.aio.insecure_channel(target, options) as channel:
        clusters = await _answer(channel, CDS, (), delta=delta)
        return clusters, await _answer(channel, EDS, names[:1], delta=delta)


async def _answer(
    channel: grpc.aio.Channel, url: str, names: Sequence[str], *, delta: bool
) -> bytes:
    call = opened(channel, delta=delta)
    if delta:
        request = DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=names)
        await call.write(request.SerializeToString())
    else:
        whole = DiscoveryRequest(type_url=url, resource_names=names)
        await call.write(whole.SerializeToString())
    answer = await call.read()
    call.cancel()
    if isinstance(answer, bytes):
        return answer
    raise ChildFailed(f"the bridge did not answer about {url}")


async def _encoded(status: int) -> int:
    _, text = await proxy.fetch(status, "/metrics")
    found = re.search(r"^meshbridge_xds_encoded_resources (\S+)$", text, re.MULTILINE)
    if found is None:
        raise ChildFailed("the bridge does not count what it encodes")
    return int(float(found[1]))


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
