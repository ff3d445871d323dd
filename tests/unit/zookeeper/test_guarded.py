"""A node that may not be read empties nothing: what it told stays, and its services are named."""

import pytest
from unit.zookeeper.pieces import HERE, LIFE, STOCK, listing, rule, shop, url
from unit.zookeeper.trees import Registry, Tree, captured

from meshbridge import Health, ServiceId
from meshbridge_zookeeper_dubbo.holdings import Holdings
from meshbridge_zookeeper_dubbo.roots import Roots

PLAIN, GROUPED = ServiceId("", "", LIFE), ServiceId("", "g1", LIFE)
SHOP = ServiceId("", "", "shop")
PROVIDERS = f"/dubbo/{LIFE}/providers"
A = {"/services/shop/a": b'{"address":"10.0.0.1","port":80}'}
BOTH = {PLAIN: (PLAIN,), GROUPED: (GROUPED,)}
"""Both services, each named whole."""


def two() -> Tree:
    """Return an interface with a provider of each of two groups."""
    return listing(url(1), url(2, group="g1"))


def shown(registry: Registry) -> dict[str, list[str]]:
    return {name: ids for name, ids in registry.shown().items() if ids}


@pytest.mark.parametrize("path", [PROVIDERS, f"/dubbo/{LIFE}"])
def test_providers_that_may_not_be_read_any_more_stay_and_are_named_whole(path: str) -> None:
    registry = Registry().read(two())
    told = registry.shown()
    assert registry.guard(path)
    assert registry.unreadable == BOTH
    assert registry.shown() == told
    assert {each.service for each in registry.reports} == {PLAIN, GROUPED}
    assert {each.reason for each in registry.reports} == {f"{path} may not be read"}
    registry.tree = listing(url(1), url(3))
    registry.admit(path)
    assert shown(registry) == {LIFE: ["dubbo://10.0.0.1:1", "dubbo://10.0.0.1:3"]}
    assert not any(registry.unreadable.values())


@pytest.mark.parametrize("path", [PROVIDERS, f"/dubbo/{LIFE}"])
def test_so_they_do_after_a_gap_and_are_reported_once(path: str) -> None:
    registry = Registry().read(two())
    told = registry.shown()
    registry.guarded = {path}
    for _ in range(2):
        registry.read(two())
        assert registry.shown() == told
        assert registry.unreadable == BOTH
        assert len(registry.reports) == 2
    registry.guarded.clear()
    registry.read(listing(url(1)))
    assert shown(registry) == {LIFE: ["dubbo://10.0.0.1:1"]}
    assert not any(registry.unreadable.values())


@pytest.mark.parametrize("path", [PROVIDERS, f"/dubbo/{LIFE}"])
def test_what_was_never_read_is_named_as_far_as_it_is_known_until_it_goes(path: str) -> None:
    registry = Registry()
    registry.guarded = {path}
    registry.read(two())
    assert registry.unreadable == {PLAIN: (PLAIN,)}
    registry.become({"/dubbo": b""})
    assert registry.services == {}


def test_a_node_of_another_root_hides_no_less() -> None:
    roots = Roots(["/dubbo", "/eu"], [])
    registry = Registry(roots).read({**listing(url(1)), f"/eu/{LIFE}/providers": b""})
    registry.guard(f"/eu/{LIFE}/providers")
    assert registry.unreadable == {PLAIN: (PLAIN,)}


def test_an_instance_that_may_not_be_read_keeps_what_it_serves_also_after_a_gap() -> None:
    tree = captured("dubbo3-remote")
    tree = {path: data for path, data in tree.items() if "/providers/" not in path}
    (path,) = (each for each in tree if each.startswith("/services/provider/"))
    node, name = path.rpartition("/")[2], ServiceId("", "", "provider")
    registry = Registry().read(tree)
    told = registry.shown()
    assert told[STOCK]
    registry.guard(path)
    for _ in range(2):
        assert registry.shown() == told
        assert registry.unreadable[name] == ((name, node),)
        assert len(registry.reports) == 1
        registry.read(tree)
    registry.admit(path)
    assert registry.shown() == told
    assert not any(registry.unreadable.values())
    registry.guard(path)
    registry.become({each: data for each, data in tree.items() if each != path})
    assert not any(registry.shown().values())
    assert not any(registry.unreadable.values())


def test_an_instance_that_was_never_read_is_named() -> None:
    registry = Registry()
    registry.guarded = {"/services/shop/b"}
    registry.read(A | {"/services/shop/b": b""})
    assert registry.shown() == {"shop": ["a"]}
    assert registry.unreadable == {SHOP: ((SHOP, "b"),)}


def test_an_application_that_may_not_be_read_stays_whole_also_after_a_gap() -> None:
    registry = Registry().read(A)
    registry.guard("/services/shop")
    for _ in range(2):
        assert registry.shown() == {"shop": ["a"]}
        assert registry.unreadable == {SHOP: (SHOP,)}
        registry.read(A)
    registry.become({"/services": b""})
    assert registry.services == {}
    registry.guarded.clear()
    registry.become(A)
    assert registry.unreadable == {SHOP: ()}


def test_where_both_stand_below_one_root_a_node_is_what_it_was() -> None:
    roots = Roots(["/both"], ["/both"])
    shop = {"/both/shop/a": A["/services/shop/a"]}
    registry = Registry(roots).read(shop)
    registry.guard("/both/shop")
    assert registry.shown() == {"shop": ["a"]}
    assert registry.unreadable == {SHOP: (SHOP,)}
    registry.admit("/both/shop")
    registry.guard("/both/shop/a")
    assert registry.unreadable == {SHOP: ((SHOP, "a"),)}
    fresh = Registry(roots)
    fresh.guarded = {"/both/shop"}
    fresh.read(shop)
    assert fresh.unreadable == {SHOP: (SHOP,)}
    fresh.become({"/both": b""})
    assert fresh.services == {}


def test_a_mapping_that_may_not_be_read_hides_only_what_nothing_else_tells() -> None:
    path = f"/dubbo/mapping/{LIFE}"
    registry = Registry().read(listing(url(1)) | {path: b"shop"})
    registry.guard(path)
    assert registry.unreadable == {PLAIN: ((PLAIN, path),)}
    alone = Registry()
    alone.guarded = {path}
    alone.read({path: b"shop"})
    assert PLAIN in alone.unreadable[PLAIN]


def test_a_rule_that_may_not_be_read_holds_also_after_a_gap() -> None:
    text = rule(
        "scope: service",
        f"key: {LIFE}",
        "configs:",
        "- {side: consumer, providerAddresses: ['10.0.0.1:1'], parameters: {weight: 200}}",
    )
    path = f"/dubbo/config/dubbo/{LIFE}::.configurators"
    tree = listing(url(1)) | {path: text}
    registry = Registry().read(tree)
    registry.guard(path)
    for _ in range(2):
        assert [each.weight for each in registry[LIFE].instances] == [2.0]
        assert registry.unreadable == {PLAIN: ((PLAIN, path),)}
        registry.read(tree)
    registry.become(listing(url(1)))
    assert [each.weight for each in registry[LIFE].instances] == [1.0]
    assert registry.unreadable == {PLAIN: ()}


def test_configurators_and_consumers_that_may_not_be_read_hold_also_after_a_gap() -> None:
    out = "override://10.0.0.1:1/com.acme.Life?category=configurators&disabled=true&dynamic=false"
    caller = f"consumer://10.0.0.8/{LIFE}?interface={LIFE}&application=till"
    tree = listing(url(1)) | listing(out, category="configurators")
    tree |= listing(caller, category="consumers")
    paths = {f"/dubbo/{LIFE}/configurators", f"/dubbo/{LIFE}/consumers"}
    registry = Registry().read(tree)
    registry.guarded = paths
    registry.read(tree)
    life = registry[LIFE]
    assert [each.health for each in life.instances] == [Health.DISABLED]
    assert [each.application for each in life.consumers] == ["till"]
    assert set(registry.unreadable[PLAIN]) == {(PLAIN, path) for path in paths}


def test_a_rule_of_an_application_is_named_at_it() -> None:
    path = "/dubbo/config/dubbo/shop.configurators"
    registry = Registry().read(A | {path: b""})
    registry.guard(path)
    assert registry.unreadable == {SHOP: ((SHOP, path),)}
    registry.become(A)
    assert registry.unreadable == {SHOP: ()}


@pytest.mark.parametrize("path", ["/dubbo/config", "/dubbo/config/dubbo", "/dubbo/mapping"])
def test_of_what_is_about_no_service_in_particular_nothing_is_said(path: str) -> None:
    registry = Registry().read(listing(url(1)) | {f"{path}/{LIFE}": b""})
    assert not registry.guard(path)
    assert registry.unreadable == {PLAIN: ()}


@pytest.mark.parametrize("path", ["/dubbo/mapping", "/dubbo/config/mapping", "/dubbo/config"])
def test_mappings_none_of_which_may_be_read_are_named_where_they_may_say_something(
    path: str,
) -> None:
    """At applications of which nothing surer is known, and not at others."""
    known = listing(url(9, application="shop"))
    tree = shop(2, "silent") | shop() | A | captured("dubbo3-remote") | known
    tree |= {f"{path.removesuffix('/mapping')}/mapping/{LIFE}": b"shop"}
    registry = Registry().read(tree)
    before = registry.shown()
    assert HERE[0] in before[LIFE]
    assert not registry.guard(path), "it is logged, too"
    for _ in range(2):
        assert registry.shown() == before
        assert named(registry, path) == {"shop", "silent"}
        told = [each.reason for each in registry.reports if each.record == path]
        assert told == [f"{path} may not be read"] * 2
        registry.read(tree)
    registry.admit(path)
    assert registry.shown() == before
    assert named(registry, path) == set()


def named(registry: Registry, record: str) -> set[str]:
    """Return at which services a record is named as unreadable."""
    return {
        service.name for service, told in registry.unreadable.items() if (service, record) in told
    }


def test_a_mapping_that_may_not_be_read_holds_also_after_a_gap_until_it_goes() -> None:
    path = f"/dubbo/mapping/{LIFE}"
    tree = shop() | {path: b"shop", "/dubbo/mapping/com.acme.Work": b"shop"}
    registry = Registry().read(tree)
    told = registry.shown()
    registry.guarded = {path}
    registry.read(tree)
    assert registry.shown() == told
    registry.become({each: data for each, data in tree.items() if each != path})
    assert not registry.shown().get(LIFE)
    assert registry.shown()["com.acme.Work"]


def test_what_a_mapping_told_since_a_gap_goes_before_what_it_told_before() -> None:
    path = f"/dubbo/mapping/{LIFE}"
    registry = Registry().read(shop(1) | shop(2, "stall") | {path: b"shop"})
    registry.tree |= {path: b"stall"}
    registry.holdings = Holdings(registry.roots, dials=False, before=registry.holdings)
    for root in registry.roots.all:
        registry.tell(root)
    registry.guard(path)
    assert registry.shown()[LIFE] == ["dubbo://10.0.0.1:2"]
