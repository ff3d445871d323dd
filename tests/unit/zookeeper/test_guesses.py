"""Instances of which nothing tells group and version are served, but never beside others."""

from unit.zookeeper.pieces import HERE, LIFE, listing, mapped, shop, url
from unit.zookeeper.trees import Registry

OTHER = "dubbo://10.0.0.1:20990"


def told(registry: Registry, record: str) -> list[tuple[str, str]]:
    found = [each for each in registry.reports if each.record == record]
    return [(str(each.service), each.reason) for each in found]


def test_an_application_without_definitions_is_served_and_named() -> None:
    registry = Registry().read(shop() | mapped(LIFE, f"{LIFE}Line"))
    assert registry.shown()[LIFE] == HERE
    ((name, reason),) = told(registry, "groups and versions")
    assert name == "shop"
    assert f"of 2 of its interfaces ({LIFE}, {LIFE}Line): they are taken to have none" in reason


def test_it_gets_no_calls_that_are_meant_for_providers_which_are_known() -> None:
    """Of another group, it would fail every one of them."""
    proven = listing(url(20990, application="till"))
    registry = Registry().read(proven | shop() | mapped())
    assert registry.shown()[LIFE] == [OTHER]
    ((name, reason),) = told(registry, "all of shop")
    assert name == LIFE
    assert "group and version of what shop serves are not known" in reason
    registry.become({f"/dubbo/{LIFE}/providers": b""} | shop() | mapped())
    assert registry.shown()[LIFE] == HERE
    registry.become(proven | shop() | mapped())
    assert registry.shown()[LIFE] == [OTHER]


def test_it_is_served_beside_those_of_its_own_application() -> None:
    """Which are about to register otherwise, one after the other."""
    proven = listing(url(20990, application="shop"))
    registry = Registry().read(proven | shop() | mapped())
    assert registry.shown()[LIFE] == sorted([*HERE, OTHER])
    assert told(registry, "all of shop") == []


def test_it_is_served_beside_providers_of_groups() -> None:
    """Who calls those names their group, and so never reaches it."""
    proven = listing(url(20990, application="till", group="blue"))
    registry = Registry().read(proven | shop() | mapped())
    assert registry.shown()[LIFE] == HERE
    assert registry.shown()[f"blue@@{LIFE}"] == [OTHER]
    assert told(registry, "all of shop") == []
