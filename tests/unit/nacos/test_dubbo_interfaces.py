"""What stands under Dubbo's names in a Nacos group becomes services of interfaces."""

from dataclasses import replace

import pytest
from unit.nacos.dubbo_group import GREETER, Group, host, url

from meshbridge import Consumer, Health, InstancePort, Kind, ServiceId


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


CALLER = {
    "interface": GREETER,
    "path": GREETER,
    "protocol": "consumer",
    "category": "consumers",
    "application": "web",
    "pid": "1",
}


def test_consumers_are_told_with_the_services_that_they_call() -> None:
    group = Group()
    group.put(f"consumers:{GREETER}::*", host(0, "10.1.0.1", metadata=CALLER | {"group": "*"}))
    assert group.held == {}
    group.put(f"providers:{GREETER}::blue", url(group="blue"))
    group.put(f"providers:{GREETER}:1.0:", url(version="1.0"))
    told = Consumer("10.1.0.1#web#1", "10.1.0.1", "web", (("application", "web"), ("group", "*")))
    assert group.held[f"blue@@{GREETER}"].consumers == (told,)
    assert group.held[f"{GREETER}#1.0"].consumers == ()
    group.put(
        f"consumers:{GREETER}:1.0:", host(0, "10.1.0.1", metadata=CALLER | {"version": "1.0"})
    )
    assert len(group.held[f"{GREETER}#1.0"].consumers) == 1
    said = group.drop(f"consumers:{GREETER}::*")
    assert f"blue@@{GREETER}" in said
    assert group.held[f"blue@@{GREETER}"].consumers == ()
    group.drop(f"consumers:{GREETER}:1.0:")
    assert group.held[f"{GREETER}#1.0"].consumers == ()


def test_a_consumer_that_cannot_be_read_is_named_with_what_it_calls() -> None:
    group = Group()
    group.put(f"providers:{GREETER}::", url())
    said = group.put(f"consumers:{GREETER}::", host(0, metadata=CALLER | {"protocol": "dubbo"}))
    assert said[GREETER].unreadable == ((ServiceId("", "", GREETER), "10.0.0.1:0"),)


@pytest.mark.parametrize(
    ("place", "interface", "application"),
    [
        (("public", "DEFAULT_GROUP"), ("", GREETER), ("", "", "shop")),
        (("prod", "DEFAULT_GROUP"), ("prod", GREETER), ("prod", "", "shop")),
        (("public", "blue"), ("public:blue", GREETER), ("", "blue", "shop")),
        (("prod", "blue"), ("prod:blue", GREETER), ("prod", "blue", "shop")),
    ],
)
def test_where_an_interface_stands_is_its_namespace(
    place: tuple[str, str], interface: tuple[str, str], application: tuple[str, str, str]
) -> None:
    group = Group(*place)
    group.put(f"providers:{GREETER}:1.0:red", url(group="red", version="1.0"), None)
    group.put("shop", host(8080))
    told, plain = sorted(group.held.values(), key=lambda each: each.id.name)
    namespace, name = interface
    assert told.id == ServiceId(namespace, "red", name, "1.0")
    assert plain.id == ServiceId(*application)
    ((subject, _),) = group.reports
    assert subject == (told.id, "hosts[1]")


def test_an_interface_goes_before_an_application_of_its_name() -> None:
    group = Group()
    group.put(GREETER, host(8080))
    said = group.put(f"providers:{GREETER}::", url())
    assert said[GREETER].unreadable == ((ServiceId("", "", GREETER), "application"),)
    assert group.ids(GREETER) == ["dubbo://10.0.0.1:20880"]
    assert group.put(GREETER, host(8081)) == {}
    group.drop(f"providers:{GREETER}::")
    assert group.ids(GREETER) == ["10.0.0.1:8081"]
    elsewhere = Group("public", "blue")
    elsewhere.put(GREETER, host(8080))
    elsewhere.put(f"providers:{GREETER}::", url())
    assert len(elsewhere.held) == 2


def test_large_services_are_read_in_steps() -> None:
    group = Group()
    name = f"providers:{GREETER}::"
    hosts = [url(port) for port in range(1, 1001)]
    group.put(name, *hosts)
    assert len(group.held[GREETER].instances) == 1000
    assert group.put(name, *hosts[:-1]).keys() == {GREETER}
    plain = Group()
    plain.put("shop", *(host(port) for port in range(1, 1001)))
    assert len(plain.held["shop"].instances) == 1000
