"""What is guessed of an application has the groups and versions that its definitions name."""

import json

import pytest
from unit.zookeeper.pieces import DEFINED, HERE, LIFE, interfaces, mapped, shop
from unit.zookeeper.trees import Registry, captured

from meshbridge import ServiceId
from meshbridge_zookeeper_dubbo.definitions_walk import MOST_NODES
from meshbridge_zookeeper_dubbo.revisions import DEFINITIONS
from meshbridge_zookeeper_dubbo.roots import Roots

WORK = "com.acme.Work$Hard"


def definition(**parameters: str) -> bytes:
    return json.dumps({"canonicalName": LIFE, "parameters": parameters}).encode()


@pytest.mark.parametrize("captive", ["dubbo2", "dubbo3-parameters"])
def test_real_definitions_name_group_and_version(captive: str) -> None:
    tree = {path: data for path, data in captured(captive).items() if "/metadata/" in path}
    names = ("meshbridge.peers.Greeter", "meshbridge.peers.Stock")
    tree |= mapped(*names, application="provider") | shop(application="provider")
    told = Registry().read(tree).shown()
    del told["provider"]
    assert told == {f"g1@@{name}#1.0.0": HERE for name in names}


@pytest.mark.parametrize(
    ("names", "parameters", "service"),
    [
        ("", {}, LIFE),
        ("/1.0.0/blue", {}, f"blue@@{LIFE}#1.0.0"),
        ("/1.0.0", {"version": "1.0.0"}, f"{LIFE}#1.0.0"),
        ("/blue", {"group": "blue"}, f"blue@@{LIFE}"),
    ],
)
def test_a_single_name_is_what_the_definition_says_that_it_is(
    names: str, parameters: dict[str, str], service: str
) -> None:
    tree = {f"{DEFINED}{names}/provider/shop": definition(**parameters)}
    assert interfaces(Registry().read(shop() | mapped() | tree)) == {service: HERE}


def test_all_that_an_application_has_defined_is_guessed_and_nothing_of_others() -> None:
    tree = {
        f"{DEFINED}/1.0.0/blue/provider/shop": b"",
        f"{DEFINED}/2.0.0/blue/provider/shop": b"",
        f"{DEFINED}/3.0.0/blue/provider/stall": b"",
        f"{DEFINED}/3.0.0/provider/stall": definition(version="3.0.0"),
        f"{DEFINED}/4.0.0/blue/consumer/shop": b"",
        f"{DEFINED}/consumer/shop": b"",
        f"{DEFINED}/provider/shopper": b"",
    }
    registry = Registry().read(shop() | mapped() | tree)
    assert interfaces(registry) == {f"blue@@{LIFE}#{each}.0.0": HERE for each in (1, 2)}
    assert registry.reports == []


def test_definitions_stand_below_each_root_by_the_interfaces_encoded_name() -> None:
    tree = (
        shop() | mapped(LIFE, WORK) | {"/eu/metadata/com.acme.Work%24Hard/1/b/provider/shop": b""}
    )
    registry = Registry(Roots(["/dubbo", "/eu"], ["/services"])).read(tree)
    assert interfaces(registry) == {LIFE: HERE, f"b@@{WORK}#1": HERE}


def test_definitions_are_asked_for_only_where_something_is_guessed() -> None:
    for name in ("dubbo2", "dubbo3-local", "dubbo3-remote", "spring-cloud"):
        assert not Registry().read(captured(name)).holdings.applications.definitions.held
    registry = Registry().read(shop() | mapped())
    held = registry.holdings.applications.definitions.held
    assert [*held] == ["shop"]
    registry.become(mapped())
    assert not held
    registry.become(shop() | mapped())
    assert [*held] == ["shop"]
    registry.become(shop())
    assert not held


def test_what_is_guessed_waits_until_its_definitions_were_read() -> None:
    registry = Registry()
    registry.defines = False
    registry.read(shop() | mapped())
    applications = registry.holdings.applications
    assert interfaces(registry) == {}
    assert applications.revisions.unread == {("shop", DEFINITIONS)}, "the first listing waits"
    registry.define()
    registry.say()
    assert interfaces(registry) == {LIFE: HERE}
    registry.become(shop() | mapped(LIFE, WORK))
    assert interfaces(registry) == {LIFE: HERE}
    registry.define()
    registry.say()
    assert interfaces(registry) == {LIFE: HERE, WORK: HERE}
    assert not applications.revisions.unread


def test_who_goes_before_its_definitions_were_read_is_not_waited_for() -> None:
    registry = Registry()
    registry.defines = False
    registry.read(shop() | mapped())
    registry.become(mapped())
    revisions = registry.holdings.applications.revisions
    assert not revisions.unread
    assert not revisions.fresh


def test_an_instance_that_comes_has_them_read_again() -> None:
    """It has written them before."""
    one = shop(1) | mapped() | {f"{DEFINED}/1/b/provider/shop": b""}
    registry = Registry().read(one)
    two = one | {f"{DEFINED}/2/b/provider/shop": b""}
    registry.become(two)
    assert {*interfaces(registry)} == {f"b@@{LIFE}#1"}
    registry.become(two | shop(2))
    assert {*interfaces(registry)} == {f"b@@{LIFE}#1", f"b@@{LIFE}#2"}
    path, data = next(iter(shop(1).items()))
    three = two | shop(2) | {path: data + b" ", f"{DEFINED}/3/b/provider/shop": b""}
    registry.become(three)
    assert {*interfaces(registry)} == {f"b@@{LIFE}#{each}" for each in (1, 2, 3)}


def test_what_is_read_again_and_is_the_same_is_no_news() -> None:
    registry = Registry().read(shop() | mapped() | {f"{DEFINED}/1/b/provider/shop": b""})
    news = registry.news
    registry.look_again()
    assert registry.news == news
    applications = registry.holdings.applications
    defined = applications.definitions.held["shop"].defined
    assert defined is not None
    applications.define("shop", defined)
    assert registry.holdings.idle
    del registry.tree[f"{DEFINED}/1/b/provider/shop"]
    registry.look_again()
    assert interfaces(registry) == {LIFE: HERE}


def test_after_a_gap_they_hold_until_they_are_read_again() -> None:
    tree = shop() | mapped() | {f"{DEFINED}/1/b/provider/shop": b""}
    registry = Registry().read(tree)
    registry.defines = False
    registry.read(tree)
    assert interfaces(registry) == {f"b@@{LIFE}#1": HERE}
    revisions = registry.holdings.applications.revisions
    assert (revisions.unread, [*revisions.fresh]) == (set(), [("shop", DEFINITIONS)])
    del registry.tree[f"{DEFINED}/1/b/provider/shop"]
    registry.define()
    registry.say()
    assert interfaces(registry) == {LIFE: HERE}


def test_what_cannot_be_fetched_is_guessed_without_and_told_until_it_is() -> None:
    registry = Registry()
    registry.defines = False
    registry.read(shop() | mapped() | {f"{DEFINED}/1/b/provider/shop": b""})
    applications = registry.holdings.applications
    for reason in ("it is away", "it is away", "it is full"):
        applications.fail_to_define("shop", reason)
        registry.say()
        assert interfaces(registry) == {LIFE: HERE}
    assert [fault.reason for fault in registry.reports] == [
        f"the service definitions cannot be read: {reason}"
        for reason in ("it is away", "it is full")
    ]
    named = ServiceId("", "", "shop")
    assert registry.unreadable[named] == ((named, "groups and versions"),)
    registry.look_again()
    registry.define()
    registry.say()
    assert interfaces(registry) == {f"b@@{LIFE}#1": HERE}
    assert registry.unreadable[named] == ()
    applications.fail_to_define("shop", "it is away again")
    registry.say()
    assert interfaces(registry) == {f"b@@{LIFE}#1": HERE}, "what is known holds"


def test_nobody_is_told_what_comes_of_a_reading_too_late() -> None:
    registry = Registry().read(shop() | mapped())
    applications = registry.holdings.applications
    defined = applications.definitions.held["shop"].defined
    assert defined is not None
    registry.become({})
    applications.define("shop", defined)
    applications.fail_to_define("shop", "it is away")
    registry.say()
    assert not applications.definitions.held


def test_a_definition_that_cannot_be_read_is_named_and_others_hold() -> None:
    tree = (
        shop()
        | mapped()
        | {f"{DEFINED}/2/b/provider/shop": b"", f"{DEFINED}/1/provider/shop": b"{"}
    )
    registry = Registry().read(tree)
    assert interfaces(registry) == {f"b@@{LIFE}#2": HERE}
    (fault,) = registry.reports
    assert (fault.service.name, fault.record) == ("shop", f"{DEFINED}/1/provider/shop")
    assert "no JSON" in fault.reason
    assert "delete its node" in fault.remedy


def test_a_definition_that_may_not_be_read_any_more_is_as_it_was() -> None:
    registry = Registry().read(shop() | mapped(LIFE, WORK) | {f"{DEFINED}/1/b/provider/shop": b""})
    before = interfaces(registry)
    registry.guarded.add(DEFINED)
    for _ in range(2):
        registry.look_again()
        assert interfaces(registry) == before
    undefined, fault = registry.reports
    assert undefined.record == "groups and versions", f"nothing defines {WORK}"
    assert (fault.record, fault.reason) == (DEFINED, f"{DEFINED} may not be read")
    registry.guarded.clear()
    registry.look_again()
    assert interfaces(registry) == before
    assert registry.unreadable[fault.service] == (undefined.subject,)


def test_of_an_interface_only_so_many_nodes_are_read() -> None:
    tree = {f"{DEFINED}/{each}/b/provider/shop": b"" for each in range(MOST_NODES)}
    registry = Registry().read(shop() | mapped(LIFE, WORK) | tree)
    assert WORK in interfaces(registry)
    (fault,) = registry.reports
    assert f"more than {MOST_NODES} nodes" in fault.reason
    assert "delete" in fault.remedy


def test_a_defined_variant_without_an_instance_stays_while_a_mapping_names_its_interface() -> None:
    tree = mapped() | {f"{DEFINED}/1/b/provider/shop": b""}
    registry = Registry().read(tree | shop())
    registry.become(tree)
    assert registry.shown() == {f"b@@{LIFE}#1": []}
    registry.become({})
    assert registry.shown() == {}


def test_what_consumers_have_left_is_not_looked_at() -> None:
    tree = {f"{DEFINED}/consumer/shop-{each}": b"" for each in range(MOST_NODES)}
    registry = Registry().read(shop() | mapped() | tree)
    assert [each.record for each in registry.reports] == ["groups and versions"]
