"""Calls of a host's endpoints are routed by one VirtualService that names their addresses."""

from dataclasses import replace

import yaml

from meshbridge.catalog import Catalog
from meshbridge.problems import ProblemKind
from meshbridge.protos.gen.istio.networking.v1alpha3.virtual_service_pb2 import (
    Destination,
    HTTPRoute,
    HTTPRouteDestination,
    VirtualService,
)
from meshbridge.publish import PublishRules, Registry, publish
from meshbridge.registration import Instance, InstancePort, RegisteredService, ServiceId
from meshbridge.service import Direct, Endpoint, Port, Service, Source
from meshbridge.snapshot import EMPTY
from meshbridge_mcp import Mcp
from meshbridge_mcp.istio import entries
from meshbridge_mcp.kinds import VIRTUAL_SERVICE
from meshbridge_mcp.resource import LATE, encode
from meshbridge_mcp.virtual_service import Rules, routing

SERVICE = Service(
    host="orders.nacos",
    namespace="shop",
    ports=(Port(80, "http", "http-80"), Port(8080, "http", "http-8080")),
    endpoints=(Endpoint("10.1.0.1", (("http-80", 8080), ("http-8080", 8080))),),
    labels=(("team", "blue"),),
    aliases=("orders", "orders.example"),
    direct=(
        Direct("10.1.0.1", (8080,), alone=True),
        Direct("2001:db8::1", (8080,), alone=True),
    ),
    sources=(Source("nacos-1", "orders"),),
)


def the_one(service: Service) -> Rules:
    (document,) = routing(service).documents
    return document


def test_its_hosts_are_the_host_its_dotted_aliases_and_its_addresses() -> None:
    """Bare, as istiod asks of IPv6; a single label istiod would take for another name."""
    document = the_one(SERVICE)
    assert list(document.spec.hosts) == [
        "orders.nacos",
        "orders.example",
        "10.1.0.1",
        "2001:db8::1",
    ]
    assert routing(SERVICE).problems == ()


def test_all_its_requests_go_to_the_host_at_the_port_that_was_called() -> None:
    """One route without a match to one destination without a port, in the mesh only."""
    spec = the_one(SERVICE).spec
    assert spec == VirtualService(
        hosts=spec.hosts,
        http=[
            HTTPRoute(route=[HTTPRouteDestination(destination=Destination(host="orders.nacos"))])
        ],
    )


def test_routes_of_a_document_take_the_place_of_that_one() -> None:
    """Also of a host that has no addresses."""
    canary = HTTPRoute(
        route=[
            HTTPRouteDestination(
                destination=Destination(host="orders.nacos", subset="v2"), weight=1
            )
        ]
    )
    (document,) = routing(SERVICE, [canary]).documents
    assert list(document.spec.http) == [canary]
    (by_name,) = routing(replace(SERVICE, direct=()), [canary]).documents
    assert list(by_name.spec.hosts) == ["orders.nacos", "orders.example"]
    assert by_name.name == document.name


def test_those_see_it_who_see_the_host() -> None:
    """Others would be routed to a cluster that they do not have."""
    assert list(the_one(SERVICE).spec.export_to) == []
    assert list(the_one(replace(SERVICE, export_to=(".", "web"))).spec.export_to) == [".", "web"]


def test_without_addresses_there_is_none() -> None:
    """Calls of the host by name need none."""
    assert routing(replace(SERVICE, direct=())).documents == ()


def test_an_address_where_another_host_has_instances_too_is_left_out_and_told() -> None:
    """A route has no port, so it would send the other host's calls here."""
    shared = Direct("10.1.0.2", (8080,), alone=False)
    found = routing(replace(SERVICE, direct=(SERVICE.direct[0], shared)))
    assert list(found.documents[0].spec.hosts)[2:] == ["10.1.0.1"]
    (problem,) = found.problems
    assert (problem.registry, problem.subject) == ("nacos-1", "orders")
    assert problem.kind is ProblemKind.CONFLICT
    assert "orders.nacos is called at 10.1.0.2" in problem.reason
    nothing = routing(replace(SERVICE, direct=(shared,), sources=()))
    assert nothing.documents == ()
    assert [each.subject for each in nothing.problems] == ["orders.nacos"]


def test_what_istiod_would_refuse_is_not_in_it() -> None:
    """One refused host costs the whole document."""
    odd = replace(
        SERVICE,
        aliases=("a_b.example", "Orders.Nacos", "x.example", "X.example"),
        direct=(*SERVICE.direct, Direct("10.1.0.1%eth0", (80,), alone=True)),
    )
    assert [host.lower() for host in the_one(odd).spec.hosts] == [
        "orders.nacos",
        "x.example",
        "10.1.0.1",
        "2001:db8::1",
    ]
    assert routing(replace(SERVICE, host="a_b")).documents == ()


def test_it_is_called_the_same_on_every_replica_and_yields_to_a_users_own() -> None:
    """By the host alone, with the host's marks; the older one wins, so it is late."""
    document = the_one(SERVICE)
    assert (document.kind, document.namespace) == (VIRTUAL_SERVICE, "shop")
    assert document.name == "orders.nacos-f160d82f"
    assert document.name == the_one(replace(SERVICE, direct=SERVICE.direct[:1])).name
    assert document.created_at >= LATE
    assert dict(document.labels) == {"meshbridge.io/registry": "nacos-1", "team": "blue"}
    assert [key for key, _ in document.annotations] == ["meshbridge.io/sources"]
    assert encode(document) == encode(the_one(replace(SERVICE)))
    assert encode(document) != encode(the_one(replace(SERVICE, direct=SERVICE.direct[:1])))


def test_no_endpoint_is_sent_with_a_port_that_it_does_not_have() -> None:
    """Istiod would send requests to it there: each part declares what all its endpoints map."""
    catalog = Catalog()
    rules = PublishRules.model_validate({"domain": "nacos", "addresses": "endpoints"})
    ports = {"10.1.0.1": {"http": 8080}, "10.1.0.2": {"http": 8081, "grpc": 9090}}
    ports |= {"10.1.0.3": {"grpc": 9091}}
    instances = tuple(
        Instance(address, address, tuple(InstancePort(own[each], each) for each in own))
        for address, own in ports.items()
    )
    registered = RegisteredService(ServiceId("", "", "orders"), instances)
    claim = publish(registered, Registry("shop", 0, rules), "scope")
    assert claim is not None
    catalog.apply(claim.key, claim)
    service = catalog.take().services["orders.nacos"]
    assert service is not None
    seen: dict[str, set[str]] = {}
    for part in entries(service).parts:
        declared = {port.name for port in part.spec.ports}
        for endpoint in part.spec.endpoints:
            assert set(endpoint.ports) == declared
            for name, number in endpoint.ports.items():
                assert ports[endpoint.address][name.partition("-")[0]] == number
                seen.setdefault(endpoint.address, set()).add(name)
    assert seen == {
        "10.1.0.1": {"http-80", "http-8080", "http-8081"},
        "10.1.0.2": {
            *("http-80", "http-8080", "http-8081"),
            *("grpc-50051", "grpc-9090", "grpc-9091"),
        },
        "10.1.0.3": {"grpc-50051", "grpc-9090", "grpc-9091"},
    }


def test_a_dump_shows_it_after_the_service_entries_of_its_host() -> None:
    """As a document that istioctl and kubectl take."""
    snapshot = EMPTY.with_changes({SERVICE.host: SERVICE})
    found = list(yaml.safe_load_all(Mcp(Mcp.Options()).render(snapshot, "istio")))
    assert [each["kind"] for each in found] == ["ServiceEntry", "VirtualService"]
    assert found[1]["apiVersion"] == "networking.istio.io/v1"
    assert found[1]["spec"] == {
        "hosts": ["orders.nacos", "orders.example", "10.1.0.1", "2001:db8::1"],
        "http": [{"route": [{"destination": {"host": "orders.nacos"}}]}],
    }
