"""What an istiod was told is read back as the services that it was told of, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbridge.difference import compare
from meshbridge.errors import BadData
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Locality, Port, Service, Source
from meshbridge_mcp.istio import Shape, entries
from meshbridge_mcp.mirror import held, told

CAPTURED = Path(__file__).parent / "testing" / "captured" / "istiod-configz.json"

HTTP = Port(80, "http", "http-80")
DUBBO = Port(20880, "dubbo", "dubbo-20880")
BOTH = Endpoint("10.1.0.1", (("dubbo-20880", 20880), ("http-80", 8080)))
PAY = Service("pay.file", "shop", (HTTP, DUBBO), (BOTH,), sources=(Source("shop", "pay"),))

_ODD = st.sampled_from(["", "a", "v1", "not legal", "x" * 64, "订单", "\ud800", "a/b"])
_LABELS = st.dictionaries(
    st.sampled_from(["version", "not legal", "istio.io/rev", "meshbridge.io/registry"]), _ODD
).map(lambda pairs: tuple(sorted(pairs.items())))
_ENDPOINTS = st.builds(
    Endpoint,
    address=st.sampled_from(["10.1.0.1", "fd00::1", "no address", "db.example"]),
    ports=st.dictionaries(
        st.sampled_from(["http-80", "dubbo-20880", "none"]), st.sampled_from([0, 80, 8080])
    ).map(lambda ports: tuple(sorted(ports.items()))),
    weight=st.integers(-5, 10**9),
    health=st.sampled_from([Health.HEALTHY, Health.DEGRADED]),
    locality=st.builds(Locality, region=_ODD, zone=_ODD, sub_zone=_ODD),
    labels=_LABELS,
    network=st.sampled_from(["", "dc-2"]),
    service_account=st.sampled_from(["", "pay"]),
)
_SERVICES = st.builds(
    Service,
    host=st.sampled_from(["pay.file", "*.file"]),
    namespace=st.sampled_from(["shop", "Shop"]),
    ports=st.sampled_from([(HTTP,), (DUBBO,), (HTTP, DUBBO), ()]),
    endpoints=st.lists(_ENDPOINTS, max_size=4).map(tuple),
    labels=_LABELS,
    aliases=st.sampled_from([(), ("pay",), ("*",), ("pay", "pay.old")]),
    addresses=st.sampled_from([(), ("240.1.1.1",), ("240.1.1.1", "240.1.1.2")]),
    sources=st.lists(st.builds(Source, registry=_ODD, name=_ODD), min_size=1, max_size=2).map(
        tuple
    ),
    export_to=st.sampled_from([(), ("*",), (".", "web")]),
)
NAMED = Shape(names=True)
SELECTED = Shape(inline=False, names=True)


def configz(*services: Service, shape: Shape = NAMED) -> bytes:
    """Return what istiod shows once it was told of the services."""
    found = [entries(service, shape) for service in services]
    return json.dumps(
        [
            {
                "kind": document.spec.DESCRIPTOR.name,
                "metadata": {
                    "name": document.name,
                    "namespace": document.namespace,
                    "labels": dict(document.labels),
                    "annotations": dict(document.annotations),
                },
                "spec": MessageToDict(document.spec),
            }
            for each in found
            for document in (*each.parts, *each.workloads)
        ]
    ).encode()


@settings(deadline=None)
@given(_SERVICES, st.sampled_from([NAMED, SELECTED]))
def test_what_was_told_of_a_service_comes_back(service: Service, shape: Shape) -> None:
    """Whatever of it istiod does not take, and in however many parts and resources it goes out."""
    expected = told(service)
    found = {each.host: each for each in held(configz(service, shape=shape)).services}
    assert set(found) == ({service.host} if expected else set())
    if expected is not None:
        assert not compare({service.host: expected}, found)


def test_endpoints_that_are_not_healthy_are_not_told() -> None:
    sick = replace(BOTH, address="10.1.0.2", health=Health.DEGRADED)
    expected = told(replace(PAY, endpoints=(BOTH, sick)))
    assert expected is not None
    assert [each.address for each in expected.endpoints] == ["10.1.0.1"]


def test_what_a_real_istiod_answered_is_read() -> None:
    found = held(CAPTURED.read_bytes())
    services = {each.host: each for each in found.services}
    assert list(services) == ["empty.file", "orders.file", "pay.file"]
    assert services["empty.file"].endpoints == ()
    assert [port.name for port in services["pay.file"].ports] == ["http-80", "dubbo-20880"]
    assert [(each.address, dict(each.ports)) for each in services["pay.file"].endpoints] == [
        ("10.1.0.1", {"dubbo-20880": 20880, "http-80": 8080}),
        ("fd00::1", {"http-80": 8080}),
    ]
    assert services["pay.file"].sources == (Source("shop", "pay"),)
    assert found.foreign == 0


def test_what_no_bridge_sent_is_counted_and_left_out() -> None:
    """A user's own ServiceEntries may have any shape; other kinds do not count at all."""
    found = held(
        b'[{"kind": "ServiceEntry", "metadata": {"name": "own"}, "spec": {"hosts": 1}},'
        b' {"kind": "Gateway", "metadata": {"name": "own"}, "spec": 7}]'
    )
    assert (found.services, found.foreign) == ((), 1)


def test_a_users_own_workloads_are_nobodys_endpoints() -> None:
    """Of whatever shape, in the same namespace."""
    own = b'[{"kind": "WorkloadEntry", "metadata": {"namespace": "shop"}, "spec": %b}]'
    strangers = [own % spec for spec in (b"7", b'{"address": "10.9.9.9", "labels": {"a": "b"}}')]
    (found,) = held(
        _joined(configz(replace(PAY, ports=(HTTP,)), shape=SELECTED), *strangers)
    ).services
    assert [each.address for each in found.endpoints] == ["10.1.0.1"]


def test_an_istiod_that_holds_nothing_is_read() -> None:
    """Go writes no resources as null."""
    assert held(b"null") == held(b"[]")


def test_where_parts_of_a_host_disagree_every_value_is_kept() -> None:
    """As while two bridges with different configurations serve one istiod."""
    (found,) = held(_joined(configz(PAY), configz(replace(PAY, namespace="web")))).services
    assert found.namespace == "shop, web"
    assert len(found.endpoints) == 2


def _joined(*answers: bytes) -> bytes:
    return json.dumps([each for answer in answers for each in json.loads(answer)]).encode()


def test_an_endpoint_without_a_port_of_its_own_has_the_services() -> None:
    """As istiod fills it in."""
    answer = json.loads(configz(replace(PAY, ports=(HTTP,))))
    del answer[0]["spec"]["endpoints"][0]["ports"]
    (found,) = held(json.dumps(answer).encode()).services
    assert found.endpoints[0].ports == (("http-80", 80),)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html>", "it is no JSON"),
        (b"{}", "it is no answer of istiod's /debug/configz: Expected `array"),
        (b'[{"kind": "x", "metadata": {}, "spec": ' + b"[" * 100_000, "nested too deeply"),
        (
            configz(PAY).replace(b'"hosts": ["pay.file"]', b'"hosts": []'),
            "ServiceEntry shop/pay.file-fd15d5b48a cannot be read: it has no host",
        ),
        (
            configz(PAY).replace(b'"hosts": ["pay.file"]', b'"hosts": [1]'),
            "ServiceEntry shop/pay.file-fd15d5b48a cannot be read: Expected `str`, got `int`",
        ),
        (
            configz(PAY).replace(b"[{\\", b"[[{\\"),
            "ServiceEntry shop/pay.file-fd15d5b48a cannot be read: ",
        ),
    ],
)
def test_what_is_no_answer_of_istiod_is_said(answer: bytes, said: str) -> None:
    with pytest.raises(BadData) as error:
        held(answer)
    assert said in str(error.value)
