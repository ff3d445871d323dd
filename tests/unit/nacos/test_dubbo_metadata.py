"""What an application's metadata or mappings say that its instances serve, and for how long."""

import pytest
from unit.nacos.dubbo_group import (
    AT,
    GREETER,
    METADATA,
    REVISION,
    SERVICES,
    TRI,
    Group,
    host,
    node,
    remote,
    url,
)

from meshbridge import Health, ServiceId
from meshbridge_dubbo import Variant, read_metadata


def test_metadata_tell_what_instances_of_their_revision_serve() -> None:
    group = Group()
    group.put("shop", remote(), remote(ip="10.0.0.2", nacos={"weight": 3}))
    assert group.held.keys() == {"shop"}
    assert list(group.applications.revisions.wanted) == [("shop", REVISION)]
    group.learn("shop", services=SERVICES)
    first, second = group.held[GREETER].instances
    assert (first.id, first.weight) == (AT, 0.5)
    assert (second.id, second.weight) == ("dubbo://10.0.0.2:20880", 1.5)
    assert dict(first.metadata)["dubbo.tag"] == "gray"
    assert [each.weight for each in group.held["shop"].instances] == [0.5, 1.5]
    assert not group.applications.revisions.wanted
    assert group.put("shop", remote(), remote(ip="10.0.0.2", nacos={"weight": 3})) == {}


def test_an_instance_that_goes_takes_what_it_serves_along() -> None:
    group = Group()
    group.put("shop", remote(), remote(ip="10.0.0.2"))
    group.learn("shop", services=SERVICES)
    group.put("shop", remote(ip="10.0.0.2"))
    assert group.ids(GREETER) == ["dubbo://10.0.0.2:20880"]
    said = group.drop("shop")
    assert said[GREETER].service is None
    assert not group.applications.revisions.known


def test_a_new_revision_serves_what_the_last_did_until_it_is_known() -> None:
    group = Group()
    group.put("shop", remote())
    group.learn("shop", services=SERVICES)
    group.put("shop", remote("new"))
    assert group.ids(GREETER) == [AT]
    group.applications.fail(("shop", "new"), "no right")
    said = group.take()
    assert group.ids(GREETER) == [AT]
    assert said["shop"].unreadable == ((ServiceId("", "", "shop"), "interfaces of revision new"),)
    assert group.reports[-1][1] == "they cannot be read: no right"
    group.applications.fail(("shop", "new"), "no right")
    assert group.take() == {}
    group.learn("shop", revision="new", services="{}")
    assert GREETER not in group.held
    assert group.held.keys() == {"shop"}


def test_a_process_on_other_ports_serves_nothing_of_the_last_one() -> None:
    group = Group()
    group.put("shop", remote())
    group.learn("shop", services=SERVICES)
    group.put("shop", node(("dubbo", 20880), ("tri", 50051), revision="new", storage="remote"))
    assert GREETER not in group.held


def test_interfaces_tell_of_a_new_revision_before_its_metadata_do() -> None:
    group = Group()
    group.put(f"providers:{GREETER}::", url())
    group.put("shop", remote())
    assert group.ids(GREETER) == [AT]
    group.put("shop", remote(disabled="true"))
    (instance,) = group.held[GREETER].instances
    assert instance.health is Health.DISABLED


def test_metadata_that_cannot_be_read_are_said_and_then_a_mapping_tells() -> None:
    group = Group()
    group.put("shop", remote())
    group.applications.fail(("shop", REVISION), "no right")
    assert group.take() == {}
    group.ripen()
    assert group.reports == [
        (
            (ServiceId("", "", "shop"), f"interfaces of revision {REVISION}"),
            "they cannot be read: no right",
        )
    ]
    said = group.map("shop", a_Greeter={Variant("red", "1.0"), Variant("", "")})
    assert group.ids(GREETER) == group.ids(f"red@@{GREETER}#1.0") == [AT]
    assert said["shop"].unreadable == ()
    group.put("shop", remote("new"))
    assert group.ids(GREETER) == [AT]
    group.learn("shop", revision="new", services=SERVICES)
    assert group.held.keys() == {GREETER, "shop"}


def test_a_mapping_is_not_gone_by_before_interfaces_had_time_to_tell() -> None:
    group = Group()
    group.map("shop", a_Greeter=set(), a_Stock=set())
    group.put("shop", node(("dubbo", 20880), ("tri", 50051), revision=REVISION))
    assert group.held.keys() == {"shop"}
    assert len(group.applications.doubtful()) == 1
    group.ripen()
    assert group.ids(GREETER) == group.ids("a.Stock") == [AT, TRI]
    assert group.ripen() == {}
    group.map("shop", a_Greeter=set())
    assert group.held.keys() == {"shop", GREETER}
    group.map("other", a_Greeter=set())
    assert group.held.keys() == {"shop"}
    assert group.reports[-1][1] == (
        "the application keeps them to itself, and no mapping names any"
    )


def test_an_instance_without_a_revision_may_serve_what_mappings_name() -> None:
    """Dubbo 2.7 with registry-type=service tells none, whatever it exports."""
    group = Group()
    group.put("shop", node())
    group.ripen()
    ((subject, reason),) = group.reports
    assert subject == (ServiceId("", "", "shop"), "interfaces")
    assert reason.startswith("the application tells no revision")
    group.map("shop", a_Greeter=set())
    assert group.ids(GREETER) == [AT]


def test_an_instance_that_exports_nothing_serves_nothing() -> None:
    group = Group()
    group.put("shop", node(revision="0"))
    assert group.applications.doubtful() == frozenset()
    assert group.held.keys() == {"shop"}
    assert group.reports == []


@pytest.mark.parametrize(
    "spoilt",
    [host(20880, metadata={"dubbo.endpoints": "[{"}), host(20880, metadata=7)],
)
def test_an_instance_that_can_no_longer_be_read_serves_what_it_did(spoilt: object) -> None:
    group = Group()
    group.put("shop", remote())
    group.learn("shop", services=SERVICES)
    said = group.put("shop", spoilt)
    assert said["shop"].unreadable == ((ServiceId("", "", "shop"), "10.0.0.1:20880"),)
    assert group.ids(GREETER) == [AT]
    group.put("shop")
    assert GREETER not in group.held


def test_an_interface_of_the_metadata_that_cannot_be_read_is_said() -> None:
    group = Group()
    group.put("shop", remote())
    services = (
        f'{{"bad":{{"name":1}},"worse":{{"name":"a.B","protocol":"","port":1}},{SERVICES[1:]}'
    )
    said = group.learn("shop", services=services)
    assert group.ids(GREETER) == [AT]
    shop = ServiceId("", "", "shop")
    assert said["shop"].unreadable == ((shop, "bad"), (shop, "worse"))


def test_what_is_retained_after_a_gap_needs_no_metadata_again() -> None:
    group = Group()
    group.put("shop", remote())
    group.put("gone", host(8080))
    group.put("providers:a.Gone::", url(interface="a.Gone"))
    group.learn("shop", services=SERVICES)
    group.registrations.refuse("never", "no right")
    group.registrations.retain({"shop"})
    group.put("shop", remote())
    assert group.held.keys() == {"shop", GREETER}
    assert not group.applications.revisions.wanted


def test_what_a_session_left_half_done_is_done_by_the_next() -> None:
    group = Group()
    group.put("shop", remote())
    group.applications.learn(("shop", REVISION), read_metadata(METADATA.encode()))
    begun = group.registrations.take()
    assert next(begun) is None
    begun.close()
    group.registrations.retain({"shop"})
    group.take()
    assert group.ids(GREETER) == [AT]


def test_many_interfaces_are_worked_out_in_steps() -> None:
    group = Group()
    exported = ",".join(
        f'"a.I{n}:dubbo":{{"name":"a.I{n}","protocol":"dubbo","port":20880}}' for n in range(250)
    )
    group.put("shop", remote())
    group.learn("shop", services=f"{{{exported}}}")
    assert len(group.held) == 251


def test_what_is_learnt_of_an_instance_that_has_gone_is_forgotten() -> None:
    group = Group()
    group.put("shop", remote())
    group.drop("shop")
    assert group.learn("shop", services=SERVICES) == {}
    assert not group.applications.revisions.known
