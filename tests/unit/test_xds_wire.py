"""Discovery requests off the wire and responses onto it, against protobuf's own reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.protos.gen.envoy.config.core.v3.base_pb2 import Node
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge.protos.gen.google.rpc.status_pb2 import Status
from meshbridge_xds.exchange import DeltaRequest, RequestRefused, Response, StateRequest
from meshbridge_xds.requests import read_request, write_response
from meshbridge_xds.resources import Resource, ResourceSet
from meshbridge_xds.wire import packed_any, varint

TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
RESOURCES = st.dictionaries(TEXT, st.builds(packed_any, TEXT, st.binary(max_size=300)))


def test_a_request_says_what_it_holds() -> None:
    raw = DiscoveryRequest(
        version_info="v",
        node=Node(id="n1\n", user_agent_name="envoy"),
        resource_names=["a", "b"],
        type_url="t",
        response_nonce="7",
        error_detail=Status(code=3, message="no"),
    ).SerializeToString()
    incoming = read_request(raw, delta=False)
    assert incoming.request == StateRequest(("a", "b"), "7", "no")
    assert (incoming.type_url, incoming.node, incoming.user_agent) == ("t", "n1 ", "envoy")
    bare = DiscoveryRequest(type_url="t", error_detail=Status(code=3)).SerializeToString()
    assert read_request(bare, delta=False).request.error == "code 3"


def test_a_delta_request_says_what_it_holds() -> None:
    raw = DeltaDiscoveryRequest(
        resource_names_subscribe=["a"],
        resource_names_unsubscribe=["b"],
        initial_resource_versions={"c": "1"},
        type_url="t",
        response_nonce="7",
    ).SerializeToString()
    assert read_request(raw, delta=True).request == DeltaRequest(("a",), ("b",), {"c": "1"}, "7")


def test_names_and_types_that_no_resource_has_are_refused() -> None:
    long_name = DiscoveryRequest(type_url="t", resource_names=["x" * 1025]).SerializeToString()
    with pytest.raises(RequestRefused, match="more than 1024 letters"):
        read_request(long_name, delta=False)
    long_type = DiscoveryRequest(type_url="t" * 257).SerializeToString()
    with pytest.raises(RequestRefused, match="at most 256 letters"):
        read_request(long_type, delta=False)


@given(RESOURCES, TEXT, TEXT, TEXT)
def test_a_joined_response_reads_as_if_protobuf_had_written_it(
    bodies: dict[str, bytes], url: str, version: str, nonce: str
) -> None:
    """Whether it is joined from everything that is listed, or from some."""
    resources = {name: Resource(name, "1", body) for name, body in bodies.items()}
    listed = ResourceSet(resources)
    wanted = DiscoveryResponse(
        version_info=version,
        type_url=url,
        nonce=nonce,
        resources=[AnyMessage.FromString(bodies[name]) for name in sorted(bodies)],
    )
    ordered = {name: resources[name] for name in sorted(resources)}
    for response in (
        Response(nonce, version, ordered),
        Response(nonce, version, resources, complete=listed),
    ):
        assert (
            DiscoveryResponse.FromString(write_response(url, response, delta=False).data) == wanted
        )


@given(RESOURCES, st.lists(TEXT), TEXT, TEXT, TEXT)
def test_a_joined_delta_response_reads_as_if_protobuf_had_written_it(
    bodies: dict[str, bytes], removed: list[str], url: str, version: str, nonce: str
) -> None:
    resources = {name: Resource(name, f"v{name}", body) for name, body in bodies.items()}
    read = DeltaDiscoveryResponse.FromString(
        write_response(url, Response(nonce, version, resources, tuple(removed)), delta=True).data
    )
    assert (read.type_url, read.system_version_info, read.nonce) == (url, version, nonce)
    assert list(read.removed_resources) == removed
    assert [(each.name, each.version) for each in read.resources] == [
        (name, f"v{name}") for name in bodies
    ]
    assert [each.resource for each in read.resources] == [
        AnyMessage.FromString(body) for body in bodies.values()
    ]


@given(RESOURCES, TEXT, TEXT, TEXT)
def test_all_that_is_listed_is_joined_once_and_says_the_same(
    bodies: dict[str, bytes], url: str, version: str, nonce: str
) -> None:
    """In either variant, whoever asks for everything reads what one by one would say."""
    listed = ResourceSet({name: Resource(name, f"v{name}", bodies[name]) for name in bodies})
    ordered = {name: listed.listed[name] for name in sorted(listed.listed)}
    for delta in (False, True):
        whole = Response(nonce, version, listed.listed, complete=listed)
        single = Response(nonce, version, ordered)
        assert (
            write_response(url, whole, delta=delta).data
            == write_response(url, single, delta=delta).data
        )
        assert listed.joined(delta=delta) is listed.joined(delta=delta)


@pytest.mark.parametrize("size", [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_numbers_of_any_size_are_written_as_protobuf_reads_them(size: int) -> None:
    """A route configuration of ten thousand hosts has megabytes."""
    body = packed_any("t", b"x" * size)
    response = Response("n", "v", {"a": Resource("a", "1", body)})
    (state,) = DiscoveryResponse.FromString(
        write_response("t", response, delta=False).data
    ).resources
    (delta,) = DeltaDiscoveryResponse.FromString(
        write_response("t", response, delta=True).data
    ).resources
    assert len(state.value) == len(delta.resource.value) == size


def test_numbers_are_written_in_groups_of_seven_bits() -> None:
    assert varint(0) == b"\x00"
    assert varint(127) == b"\x7f"
    assert varint(300) == b"\xac\x02"
    assert varint(16_384) == b"\x80\x80\x01"
    assert varint(2**32 - 1) == b"\xff\xff\xff\xff\x0f"
