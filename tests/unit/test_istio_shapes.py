"""The forms in which istiod is told of endpoints: inline or as resources, by address or name."""

from dataclasses import replace

import pytest

from meshbridge.problems import ProblemKind
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from meshbridge.protos.gen.istio.networking.v1alpha3.sidecar_pb2 import WorkloadSelector
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Port, Service, Source
from meshbridge_mcp.istio import Entries, Shape, entries
from meshbridge_mcp.resource import encode
from meshbridge_mcp.workload import HOST_LABEL

HTTP = Port(80, "http", "http-80")
GRPC = Port(50051, "grpc", "grpc-50051")
ONE = Endpoint(
    "10.1.0.1",
    (("http-80", 8080),),
    labels=(("version", "v1"),),
    network="dc-2",
    service_account="pay",
)
OTHER = Endpoint("10.1.0.2", (("http-80", 8081),))
NAMED = Endpoint("db.example.com", (("http-80", 8080),))
BOTH = Endpoint("10.1.0.3", (("grpc-50051", 9090), ("http-80", 8080)))
SELECTED = Shape(inline=False)
RESOLVED = Shape(names=True)


def a_service(*endpoints: Endpoint, ports: tuple[Port, ...] = (HTTP,)) -> Service:
    return Service("pay.nacos", "shop", ports, endpoints, sources=(Source("shop", "pay"),))


def sent(found: Entries) -> list[tuple[list[str], list[str]]]:
    """Return the ports and the addresses of each part."""
    return [
        ([port.name for port in part.spec.ports], [each.address for each in part.spec.endpoints])
        for part in found.parts
    ]


def test_network_and_service_account_stand_at_each_endpoint() -> None:
    (part,) = entries(a_service(ONE, OTHER)).parts
    assert [(each.network, each.service_account) for each in part.spec.endpoints] == [
        ("dc-2", "pay"),
        ("", ""),
    ]


def test_who_may_see_a_host_is_the_same_in_all_its_parts() -> None:
    """Where parts differ in it, istiod follows one of them."""
    service = replace(a_service(ONE, BOTH, ports=(HTTP, GRPC)), export_to=(".", "web"))
    parts = entries(service).parts
    assert len(parts) == 2
    assert {tuple(part.spec.export_to) for part in parts} == {(".", "web")}
    assert {tuple(part.spec.export_to) for part in entries(a_service(ONE)).parts} == {()}


def test_endpoints_may_be_resources_that_their_host_selects() -> None:
    """Each with all that it would have inline."""
    found = entries(a_service(ONE, OTHER), SELECTED)
    (part,) = found.parts
    assert list(part.spec.endpoints) == []
    mark = part.spec.workload_selector.labels[HOST_LABEL]
    assert part.spec.workload_selector == WorkloadSelector(labels={HOST_LABEL: mark})
    one, other = sorted(found.workloads, key=lambda each: each.spec.address)
    assert one.spec == WorkloadEntry(
        address="10.1.0.1",
        ports={"http-80": 8080},
        labels={"version": "v1", HOST_LABEL: mark},
        network="dc-2",
        weight=100,
        service_account="pay",
    )
    assert other.spec.labels == {HOST_LABEL: mark}
    assert (one.kind, one.namespace) == ("networking.istio.io/WorkloadEntry", "shop")
    assert (one.labels, one.annotations) == ((), ()), "istiod would read them as the endpoint's"
    assert found.problems == ()


def test_no_host_selects_the_endpoints_of_another() -> None:
    """Of one namespace, and registered at the same address."""
    found = [
        entries(replace(a_service(ONE), host=host), SELECTED) for host in ("a.nacos", "b.nacos")
    ]
    assert len({each.parts[0].spec.workload_selector.labels[HOST_LABEL] for each in found}) == 2
    assert len({each.workloads[0].name for each in found}) == 2


def test_an_endpoint_that_is_a_resource_keeps_its_name_whatever_changes_beside_it() -> None:
    """It follows from the host, the address and the ports, and comes with a version like any."""
    (alone,) = entries(a_service(ONE), SELECTED).workloads
    beside = entries(a_service(OTHER, ONE), SELECTED).workloads
    assert alone in beside
    (heavier,) = entries(a_service(replace(ONE, weight=200)), SELECTED).workloads
    assert (encode(alone).name, encode(alone).version == encode(heavier).version) == (
        encode(heavier).name,
        False,
    )


def test_only_endpoints_that_are_fit_become_resources() -> None:
    found = entries(a_service(ONE, replace(OTHER, health=Health.DEGRADED)), SELECTED)
    assert [each.spec.address for each in found.workloads] == ["10.1.0.1"]


@pytest.mark.parametrize("sources", [(Source("shop", "pay"),), ()])
def test_endpoints_that_differ_in_their_ports_stay_inline_and_that_is_said(
    sources: tuple[Source, ...],
) -> None:
    """Istiod joins the parts of a host only where their selectors are equal."""
    service = replace(a_service(ONE, BOTH, ports=(HTTP, GRPC)), sources=sources)
    found = entries(service, SELECTED)
    assert found.workloads == ()
    assert sent(found) == sent(entries(service))
    (problem,) = found.problems
    assert problem.kind is ProblemKind.OTHER
    assert (problem.registry, problem.subject) == (
        ("shop", "pay") if sources else ("mcp", "pay.nacos")
    )
    assert "not all have the same ports" in problem.reason


def test_a_host_without_endpoints_selects_none() -> None:
    """And begins with its first endpoint without a full push."""
    found = entries(a_service(), SELECTED)
    assert found.parts[0].spec.HasField("workload_selector")
    assert found.workloads == ()


def test_a_name_is_left_out_and_reported_unless_names_are_resolved() -> None:
    found = entries(a_service(ONE, NAMED))
    assert sent(found) == [(["http-80"], ["10.1.0.1"])]
    assert [problem.subject for problem in found.problems] == ["pay db.example.com"]
    assert found.parts[0].spec.resolution == ServiceEntry.STATIC


def test_a_host_with_a_name_is_resolved_whole() -> None:
    """Resolution is a host's: with STATIC istiod would drop the name in silence."""
    service = a_service(ONE, NAMED, BOTH, ports=(HTTP, GRPC))
    found = entries(service, RESOLVED)
    assert sent(found) == [
        (["http-80", "grpc-50051"], ["10.1.0.3"]),
        (["http-80"], ["10.1.0.1", "db.example.com"]),
    ]
    assert {part.spec.resolution for part in found.parts} == {ServiceEntry.DNS}
    assert found.problems == ()
    (static,) = entries(a_service(ONE), RESOLVED).parts
    assert static.spec.resolution == ServiceEntry.STATIC


def test_a_resolved_host_has_no_part_without_endpoints() -> None:
    """In the place of endpoints istiod would resolve the host itself, and call what it finds."""
    found = entries(a_service(NAMED, ports=(HTTP, GRPC)), RESOLVED)
    assert sent(found) == [(["http-80"], ["db.example.com"])]


def test_names_may_be_resources_too() -> None:
    (part,) = (found := entries(a_service(NAMED), Shape(inline=False, names=True))).parts
    assert part.spec.resolution == ServiceEntry.DNS
    assert [each.spec.address for each in found.workloads] == ["db.example.com"]


@pytest.mark.parametrize("name", ["a b", "a_b.example", "10.1.0", "", "*.example.com"])
def test_what_is_neither_an_address_nor_a_name_is_never_sent(name: str) -> None:
    found = entries(a_service(replace(NAMED, address=name)), RESOLVED)
    assert sent(found) == [(["http-80"], [])]
    assert [problem.kind for problem in found.problems] == [ProblemKind.INVALID_INSTANCE]
