"""What istiod is told of a service: the parts of a host, their names, bytes and order."""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge.protos.gen.istio.mcp.v1alpha1.resource_pb2 import Resource
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import (
    ServiceEntry,
    ServicePort,
)
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Locality, Port, Service, Source
from meshbridge_mcp.istio import Part, entries
from meshbridge_mcp.resource import encode

HTTP = Port(80, "http", "http-80")
GRPC = Port(50051, "grpc", "grpc-50051")
DUBBO = Port(20880, "dubbo", "dubbo-20880")


def a_service(*endpoints: Endpoint, ports: Iterable[Port] = (HTTP,)) -> Service:
    return Service(
        host="orders.nacos",
        namespace="shop",
        ports=tuple(ports),
        endpoints=endpoints,
        sources=(Source("shop", "orders"),),
    )


def an_endpoint(address: str = "10.1.0.1", **ports: int) -> Endpoint:
    named = {name.replace("_", "-"): number for name, number in ports.items()}
    return Endpoint(address, tuple(sorted((named or {"http-80": 8080}).items())))


def addresses(part: Part) -> list[str]:
    return [endpoint.address for endpoint in part.spec.endpoints]


def ports(part: Part) -> list[str]:
    return [port.name for port in part.spec.ports]


def test_a_service_whose_endpoints_have_all_ports_is_one_service_entry() -> None:
    """The common case stays the simple one: one host, one ServiceEntry, all its endpoints."""
    service = a_service(
        Endpoint(
            "10.1.0.1",
            (("http-80", 8080),),
            weight=300,
            locality=Locality("cn", "hangzhou", "h1"),
            labels=(("version", "v1"),),
        ),
        an_endpoint("10.1.0.2"),
    )
    (part,) = entries(service).parts
    assert part.spec == ServiceEntry(
        hosts=["orders.nacos"],
        ports=[ServicePort(number=80, protocol="HTTP", name="http-80")],
        location=ServiceEntry.MESH_INTERNAL,
        resolution=ServiceEntry.STATIC,
        endpoints=[
            WorkloadEntry(
                address="10.1.0.1",
                ports={"http-80": 8080},
                labels={"version": "v1"},
                locality="cn/hangzhou/h1",
                weight=300,
            ),
            WorkloadEntry(address="10.1.0.2", ports={"http-80": 8080}, weight=100),
        ],
    )


def test_endpoints_with_different_ports_are_parts_that_declare_exactly_their_ports() -> None:
    """Istiod would invent an address for a port that an endpoint lacks, so it must not see it."""
    both = an_endpoint("10.1.0.1", dubbo_20880=20880, grpc_50051=50051)
    dubbo = an_endpoint("10.1.0.2", dubbo_20880=20881)
    parts = entries(a_service(dubbo, both, ports=(DUBBO, GRPC))).parts
    assert [(ports(part), addresses(part)) for part in parts] == [
        (["dubbo-20880", "grpc-50051"], ["10.1.0.1"]),
        (["dubbo-20880"], ["10.1.0.2"]),
    ]


def test_a_part_that_declares_all_ports_is_there_even_without_endpoints() -> None:
    """No port of a living host may vanish because the last endpoint that had it went."""
    dubbo = an_endpoint("10.1.0.2", dubbo_20880=20881)
    holder, part = entries(a_service(dubbo, ports=(DUBBO, GRPC))).parts
    assert (ports(holder), addresses(holder)) == (["dubbo-20880", "grpc-50051"], [])
    assert addresses(part) == ["10.1.0.2"]


def test_a_service_without_endpoints_keeps_host_and_ports() -> None:
    """An empty list is data: callers get 'no healthy upstream', not an unknown host."""
    (part,) = entries(a_service()).parts
    assert (list(part.spec.hosts), ports(part), addresses(part)) == (
        ["orders.nacos"],
        ["http-80"],
        [],
    )


def test_all_parts_of_a_host_agree_in_what_istiod_takes_from_only_one_of_them() -> None:
    """Labels, address, location and resolution: else the winner changes from push to push."""
    service = replace(
        a_service(
            an_endpoint("10.1.0.1", dubbo_20880=1),
            an_endpoint("10.1.0.2", grpc_50051=2),
            ports=(DUBBO, GRPC),
        ),
        labels=(("team", "blue"),),
        addresses=("240.1.1.1",),
    )
    parts = entries(service).parts
    assert len(parts) == 3
    assert {part.labels for part in parts} == {
        (("meshbridge.io/registry", "shop"), ("team", "blue"))
    }
    assert {tuple(part.spec.addresses) for part in parts} == {("240.1.1.1",)}
    assert {(part.spec.location, part.spec.resolution) for part in parts} == {
        (ServiceEntry.MESH_INTERNAL, ServiceEntry.STATIC)
    }
    assert {part.annotations for part in parts} == {parts[0].annotations}


def test_the_parts_of_a_host_differ_in_name_and_age_and_are_younger_than_anything_else() -> None:
    """The older one wins in istiod: never by chance, and never against what a user wrote."""
    parts = entries(
        a_service(
            an_endpoint("10.1.0.1", dubbo_20880=1),
            an_endpoint("10.1.0.2", grpc_50051=2),
            ports=(DUBBO, GRPC),
        )
    ).parts
    assert len({part.name for part in parts}) == 3
    assert len({part.created_at for part in parts}) == 3
    for part in parts:
        assert 2100 <= datetime.fromtimestamp(part.created_at, UTC).year < 2200


def test_a_part_keeps_its_name_and_age_whatever_else_the_host_has() -> None:
    """A part that came to be named anew would be deleted and created: its endpoints flicker."""
    dubbo = an_endpoint("10.1.0.2", dubbo_20880=20881)
    (alone,) = entries(a_service(dubbo, ports=(DUBBO,))).parts
    _, beside = entries(a_service(dubbo, ports=(DUBBO, GRPC))).parts
    assert encode(alone) == encode(beside)


def test_an_instance_that_gains_a_port_arrives_before_it_leaves() -> None:
    """Istiod applies a response in order, so the larger port set has to come first."""
    only_dubbo = an_endpoint("10.1.0.1", dubbo_20880=1)
    with_http = an_endpoint("10.1.0.3", http_80=80, dubbo_20880=1)
    parts = entries(a_service(only_dubbo, with_http, ports=(HTTP, DUBBO, GRPC))).parts
    assert [len(ports(part)) for part in parts] == [3, 2, 1]
    assert sorted(part.name for part in parts) == [part.name for part in parts]


@pytest.mark.parametrize(
    ("protocol", "sent"),
    [("http", "HTTP"), ("https", "HTTPS"), ("grpc", "GRPC"), ("dubbo", "TCP"), ("tcp", "TCP")],
)
def test_each_protocol_is_said_in_a_word_that_istiod_takes(protocol: str, sent: str) -> None:
    """DUBBO above all: it would cost the whole ServiceEntry."""
    (part,) = entries(a_service(ports=(Port(1, protocol, f"{protocol}-1"),))).parts
    assert part.spec.ports[0].protocol == sent


def test_degraded_endpoints_are_left_out() -> None:
    """Istiod has no health for inline endpoints: it would send them their full share."""
    fit, unfit = an_endpoint("10.1.0.1"), replace(an_endpoint("10.1.0.2"), health=Health.DEGRADED)
    (part,) = entries(a_service(fit, unfit)).parts
    assert addresses(part) == ["10.1.0.1"]


def test_an_alias_is_a_further_host() -> None:
    """Callers reach the service by it."""
    service = replace(a_service(), aliases=("orders.internal", "orders.shop"))
    found = entries(service)
    assert list(found.parts[0].spec.hosts) == ["orders.nacos", "orders.internal", "orders.shop"]
    assert found.problems == ()


def test_the_raw_identity_stands_in_an_annotation_and_the_registry_in_a_label() -> None:
    """Whoever sees the ServiceEntry finds the registration, even if two registries share it."""
    service = replace(
        a_service(), sources=(Source("shop", "blue@@订单"), Source("west", "bad\ud800"))
    )
    (part,) = entries(service).parts
    assert json.loads(dict(part.annotations)["meshbridge.io/sources"]) == [
        {"registry": "shop", "name": "blue@@订单"},
        {"registry": "west", "name": "bad?"},
    ]
    assert dict(part.labels)["meshbridge.io/registry"] == "shop"


def test_a_registry_whose_name_is_no_label_is_in_the_annotation_only() -> None:
    """The label is a convenience; the host must not fall with it."""
    service = replace(a_service(), sources=(Source("my shop", "orders"),))
    (part,) = entries(service).parts
    assert part.labels == ()
    assert encode(part).name == f"shop/{part.name}"


def test_the_longest_host_still_gets_a_legal_and_distinct_name() -> None:
    """Kubernetes takes 253 characters; the hash keeps two hosts apart that are cut alike."""
    host = ".".join(["a" * 63] * 3 + ["b" * 61])
    names = {
        entries(replace(a_service(), host=host[:-1] + last)).parts[0].name for last in ("b", "c")
    }
    assert len(names) == 2
    assert max(map(len, names)) <= 253


def test_istiod_can_read_what_is_encoded() -> None:
    """The envelope is an Any of a Resource whose body is an Any of a v1alpha3 ServiceEntry."""
    (part,) = entries(a_service(an_endpoint())).parts
    encoded = encode(part)
    envelope = AnyMessage.FromString(encoded.resource)
    assert envelope.type_url == "type.googleapis.com/istio.mcp.v1alpha1.Resource"
    resource = Resource.FromString(envelope.value)
    assert resource.metadata.name == encoded.name == f"shop/{part.name}"
    assert resource.metadata.version == encoded.version
    assert resource.metadata.create_time.seconds == part.created_at
    assert dict(resource.metadata.labels) == {"meshbridge.io/registry": "shop"}
    assert resource.body.type_url == ("type.googleapis.com/istio.networking.v1alpha3.ServiceEntry")
    assert ServiceEntry.FromString(resource.body.value) == part.spec


@pytest.mark.parametrize(
    "changed",
    [
        a_service(an_endpoint("10.1.0.2")),
        replace(a_service(an_endpoint()), labels=(("team", "blue"),)),
        replace(a_service(an_endpoint()), sources=(Source("shop", "ORDERS"),)),
    ],
    ids=["endpoint", "label", "source"],
)
def test_whatever_changes_in_a_resource_changes_its_version(changed: Service) -> None:
    """Istiod does not look at a body whose version it knows: a change would never arrive."""
    before, after = (
        encode(entries(service).parts[0]) for service in (a_service(an_endpoint()), changed)
    )
    assert before.name == after.name
    assert before.version != after.version


_PRINT_BYTES = """
from meshbridge.service import Endpoint, Port, Service
from meshbridge_mcp.istio import entries
from meshbridge_mcp.resource import encode
names = [f"http-{number}" for number in range(1, 30)]
service = Service(
    "a.b", "n", tuple(Port(int(name[5:]), "http", name) for name in names),
    (Endpoint("10.0.0.1", tuple(sorted((name, 80) for name in names)),
              labels=tuple((name, "x") for name in names)),),
    labels=tuple((name, "x") for name in names),
)
print(encode(entries(service).parts[0]))
"""


def test_two_processes_encode_the_same_service_in_the_same_bytes() -> None:
    """Replicas: protobuf maps are unordered unless asked, and Python's hashes are seeded."""
    printed = {
        subprocess.run(
            [sys.executable, "-c", _PRINT_BYTES],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1
