"""What real Dubbo 2.7 and 3.3 registered in Nacos 2.5 and 3.1 is read as it was meant.

The expectations are written by hand, after what the applications of the test bed were told to do;
they are those of the same applications in ZooKeeper.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from meshbridge import Consumer, Health, Instance, InstancePort, Kind, RegisteredService
from meshbridge_dubbo import read_metadata
from meshbridge_nacos.dubbo import Registrations
from meshbridge_nacos.parse import Record, read_service, service_id

CORPUS = Path(__file__).parents[2] / "corpus"
HOST = "10.99.0.1"
STARTED = 1_767_225_600.0
GREETER, STOCK = "meshbridge.peers.Greeter", "meshbridge.peers.Stock"
SHOP = ("shop", "d766262951fb8e1944fe7fb2b1fcc720")


def record(file: Path) -> Record:
    return cast("Record", json.loads(file.read_text()))


def held(release: str) -> dict[str, RegisteredService]:
    registrations = Registrations("public", "DEFAULT_GROUP")
    for file in (CORPUS / release).glob("*/pushed.json"):
        info = cast("dict[str, str]", record(file)["serviceInfo"])
        if info["groupName"] == "DEFAULT_GROUP":
            identity = service_id("public", "DEFAULT_GROUP", info["name"])
            registrations.put(info["name"], read_service(identity, info))
    for _ in registrations.take():
        pass
    assert list(registrations.applications.revisions.wanted) == [SHOP]
    registrations.applications.learn(SHOP, read_metadata(configuration(*SHOP).encode()))
    for _ in registrations.take():
        pass
    services, unreadable = registrations.listing()
    assert unreadable == ()
    return {str(each.id): each for each in services}


def configuration(data_id: str, group: str) -> str:
    """Return a text of which only the list of Nacos 2 holds the contents."""
    items = cast("list[dict[str, str]]", record(CORPUS / "nacos2" / "configs.json")["pageItems"])
    (found,) = (
        each["content"] for each in items if (each["dataId"], each["group"]) == (data_id, group)
    )
    return found


def provider(protocol: str, port: int, labels: Mapping[str, str], weight: float = 1.0) -> Instance:
    zone = f"{labels['region']}/{labels['zone']}" if "zone" in labels else ""
    return Instance(
        f"{protocol}://{HOST}:{port}",
        HOST,
        (InstancePort(port, protocol),),
        weight,
        Health.HEALTHY,
        tuple(sorted(labels.items())),
        zone,
        STARTED,
    )


@pytest.fixture(scope="module", params=["nacos2", "nacos3"])
def services(request: pytest.FixtureRequest) -> dict[str, RegisteredService]:
    return held(request.param)


def test_interfaces_of_both_releases(services: dict[str, RegisteredService]) -> None:
    place = {"region": "hz", "zone": "z1"}
    new = {"application": "till", "group": "g1", "version": "1.0.0", "release": "3.3.6", **place}
    old = {"application": "depot", "group": "g2", "version": "2.7.0", "release": "2.7.23", **place}
    assert services[f"g1@@{GREETER}#1.0.0"].instances == (
        provider("dubbo", 20010, new, 0.5),
        provider("tri", 20020, new, 0.5),
    )
    assert services[f"g2@@{GREETER}#2.7.0"].instances == (provider("dubbo", 20070, old, 0.5),)
    assert services[f"g1@@{GREETER}#1.0.0"].kind is Kind.DUBBO_INTERFACE


def test_an_application_by_its_interfaces_and_one_by_its_metadata(
    services: dict[str, RegisteredService],
) -> None:
    pay = {"application": "pay", "release": "3.3.6"}
    shop = provider(
        "dubbo", 20050, {"application": "shop", "release": "3.3.6", "dubbo.tag": "gray"}
    )
    assert services[STOCK].instances == (
        provider("dubbo", 20030, pay),
        shop,
        provider("tri", 20040, pay),
    )
    assert services[GREETER].instances == (shop,)
    (instance,) = services["pay"].instances
    assert instance == Instance(
        f"{HOST}:20030",
        HOST,
        (InstancePort(20030, "dubbo"), InstancePort(20040, "tri")),
        metadata=(("release", "3.3.6"),),
        registered_at=STARTED,
    )
    (instance,) = services["shop"].instances
    assert instance.metadata == (("dubbo.tag", "gray"), ("release", "3.3.6"))


def test_consumers_are_told_with_what_they_call_and_are_no_services(
    services: dict[str, RegisteredService],
) -> None:
    assert services[f"g1@@{GREETER}#1.0.0"].consumers == (
        Consumer(
            f"{HOST}#web#1",
            HOST,
            "web",
            (("application", "web"), ("group", "g1"), ("release", "3.3.6"), ("version", "1.0.0")),
        ),
    )
    (desk,) = services[f"g2@@{GREETER}#2.7.0"].consumers
    assert desk.application == "desk"
    assert not any("consumers" in name for name in services)


def test_what_is_not_dubbos_is_as_it_was(services: dict[str, RegisteredService]) -> None:
    assert services["empty"] == RegisteredService(service_id("public", "DEFAULT_GROUP", "empty"))
    assert {each.health for each in services["sick"].instances} == {Health.DEGRADED}
    assert sorted(each.weight for each in services["mixed"].instances) == [0.0, 1.0, 2.5]
