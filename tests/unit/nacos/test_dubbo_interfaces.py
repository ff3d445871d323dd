"""What stands under Dubbo's names in a Nacos group becomes services of interfaces."""

from dataclasses import replace

import pytest
from unit.nacos.dubbo_group import AT, GREETER, Group, host, url

from meshbridge import Health, InstancePort, Kind, ServiceId
from meshbridge_dubbo import parse_url, read_provider
from meshbridge_nacos.dubbo_interfaces import STEP
from meshbridge_nacos.parse import read_service


def test_a_provider_is_an_instance_of_its_interface() -> None:
    group = Group()
    said = group.put(f"providers:{GREETER}::", url(weight="50", region="hz", zone="z1", pid="7"))
    (service,) = (each.service for each in said.values())
    assert service is not None
    assert (service.id, service.kind) == (ServiceId("", "", GREETER), Kind.DUBBO_INTERFACE)
    (instance,) = service.instances
    assert (instance.id, instance.address) == ("dubbo://10.0.0.1:20880", "10.0.0.1")
    assert (instance.weight, instance.zone, instance.health) == (0.5, "hz/z1", Health.HEALTHY)
    assert instance.metadata == (
        ("application", "shop"),
        ("region", "hz"),
        ("zone", "z1"),
    )


def test_providers_of_one_kind_keep_what_only_each_has() -> None:
    group = Group()
    group.put(
        f"providers:{GREETER}::",
        url(20880, timestamp="1000", ext_protocol="tri"),
        url(20881, ip="::1", timestamp="2000", ext_protocol="tri"),
        url(20881, path="ctx/a.Greeter", protocol="tri"),
    )
    first, second, third = group.held[GREETER].instances
    assert (first.id, first.registered_at) == ("dubbo://10.0.0.1:20880", 1.0)
    assert (second.id, second.registered_at) == ("dubbo://[::1]:20881", 2.0)
    assert second.ports == (InstancePort(20881, "dubbo"), InstancePort(20881, "tri"))
    assert third.id == "tri://10.0.0.1:20881/ctx/a.Greeter"


@pytest.mark.parametrize(
    "text",
    [
        "dubbo://10.0.0.1:20880/a.Greeter?interface=a.Greeter&application=shop&timestamp=1000",
        "tri://10.0.0.1:50051/ctx/a.Greeter?interface=a.Greeter&group=g&version=1.0&weight=50",
        "dubbo://a-host:1/a.Greeter?region=hz&zone=z1&dubbo.tag=x&ext.protocol=tri&ssl-enabled=true",
        "dubbo://10.0.0.1:1/a.Greeter?methods=hi&hi.timeout=9&release=3.3.6",
        "rest://[2001:db8::1]:80/a.Greeter?version=0.0.0&disabled=true&default.owner=ann&token=x",
    ],
)
def test_a_provider_is_the_same_instance_as_where_its_url_is_registered(text: str) -> None:
    parsed = parse_url(text)
    expected = read_provider(parsed)
    parameters = {**parsed.parameters, "path": parsed.path, "protocol": parsed.protocol}
    version, dubbo_group = (parameters.get(each, "") for each in ("version", "group"))
    group = Group()
    record = host(parsed.port, parsed.address, metadata={**parameters, "category": "providers"})
    group.put(f"providers:{GREETER}:{version}:{dubbo_group}", record)
    (service,) = group.held.values()
    assert service.id == expected.service
    assert service.instances == (expected.instance,)


def test_both_forms_of_a_name_are_one_service() -> None:
    group = Group()
    newer = url(timestamp="2000", version="1.0", weight="50")
    group.put(f"providers:{GREETER}:1.0:", url(timestamp="1000", version="1.0"), newer)
    group.put(f"providers:{GREETER}:1.0", newer, url(ip="10.0.0.2", version="1.0"))
    assert group.held.keys() == {f"{GREETER}#1.0"}
    assert group.ids(f"{GREETER}#1.0") == ["dubbo://10.0.0.1:20880", "dubbo://10.0.0.2:20880"]
    assert group.held[f"{GREETER}#1.0"].instances[0].weight == 0.5
    group.drop(f"providers:{GREETER}:1.0")
    assert group.ids(f"{GREETER}#1.0") == ["dubbo://10.0.0.1:20880"]
    said = group.drop(f"providers:{GREETER}:1.0:")
    assert said[f"{GREETER}#1.0"].service is None
    assert group.held == {}


def test_a_legacy_name_may_hold_a_group_or_a_version_and_its_records_say_which() -> None:
    group = Group()
    name = f"providers:{GREETER}:x"
    group.put(name)
    assert group.held.keys() == {f"{GREETER}#x"}
    said = group.put(name, url(group="x"), url(20881, version="x"))
    assert group.held.keys() == {f"x@@{GREETER}", f"{GREETER}#x"}
    assert said.keys() == group.held.keys()
    group.put(name, url(group="x"))
    assert group.held.keys() == {f"x@@{GREETER}"}


def test_a_service_without_providers_stays_until_it_is_no_longer_listed() -> None:
    group = Group()
    name = f"providers:{GREETER}::"
    group.put(name, url())
    assert group.put(name)[GREETER].service == replace(group.held[GREETER], instances=())
    assert group.put(name) == {}
    group.drop(name)
    assert group.held == {}
    assert group.drop(name) == {}


@pytest.mark.parametrize(
    ("fields", "weight", "health"),
    [
        ({"weight": 0.5}, 0.25, Health.HEALTHY),
        ({"weight": 0}, 0.0, Health.HEALTHY),
        ({"healthy": False}, 0.5, Health.UNHEALTHY),
        ({"enabled": False}, 0.5, Health.DISABLED),
    ],
)
def test_what_a_person_changes_in_nacos_counts(
    fields: dict[str, object], weight: float, health: Health
) -> None:
    group = Group()
    group.put(f"providers:{GREETER}::", url(weight="50", nacos=fields))
    (instance,) = group.held[GREETER].instances
    assert (instance.weight, instance.health) == (weight, health)


def test_a_provider_that_dubbo_has_taken_out_is_out() -> None:
    group = Group()
    name = f"providers:{GREETER}::"
    group.put(name, url(disabled="true", nacos={"healthy": False}), url(1, enabled="false"))
    assert {each.health for each in group.held[GREETER].instances} == {Health.DISABLED}


def test_the_cluster_is_the_zone_of_a_provider_that_tells_none() -> None:
    group = Group()
    group.put(f"providers:{GREETER}::", url(nacos={"clusterName": "hz"}))
    (instance,) = group.held[GREETER].instances
    assert (instance.id, instance.zone) == ("dubbo://10.0.0.1:20880", "hz")


def test_parameters_of_dubbo_2_6_begin_with_default() -> None:
    group = Group()
    group.put(f"providers:{GREETER}::", url(default_weight="50", default_tag="x", tag="y"))
    (instance,) = group.held[GREETER].instances
    assert instance.weight == 0.5
    assert dict(instance.metadata)["tag"] == "y"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (url(interface="a.Other"), "stands under a.Greeter but is one of a.Other"),
        (url(version="2.0"), "but is one of a.Greeter#2.0"),
        (url(protocol=""), "no protocol"),
        (url(protocol="override"), "a configurator"),
        (url(0), "no port"),
        (url(weight="much"), "its weight is 'much'"),
        (host(20880), "no protocol"),
        (host("20880"), "its port is '20880'"),
        (None, "the record is missing"),
    ],
)
def test_a_record_that_cannot_be_read_spoils_itself_only(record: object, reason: str) -> None:
    group = Group()
    said = group.put(f"providers:{GREETER}::", record, url(20881))
    assert group.ids(GREETER) == ["dubbo://10.0.0.1:20881"]
    (subject,) = said[GREETER].unreadable
    assert isinstance(subject, tuple)
    assert subject[0] == ServiceId("", "", GREETER)
    ((reported, text),) = group.reports
    assert reported == subject
    assert reason in text


@pytest.mark.parametrize("spoilt", [url(weight="much"), url(nacos={"weight": "much"})])
def test_a_record_that_can_no_longer_be_read_holds_what_it_held(spoilt: object) -> None:
    group = Group()
    name = f"providers:{GREETER}::"
    group.put(name, url(weight="50"))
    said = group.put(name, spoilt, url(20881))
    assert said[GREETER].unreadable == ((ServiceId("", "", GREETER), AT),)
    assert group.ids(GREETER) == [AT, "dubbo://10.0.0.1:20881"]
    assert group.held[GREETER].instances[0].weight == 0.5
    group.put(name, url(20881))
    assert group.ids(GREETER) == ["dubbo://10.0.0.1:20881"]
    group.put(name, spoilt, url(20881))
    assert group.ids(GREETER) == ["dubbo://10.0.0.1:20881"]


def test_what_was_reported_is_not_reported_again() -> None:
    group = Group()
    name = f"providers:{GREETER}::"
    group.put(name, url(protocol=""))
    group.put(name, url(protocol=""), url(20881))
    assert len(group.reports) == 1
    assert group.put(name, url(), url(20881))[GREETER].unreadable == ()


def test_what_cannot_be_read_at_all_holds_what_it_held() -> None:
    group = Group()
    name = f"providers:{GREETER}::"
    group.put(name, url())
    said = group.refuse(name, "no right")
    assert said[GREETER].unreadable == (ServiceId("", "", GREETER),)
    assert group.ids(GREETER) == ["dubbo://10.0.0.1:20880"]
    assert group.put(name, url())[GREETER].unreadable == ()
    group.refuse("providers:a.New::", "no right")
    assert group.held["a.New"].instances == ()


def test_a_name_that_cannot_be_read_is_said_and_has_nobody() -> None:
    group = Group()
    name = "providers:a.B:1:g:more"
    said = group.put(name, url())
    (news,) = said.values()
    assert news.unreadable == (ServiceId("", "", name),)
    assert group.reports[0][1].startswith("its name is 'providers:a.B:1:g:more', not providers:")
    group.drop(name)
    assert group.held == {}


def test_large_services_are_read_in_steps() -> None:
    group = Group()
    name = f"providers:{GREETER}::"
    hosts = [url(port) for port in range(1, 1001)]
    group.put(name, *hosts)
    assert len(group.held[GREETER].instances) == 1000
    assert group.put(name, *hosts[:-1]).keys() == {GREETER}
    group.registrations.put(name, read_service(ServiceId("", "", name), {"hosts": hosts}))
    steps = list(group.registrations.take())
    assert len(steps) > 1000 / STEP, "and none of them is long"
    plain = Group()
    plain.put("shop", *(host(port) for port in range(1, 1001)))
    assert len(plain.held["shop"].instances) == 1000
