"""What Eureka says about an instance becomes the core's words, record by record."""

from collections.abc import Mapping

import pytest
from unit.eureka.answers import NOW, record

from meshbridge import Health, Instance, InstancePort
from meshbridge_eureka.decoding import Listed
from meshbridge_eureka.entry import Entry
from meshbridge_eureka.parse import (
    LATE,
    MOST_NAMES,
    Names,
    application_of,
    id_of,
    is_overdue,
    read,
)

CENTER = {"@class": "com.netflix.appinfo.AmazonInfo", "name": "Amazon"}


def amazon(**told: object) -> dict[str, object]:
    metadata = {key.replace("_", "-"): held for key, held in told.items()}
    return {"dataCenterInfo": CENTER | {"metadata": metadata}}


def entry(held: object, names: Names = "vip", before: Entry | None = None) -> Entry:
    return read(Listed(3, held, 7), "ORDERS", id_of(held), names, before)


def instance(**changed: object) -> Instance:
    found = entry(record(**changed))
    assert found.fault is None
    assert found.instance is not None
    return found.instance


def reason(**changed: object) -> str:
    found = entry(record(**changed))
    assert found.instance is None
    assert found.fault is not None
    assert found.fault.remedy
    return found.fault.reason


@pytest.mark.parametrize(
    ("told", "weight"),
    [
        ("5", 5.0),
        ("+5", 5.0),
        ("007", 7.0),
        ("2147483647", 2147483647.0),
        ("2147483648", 1.0),
        ("0", 1.0),
        ("-3", 1.0),
        ("0.5", 1.0),
        (" 5", 1.0),
        ("5\n", 1.0),
        ("٣", 1.0),
        ("", 1.0),
        ("heavy", 1.0),
        ("9" * 5_000, 1.0),
    ],
)
def test_the_weight_is_that_of_spring_clouds_weighted_balancer(told: str, weight: float) -> None:
    """It takes 1 where there is none above 0 that Java reads; the label stays."""
    found = instance(metadata={"weight": told})
    assert found.weight == weight
    assert dict(found.metadata)["weight"] == told
    assert instance().weight == 1.0


def test_an_instance_of_spring_cloud_is_read_whole() -> None:
    found = entry(record(metadata={"zone": "z1", "my_key": "under_score", "management.port": "81"}))
    assert found == Entry(
        application="ORDERS",
        id="h:orders:8080",
        names=("orders",),
        status="UP",
        instance=Instance(
            id="h:orders:8080",
            address="10.0.0.1",
            ports=(InstancePort(8080, "http"),),
            metadata=(("management.port", "81"), ("my_key", "under_score"), ("zone", "z1")),
            zone="z1",
            registered_at=NOW / 1000,
        ),
        mark=7,
        updated=NOW,
        begun=NOW,
        action="ADDED",
    )


@pytest.mark.parametrize(
    ("status", "overridden", "health"),
    [
        ("UP", "UNKNOWN", Health.HEALTHY),
        ("UP", None, Health.HEALTHY),
        ("STARTING", "UNKNOWN", Health.DISABLED),
        ("OUT_OF_SERVICE", "OUT_OF_SERVICE", Health.DISABLED),
        ("OUT_OF_SERVICE", "UNKNOWN", Health.DISABLED),
        ("DOWN", "UNKNOWN", Health.UNHEALTHY),
        ("UNKNOWN", "UNKNOWN", Health.UNHEALTHY),
        ("up", "UNKNOWN", Health.UNHEALTHY),
        (None, None, Health.UNHEALTHY),
        ("UP", "OUT_OF_SERVICE", Health.DISABLED),
        ("UP", "DOWN", Health.UNHEALTHY),
        ("OUT_OF_SERVICE", "UP", Health.HEALTHY),
        ("DOWN", "UP", Health.UNHEALTHY),
        ("STARTING", "UP", Health.DISABLED),
        ("UP", "other", Health.HEALTHY),
        ("UP", 5, Health.HEALTHY),
    ],
)
def test_health_is_the_status_with_its_override(
    status: object, overridden: object, health: Health
) -> None:
    """An instance that says itself that it is not up is believed, whatever the override."""
    assert instance(status=status, overriddenStatus=overridden).health is health


def test_old_servers_write_the_override_in_lower_case() -> None:
    old = {"overriddenStatus": ..., "overriddenstatus": "OUT_OF_SERVICE"}
    assert instance(**old).health is Health.DISABLED


@pytest.mark.parametrize(
    ("port", "secure", "ports"),
    [
        ({"$": 80, "@enabled": "true"}, {"$": 443, "@enabled": "false"}, ((80, "http"),)),
        ({"$": "80", "@enabled": True}, None, ((80, "http"),)),
        ({"$": 80, "@enabled": False}, {"$": "443", "@enabled": "true"}, ((443, "https"),)),
        (
            {"$": 80, "@enabled": "true"},
            {"$": 443, "@enabled": "true"},
            ((80, "http"), (443, "https")),
        ),
        ({"$": 80, "@enabled": "true"}, {"$": 80, "@enabled": "true"}, ((80, "https"),)),
        (80, 443, ((80, "http"),)),
        ("80", None, ((80, "http"),)),
        ({"$": 80}, {"$": 443}, ((80, "http"),)),
        ({"$": 80, "@enabled": None}, ..., ((80, "http"),)),
        (None, {"$": 443, "@enabled": "true"}, ((443, "https"),)),
        ({"$": "x", "@enabled": "false"}, {"$": 443, "@enabled": "true"}, ((443, "https"),)),
        ({"$": 0, "@enabled": "true"}, None, ((0, "http"),)),
    ],
)
def test_the_ports_that_are_enabled_are_those_of_the_instance(
    port: object, secure: object, ports: tuple[tuple[int, str], ...]
) -> None:
    found = instance(port=port, securePort=secure).ports
    assert tuple((each.number, each.protocol) for each in found) == ports
    assert all(each.secure == (each.protocol == "https") for each in found)


def test_metadata_may_say_what_the_port_speaks() -> None:
    found = instance(metadata={"protocol": "grpc"}, securePort={"$": 443, "@enabled": "true"})
    assert [each.protocol for each in found.ports] == ["grpc", "https"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"port": {"$": 80, "@enabled": "false"}}, "neither its port nor its securePort"),
        ({"port": None}, "neither its port nor its securePort"),
        ({"port": "x"}, "its port is 'x'"),
        ({"port": [80]}, "its port is a list"),
        ({"port": {"@enabled": "true"}}, "its port is missing"),
        ({"port": {"$": 1.5, "@enabled": "true"}}, "its port is 1.5"),
        ({"port": {"$": True, "@enabled": "true"}}, "its port is True"),
        ({"port": {"$": "9" * 19, "@enabled": "true"}}, "its port is '999"),
        ({"port": {"$": 10**30, "@enabled": "true"}}, "its port is 1000"),
        ({"port": {"$": "٨٠", "@enabled": "true"}}, "its port is "),
        ({"port": {"$": 80, "@enabled": "yes"}}, "of its port @enabled is 'yes'"),
        ({"securePort": {"$": 1, "@enabled": 1}}, "of its securePort @enabled is 1"),
        ({"securePort": {"$": None, "@enabled": "true"}}, "its securePort is missing"),
        ({"ipAddr": "", "hostName": ""}, "neither an ipAddr nor a hostName"),
        ({"ipAddr": ..., "hostName": None}, "neither an ipAddr nor a hostName"),
        ({"ipAddr": 5}, "its ipAddr is 5"),
        ({"ipAddr": "", "hostName": {}}, "its hostName is an object"),
        ({"status": 5}, "its status is 5"),
        ({"vipAddress": ["orders"]}, "its vipAddress is a list"),
        ({"vipAddress": ",".join(map(str, range(MOST_NAMES + 1)))}, "101 names, more than 100"),
        ({"metadata": "a=b"}, "its metadata is 'a=b'"),
        ({"metadata": {"a": {"b": "c"}}}, "its metadata has an object under 'a'"),
        ({"metadata": {"a": ["x" * 100]}}, "its metadata has a list under 'a'"),
    ],
)
def test_what_cannot_be_read_is_told(changed: dict[str, object], said: str) -> None:
    told = reason(**changed)
    assert said in told
    assert len(told) < 200


def test_where_no_port_is_enabled_the_remedy_says_how() -> None:
    fault = entry(record(port=None)).fault
    assert fault is not None
    assert "secure-port-enabled" in fault.remedy


@pytest.mark.parametrize("held", [None, 5, "UP", [], True])
def test_what_is_no_record_is_none(held: object) -> None:
    found = entry(held)
    assert found.fault is not None
    assert found.fault.reason.startswith("the record is ")
    assert (found.id, found.identified, found.status) == ("instance[3]", False, "UNKNOWN")
    assert application_of(held) == id_of(held) == ""


@pytest.mark.parametrize(
    ("changed", "address"),
    [
        ({"ipAddr": " 10.0.0.1 "}, "10.0.0.1"),
        ({"ipAddr": "[fd00::1]"}, "fd00::1"),
        ({"ipAddr": "fe80::1%eth0"}, "fe80::1%eth0"),
        ({"ipAddr": "", "hostName": "orders-1.example.com"}, "orders-1.example.com"),
        ({"ipAddr": "unknown", "hostName": "orders-1"}, "orders-1"),
        ({"ipAddr": None, "hostName": "orders-1"}, "orders-1"),
        ({"ipAddr": "orders-1", "hostName": None}, "orders-1"),
    ],
)
def test_the_address_is_the_ip_or_else_the_host(changed: dict[str, object], address: str) -> None:
    assert instance(**changed).address == address


@pytest.mark.parametrize(
    ("vip", "names"),
    [
        ("orders", ("orders",)),
        ("Orders, BILLING ,orders", ("orders", "billing")),
        ("orders.example.com:7001", ("orders.example.com:7001",)),
        ("${spring.application.name},billing", ("billing",)),
        ("${spring.application.name}", ("orders",)),
        (" , ", ("orders",)),
        ("", ("orders",)),
        (None, ("orders",)),
        (..., ("orders",)),
    ],
)
def test_an_instance_stands_in_each_of_its_names(vip: object, names: tuple[str, ...]) -> None:
    assert entry(record(vipAddress=vip)).names == names


def test_services_may_be_called_by_application() -> None:
    assert entry(record(vipAddress="billing"), "application").names == ("orders",)
    assert entry(record(vipAddress=5), "application").fault is None


def test_a_record_without_names_keeps_those_it_had() -> None:
    before = entry(record(vipAddress="billing"))
    assert entry(record(vipAddress=5), before=before).names == ("billing",)
    assert entry(record(vipAddress=5)).names == ("orders",)
    assert entry(record(vipAddress="users", port=None), before=before).names == ("users",)


@pytest.mark.parametrize(
    ("changed", "identity"),
    [
        ({}, "h:orders:8080"),
        ({"instanceId": ""}, "h"),
        ({"instanceId": ...}, "h"),
        ({"instanceId": None, "hostName": None}, ""),
        ({"instanceId": 5}, ""),
        (
            {"instanceId": ..., "dataCenterInfo": CENTER | {"metadata": {"instance-id": "i-1"}}},
            "i-1",
        ),
        ({"instanceId": ..., "dataCenterInfo": CENTER | {"metadata": "x"}}, "h"),
        ({"instanceId": ..., "dataCenterInfo": "x"}, "h"),
    ],
)
def test_the_id_is_what_the_server_knows_it_by(changed: dict[str, object], identity: str) -> None:
    assert id_of(record(**changed)) == identity


def test_an_instance_without_an_id_is_named_by_its_place() -> None:
    found = entry(record(instanceId=..., hostName=...))
    assert found.fault is not None
    assert found.fault.reason == "it has no instanceId"
    assert (found.id, found.identified, found.status) == ("instance[3]", False, "UP")


@pytest.mark.parametrize(
    ("changed", "zone"),
    [
        ({}, ""),
        ({"metadata": {"zone": "z1"}}, "z1"),
        (
            {"dataCenterInfo": CENTER | {"metadata": {"availability-zone": "us-east-1c"}}},
            "us-east-1c",
        ),
        (amazon(availability_zone=5), ""),
        ({"dataCenterInfo": CENTER}, ""),
        ({"dataCenterInfo": {"name": "Netflix"}}, ""),
        ({"dataCenterInfo": {"name": "hangzhou"}}, "hangzhou"),
        ({"dataCenterInfo": {"name": 5}}, ""),
        ({"dataCenterInfo": None}, ""),
    ],
)
def test_the_zone_is_the_metadata_s_or_the_data_center_s(
    changed: dict[str, object], zone: str
) -> None:
    assert instance(**changed).zone == zone


@pytest.mark.parametrize(
    ("held", "pairs"),
    [
        (None, {}),
        (..., {}),
        ("", {}),
        ({}, {}),
        ({"@class": "java.util.Collections$EmptyMap"}, {}),
        (
            {"a": 1, "b": True, "c": 1.5, "d": None, "e": "", "f": False},
            {"a": "1", "b": "true", "c": "1.5", "e": "", "f": "false"},
        ),
        ({"user.name": "admin", "user.password": "hunter2"}, {"user.name": "admin"}),
        ({"my__key": "x"}, {"my__key": "x"}),
    ],
)
def test_metadata_are_texts_without_the_name_of_a_class(
    held: object, pairs: Mapping[str, str]
) -> None:
    assert instance(metadata=held).metadata == tuple(sorted(pairs.items()))


def test_a_lease_of_its_own_is_told_and_moments_of_the_server_are_not() -> None:
    """Each server has its own moments: another one must not change what the mesh gets."""
    lease = {"durationInSecs": "30", "renewalIntervalInSecs": 10, "registrationTimestamp": "1000"}
    found = instance(leaseInfo=lease | {"lastRenewalTimestamp": 5, "serviceUpTimestamp": 5})
    assert found.metadata == (("eureka.lease-seconds", "30"), ("eureka.renewal-seconds", "10"))
    assert found.registered_at == 1.0


@pytest.mark.parametrize("lease", [None, ..., "", 5, {}, {"registrationTimestamp": "x"}])
def test_a_lease_need_not_be_told(lease: object) -> None:
    found = instance(leaseInfo=lease)
    assert (found.metadata, found.registered_at) == ((), None)


@pytest.mark.parametrize("held", [None, "", "x", 1.5, [], -5])
def test_moments_that_are_none_spoil_nothing(held: object) -> None:
    found = entry(record(lastUpdatedTimestamp=held, lastDirtyTimestamp=held, actionType=None))
    assert found.fault is None
    assert max(found.updated, 0) == max(found.begun, 0) == 0
    assert found.action == ""


def renewed(at: object, seconds: object = 90) -> dict[str, object]:
    return {"lastRenewalTimestamp": at, "durationInSecs": seconds}


@pytest.mark.parametrize(
    ("lease", "overdue"),
    [
        (renewed(NOW - LATE - 180_001), True),
        (renewed(NOW - LATE - 180_000), False),
        (renewed(str(NOW - LATE - 180_001), "90"), True),
        (renewed(NOW - LATE - 180_001, 91), False),
        (renewed(0), False),
        (renewed(1, 0), False),
        (renewed(None), False),
        (renewed(1, None), False),
        ({}, False),
        (None, False),
    ],
)
def test_a_lease_is_overdue_long_after_its_end(lease: object, *, overdue: bool) -> None:
    assert is_overdue(record(leaseInfo=lease), NOW) is overdue
    assert not is_overdue(lease, NOW)


@pytest.mark.parametrize(
    ("status", "health"),
    [("UP", Health.DEGRADED), ("STARTING", Health.DISABLED), ("DOWN", Health.UNHEALTHY)],
)
def test_only_what_would_be_healthy_is_degraded_when_overdue(status: str, health: Health) -> None:
    plain = entry(record(status=status))
    late = plain.judged(overdue=True)
    assert late.instance is not None
    assert (late.instance.health, late.overdue) == (health, True)
    assert late.judged(overdue=True) is late
    assert late.judged(overdue=False) == plain
    spoilt = entry(None)
    assert spoilt.judged(overdue=True) is spoilt


def test_an_instance_that_is_as_it_was_is_that_very_object() -> None:
    first = entry(record())
    again = entry(record(lastUpdatedTimestamp=NOW + 1), before=first)
    assert again.instance is first.instance
    assert again.updated == NOW + 1
    other = entry(record(status="DOWN"), before=first)
    assert other.instance != first.instance
    assert entry(record(), before=entry(None)).instance == first.instance
    assert entry(None, before=first).instance is None


def test_another_server_has_another_moment_of_the_same_registration() -> None:
    first = entry(record())
    moved = {"leaseInfo": {"registrationTimestamp": NOW + 5}}
    assert entry(record(**moved), before=first).instance is first.instance
    anew = entry(record(**moved, lastDirtyTimestamp=NOW + 5), before=first).instance
    assert anew is not None
    assert anew.registered_at == (NOW + 5) / 1000


def test_long_or_many_metadata_are_read_without_being_kept_for_others() -> None:
    long = {"note": "x" * 300, "a": "b"}
    assert instance(metadata=long).metadata == tuple(sorted(long.items()))
    many = {f"key-{number}": "v" for number in range(101)}
    assert instance(metadata=many).metadata == tuple(sorted(many.items()))


@pytest.mark.parametrize("address", ["10.0.0", "dead.beef", ":", "orders"])
def test_what_is_no_address_is_called_by_its_host(address: str) -> None:
    assert instance(ipAddr=address, hostName="orders.local").address == "orders.local"


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "fe80::1%eth0", "2001:db8::10.0.0.1"])
def test_addresses_are_taken_as_they_are(address: str) -> None:
    assert instance(ipAddr=address, hostName="orders.local").address == address
