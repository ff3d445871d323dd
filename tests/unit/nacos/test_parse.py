"""What Nacos says about a service becomes a registration, record by record."""

import json
import math
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge import BadData, Health, Instance, InstancePort, ServiceId
from meshbridge.steps import at_once
from meshbridge_nacos.parse import (
    SLICE,
    Reading,
    mark,
    plain_name,
    read_service,
    reading,
    service_id,
    told_at,
)

CAPTURED = Path(__file__).parent / "captured"
ORDERS = ServiceId("", "", "orders")
HOST: dict[str, object] = {
    "instanceId": "10.0.0.1#8080#DEFAULT#DEFAULT_GROUP@@orders",
    "ip": "10.0.0.1",
    "port": 8080,
    "weight": 1.0,
    "healthy": True,
    "enabled": True,
    "ephemeral": True,
    "clusterName": "DEFAULT",
    "metadata": {},
}


def captured(name: str) -> Reading:
    info = json.loads((CAPTURED / f"{name}.json").read_text())
    group = info["groupName"]
    return read_service(service_id("public", group, plain_name(group, info["name"])), info)


def read(**changed: object) -> Reading:
    return read_service(ORDERS, {"hosts": [HOST | changed]})


def only(reading: Reading) -> Instance:
    assert reading.faults == ()
    (instance,) = reading.service.instances
    return instance


def test_a_spring_cloud_service_of_another_group_is_read_whole() -> None:
    reading = captured("spring-cloud")
    assert reading.service.id == ServiceId("", "G_MY", "user-service")
    assert only(reading) == Instance(
        id="127.0.0.1:8103",
        address="127.0.0.1",
        ports=(InstancePort(8103),),
        metadata=(("preserved.register.source", "SPRING_CLOUD"), ("version", "v2")),
    )


def test_a_dubbo_interface_keeps_the_protocol_of_each_port() -> None:
    reading = captured("dubbo-interface")
    assert reading.service.id.name == "providers:testbed.Greeter:1.0.0:g1"
    assert [each.ports for each in reading.service.instances] == [
        (InstancePort(50053, "tri"),),
        (InstancePort(20883, "dubbo"),),
    ]
    assert {each.weight for each in reading.service.instances} == {1.0}


def test_a_service_without_instances_is_empty_and_no_error() -> None:
    assert captured("empty") == Reading(captured("empty").service)
    assert captured("empty").service.instances == ()


@pytest.mark.parametrize("hosts", [None, {}, "[]", 0])
def test_a_missing_list_of_instances_is_an_error_and_not_empty(hosts: object) -> None:
    with pytest.raises(BadData, match="list of instances"):
        read_service(ORDERS, {"hosts": hosts})
    with pytest.raises(BadData, match="is missing"):
        read_service(ORDERS, {})


def test_the_defaults_of_nacos_are_left_empty_in_the_identity() -> None:
    assert service_id("public", "DEFAULT_GROUP", "orders") == ORDERS
    assert service_id("prod", "blue", "orders") == ServiceId("prod", "blue", "orders")


def test_a_cluster_is_a_zone_and_the_default_cluster_is_none() -> None:
    assert only(read(clusterName="hz-1")).zone == "hz-1"
    assert only(read(clusterName="hz-1")).id == "10.0.0.1:8080@hz-1"
    for unsaid in ("DEFAULT", "", None):
        assert only(read(clusterName=unsaid)).zone == ""


@pytest.mark.parametrize(
    ("fields", "health"),
    [
        ({}, Health.HEALTHY),
        ({"healthy": False}, Health.UNHEALTHY),
        ({"enabled": False}, Health.DISABLED),
        ({"enabled": False, "healthy": False}, Health.DISABLED),
    ],
)
def test_flags_become_health(fields: dict[str, object], health: Health) -> None:
    assert only(read(**fields)).health is health


def test_instances_that_protection_calls_healthy_are_degraded() -> None:
    """Nacos calls all of them healthy when too few are: it says so beside them."""
    info = {"hosts": [HOST], "reachProtectionThreshold": True}
    assert only(read_service(ORDERS, info)).health is Health.DEGRADED


@pytest.mark.parametrize(
    ("pairs", "port"),
    [
        ({}, InstancePort(8080)),
        ({"protocol": "tri"}, InstancePort(8080, "tri")),
        ({"secure": "true"}, InstancePort(8080, "https", secure=True)),
        ({"secure": "true", "protocol": "http"}, InstancePort(8080, "https", secure=True)),
        ({"secure": "true", "protocol": "grpc"}, InstancePort(8080, "grpc", secure=True)),
        ({"secure": "false"}, InstancePort(8080)),
    ],
)
def test_metadata_says_what_a_port_speaks(pairs: dict[str, str], port: InstancePort) -> None:
    assert only(read(metadata=pairs)).ports == (port,)


@pytest.mark.parametrize(
    ("registered", "address", "name"),
    [
        ("2001:db8::1", "2001:db8::1", "[2001:db8::1]:8080"),
        ("[2001:db8::1]", "2001:db8::1", "[2001:db8::1]:8080"),
        ("orders.internal", "orders.internal", "orders.internal:8080"),
        ("[", "[", "[:8080"),
    ],
)
def test_an_address_of_ipv6_is_known_without_its_brackets(
    registered: str, address: str, name: str
) -> None:
    """Spring Cloud Alibaba registers it in brackets (InetIPv6Utils.normalizeIPv6)."""
    instance = only(read(ip=registered))
    assert (instance.address, instance.id) == (address, name)


def test_what_spring_cloud_alibaba_adds_by_itself_and_no_label_can_hold_is_left_out() -> None:
    kept = {
        "preserved.register.source": "SPRING_CLOUD",
        "preserved.heart.beat.interval": "1000",
        "management.port": "9090",
        "management.address": "10.0.0.9",
        "version": "v2",
        "gray": "true",
    }
    added = {
        "IPv6": "[2001:db8::1]",
        "management.context-path": "/admin",
        "management.endpoints.web.base-path": "/actuator",
    }
    assert dict(only(read(metadata=kept | added)).metadata) == kept


def test_half_a_weight_stays_half_of_one() -> None:
    assert only(read(weight=0.5)).weight == 0.5


def test_a_persistent_instance_is_one_like_any_other() -> None:
    assert only(read(ephemeral=False)) == only(read(ephemeral=True))


def test_the_id_that_a_registrant_chose_is_no_key() -> None:
    assert only(read(instanceId="snowflake-17")).id == "10.0.0.1:8080"


def test_instances_whose_json_was_left_alone_are_read_one_by_one() -> None:
    """So large pushes come in: to decode them at once would hold up the loop."""
    good = msgspec.Raw(json.dumps(HOST).encode())
    hosts = [good, *map(msgspec.Raw, (b"{", b'{"ip": 5}', b'{"ip": "\xff"}', b"[" * 100_000))]
    found = read_service(ORDERS, {"hosts": hosts})
    assert [each.id for each in found.service.instances] == ["10.0.0.1:8080"]
    assert [instance for instance, _ in found.faults] == [f"hosts[{each}]" for each in range(1, 5)]
    assert {reason for _, reason in found.faults} == {
        "the record is no JSON that can be read",
        "its ip is 5",
    }


@pytest.mark.parametrize("hosts", ["null", "{}", '"text"', "1", '[{"ip": }]'])
def test_what_is_json_and_no_list_of_instances_is_an_error(hosts: str) -> None:
    with pytest.raises(BadData):
        read_service(ORDERS, {"hosts": msgspec.Raw(hosts.encode())})


def test_instances_are_the_same_whether_their_json_was_left_alone_or_not() -> None:
    hosts = [HOST, HOST | {"port": 81}, HOST | {"ip": None}, 7]
    left = msgspec.Raw(json.dumps(hosts).encode())
    assert read_service(ORDERS, {"hosts": left}) == read_service(ORDERS, {"hosts": hosts})


def test_an_instance_that_is_as_it_was_is_the_same_object() -> None:
    """So that two readings of 12,000 instances are compared in no time."""
    hosts = [HOST | {"port": number} for number in range(5)]
    before = read_service(ORDERS, {"hosts": hosts}).service.instances
    hosts[3] = hosts[3] | {"weight": 2.0}
    now = at_once(reading(ORDERS, {"hosts": hosts}, before)).service.instances
    assert [one is other for one, other in zip(before, now, strict=True)] == [
        position != 3 for position in range(5)
    ]
    assert now[3].weight == 2


def test_the_same_instances_are_known_by_their_mark() -> None:
    def marked(hosts: bytes, **more: object) -> int | None:
        return mark({"hosts": msgspec.Raw(hosts), **more})

    one = marked(b'[{"ip": "10.0.0.1"}]', lastRefTime=1)
    assert one is not None
    assert one == marked(b'[{"ip": "10.0.0.1"}]', lastRefTime=2)
    assert one != marked(b'[{"ip": "10.0.0.2"}]')
    assert marked(b'[{"ip": "10.0.0.1"}]', reachProtectionThreshold=True) is None
    assert mark({"hosts": [HOST]}) is None


@pytest.mark.parametrize("said", [None, "1767225600000", True, 1.5])
def test_a_time_that_is_none_is_unknown(said: object) -> None:
    assert told_at({"lastRefTime": said}) is None
    assert told_at({"lastRefTime": 1767225600000}) == 1767225600000


def test_others_get_a_turn_while_many_instances_are_read() -> None:
    hosts = [HOST | {"port": number} for number in range(3 * SLICE)]
    assert len(list(reading(ORDERS, {"hosts": hosts}))) == 3
    assert len(read_service(ORDERS, {"hosts": hosts}).service.instances) == 3 * SLICE


def test_absurd_numbers_are_kept_as_registered() -> None:
    """What cannot be published is for the core to leave out, in the registry's words."""
    assert only(read(port=0)).ports == (InstancePort(0),)
    assert only(read(weight=-1)).weight == -1
    assert math.isnan(only(read(weight="NaN")).weight)
    assert only(read(weight="Infinity")).weight == math.inf


def test_metadata_without_a_value_is_no_metadata() -> None:
    assert only(read(metadata={"a": None, "b": "c"})).metadata == (("b", "c"),)
    assert only(read(metadata=None)).metadata == ()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ip": None}, "its ip is missing"),
        ({"ip": ""}, "its ip is ''"),
        ({"ip": 7}, "its ip is 7"),
        ({"port": "8080"}, "its port is '8080'"),
        ({"port": True}, "its port is True"),
        ({"port": 80.5}, "its port is 80.5"),
        ({"port": [8080]}, "its port is a list"),
        ({"ip": {"v4": "10.0.0.1"}}, "its ip is an object"),
        ({"weight": "heavy"}, "its weight is 'heavy'"),
        ({"weight": None}, "its weight is missing"),
        ({"weight": True}, "its weight is True"),
        ({"weight": 10**400}, "its weight is too large for a number"),
        ({"healthy": "yes"}, "its field healthy is 'yes'"),
        ({"enabled": None}, "its field enabled is missing"),
        ({"clusterName": 5}, "its clusterName is 5"),
        ({"metadata": "a=b"}, "its metadata is 'a=b'"),
        ({"metadata": {"a": 1}}, "its metadata 'a' is 1"),
    ],
)
def test_an_unreadable_record_spoils_itself_only(fields: dict[str, object], reason: str) -> None:
    other = HOST | {"ip": "10.0.0.2"}
    reading = read_service(ORDERS, {"hosts": [HOST | fields, other]})
    assert [each.address for each in reading.service.instances] == ["10.0.0.2"]
    assert [said for _, said in reading.faults] == [reason]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (HOST | {"weight": None}, "10.0.0.1:8080"),
        (HOST | {"ip": None}, HOST["instanceId"]),
        ({"ip": 1}, "hosts[0]"),
        ("10.0.0.1:8080", "hosts[0]"),
        (None, "hosts[0]"),
    ],
)
def test_an_unreadable_record_is_named_as_well_as_it_can_be(host: object, name: str) -> None:
    """The same id as when it was readable, so that the core finds its previous value."""
    reading = read_service(ORDERS, {"hosts": [host]})
    assert [instance for instance, _ in reading.faults] == [name]


def test_one_process_registered_twice_is_one_instance() -> None:
    again = HOST | {"ephemeral": False, "weight": 5}
    reading = read_service(ORDERS, {"hosts": [HOST, again]})
    assert only(reading).weight == 5


def test_a_long_value_is_cut_in_the_reason() -> None:
    ((_, reason),) = read(ip=["x" * 500]).faults
    assert len(reason) < 80


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys(HOST, ANYTHING))


@given(st.lists(FIELDS.map(lambda fields: HOST | fields) | ANYTHING, max_size=5), ANYTHING)
def test_any_record_is_read_or_named(hosts: list[object], flag: object) -> None:
    """Whatever stands there: no other exception, ids are unique, and nothing goes unmentioned."""
    info = {"hosts": hosts, "reachProtectionThreshold": flag}
    reading = read_service(ORDERS, info)
    ids = [each.id for each in reading.service.instances]
    assert len(set(ids)) == len(ids)
    assert len(ids) + len(reading.faults) <= len(hosts)
    assert bool(ids or reading.faults) == bool(hosts)
    assert all("\n" not in reason for _, reason in reading.faults)


def test_metadata_that_instances_repeat_are_the_same_objects() -> None:
    hosts = [HOST | {"ip": f"10.0.0.{each}", "metadata": {"stage": "blue"}} for each in (1, 2)]
    info = json.dumps({"hosts": hosts})
    one, other = read_service(ORDERS, json.loads(info)).service.instances
    assert one.metadata[0] is other.metadata[0]


def test_no_metadata_become_texts_of_the_interpreters_own() -> None:
    """Python 3.12 keeps those for ever, and registries hold ever new ones: moments, traces."""
    texts = ("never seen before", "nor was this")
    only(read(metadata=dict([texts])))
    for text in texts:
        copy = "".join(list(text))
        assert sys.intern(copy) is copy, "it was not interned before"
