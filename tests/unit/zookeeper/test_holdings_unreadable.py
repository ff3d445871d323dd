"""What cannot be read spoils itself, and is named where it belongs."""

import pytest
from unit.zookeeper.pieces import (
    GREETER,
    LIFE,
    STOCK,
    listing,
    url,
)
from unit.zookeeper.trees import Registry, captured

from meshbridge import ServiceId


def test_a_node_that_cannot_be_read_spoils_itself_and_is_reported_once() -> None:
    good, bad = url(1), url(2).replace(":2/", ":many/")
    registry = Registry().read(listing(good, bad))
    name = ServiceId("", "", LIFE)
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:1"]}
    assert [each.service for each in registry.reports] == [name]
    assert len(registry.unreadable[name]) == 1
    registry.become(listing(good, bad, url(3)))
    registry.read(listing(good, bad, url(3)))
    assert len(registry.reports) == 1
    assert len(registry.unreadable[name]) == 1
    registry.become(listing(good, url(3)))
    assert registry.unreadable[name] == ()
    registry.become(listing(good, bad))
    assert len(registry.reports) == 2


def test_what_can_be_read_of_a_bad_url_names_the_instance_that_was_there_before() -> None:
    registry = Registry().read(listing(url(group="g1", weight="heavy")))
    assert registry.unreadable == {
        ServiceId("", "g1", LIFE): ((ServiceId("", "g1", LIFE), "dubbo://10.0.0.1:20880"),)
    }


@pytest.mark.parametrize("wrong", ["no url at all", url(2, group="x" * 600)])
def test_a_url_whose_group_is_not_known_makes_no_service_beside_those_there_are(wrong: str) -> None:
    good = url(1, group="g1")
    registry = Registry().read(listing(good, wrong))
    assert registry.shown() == {f"g1@@{LIFE}": ["dubbo://10.0.0.1:1"]}
    (fault,) = registry.reports
    assert fault.service == ServiceId("", "g1", LIFE)
    assert registry.unreadable[fault.service] == ((fault.service, fault.record),)
    registry.become(listing(wrong))
    assert registry.shown() == {f"g1@@{LIFE}": []}
    alone = Registry().read({})
    alone.become(listing(wrong))
    assert alone.shown() == {LIFE: []}
    assert len(alone.reports) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        url(interface="com.acme.Other"),
        url(group="*"),
        url(interface=LIFE, group="x" * 600),
        "dubbo://10.0.0.1/" + LIFE,
        "no url at all",
        "%zz",
    ],
)
def test_each_of_these_is_no_provider_of_the_interface(wrong: str) -> None:
    registry = Registry().read(listing(wrong, url(7)))
    assert registry["com.acme.Life"].instances[0].id == "dubbo://10.0.0.1:7"
    (fault,) = registry.reports
    assert (fault.service.name, bool(fault.reason), bool(fault.remedy)) == (LIFE, True, True)


def test_what_stands_beside_providers_and_is_none_is_passed_over() -> None:
    others = [url(scheme=scheme) for scheme in ("empty", "injvm", "override", "route")]
    registry = Registry().read(listing(*others, url(5)))
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:5"]}
    assert registry.reports == []


def test_a_consumer_that_cannot_be_read_is_named() -> None:
    registry = Registry().read(listing(url(1)) | listing("dubbo://x", category="consumers"))
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:1"]}
    assert len(registry.reports) == 1
    grouped = listing(url(1, group="g1")) | listing("dubbo://x", category="consumers")
    assert Registry().read(grouped).shown() == {f"g1@@{LIFE}": ["dubbo://10.0.0.1:1"]}


def test_an_instance_that_cannot_be_read_spoils_itself() -> None:
    tree = {
        "/services/shop/a": b'{"address":"10.0.0.1","port":80}',
        "/services/shop/b": b"10.0.0.2",
    }
    registry = Registry().read(tree)
    shop = ServiceId("", "", "shop")
    assert registry.shown() == {"shop": ["a"]}
    assert registry.unreadable[shop] == ((shop, "b"),)
    registry.become(tree | {"/services/shop/b": b'{"address":"10.0.0.2","port":80}'})
    assert registry.shown() == {"shop": ["a", "b"]}
    assert registry.unreadable[shop] == ()


def test_an_instance_whose_node_was_not_there_when_it_was_read_tells_nothing() -> None:
    registry = Registry().read({"/services/shop/a": b'{"address":"10.0.0.1","port":80}'})
    registry.holdings.data("/services/shop/a", None)
    registry.settle()
    assert registry.shown() == {"shop": []}


def test_an_interface_of_the_metadata_that_cannot_be_read_spoils_itself() -> None:
    tree = captured("dubbo3-remote")
    (path,) = (each for each in tree if each.startswith("/dubbo/metadata/provider/"))
    broken = tree[path].replace(b'"port":20020', b'"port":"many"', 1)
    urls = {each: data for each, data in tree.items() if "/providers/" not in each}
    registry = Registry().read(urls | {path: broken})
    assert sorted(map(len, (registry.shown()[name] for name in (GREETER, STOCK)))) == [1, 2]
    (fault,) = registry.reports
    assert fault.service.name == "provider"
    assert ":tri" in fault.record


def test_a_mapping_that_cannot_be_read_is_named_at_its_interface() -> None:
    registry = Registry().read(listing(url(1)) | {f"/dubbo/mapping/{LIFE}": b"a,\xff"})
    (fault,) = registry.reports
    assert (fault.service.name, fault.record) == (LIFE, f"/dubbo/mapping/{LIFE}")
    registry.become(listing(url(1)) | {f"/dubbo/mapping/{LIFE}": b"a"})
    assert registry.unreadable[fault.service] == ()


def test_a_configurator_that_cannot_be_read_is_named() -> None:
    bad = listing("override://0.0.0.0", "no url", category="configurators")
    registry = Registry().read(listing(url(1)) | bad)
    assert {each.service.name for each in registry.reports} == {LIFE}
    assert "no%20url" in {each.record for each in registry.reports}
