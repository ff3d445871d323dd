"""Says for what istiod would refuse a document: the last look before it is sent.

istiod refuses in silence, and a document whole: a new one is absent, a changed one stays as it was.
Every rule is that of istio's own validation (pkg/config/validation of istio/istio), named where it
is followed, with Kubernetes' stricter one for names. What is refused here must not be sent; that it
was made at all is a fault of whoever made it, so nothing is mended.

Fields that the documents of this bridge never have are refused as such rather than let through
unseen. A ServiceEntry is looked at by its name only: :mod:`meshbridge_mcp.validate` has mended it.
"""

from collections.abc import Iterator, Sequence

from google.protobuf.message import Message

from meshbridge.protos.gen.istio.networking.v1alpha3.destination_rule_pb2 import DestinationRule
from meshbridge.protos.gen.istio.networking.v1alpha3.virtual_service_pb2 import VirtualService
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry
from meshbridge_mcp.faults import NO_DNS_LABEL, NO_PORT, Fault, labels, unless
from meshbridge_mcp.legal import (
    REVISION,
    is_address,
    is_dns_label,
    is_fqdn,
    is_label_key,
    is_label_value,
    is_name,
    is_namespace,
    is_port_number,
)
from meshbridge_mcp.policy_faults import destination_rule
from meshbridge_mcp.resource import Document
from meshbridge_mcp.route_faults import virtual_service

_ANNOTATIONS = frozenset(
    {
        "internal.istio.io/parent-namespace",
        "internal.istio.io/parents",
        "internal.istio.io/route-semantics",
        "internal.istio.io/webhook-always-reject",
        "istio.io/dry-run",
        # Of a WorkloadEntry: it is unhealthy for ever then, because MCP carries no status.
        "proxy.istio.io/health-checks-enabled",
    }
)
"""Refused by validateMetadata, but for the last and for what turns rules off."""

UNSENT = frozenset(
    f"istio.networking.v1alpha3.{name}"
    for name in (
        *("DestinationRule.workload_selector", "TrafficPolicy.tunnel"),
        *("TrafficPolicy.proxy_protocol", "TrafficPolicy.retry_budget"),
        "LoadBalancerSettings.zone_aware_lb_setting",
        "LoadBalancerSettings.ConsistentHashLB.minimum_ring_size",
        *("OutlierDetection.consecutive_errors", "ClientTLSSettings.credential_name"),
        *("VirtualService.gateways", "VirtualService.tls"),
        *("HTTPRoute.redirect", "HTTPRoute.direct_response", "HTTPRoute.delegate"),
        *("HTTPRoute.cors_policy", "HTTPRoute.mirror_percent", "HTTPMatchRequest.gateways"),
        *("HTTPFaultInjection.Delay.percent", "HTTPFaultInjection.Delay.exponential_delay"),
        *("HTTPFaultInjection.Abort.http2_error", "L4MatchAttributes.gateways"),
        *("L4MatchAttributes.source_subnet", "L4MatchAttributes.source_namespace"),
    )
)
"""Fields that no document of ours has: their rules are not written here, or they have no use."""


def document_faults(document: Document[Message]) -> tuple[Fault, ...]:
    """Return for what istiod would refuse a document; nothing if it takes it."""
    return (*_metadata(document), *_spec(document.namespace, document.spec))


def _metadata(document: Document[Message]) -> Iterator[Fault]:
    if not is_namespace(document.namespace):
        reason = f"{document.namespace!r} is no name of a namespace"
        yield Fault("metadata.namespace", reason)
    if not is_name(document.name):
        yield Fault("metadata.name", f"{document.name!r} is no name of a resource")
    for key, value in document.labels:
        if not (is_label_key(key) and is_label_value(value) and key != REVISION):
            reason = "it is no legal label, or would hide the document from other istiods"
            yield Fault(f"metadata.labels[{key}]", reason)
    for key, _ in document.annotations:
        if key in _ANNOTATIONS:
            reason = "istiod does not take a document with it"
            yield Fault(f"metadata.annotations[{key}]", reason)


def _spec(namespace: str, spec: Message) -> Iterator[Fault]:
    if isinstance(spec, WorkloadEntry):
        yield from _workload_entry(spec)
    elif isinstance(spec, VirtualService):
        yield from _unsent(spec, "")
        yield from _exported(namespace, spec.export_to)
        yield from virtual_service(spec)
    elif isinstance(spec, DestinationRule):
        yield from _unsent(spec, "")
        yield from _exported(namespace, spec.export_to)
        yield from destination_rule(spec)


def _exported(namespace: str, targets: Sequence[str]) -> Iterator[Fault]:
    """Check for whom a document is (validateExportTo)."""
    named = [namespace if target == "." else target for target in targets]
    for target in named:
        yield from unless(
            target == "*" or is_dns_label(target),
            "exportTo",
            f"{target!r} is neither a namespace nor `.` or `*`",
        )
    yield from unless(
        len({*named}) == len(named) and ("*" not in named or len(named) == 1),
        "exportTo",
        "each is there once, and `*` alone",
    )


def _unsent(message: Message, where: str) -> Iterator[Fault]:
    """Yield the fields that are set and never sent, however deep."""
    for field, value in message.ListFields():
        name = f"{where}.{field.json_name}" if where else field.json_name
        yield from unless(field.full_name not in UNSENT, name, "it is never sent")
        if isinstance(value, Message):
            yield from _unsent(value, name)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for number, each in enumerate(value):
                yield from _unsent(each, f"{name}[{number}]")


def _workload_entry(spec: WorkloadEntry) -> Iterator[Fault]:
    """Check one endpoint (ValidateWorkloadEntry)."""
    if not (is_address(spec.address) or is_fqdn(spec.address)):
        yield Fault("address", f"{spec.address!r} is neither an IP address nor a host's name")
    for name, port in sorted(spec.ports.items()):
        if not is_dns_label(name):
            yield Fault(f"ports[{name}]", NO_DNS_LABEL)
        if not is_port_number(port):
            yield Fault(f"ports[{name}]", NO_PORT)
    yield from labels("labels", spec.labels)
