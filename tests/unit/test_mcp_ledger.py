"""The ServiceEntries of a snapshot are encoded when their service changes, and only then."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from google.protobuf.message import Message

from meshbridge.problems import Problem, ProblemKind
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from meshbridge.service import Direct, Endpoint, Port, Service, versioned
from meshbridge.snapshot import EMPTY, Snapshot
from meshbridge.turns import Turns
from meshbridge_mcp import ledger
from meshbridge_mcp.faults import Fault
from meshbridge_mcp.istio import USUAL, Shape
from meshbridge_mcp.kinds import (
    FROM_SERVICES,
    SERVICE_ENTRY,
    VIRTUAL_SERVICE,
    WORKLOAD_ENTRY,
)
from meshbridge_mcp.ledger import Ledger
from meshbridge_mcp.resource import Document
from meshbridge_xds.resources import ResourceSet


def a_service(host: str, *addresses: str, alias: str = "") -> Service:
    return versioned(
        Service(
            host=host,
            namespace="shop",
            ports=(Port(80, "http", "http-80"), Port(50051, "grpc", "grpc-50051")),
            endpoints=tuple(Endpoint(each, (("http-80", 8080),)) for each in addresses),
            aliases=(alias,) if alias else (),
        )
    )


class Follower:
    """A ledger with what it said, followed by one call."""

    def __init__(self, shape: Shape = USUAL) -> None:
        self.problems: dict[str, tuple[Problem, ...]] = {}
        self.ledger = Ledger(self._say, shape)

    def _say(self, host: str, problems: Iterable[Problem]) -> None:
        self.problems[host] = tuple(problems)

    def follow(self, snapshot: Snapshot) -> ResourceSet:
        return self.all_of(snapshot)[SERVICE_ENTRY]

    def all_of(self, snapshot: Snapshot) -> Mapping[str, ResourceSet]:
        async def follow() -> Mapping[str, ResourceSet]:
            async with Turns().turn() as turn:
                return await self.ledger.follow(snapshot, turn)

        return asyncio.run(follow())


def versions(resources: ResourceSet) -> Mapping[str, str]:
    return {name: each.version for name, each in resources.listed.items()}


def a_snapshot(*services: Service) -> Snapshot:
    return Snapshot(MappingProxyType({each.host: each for each in services}))


def test_only_the_changed_service_is_encoded_again() -> None:
    """A change costs work in proportion to its service, however many there are."""
    follower = Follower()
    hosts = [f"s{number}.nacos" for number in range(50)]
    before = a_snapshot(*(a_service(host, "10.1.0.1") for host in hosts))
    first = follower.follow(before)
    encoded = follower.ledger.encoded
    second = follower.follow(before.with_changes({"s7.nacos": a_service("s7.nacos", "10.1.0.2")}))
    assert encoded == 100
    assert follower.ledger.encoded == 102
    unchanged = [name for name, each in second.listed.items() if first.listed.get(name) is each]
    assert len(unchanged) == 98


def test_a_removed_service_takes_all_its_parts_away() -> None:
    """The parts of a host live and die together."""
    follower = Follower()
    before = a_snapshot(a_service("a.nacos", "10.1.0.1"), a_service("b.nacos", "10.1.0.1"))
    assert len(follower.follow(before).listed) == 4
    after = follower.follow(before.with_changes({"a.nacos": None}))
    assert {name.rpartition("-")[0] for name in after.listed} == {"shop/b.nacos"}


def test_an_endpoint_that_is_a_resource_comes_and_goes_with_what_is_registered() -> None:
    """And leaves the entry that selects it as it is."""
    follower = Follower(Shape(inline=False))
    host = "a.nacos"
    http = (Port(80, "http", "http-80"),)
    one, two = (
        versioned(replace(a_service(host, *addresses), ports=http))
        for addresses in (("10.1.0.1",), ("10.1.0.1", "10.1.0.2"))
    )
    first = follower.all_of(before := a_snapshot(one))
    second = follower.all_of(before := before.with_changes({host: two}))
    assert second[SERVICE_ENTRY].version == first[SERVICE_ENTRY].version
    assert len(second[WORKLOAD_ENTRY].listed) == 2
    assert versions(first[WORKLOAD_ENTRY]).items() <= versions(second[WORKLOAD_ENTRY]).items()
    assert {kind: len(names) for kind, names in follower.ledger.names(host).items()} == {
        SERVICE_ENTRY: 1,
        WORKLOAD_ENTRY: 2,
    }
    last = follower.all_of(before.with_changes({host: None}))
    assert not last[SERVICE_ENTRY].listed
    assert not last[WORKLOAD_ENTRY].listed


def test_a_part_goes_with_the_last_endpoint_that_has_its_ports() -> None:
    """The holder stays, so the host keeps its ports."""
    follower = Follower()
    before = a_snapshot(a_service("a.nacos", "10.1.0.1"))
    assert len(follower.follow(before).listed) == 2
    assert len(follower.follow(before.with_changes({"a.nacos": a_service("a.nacos")})).listed) == 1


def test_the_way_to_a_snapshot_leaves_no_trace_in_what_is_sent() -> None:
    """Two replicas that saw different histories send the same names, versions and bytes."""
    one, other = Follower(), Follower()
    last = a_snapshot(a_service("a.nacos", "10.1.0.1"), a_service("b.nacos"))
    one.follow(EMPTY)
    one.follow(EMPTY.with_changes({"a.nacos": a_service("a.nacos"), "c.nacos": a_service("c.x")}))
    assert one.follow(last).joined(delta=False) == other.follow(last).joined(delta=False)


def test_problems_hold_as_long_as_the_service_is_so() -> None:
    """A remedy that was applied ends the problem, as does the service's end."""
    follower = Follower()
    before = a_snapshot(a_service("a.nacos", alias="a_b"), a_service("b.nacos", alias="c_d"))
    follower.follow(before)
    assert [each.kind for each in follower.problems["a.nacos"]] == [ProblemKind.INVALID_NAME]
    follower.follow(before.with_changes({"a.nacos": a_service("a.nacos"), "b.nacos": None}))
    assert follower.problems == {"a.nacos": (), "b.nacos": ()}


def called_at(service: Service, *addresses: str, alone: bool = True) -> Service:
    direct = tuple(Direct(each, (80,), alone=alone) for each in addresses)
    return versioned(replace(service, direct=direct))


def test_a_kind_of_which_no_service_makes_any_is_known_to_be_empty() -> None:
    """Or istiod would wait for it for ever; it is known with the first snapshot, and not before."""
    offered = Follower().all_of(EMPTY)
    assert set(offered) == set(FROM_SERVICES)
    assert not any(each.listed for each in offered.values())


def test_of_a_host_that_is_called_at_other_addresses_the_virtual_service_alone_is_encoded() -> None:
    """And of one whose endpoints change otherwise the ServiceEntries alone."""
    follower = Follower()
    a, b = a_service("a.nacos", "10.1.0.1"), a_service("b.nacos", "10.1.0.2")
    before = a_snapshot(called_at(a, "10.1.0.1"), called_at(b, "10.1.0.2"), a_service("c.nacos"))
    first = follower.all_of(before)
    assert (len(first[SERVICE_ENTRY].listed), len(first[VIRTUAL_SERVICE].listed)) == (5, 2)
    encoded = follower.ledger.encoded
    after = before.with_changes({"b.nacos": called_at(b, "10.1.0.2", "10.1.0.3")})
    second = follower.all_of(after)
    assert follower.ledger.encoded == encoded + 1
    assert second[SERVICE_ENTRY] is first[SERVICE_ENTRY]
    changed = versions(second[VIRTUAL_SERVICE]).items() ^ versions(first[VIRTUAL_SERVICE]).items()
    assert {name.rpartition("-")[0] for name, _ in changed} == {"shop/b.nacos"}
    sick = replace(b, endpoints=(replace(b.endpoints[0], weight=7),))
    third = follower.all_of(
        after.with_changes({"b.nacos": called_at(sick, "10.1.0.2", "10.1.0.3")})
    )
    assert follower.ledger.encoded == encoded + 3
    assert third[VIRTUAL_SERVICE] is second[VIRTUAL_SERVICE]


def test_the_resources_of_a_host_are_found_by_their_kinds() -> None:
    """As long as there are any; the last address takes the VirtualService along."""
    follower = Follower()
    service = a_service("a.nacos", "10.1.0.1")
    before = a_snapshot(called_at(service, "10.1.0.1"))
    follower.follow(before)
    names = follower.ledger.names("a.nacos")
    assert {kind: len(found) for kind, found in names.items()} == {
        SERVICE_ENTRY: 2,
        VIRTUAL_SERVICE: 1,
    }
    after = before.with_changes({"a.nacos": called_at(service)})
    assert not follower.all_of(after)[VIRTUAL_SERVICE].listed
    assert set(follower.ledger.names("a.nacos")) == {SERVICE_ENTRY}
    follower.follow(after.with_changes({"a.nacos": None}))
    assert follower.ledger.names("a.nacos") == {}


def test_a_host_has_the_problems_of_all_its_kinds_until_each_is_mended() -> None:
    """Also while only one of the kinds is made anew."""
    follower = Follower()
    service = a_service("a.nacos", "10.1.0.1", alias="a_b")
    before = a_snapshot(called_at(service, "10.1.0.1", alone=False))
    follower.follow(before)
    assert [each.kind for each in follower.problems["a.nacos"]] == [
        ProblemKind.INVALID_NAME,
        ProblemKind.CONFLICT,
    ]
    follower.follow(before.with_changes({"a.nacos": called_at(service, "10.1.0.1")}))
    assert [each.kind for each in follower.problems["a.nacos"]] == [ProblemKind.INVALID_NAME]


def test_the_loop_turns_while_a_large_snapshot_is_encoded() -> None:
    """Whatever else runs gets its turn within a slice, not after ten thousand services."""
    snapshot = a_snapshot(*(a_service(f"s{number}.nacos", "10.1.0.1") for number in range(3)))
    turned: list[int] = []

    async def follow() -> None:
        clock = iter(range(1000)).__next__  # each look at the clock is a second later
        ledger = Ledger(lambda _host, _problems: None)
        async with asyncio.TaskGroup() as tasks, Turns(clock).turn() as turn:
            following = tasks.create_task(ledger.follow(snapshot, turn))
            while not following.done():
                turned.append(ledger.encoded)
                await asyncio.sleep(0)

    asyncio.run(follow())
    assert {0, 2, 4} <= set(turned)


def test_a_cancelled_encoding_is_made_up_for() -> None:
    """Nothing is remembered as sent that was not made."""
    snapshot = a_snapshot(*(a_service(f"s{number}.nacos", "10.1.0.1") for number in range(9)))

    async def cancelled_and_again() -> ResourceSet:
        clock = iter(range(1000)).__next__
        ledger = Ledger(lambda _host, _problems: None)
        async with Turns(clock).turn() as turn:
            following = asyncio.ensure_future(ledger.follow(snapshot, turn))
            while ledger.encoded < 4:  # noqa: ASYNC110 - it gives the encoder a few turns
                await asyncio.sleep(0)
            following.cancel()
            await asyncio.wait([following])
        async with Turns().turn() as turn:
            return (await ledger.follow(snapshot, turn))[SERVICE_ENTRY]

    assert len(asyncio.run(cancelled_and_again()).listed) == 18


def test_it_tells_the_names_of_a_hosts_resources() -> None:
    follower = Follower()
    resources = follower.follow(a_snapshot(a_service("a.file", "10.0.0.1")))
    names = follower.ledger.names("a.file")
    assert {kind: set(found) for kind, found in names.items()} == {
        SERVICE_ENTRY: set(versions(resources))
    }
    assert follower.ledger.names("b.file") == {}


def test_what_istiod_would_refuse_stays_as_it_was_and_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last net: left out it would be deleted there, and sent it would be refused in silence."""

    def faults(document: Document[Message]) -> tuple[Fault, ...]:
        bad = isinstance(document.spec, ServiceEntry) and "10.0.0.9" in {
            each.address for each in document.spec.endpoints
        }
        return (Fault("endpoints[0]", "it is bad"),) if bad else ()

    monkeypatch.setattr(ledger, "document_faults", faults)
    follower = Follower()
    before = follower.follow(a_snapshot(a_service("a.b", "10.0.0.1"), a_service("c.d", "10.0.0.9")))
    after = follower.follow(a_snapshot(a_service("a.b", "10.0.0.9"), a_service("c.d", "10.0.0.9")))
    named = {host: follower.ledger.names(host)[SERVICE_ENTRY] for host in ("a.b", "c.d")}
    assert [len(names) for names in named.values()] == [2, 1], "one of c.d was never told"
    assert versions(after) == versions(before)
    (problem,) = follower.problems["a.b"]
    assert "ServiceEntry shop/a.b-" in problem.reason
    assert problem.reason.endswith(": endpoints[0]: it is bad")
    gone = follower.follow(a_snapshot(a_service("c.d")))
    assert [name for name in versions(gone) if "a.b" in name] == []
    assert follower.problems == {"a.b": (), "c.d": ()}
