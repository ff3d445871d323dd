"""What real trees mean: expectations were written by hand, from the corpus and Dubbo's rules."""

import pytest
from unit.zookeeper.pieces import (
    DUBBO,
    GREETER,
    INSTANCE,
    STOCK,
    TRI,
)
from unit.zookeeper.trees import Registry, captured

from meshbridge import InstancePort, Kind, ServiceId


@pytest.mark.parametrize(
    ("name", "services"),
    [
        (
            "dubbo2",
            {f"g1@@{GREETER}#1.0.0": [DUBBO], f"g1@@{STOCK}#1.0.0": [DUBBO]},
        ),
        ("dubbo2-gone", {GREETER: [], STOCK: []}),
        ("dubbo3-interface", {GREETER: [DUBBO, TRI], STOCK: [DUBBO, TRI]}),
        (
            "dubbo3-local",
            {GREETER: [DUBBO, TRI], STOCK: [DUBBO, TRI], "provider": [INSTANCE]},
        ),
        (
            "dubbo3-remote",
            {GREETER: [DUBBO, TRI], STOCK: [DUBBO, TRI], "provider": [INSTANCE]},
        ),
        (
            "dubbo3-instance",
            {GREETER: [DUBBO, TRI], STOCK: [DUBBO, TRI], "provider": [INSTANCE]},
        ),
        (
            "dubbo3-parameters",
            {
                f"g1@@{GREETER}#1.0.0": [DUBBO, TRI],
                f"g1@@{STOCK}#1.0.0": [DUBBO, TRI],
                "provider": [INSTANCE],
            },
        ),
        ("dubbo3-gone", {GREETER: [], STOCK: [], "provider": []}),
        ("spring-cloud", {"orders": ["00000000-0000-4000-8000-000000000001"]}),
    ],
)
def test_each_captured_tree_is_told_whole(name: str, services: dict[str, list[str]]) -> None:
    registry = Registry().read(captured(name))
    assert registry.shown() == dict(sorted(services.items()))
    assert registry.reports == []
    kinds = {str(each.id): each.kind for each in registry.services.values()}
    applications = {name for name, kind in kinds.items() if kind is Kind.APPLICATION}
    assert applications == {"provider", "orders"} & kinds.keys()


def test_an_interface_on_two_protocols_is_one_service_with_a_port_of_each() -> None:
    greeter = Registry().read(captured("dubbo3-local"))[GREETER]
    assert [each.ports for each in greeter.instances] == [
        (InstancePort(20010, "dubbo"),),
        (InstancePort(20020, "tri"),),
    ]


def test_an_application_has_all_its_endpoints_and_what_its_interfaces_agree_on() -> None:
    """Weight, tag and zone stand in the URLs only, if the metadata stay with the application."""
    registry = Registry().read(captured("dubbo3-parameters"))
    (instance,) = registry["provider"].instances
    assert instance.ports == (InstancePort(20010, "dubbo"), InstancePort(20020, "tri"))
    assert instance.weight == 0.5
    assert instance.zone == "hz/z1"
    assert dict(instance.metadata)["dubbo.tag"] == "gray"


def test_a_consumer_is_known_at_the_service_that_it_asks_for() -> None:
    registry = Registry().read(captured("dubbo2-consumer"))
    (consumer,) = registry[f"g1@@{GREETER}#1.0.0"].consumers
    assert (consumer.address, consumer.application) == ("10.99.0.1", "consumer")
    assert registry[f"g1@@{STOCK}#1.0.0"].consumers == ()


def test_remote_metadata_tell_the_same_as_the_urls() -> None:
    """So that an interface is one service while its providers change how they register."""
    tree = captured("dubbo3-remote")
    both = Registry().read(tree)
    without = {path: data for path, data in tree.items() if "/providers/" not in path}
    alone = Registry().read(without)
    for name in (GREETER, STOCK):
        by_urls = {(i.id, i.address, i.ports, i.weight) for i in both[name].instances}
        by_metadata = {(i.id, i.address, i.ports, i.weight) for i in alone[name].instances}
        assert by_urls == by_metadata
    assert alone.reports == []


def test_an_application_that_keeps_its_interfaces_to_itself_is_told_by_the_mapping() -> None:
    tree = captured("dubbo3-instance")
    mapped = Registry().read(tree)
    assert mapped.shown()[STOCK] == [DUBBO, TRI]
    unmapped = Registry().read({p: d for p, d in tree.items() if "/mapping/" not in p})
    assert unmapped.shown() == {"provider": [INSTANCE]}
    (fault,) = unmapped.reports
    assert fault.service == ServiceId("", "", "provider")
    assert fault.record.startswith("interfaces of revision ")
    assert "dial-instances: true" in fault.remedy
    assert unmapped.unreadable[fault.service] == ((fault.service, fault.record),)


def test_a_mapping_adds_nothing_where_an_instance_registers_both_ways() -> None:
    """Nobody ever takes a mapping back, also not for an interface that has moved elsewhere."""
    tree = captured("dubbo3-local") | {"/dubbo/mapping/com.acme.Moved": b"provider,other"}
    assert Registry().read(tree).shown() == Registry().read(captured("dubbo3-local")).shown()


def test_what_the_registry_should_hold_and_does_not_is_told_as_far_as_the_mapping_knows() -> None:
    tree = {
        path: data
        for path, data in captured("dubbo3-remote").items()
        if "/providers/" not in path and not path.startswith("/dubbo/metadata/provider/")
    }
    assert Registry().read(tree).shown()[GREETER] == [DUBBO, TRI]
    unmapped = {path: data for path, data in tree.items() if "/mapping/" not in path}
    registry = Registry().read(unmapped)
    assert registry.shown() == {GREETER: [], STOCK: [], "provider": [INSTANCE]}
    assert "it is not there" in registry.reports[0].reason
    assert registry.reports[0].remedy.startswith("start it again, so that it writes them")


def test_a_guess_is_taken_back_when_the_metadata_come() -> None:
    tree = captured("dubbo3-remote")
    defined = f"/dubbo/metadata/{GREETER}", f"/dubbo/metadata/{STOCK}"
    urls = {p: d for p, d in tree.items() if "/providers" not in p and not p.startswith(defined)}
    metadata = {path for path in urls if path.startswith("/dubbo/metadata/provider/")}
    text = urls[next(iter(metadata))].replace(
        b'"name":"meshbridge', b'"group":"g1","name":"meshbridge'
    )
    registry = Registry().read({path: data for path, data in urls.items() if path not in metadata})
    assert registry.shown()[GREETER] == [DUBBO, TRI]
    (revision,) = registry.holdings.applications.revisions.lacking
    registry.holdings.applications.revisions.failures.clear()
    registry.tree |= dict.fromkeys(metadata, text)
    registry.settle()
    assert revision[0] == "provider"
    assert registry.shown() == {
        f"g1@@{GREETER}": [DUBBO, TRI],
        f"g1@@{STOCK}": [DUBBO, TRI],
        "provider": [INSTANCE],
    }
