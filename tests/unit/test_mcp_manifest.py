"""What a dump in the format ``istio`` says, and that other YAML parsers read the same."""

import json
from dataclasses import replace
from types import MappingProxyType

import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.message import Message

from meshbridge.protos.gen.google.protobuf.struct_pb2 import Struct
from meshbridge.protos.gen.istio.networking.v1alpha3.destination_rule_pb2 import (
    DestinationRule,
    Subset,
    TrafficPolicy,
)
from meshbridge.protos.gen.istio.networking.v1alpha3.envoy_filter_pb2 import EnvoyFilter
from meshbridge.protos.gen.istio.networking.v1alpha3.virtual_service_pb2 import VirtualService
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Locality, Port, Service, Source
from meshbridge.snapshot import EMPTY, Snapshot
from meshbridge_mcp import Mcp
from meshbridge_mcp.manifest import manifests
from meshbridge_mcp.resource import LATE, Document

SERVICE = Service(
    host="orders.nacos",
    namespace="shop",
    ports=(Port(80, "http", "http-80"),),
    endpoints=(
        Endpoint(
            "10.1.0.1",
            (("http-80", 8080),),
            weight=50,
            locality=Locality("cn", "hz"),
            labels=(("version", "1e3"),),
        ),
        Endpoint("10.1.0.2", (("http-80", 8080),), health=Health.DEGRADED),
    ),
    addresses=("240.0.0.1",),
    sources=(Source("shop", "订单"),),
)


def rendered(*services: Service) -> str:
    outlet = Mcp(Mcp.Options())
    return outlet.render(
        Snapshot(MappingProxyType({each.host: each for each in services})), "istio"
    )


def test_a_service_is_a_document_that_kubectl_and_istioctl_know() -> None:
    """Group, kind, camelCase fields, enums by name, and no field that the cluster sets itself."""
    (document,) = yaml.safe_load_all(rendered(SERVICE))
    name = document["metadata"].pop("name")
    assert name.startswith("orders.nacos-")
    assert document == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {
            "namespace": "shop",
            "labels": {"meshbridge.io/registry": "shop"},
            "annotations": {"meshbridge.io/sources": '[{"registry": "shop", "name": "订单"}]'},
        },
        "spec": {
            "hosts": ["orders.nacos"],
            "addresses": ["240.0.0.1"],
            "ports": [{"number": 80, "protocol": "HTTP", "name": "http-80"}],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "endpoints": [
                {
                    "address": "10.1.0.1",
                    "ports": {"http-80": 8080},
                    "labels": {"version": "1e3"},
                    "locality": "cn/hz",
                    "weight": 50,
                }
            ],
        },
    }


@pytest.mark.parametrize("value", ["1e3", "y", "NO", "on", "1_000", "0x1f", "null", "1.0", ""])
def test_a_text_that_another_parser_would_misread_is_quoted(value: str) -> None:
    """Go's YAML takes 1e3 for a number: kubectl would refuse the label."""
    endpoint = replace(SERVICE.endpoints[0], labels=(("version", value),))
    assert f"version: '{value}'\n" in rendered(replace(SERVICE, endpoints=(endpoint,)))


def test_labels_stand_in_their_order() -> None:
    """A protobuf map has none: two dumps would differ for nothing."""
    labels = tuple((f"l{number}", "x") for number in range(10, 40))
    endpoint = replace(SERVICE.endpoints[0], labels=labels)
    (document,) = yaml.safe_load_all(rendered(replace(SERVICE, endpoints=(endpoint,))))
    assert tuple(document["spec"]["endpoints"][0]["labels"].items()) == labels


def test_what_cannot_be_printed_survives() -> None:
    """A registry's own name for a service may hold anything."""
    name = "a\n\x00\x7f\x85'\"\\: #é订"
    (document,) = yaml.safe_load_all(rendered(replace(SERVICE, sources=(Source("shop", name),))))
    (source,) = json.loads(document["metadata"]["annotations"]["meshbridge.io/sources"])
    assert source["name"] == name


def test_services_follow_each_other_by_host() -> None:
    """Two dumps of the same services are the same text."""
    other = replace(SERVICE, host="cart.nacos", sources=())
    text = rendered(SERVICE, other)
    assert text == rendered(other, SERVICE)
    hosts = [document["spec"]["hosts"][0] for document in yaml.safe_load_all(text)]
    assert hosts == ["cart.nacos", "orders.nacos"]


def test_no_services_are_no_documents() -> None:
    """``kubectl apply`` gets nothing rather than an empty document."""
    assert Mcp(Mcp.Options()).render(EMPTY, "istio") == ""


def test_another_format_is_not_rendered() -> None:
    """The command asks each outlet only for what it names in ``formats``."""
    with pytest.raises(ValueError, match="envoy"):
        Mcp(Mcp.Options()).render(EMPTY, "envoy")


def rule(spec: Message) -> str:
    return manifests([Document("shop", "orders", LATE, (("b", "1"), ("a", "2")), (), spec)])


def test_a_rule_of_any_kind_is_written_in_the_words_of_its_yaml() -> None:
    """Durations as texts, numbers as numbers, of 64 bits too, and maps in their order."""
    policy = TrafficPolicy()
    policy.connection_pool.tcp.connect_timeout.nanos = 500_000_000
    balancer = policy.load_balancer
    balancer.consistent_hash.ring_hash.minimum_ring_size = 1024
    balancer.consistent_hash.use_source_ip = True
    balancer.warmup.minimum_percent.value = 12.5
    labels = {f"key-{number}": "x" for number in range(10, 40)}
    spec = DestinationRule(
        host="a.b", traffic_policy=policy, subsets=[Subset(name="v1", labels=labels)]
    )
    (document,) = yaml.safe_load_all(rule(spec))
    assert document["apiVersion"] == "networking.istio.io/v1"
    assert document["kind"] == "DestinationRule"
    assert list(document["metadata"]["labels"]) == ["a", "b"]
    assert document["spec"] == {
        "host": "a.b",
        "trafficPolicy": {
            "loadBalancer": {
                "consistentHash": {"useSourceIp": True, "ringHash": {"minimumRingSize": 1024}},
                "warmup": {"minimumPercent": 12.5},
            },
            "connectionPool": {"tcp": {"connectTimeout": "0.500s"}},
        },
        "subsets": [{"name": "v1", "labels": labels}],
    }
    assert list(document["spec"]["subsets"][0]["labels"]) == sorted(labels)


def test_maps_of_messages_are_written_too() -> None:
    """Matches of headers are the ones that are used."""
    spec = VirtualService(hosts=["a.b"])
    match = spec.http.add().match.add()
    match.headers["x"].exact = "1"
    match.headers["a"].prefix = "y"
    (document,) = yaml.safe_load_all(rule(spec))
    headers = document["spec"]["http"][0]["match"][0]["headers"]
    assert list(headers.items()) == [("a", {"prefix": "y"}), ("x", {"exact": "1"})]


def test_what_is_envoys_own_is_written_as_it_is() -> None:
    """A patch holds any JSON; its kind has no version called v1."""
    held = {"b": True, "a": None, "list": ["x", 1.5, {"d": 2, "c": "1e3"}], "empty": {"e": -0.5}}
    value = json_format.ParseDict(held, Struct())
    spec = EnvoyFilter()
    patch = EnvoyFilter.Patch(operation=EnvoyFilter.Patch.MERGE, value=value)
    spec.config_patches.add(apply_to=EnvoyFilter.CLUSTER, patch=patch)
    (document,) = yaml.safe_load_all(rule(spec))
    assert document["apiVersion"] == "networking.istio.io/v1alpha3"
    (written,) = document["spec"]["configPatches"]
    assert written == {"applyTo": "CLUSTER", "patch": {"operation": "MERGE", "value": held}}
    assert list(written["patch"]["value"]) == sorted(held)
