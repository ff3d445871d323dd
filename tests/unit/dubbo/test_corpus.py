"""What real Dubbo 2.7, Dubbo 3.3 and Spring Cloud wrote into ZooKeeper is read as it was meant.

The expectations are written by hand, after what the applications of the test bed were told to do.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from meshbridge import Consumer, Health, Instance, InstancePort, ServiceId
from meshbridge_dubbo import (
    ApplicationInstance,
    ApplicationMetadata,
    Framework,
    MetadataService,
    application_instance,
    guessed_providers,
    parse_url,
    providers_of,
    read_consumer,
    read_instance,
    read_mapping,
    read_metadata,
    read_provider,
)

CORPUS = Path(__file__).parents[2] / "corpus" / "zookeeper"
HOST = "10.99.0.1"
STARTED = 1_767_225_600.0
GREETER, STOCK = "meshbridge.peers.Greeter", "meshbridge.peers.Stock"
DUBBO3 = (("application", "provider"), ("release", "3.3.6"))
PARAMETERS = (
    ("application", "provider"),
    ("dubbo.tag", "gray"),
    ("group", "g1"),
    ("owner", "ann"),
    ("region", "hz"),
    ("release", "3.3.6"),
    ("version", "1.0.0"),
    ("zone", "z1"),
)
BOTH = (InstancePort(20010, "dubbo"), InstancePort(20020, "tri"))

Endpoint = tuple[str, str, float, str, tuple[tuple[str, str], ...]]
"""Id, service, weight, zone and metadata."""


def nodes(name: str) -> dict[str, str]:
    held = cast("list[dict[str, str]]", json.loads((CORPUS / f"{name}.json").read_text()))
    return {each["path"]: each["text"] for each in held}


def below(name: str, part: str) -> Iterator[str]:
    """The names of the nodes below each interface's ``part``."""
    for path in nodes(name):
        steps = path.split("/")
        if len(steps) == 5 and steps[1] == "dubbo" and steps[3] == part:
            yield steps[4]


def endpoints(name: str) -> set[Endpoint]:
    found: set[Endpoint] = set()
    for each in below(name, "providers"):
        provider = read_provider(parse_url(each))
        instance = provider.instance
        scheme, _, rest = instance.id.partition("://")
        port = int(rest.rpartition(":")[2])
        assert instance.address == HOST
        assert instance.ports == (InstancePort(port, scheme),)
        assert instance.registered_at == STARTED
        assert instance.health is Health.HEALTHY
        assert provider.application == "provider"
        assert provider.methods == {GREETER: "greet", STOCK: "count"}[provider.service.name]
        found.add(
            (
                instance.id,
                str(provider.service),
                instance.weight,
                instance.zone,
                instance.metadata,
            )
        )
    return found


def instances(name: str) -> list[ApplicationInstance]:
    return [
        read_instance(path.split("/")[2], path.split("/")[3], text.encode())
        for path, text in nodes(name).items()
        if path.startswith("/services/") and path.count("/") == 3
    ]


def by_both_protocols(
    suffix: str, weight: float, zone: str, metadata: tuple[tuple[str, str], ...]
) -> set[Endpoint]:
    prefix, version = suffix.split("#") if "#" in suffix else (suffix, "")
    return {
        (url, f"{prefix}{interface}{'#' + version if version else ''}", weight, zone, metadata)
        for url in ("dubbo://10.99.0.1:20010", "tri://10.99.0.1:20020")
        for interface in (GREETER, STOCK)
    }


@pytest.mark.parametrize("name", ["dubbo3-interface", "dubbo3-local", "dubbo3-remote"])
def test_dubbo_3_registers_each_interface_with_each_protocol(name: str) -> None:
    assert endpoints(name) == by_both_protocols("", 1.0, "", DUBBO3)


def test_dubbo_3_tells_group_version_weight_tag_and_place() -> None:
    expected = by_both_protocols("g1@@#1.0.0", 0.5, "hz/z1", PARAMETERS)
    assert endpoints("dubbo3-parameters") == expected


@pytest.mark.parametrize("name", ["dubbo2", "dubbo2-consumer"])
def test_dubbo_2_7_registers_one_url_for_each_interface(name: str) -> None:
    found = endpoints(name)
    assert found <= {
        (
            "dubbo://10.99.0.1:20010",
            f"g1@@{interface}#1.0.0",
            0.5,
            "",
            (
                ("application", "provider"),
                ("group", "g1"),
                ("release", "2.7.23"),
                ("version", "1.0.0"),
            ),
        )
        for interface in (GREETER, STOCK)
    }
    assert len(found) == 2


@pytest.mark.parametrize("name", ["dubbo2-gone", "dubbo3-gone", "dubbo3-instance", "spring-cloud"])
def test_where_no_interface_is_registered_there_is_no_provider(name: str) -> None:
    assert list(below(name, "providers")) == []


def test_consumers_say_what_they_ask_for() -> None:
    (two,) = below("dubbo2-consumer", "consumers")
    assert read_consumer(parse_url(two)) == (
        ServiceId("", "g1", GREETER, "1.0.0"),
        Consumer(
            "10.99.0.1#consumer#1",
            HOST,
            "consumer",
            (
                ("application", "consumer"),
                ("group", "g1"),
                ("release", "2.7.23"),
                ("version", "1.0.0"),
            ),
        ),
    )
    (three,) = below("dubbo3-consumer", "consumers")
    service, consumer = read_consumer(parse_url(three))
    assert service == ServiceId("", "", GREETER)
    assert consumer.application == "consumer"


@pytest.mark.parametrize("name", ["dubbo3-instance", "dubbo3-local", "dubbo3-consumer"])
def test_an_application_of_dubbo_3_tells_both_ports_and_its_metadata_service(name: str) -> None:
    assert instances(name) == [
        ApplicationInstance(
            "provider",
            Instance("10.99.0.1:20010", HOST, BOTH, registered_at=STARTED),
            Framework.DUBBO,
            "de9193a97c2e9ca135a6cef725395370",
            "local",
            "2.0.0",
            MetadataService(20020, "tri", "2.0.0"),
            exports=True,
        )
    ]


def test_weight_and_tag_are_not_told_of_an_application() -> None:
    (instance,) = instances("dubbo3-parameters")
    assert instance.instance == Instance("10.99.0.1:20010", HOST, BOTH, registered_at=STARTED)
    assert instance.answers_over_triple


def test_remote_metadata_tell_the_providers_that_the_interfaces_tell() -> None:
    (instance,) = instances("dubbo3-remote")
    assert (instance.storage, instance.revision) == ("remote", "30489efb0c96c1f60406ab6f53b55a93")
    assert instance.metadata_service is None
    text = nodes("dubbo3-remote")[f"/dubbo/metadata/provider/{instance.revision}"]
    metadata = read_metadata(text.encode())
    assert (metadata.application, metadata.revision) == ("provider", instance.revision)
    served = providers_of(instance, metadata)
    assert served.faults == ()
    assert {
        (each.service.name, each.instance.id, each.instance.metadata) for each in served.providers
    } == {
        (interface, url, DUBBO3)
        for interface in (GREETER, STOCK)
        for url in ("dubbo://10.99.0.1:20010", "tri://10.99.0.1:20020")
    }
    assert {each.instance for each in served.providers} == {
        read_provider(parse_url(each)).instance for each in below("dubbo3-remote", "providers")
    }
    assert application_instance(instance, served.providers) == Instance(
        "10.99.0.1:20010", HOST, BOTH, metadata=(("release", "3.3.6"),), registered_at=STARTED
    )


def test_the_mapping_in_reverse_tells_the_interfaces_of_an_application() -> None:
    held = nodes("dubbo3-instance")
    mapped = {
        path.rpartition("/")[2]: read_mapping(text.encode())
        for path, text in held.items()
        if path.startswith("/dubbo/mapping/")
    }
    assert mapped == {GREETER: {"provider"}, STOCK: {"provider"}}
    (instance,) = instances("dubbo3-instance")
    served = guessed_providers(instance, mapped)
    assert {(each.service.name, each.instance.id) for each in served.providers} == {
        (interface, url)
        for interface in (GREETER, STOCK)
        for url in ("dubbo://10.99.0.1:20010", "tri://10.99.0.1:20020")
    }


def test_an_instance_of_spring_cloud_keeps_its_metadata() -> None:
    assert instances("spring-cloud") == [
        ApplicationInstance(
            "orders",
            Instance(
                "00000000-0000-4000-8000-000000000001",
                "127.0.0.1",
                (InstancePort(20010),),
                metadata=(("my_key", "under_score"), ("version", "v1"), ("zone", "z1")),
                zone="z1",
                registered_at=STARTED,
            ),
            Framework.SPRING,
        )
    ]


def test_empty_metadata_export_nothing() -> None:
    assert read_metadata(b'{"app":"provider","revision":"0","services":{}}') == ApplicationMetadata(
        "provider", "0", ()
    )
