"""One stream, its wire and its clock in the test's hands: what goes when, and how it ends."""

import asyncio
from dataclasses import dataclass, field
from unittest import mock

import pytest

from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DiscoveryRequest,
    DiscoveryResponse,
)
from meshbridge_xds.exchange import Answer, RequestRefused
from meshbridge_xds.offers import Offer, Offers
from meshbridge_xds.resources import Resource, ResourceSet, ResourceType
from meshbridge_xds.stream import HELD_BACK, Serving, Stream, SubscriberGone

pytestmark = pytest.mark.asyncio
CDS = ResourceType("cds", rank=0)
EDS = ResourceType("eds", whole=False, wildcard=False, rank=1, follows="cds")
RDS = ResourceType("rds", whole=False, wildcard=False, rank=3, after=("cds", "eds"))
KINDS = {"cds": CDS, "eds": EDS, "rds": RDS}


@dataclass
class Line:
    """A wire whose other end the test holds."""

    requests: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue[bytes | None])
    responses: asyncio.Queue[DiscoveryResponse] = field(
        default_factory=asyncio.Queue[DiscoveryResponse]
    )
    broken: bool = False

    async def read(self) -> bytes | None:
        return await self.requests.get()

    async def write(self, message: bytes) -> None:
        if self.broken:
            raise SubscriberGone
        self.responses.put_nowait(DiscoveryResponse.FromString(message))

    def ask(self, url: str, *names: str, nonce: str = "") -> None:
        message = DiscoveryRequest(type_url=url, resource_names=names, response_nonce=nonce)
        self.requests.put_nowait(message.SerializeToString())


@dataclass
class Rig:
    """A stream and all it was handed."""

    now: float = 100.0
    offers: Offers = field(default_factory=Offers)
    line: Line = field(default_factory=Line)
    events: list[str] = field(default_factory=list[str])

    def sending(self, stream: Stream, kind: ResourceType) -> None:
        assert stream.subscriptions[kind.url].waiting

    def sent(self, stream: Stream, kind: ResourceType, size: int) -> None:
        assert stream.peer == "peer"
        assert size > 0
        self.events.append(f"sent {kind.url}")

    def answered(self, stream: Stream, kind: ResourceType, answer: Answer) -> None:
        assert stream.peer == "peer"
        self.events.append(f"{'accepted' if answer.accepted else 'refused'} {kind.url}")

    def stream(self) -> Stream:
        def kind_of(url: str) -> ResourceType:
            return KINDS.get(url) or ResourceType(url)

        serving = Serving(self.offers, kind_of, self, lambda: self.now)
        return Stream(serving, "peer", 0.0, delta=False)

    def offer(self, version: str) -> None:
        sets = {
            url: ResourceSet({"a": Resource("a", version, b"\x0a\x01t", refers=("a",))})
            for url in KINDS
        }
        self.offers.publish(Offer(sets))

    async def settle(self) -> list[str]:
        """Let the stream do all it can do now; return the types it has sent since."""
        for _ in range(20):
            await asyncio.sleep(0)
        return [
            self.line.responses.get_nowait().type_url for _ in range(self.line.responses.qsize())
        ]


async def test_a_route_waits_for_the_answers_about_its_clusters() -> None:
    """Make before break: Envoy answers CDS when the clusters are warm."""
    rig = Rig()
    rig.offer("1")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(rig.stream().run(rig.line))
        for url, names in (("rds", ("a",)), ("eds", ("a",)), ("cds", ())):
            rig.line.ask(url, *names)
        assert await rig.settle() == ["cds", "eds"]
        rig.line.ask("cds", nonce="1")
        rig.line.ask("eds", "a", nonce="1")
        assert await rig.settle() == ["rds"]
        rig.line.ask("rds", "a", nonce="1")
        assert await rig.settle() == []
        rig.offer("2")
        assert await rig.settle() == ["cds", "eds"]
        rig.line.ask("cds", nonce="2")
        assert await rig.settle() == []
        rig.line.ask("eds", "a", nonce="2")
        assert await rig.settle() == ["rds"]
        rig.line.requests.put_nowait(None)


async def test_a_route_does_not_wait_for_ever() -> None:
    """A cluster that never gets warm must not hold up the routes to all others."""
    rig = Rig()
    rig.offer("1")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(rig.stream().run(rig.line))
        rig.line.ask("cds")
        assert await rig.settle() == ["cds"]
        rig.line.ask("rds", "a")
        assert await rig.settle() == []
        rig.now += HELD_BACK - 0.1
        rig.line.ask("other")
        assert await rig.settle() == ["other"]
        rig.now += 0.2
        rig.line.ask("another")
        assert await rig.settle() == ["rds", "another"]
        rig.line.requests.put_nowait(None)


async def test_endpoints_follow_their_cluster_in_the_same_turn() -> None:
    """Their version is the same; they are sent because the cluster was."""
    rig = Rig()
    endpoints = ResourceSet({"a": Resource("a", "1", b"\x0a\x01t")})
    clusters = ResourceSet({"a": Resource("a", "1", b"\x0a\x01t", refers=("a",))})
    rig.offers.publish(Offer({"cds": clusters, "eds": endpoints}))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(rig.stream().run(rig.line))
        rig.line.ask("cds")
        rig.line.ask("eds", "a")
        assert sorted(await rig.settle()) == ["cds", "eds"]
        rig.line.ask("cds", nonce="1")
        rig.line.ask("eds", "a", nonce="1")
        assert await rig.settle() == []
        changed = clusters.changed({"a": Resource("a", "2", b"\x0a\x01t", refers=("a",))})
        rig.offers.publish(Offer({"cds": changed, "eds": endpoints}))
        assert await rig.settle() == ["cds", "eds"]
        rig.line.requests.put_nowait(None)


async def test_nothing_is_answered_before_there_is_an_offer() -> None:
    rig = Rig()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(rig.stream().run(rig.line))
        rig.line.ask("cds")
        assert await rig.settle() == []
        rig.offer("1")
        assert await rig.settle() == ["cds"]
        rig.line.ask("cds", nonce="1")
        rig.line.requests.put_nowait(None)
    assert rig.events == ["sent cds", "accepted cds"]


async def test_a_subscriber_that_is_gone_ends_its_stream_without_an_error() -> None:
    rig = Rig(line=Line(broken=True))
    rig.offer("1")
    rig.line.ask("cds")
    await asyncio.wait_for(rig.stream().run(rig.line), 5)


async def test_a_refused_request_ends_the_stream_with_its_reason() -> None:
    rig = Rig()
    rig.line.requests.put_nowait(b"\xff")
    with pytest.raises(RequestRefused, match="not a discovery request"):
        await rig.stream().run(rig.line)


async def test_a_refused_stream_ends_once_the_response_under_way_is_handed_over() -> None:
    """GRPC cannot end a stream in the middle of a write: it would stay open, and say nothing."""
    rig = Rig()
    rig.offer("1")
    taken = asyncio.Event()
    wrote: list[bytes] = []

    async def write(message: bytes) -> None:
        await taken.wait()
        wrote.append(message)

    with mock.patch.object(rig.line, "write", write):
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(refusal_of(rig.stream(), rig.line))
            rig.line.ask("cds")
            await rig.settle()
            rig.line.requests.put_nowait(b"\xff")
            await rig.settle()
            assert not ended.done()
            taken.set()
            assert "not a discovery request" in await ended
    assert len(wrote) == 1


async def refusal_of(stream: Stream, line: Line) -> str:
    with pytest.raises(RequestRefused) as caught:
        await stream.run(line)
    return str(caught.value)
