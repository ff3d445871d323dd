"""istiod is told in full of what is news to it, and of the rest that it is as it was."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge.protos.gen.istio.mcp.v1alpha1.metadata_pb2 import Metadata
from meshbridge.protos.gen.istio.mcp.v1alpha1.resource_pb2 import Resource as McpResource
from meshbridge_mcp.kinds import resource_type
from meshbridge_mcp.stub import stub
from meshbridge_xds.exchange import StateRequest
from meshbridge_xds.requests import write_response
from meshbridge_xds.resources import Resource, ResourceSet
from meshbridge_xds.subscription import Subscription

URL = "networking.istio.io/v1/ServiceEntry"
STUB = "google.protobuf.Empty"


def resource(name: str, version: str, members: int = 0) -> Resource:
    """Return a resource in full, with its stub."""
    body = AnyMessage(type_url="t", value=version.encode())
    said = McpResource(metadata=Metadata(name=name, version=version), body=body)
    packed = AnyMessage(type_url="r", value=said.SerializeToString()).SerializeToString()
    return Resource(name, version, packed, stub=stub(name, version), members=members)


class Istiod:
    """Applies responses as istiod does: by name and version, in order, absence being removal.

    Whoever hands it a stub that it can make nothing of fails the test.
    """

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.server = Subscription(resource_type(URL), delta=False)
        self.full: list[str] = []
        """What the last response said in full, in its order."""
        self.connect(ResourceSet())

    def connect(self, offered: ResourceSet) -> None:
        """Begin a new stream; what is held is kept."""
        self.server = Subscription(resource_type(URL), delta=False)
        self.server.offer(offered)
        self.server.request(StateRequest(nonce="2026-11-28 03:00:00 +0000 UTC"))

    def read(self) -> bytes | None:
        """Take the response that is due in, and acknowledge it."""
        if (response := self.server.respond()) is None:
            return None
        data = write_response(URL, response, delta=False).data
        named: dict[str, str] = {}
        self.full = []
        for packed in DiscoveryResponse.FromString(data).resources:
            said = McpResource.FromString(packed.value)
            name, version = said.metadata.name, said.metadata.version
            assert name not in named
            named[name] = version
            if said.body.type_url == STUB:
                assert self.held.get(name) == version, "a stub of what it does not have"
            else:
                self.full.append(name)
        self.held = named
        self.server.request(StateRequest(nonce=response.nonce))
        return data


def test_who_has_acknowledged_everything_is_sent_stubs_but_for_what_changed() -> None:
    istiod = Istiod()
    offered = ResourceSet({f"a/{n}": resource(f"a/{n}", "1") for n in range(100)})
    istiod.connect(offered)
    whole = istiod.read()
    assert whole is not None
    assert len(istiod.full) == 100
    offered = offered.changed({"a/7": resource("a/7", "2"), "a/8": None})
    istiod.server.offer(offered)
    istiod.read()
    assert istiod.full == ["a/7"]
    assert istiod.held == {name: each.version for name, each in offered.listed.items()}


def test_a_new_stream_is_answered_in_full() -> None:
    """A fresh istiod would take a stub for an answer, and hold nothing."""
    istiod = Istiod()
    offered = ResourceSet({"a/1": resource("a/1", "1"), "a/2": resource("a/2", "1")})
    istiod.connect(offered)
    istiod.read()
    istiod.connect(offered)
    istiod.read()
    assert istiod.full == ["a/1", "a/2"]


def test_what_has_no_stub_is_sent_in_full() -> None:
    istiod = Istiod()
    bare = Resource("a/1", "1", resource("a/1", "1").body)
    offered = ResourceSet({"a/1": bare, "a/2": resource("a/2", "1")})
    istiod.connect(offered)
    istiod.read()
    istiod.server.offer(offered.changed({"a/2": resource("a/2", "2")}))
    istiod.read()
    assert istiod.full == ["a/2", "a/1"]


def test_a_resource_that_gains_endpoints_goes_before_one_that_loses_them() -> None:
    """It applies a response in its order: a moving endpoint must arrive before it leaves."""
    istiod = Istiod()
    offered = ResourceSet({f"a/{n}": resource(f"a/{n}", "1", members=5) for n in "bcd"})
    istiod.connect(offered)
    istiod.read()
    moved = {
        "a/b": resource("a/b", "2", members=4),
        "a/c": resource("a/c", "2", members=5),
        "a/d": resource("a/d", "2", members=6),
        "a/e": resource("a/e", "1", members=1),
    }
    istiod.server.offer(offered.changed(moved))
    istiod.read()
    assert istiod.full == ["a/d", "a/e", "a/b", "a/c"]


@pytest.mark.parametrize("workloads_first", [False, True])
def test_what_is_selected_arrives_before_what_selects_it(*, workloads_first: bool) -> None:
    """And where nothing is selected any more it goes last; a VirtualService after what it names."""
    entries, workloads, routes = (
        resource_type(f"networking.istio.io/v1/{kind}", workloads_first=workloads_first).rank
        for kind in ("ServiceEntry", "WorkloadEntry", "VirtualService")
    )
    assert (workloads < entries) == workloads_first
    assert entries < routes


NAMES = st.sampled_from([f"a/{n}" for n in range(6)])
CHANGES = st.dictionaries(NAMES, st.none() | st.sampled_from("12"), min_size=1)


def after(changes: Mapping[str, str | None]) -> dict[str, Resource | None]:
    return {n: resource(n, v, members=int(v)) if v else None for n, v in changes.items()}


@given(st.lists(st.tuples(CHANGES, st.booleans(), st.booleans())))
def test_istiod_holds_what_is_offered_whatever_happened(
    history: list[tuple[dict[str, str | None], bool, bool]],
) -> None:
    """It reads late, and comes back on a new stream with what it held."""
    istiod, other, offered = Istiod(), Istiod(), ResourceSet()
    for changes, reads, reconnects in history:
        offered = offered.changed(after(changes))
        istiod.server.offer(offered)
        if reconnects:
            istiod.connect(offered)
        if reads:
            istiod.read()
    while istiod.read() is not None:
        pass
    assert istiod.held == {name: each.version for name, each in offered.listed.items()}
    # A replica with another past says the same to a new subscriber, to the byte.
    istiod.connect(offered)
    other.connect(ResourceSet(dict(reversed(list(offered.listed.items())))))
    assert istiod.read() == other.read()


@given(st.lists(CHANGES), st.data())
def test_a_set_is_the_same_by_whatever_changes_it_came_to_be(
    history: list[dict[str, str | None]], data: st.DataObject
) -> None:
    """Names, version and bytes are those of a set that was made of its resources at once."""
    offered = ResourceSet()
    for changes in history:
        if data.draw(st.booleans()):
            assert offered.names == sorted(offered.listed)
            assert offered.version == ResourceSet(offered.listed).version
        offered = offered.changed(after(changes))
    anew = ResourceSet(dict(sorted(offered.listed.items())))
    assert offered.names == anew.names
    assert offered.version == anew.version
    assert offered.joined(delta=False) == anew.joined(delta=False)
