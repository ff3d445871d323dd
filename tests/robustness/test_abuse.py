"""Bar 17: streams that no honest subscriber would open harm neither the bridge nor anyone else."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc
import grpc.aio
import pytest
from robustness.bed import MIB, Bed, Instances, document, population, replace
from robustness.findings import Bar
from robustness.subscriber import DeltaClient, StateClient, channel, open_stream

from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DiscoveryRequest,
    DiscoveryResponse,
)
from meshbridge_xds.envoy.names import CDS, EDS, LDS, cluster_name

pytestmark = pytest.mark.asyncio
SERVICES = 300
ROUNDS = 3
OPENS = 3000
NAMES = 100_000
BIG = 4 * MIB
SILENCE = 0.3
"""Seconds after which nothing more is expected."""
INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@dataclass
class Abuser:
    """Does one thing after another to a bridge, and notes what came of it."""

    bed: Bed
    chance: random.Random
    wrong: list[str] = field(default_factory=list[str])
    """What was not answered as it should be."""
    amplification: dict[str, float] = field(default_factory=dict[str, float])
    """Bytes answered for each byte asked, by what was asked."""
    opens: list[float] = field(default_factory=list[float])
    """Streams opened in a second."""
    stale_answered: int = 0
    refusals: Counter[grpc.StatusCode] = field(default_factory=Counter[grpc.StatusCode])

    async def refused(
        self, what: str, code: grpc.StatusCode, *requests: bytes, delta: bool
    ) -> None:
        """Send, and expect the stream to be ended with the code."""
        async with channel(self.bed.xds) as connected:
            call = open_stream(connected, delta=delta)
            try:
                async with asyncio.timeout(10):
                    for each in requests:
                        await call.write(each)
                    while isinstance(await call.read(), bytes):
                        pass
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass  # ended while it was being written to: the code says how
            except TimeoutError:
                self.wrong.append(f"{what}: not refused")
                call.cancel()
                return
            if (found := await call.code()) != code:
                self.wrong.append(f"{what}: {found.name} instead of {code.name}")
            self.refusals[found] += 1

    async def answered(self, what: str, *requests: bytes, delta: bool, count: int = 1) -> None:
        """Send, expect at least so many responses, and note how large they are."""
        async with channel(self.bed.xds) as connected:
            call = open_stream(connected, delta=delta)
            size = 0
            try:
                for each in requests:
                    await call.write(each)
                for _ in range(count):
                    size += await self._next(call, 20)
                while more := await self._next(call, SILENCE):
                    size += more
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, EOFError) as error:
                self.wrong.append(f"{what}: {type(error).__name__}")
            except TimeoutError:
                if not size:
                    self.wrong.append(f"{what}: no answer")
            self.amplification[what] = size / sum(len(each) for each in requests)
            call.cancel()

    async def _next(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]", within: float) -> int:
        async with asyncio.timeout(within):
            message = await call.read()
        if not isinstance(message, bytes):
            raise EOFError  # noqa: TRY004 - grpc's sign of the end
        return len(message)


def state(url: str = CDS, names: Iterable[str] = (), version: str = "") -> bytes:
    request = DiscoveryRequest(type_url=url, resource_names=names, version_info=version)
    return request.SerializeToString()


def delta(url: str, names: Iterable[str] = (), known: Mapping[str, str] | None = None) -> bytes:
    request = DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=names)
    request.initial_resource_versions.update(known or {})
    return request.SerializeToString()


def with_node(size: int) -> bytes:
    request = DiscoveryRequest(type_url=CDS)
    request.node.id = "x" * size
    request.node.metadata.update({"LABELS": "y" * size})
    return request.SerializeToString()


def refusing(url: str, words: str) -> bytes:
    request = DiscoveryRequest(type_url=url, response_nonce="1")
    request.error_detail.code, request.error_detail.message = 3, words
    return request.SerializeToString()


async def many_opens(a: Abuser) -> None:
    """Open as many as this machine can: silent ones, such that ask, such that ask for nonsense."""
    first = [b"", state(), state(EDS, ["x"]), b"\xff\xff"]

    async def open_some(connected: grpc.aio.Channel, number: int) -> None:
        for _ in range(number):
            call = open_stream(connected, delta=a.chance.random() < 0.5)
            if request := a.chance.choice(first):
                try:
                    await call.write(request)
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    a.refusals[await call.code()] += 1
            call.cancel()

    begun = time.monotonic()
    async with channel(a.bed.xds) as one, channel(a.bed.xds) as two, asyncio.TaskGroup() as tasks:
        for place in range(20):
            tasks.create_task(open_some((one, two)[place % 2], OPENS // 20))
    a.opens.append(OPENS / (time.monotonic() - begun))


async def foreign_bytes(a: Abuser) -> None:
    """Connections that speak something else, or nothing."""
    host, _, port = a.bed.xds.rpartition(":")
    openings = [
        b"",
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        a.chance.randbytes(5000),
    ]

    async def speak(opening: bytes) -> None:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(opening)
        await asyncio.sleep(a.chance.uniform(0, 0.2))
        writer.transport.abort()

    for _ in range(5):
        async with asyncio.TaskGroup() as tasks:
            for number in range(60):
                tasks.create_task(speak(openings[number % len(openings)]))


async def many_names(a: Abuser) -> None:
    names = [f"outbound|80||no-such-{number}.file" for number in range(NAMES)]
    known = dict.fromkeys(names, "0123456789abcdef")
    real = [cluster_name(f"service-{number}.file", 80) for number in range(SERVICES)]
    await a.answered("100,000 names", state(EDS, [*names[SERVICES:], *real]), delta=False)
    await a.answered("100,000 names, incremental", delta(EDS, names), delta=True)
    await a.answered("100,000 versions held", delta(CDS, (), known), delta=True)
    await a.refused("100,001 names", INVALID, state(EDS, [*names, "x"]), delta=False)
    halves = delta(EDS, names), delta(EDS, ["y"])
    await a.refused("100,001 names, incremental", INVALID, *halves, delta=True)


async def large_requests(a: Abuser) -> None:
    await a.answered("a node of 8 MB", with_node(BIG), delta=False)
    await a.answered("a version of 4 MB", state(version="v" * BIG), delta=False)
    await a.refused("a type of 4 MB", INVALID, state("t" * BIG), delta=False)
    await a.refused("a name of 4 MB", INVALID, state(EDS, ["n" * BIG]), delta=False)
    await a.refused("33 MB", EXHAUSTED, state(version="v" * 33 * MIB), delta=False)
    words = refusing(CDS, "a b c d " * (BIG // 8))
    await a.answered("a refusal of 4 MB", state(), words, delta=False)
    await a.refused("no request", INVALID, b"\xff" * 1000, delta=False)
    await a.refused("no type", INVALID, b"", delta=True)


async def inflated(a: Abuser) -> None:
    """Thirty megabytes of nothing, which travel as thirty kilobytes."""
    payload = state(version="0" * 30 * MIB)

    async def send() -> None:
        options = (("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
        compression = grpc.Compression.Gzip
        async with grpc.aio.insecure_channel(a.bed.xds, options, compression) as connected:
            call = open_stream(connected, delta=False)
            try:
                async with asyncio.timeout(10):
                    await call.write(payload)
                    await call.read()
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                a.refusals[await call.code()] += 1
            except TimeoutError:
                a.wrong.append("a compressed request: neither answered nor refused")
            call.cancel()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(send())


async def stale_nonces(a: Abuser) -> None:
    """Answer responses that were never sent, in great number; the stream works on."""
    async with channel(a.bed.xds) as connected:
        client = StateClient(open_stream(connected, delta=False))
        await client.ask(CDS)
        first = await client.read()
        await client.ask(CDS, after=first)
        for number in range(3000):
            stale = DiscoveryResponse(type_url=CDS, nonce=f"{number + 1000}", version_info="x")
            await client.ask(CDS, [f"name-{number}"], after=stale)
        await client.ask(LDS)
        last = await client.read()
        a.stale_answered += last.type_url != LDS
        client.call.cancel()


async def unknown_types(a: Abuser) -> None:
    """Without a node, and of types that nobody knows: answered, up to a number."""
    types = [state(f"type.test/no.such.Type{number}") for number in range(65)]
    await a.answered("64 unknown types", *types[:64], delta=False, count=64)
    await a.refused("65 types", INVALID, *types, delta=False)


async def asking_without_reading(a: Abuser) -> None:
    """Ask for everything again and again on one stream."""
    names = [cluster_name(f"service-{number}.file", 80) for number in range(SERVICES)]
    async with channel(a.bed.xds) as connected:
        call = open_stream(connected, delta=True)
        for _ in range(500):
            await call.write(delta(EDS, names))
        call.cancel()


ABUSES: tuple[Callable[[Abuser], Awaitable[None]], ...] = (
    many_opens,
    foreign_bytes,
    many_names,
    large_requests,
    inflated,
    stale_nonces,
    unknown_types,
    asking_without_reading,
)


@dataclass
class Looks:
    """What was seen of the bridge meanwhile."""

    peak: int = 0
    slowest: float = 0.0
    count: int = 0
    unanswered: int = 0


async def test_streams_that_no_honest_subscriber_opens_harm_nobody(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """The bridge lives, its memory is bounded and comes back, and others are served."""
    with bar("17, stream abuse") as it:
        bed, abuser = Bed(tmp_path), None
        services = population(it.chance("services"), SERVICES, 5)
        replace(bed.file, document(services))
        async with bed.bridge:
            await bed.ready()
            abuser = Abuser(bed, it.chance())
            await served(bed, services, "before")
            base, looks, rests, delays = bed.rss(), Looks(), list[int](), list[float]()
            async with looking(bed, looks):
                for number in range(ROUNDS):
                    for abuse in ABUSES:
                        before, looks.peak = looks.peak, bed.rss()
                        await abuse(abuser)
                        bed.must_run()
                        top, looks.peak = looks.peak, max(before, looks.peak)
                        it.say(f"{abuse.__name__}: {(top - base) / MIB:+.0f} MiB at most")
                    delays.append(await served(bed, services, f"round-{number}"))
                    await asyncio.sleep(2)
                    rests.append(bed.rss())
            streams = await bed.metric("^meshbridge_xds_streams$")
            it.none("complaints in the bridge's log", bed.complaints())
        it.void_unless(abuser.refusals[INVALID] and abuser.refusals[EXHAUSTED], "nothing refused")
        it.at_least("rounds, after which the bridge was the same process", len(rests), ROUNDS)
        it.at_least("streams opened a second", min(abuser.opens), 1000.0)
        it.none("requests that were not answered or refused as they should be", abuser.wrong)
        it.at_most("stale nonces that were answered", abuser.stale_answered, 0)
        worst = max(abuser.amplification.items(), key=lambda item: item[1])
        it.at_most(f"bytes answered for a byte asked, at most ({worst[0]})", worst[1], 100.0)
        it.at_most("memory above the rest before, at most", (looks.peak - base) / MIB, 300.0, "MiB")
        it.at_most(
            "growth from the 1st round's rest to the 3rd's",
            (rests[-1] - rests[0]) / MIB,
            20.0,
            "MiB",
        )
        it.at_most("streams left", int(streams), 0)
        it.at_most(f"slowest of {looks.count} probes of /livez", looks.slowest, 1.0, "s")
        it.at_most("probes of /livez that failed", looks.unanswered, 0)
        it.at_most("slowest change to reach a new subscriber after a round", max(delays), 5.0, "s")


@asynccontextmanager
async def looking(bed: Bed, looks: Looks) -> AsyncGenerator[None]:
    """Probe the bridge twenty times a second, and look at its memory."""

    async def look() -> None:
        while True:
            begun = time.monotonic()
            try:
                await bed.get("/livez")
            except (aiohttp.ClientError, TimeoutError):
                looks.unanswered += 1
            looks.slowest = max(looks.slowest, time.monotonic() - begun)
            looks.peak = max(looks.peak, bed.rss())
            looks.count += 1
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(look())
        try:
            yield
        finally:
            task.cancel()


async def served(bed: Bed, services: dict[str, Instances], name: str) -> float:
    """Register another service; return the seconds until a new subscriber is told of it."""
    services[name] = [("10.4.4.4", 8080)]
    replace(bed.file, document(services))
    begun = time.monotonic()
    async with channel(bed.xds) as connected:
        client = DeltaClient(open_stream(connected, delta=True))
        await client.ask(CDS)
        while cluster_name(f"{name}.file", 80) not in client.held.get(CDS, {}):
            await client.take()
        client.call.cancel()
    return time.monotonic() - begun
