"""A document of any kind becomes the bytes that istiod reads, the same ones everywhere."""

from dataclasses import replace

import pytest
from google.protobuf.message import Message

from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge.protos.gen.istio.mcp.v1alpha1.resource_pb2 import Resource
from meshbridge.protos.gen.istio.networking.v1alpha3.destination_rule_pb2 import DestinationRule
from meshbridge.protos.gen.istio.networking.v1alpha3.envoy_filter_pb2 import EnvoyFilter
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from meshbridge.protos.gen.istio.networking.v1alpha3.sidecar_pb2 import Sidecar
from meshbridge.protos.gen.istio.networking.v1alpha3.virtual_service_pb2 import VirtualService
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry
from meshbridge_mcp.resource import LATE, Document, encode, late

SPECS: tuple[Message, ...] = (
    DestinationRule(host="a.b"),
    EnvoyFilter(priority=1),
    ServiceEntry(hosts=["a.b"]),
    Sidecar(),
    VirtualService(hosts=["a.b"]),
    WorkloadEntry(address="10.1.0.1"),
)


def a_document(spec: Message) -> Document[Message]:
    return Document("shop", "orders", late(b"12345678"), (("team", "blue"),), (), spec)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.DESCRIPTOR.name)
def test_a_document_of_any_kind_is_an_any_of_a_resource_with_a_body_of_its_kind(
    spec: Message,
) -> None:
    """The body is the v1alpha3 message, whatever version the type has that istiod asked for."""
    document = a_document(spec)
    encoded = encode(document)
    envelope = AnyMessage.FromString(encoded.resource)
    assert envelope.type_url == "type.googleapis.com/istio.mcp.v1alpha1.Resource"
    resource = Resource.FromString(envelope.value)
    assert resource.metadata.name == encoded.name == "shop/orders"
    assert resource.metadata.version == encoded.version
    assert resource.metadata.create_time.seconds == document.created_at
    assert dict(resource.metadata.labels) == {"team": "blue"}
    name = spec.DESCRIPTOR.name
    assert resource.body.type_url == f"type.googleapis.com/istio.networking.v1alpha3.{name}"
    assert type(spec).FromString(resource.body.value) == spec
    assert document.kind == f"networking.istio.io/{name}"


@pytest.mark.parametrize(
    "changed",
    [
        replace(a_document(SPECS[0]), spec=DestinationRule(host="a.c")),
        replace(a_document(SPECS[0]), labels=()),
        replace(a_document(SPECS[0]), annotations=(("a", "b"),)),
        replace(a_document(SPECS[0]), created_at=1),
        replace(a_document(SPECS[0]), name="other"),
    ],
    ids=["spec", "labels", "annotations", "create_time", "name"],
)
def test_whatever_is_sent_of_a_document_is_in_its_version(changed: Document[Message]) -> None:
    """Istiod does not look at a body whose version it knows."""
    assert encode(changed).version != encode(a_document(SPECS[0])).version


def test_the_order_in_which_a_map_was_filled_does_not_matter() -> None:
    """Replicas hear of the same things in another order."""
    pairs = [(f"key-{number}", "x") for number in range(50)]
    one, other = (
        encode(a_document(WorkloadEntry(labels=dict(each)))) for each in (pairs, pairs[::-1])
    )
    assert one == other


def test_documents_are_created_late_and_each_at_another_time() -> None:
    """A user's own win where two conflict, and among ours nothing is left to chance."""
    times = [late(number.to_bytes(32)) for number in range(100)]
    assert len({*times}) == len(times)
    assert min(times) >= LATE
    assert late(b"\xff" * 32) * 10**9 < 2**63, "Go counts nanoseconds"
