"""What Nacos lists and pushes of services of Spring Cloud, of Dubbo, and of odd ones."""

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

from rig import ports
from rig.application import Application
from rig.corpus.apart import FIRST_PORT, HOST, STEP
from rig.corpus.http import ask
from rig.corpus.nacos_asked import DEFAULT, ORDERS, Orders, Release, of_all, of_service
from rig.corpus.pushes import subscriber
from rig.corpus.scrub import scrub
from rig.corpus.settling import settled
from rig.corpus.shelf import Shelf
from rig.dubbo import Consumer, Need, Offer, Provider
from rig.java import LOOPBACK
from rig.making import say
from rig.nacos import Nacos
from rig.spring import Member, SpringService

GROUP, OTHER_GROUP = "DEFAULT_GROUP", "G_MY"
CLUSTER = "hz"
SETTINGS = {"nacos.naming.clean.empty-service.expired-time": "3600000"}
"""So that the empty service is still there when it is asked for: it would go after a minute."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service whose answers are kept, in a folder of its own."""

    folder: str
    name: str
    instances: int
    """That are registered."""
    what: str
    group: str = GROUP
    clusters: tuple[str, ...] = (DEFAULT,)


SERVICES = (
    Service(
        "spring-cloud",
        "orders",
        1,
        "A Spring Cloud service with group, cluster, weight and metadata",
        group=OTHER_GROUP,
        clusters=(CLUSTER,),
    ),
    Service(
        "dubbo3-interface",
        "providers:meshbridge.peers.Greeter:1.0.0:g1",
        2,
        "A Dubbo 3 interface with version, group and weight, over dubbo and tri",
    ),
    Service(
        "dubbo3-consumer",
        "consumers:meshbridge.peers.Greeter:1.0.0:g1",
        1,
        "A Dubbo 3 consumer of that interface, which registers only where it is told to",
    ),
    Service(
        "dubbo3-plain",
        "providers:meshbridge.peers.Stock::",
        2,
        "A Dubbo 3 interface without version or group, over dubbo and tri",
    ),
    Service(
        "dubbo2",
        "providers:meshbridge.peers.Greeter:2.7.0:g2",
        1,
        "A Dubbo 2.7 interface with version, group and weight",
    ),
    Service(
        "dubbo2-consumer",
        "consumers:meshbridge.peers.Greeter:2.7.0:g2",
        1,
        "A Dubbo 2.7 consumer of that interface",
    ),
    Service("dubbo3-local", "pay", 1, "A Dubbo 3 application that tells its metadata itself"),
    Service("dubbo3-remote", "shop", 1, "A Dubbo 3 application whose metadata is in Nacos"),
    Service(
        "mixed",
        "mixed",
        4,
        "A service of instances that are well, switched off, sick, and without weight elsewhere",
        clusters=(DEFAULT, CLUSTER),
    ),
    Service("sick", "sick", 2, "A service whose instances are all sick, and are called well"),
    Service("empty", "empty", 0, "A service without instances"),
)


CATALOG = {2: "/v1/ns/catalog/services", 3: "/v3/admin/ns/service/list"}
"""Where it counts the instances of each service."""


class _Counted(TypedDict):
    name: str
    ipCount: int


async def capture(folder: Path, shelf: Shelf, *, release: Release) -> None:
    """Let all of them register in one Nacos, and keep what it says to whom."""
    ports.in_order(FIRST_PORT, STEP)
    async with AsyncExitStack() as running:
        server = Nacos(folder, release=release, settings=SETTINGS)
        await running.enter_async_context(server)
        say(f"{shelf.part}: the server runs")
        base = f"http://{server.address}"
        await _odd_services(server, base, ORDERS[release])
        for application in _applications(folder, server.address):
            await running.enter_async_context(application)
        say(f"{shelf.part}: the applications run")
        await _wait(base, release)
        await _keep_answers(shelf, base, release)
        await _keep_pushes(shelf, server.port)


def _applications(folder: Path, address: str) -> list[Application]:
    """Return them in the order in which they are to start: Nacos lists them in that."""
    registry = f"nacos://{address}"
    both = ("dubbo", "tri")
    interface = Offer(
        name="interface",
        app="till",
        host=HOST,
        registry=registry,
        mode="interface",
        protocols=both,
        group="g1",
        version="1.0.0",
        weight=50,
        zone="z1",
        region="hz",
    )
    local = Offer(name="local", app="pay", host=HOST, registry=registry, mode="all", protocols=both)
    remote = Offer(
        name="remote",
        app="shop",
        host=HOST,
        registry=registry,
        mode="instance",
        metadata="remote",
        tag="gray",
    )
    spring = Member(
        kind="nacos",
        name="spring",
        service="orders",
        registry=address,
        group=OTHER_GROUP,
        zone=CLUSTER,
        version="v2",
        weight=2.5,
        metadata={"gray": "true"},
    )
    old = Offer(
        name="old",
        app="depot",
        host=HOST,
        release=2,
        registry=registry,
        group="g2",
        version="2.7.0",
        weight=50,
        zone="z1",
        region="hz",
    )
    buyer = Need(
        name="buyer",
        app="web",
        host=HOST,
        registry=f"{registry}?register-consumer-url=true",
        mode="interface",
        group="g1",
        version="1.0.0",
    )
    old_buyer = Need(
        name="old-buyer",
        app="desk",
        host=HOST,
        release=2,
        registry=registry,
        group="g2",
        version="2.7.0",
    )
    return [
        *(Provider(folder, offer) for offer in (interface, local, remote)),
        SpringService(folder, spring),
        Provider(folder, old),
        *(Consumer(folder, need) for need in (buyer, old_buyer)),
    ]


async def _odd_services(server: Nacos, base: str, orders: Orders) -> None:
    """Make the services that no application makes; their instances are checked by nobody."""
    for name in ("mixed", "sick", "empty"):
        named = {"serviceName": name, "groupName": GROUP}
        await ask(base, orders.service, {**named, "protectThreshold": "0"}, method="POST")
        unchecked = {"checkPort": "80", "useInstancePort4Check": "true"}
        unchecked |= {"healthChecker": json.dumps({"type": "NONE"})}
        for cluster in (DEFAULT, CLUSTER):
            parameters = {**named, **unchecked, "clusterName": cluster}
            await ask(base, orders.cluster, parameters, method="PUT")
    version = {"version": "v1"}
    await server.register("mixed", "10.99.0.2", 8080, weight=2.5, metadata=version)
    await server.register("mixed", "10.99.0.3", 8080, enabled=False)
    await server.register("mixed", "10.99.0.5", 8080, weight=0, cluster=CLUSTER)
    for name, address in (("mixed", "10.99.0.4"), ("sick", "10.99.0.6"), ("sick", "10.99.0.7")):
        sick = {"serviceName": name, "groupName": GROUP, "ip": address, "port": "8080"}
        sick |= {"ephemeral": "false", "healthy": "false"}
        await ask(base, orders.instance, sick, method="POST")


async def _wait(base: str, release: Release) -> None:
    """Wait until all is registered that is to be, and nothing changes any more."""
    expected = {each.name: each.instances for each in SERVICES}

    async def look() -> dict[str, str]:
        answers = [await ask(base, each.path, each.query) for each in of_all(release)]
        return {each.asked: scrub(each.text) for each in answers}

    def complete(seen: dict[str, str]) -> bool:
        (catalog,) = [text for asked, text in seen.items() if CATALOG[release] in asked]
        counts = _counts(catalog, release)
        return {name: counts.get(name) for name in expected} == expected

    await settled(look, complete)


def _counts(catalog: str, release: Release) -> dict[str, int]:
    """Return how many instances each service has."""
    answer = json.loads(catalog)
    listed = answer["serviceList"] if release == 2 else answer["data"]["pageItems"]
    return {each["name"]: each["ipCount"] for each in cast("list[_Counted]", listed)}


async def _keep_answers(shelf: Shelf, base: str, release: Release) -> None:
    for each in of_all(release):
        answer = await ask(base, each.path, each.query)
        shelf.put_answer(each.file, answer, what=each.what, unordered=True)
    for service in SERVICES:
        named = (release, service.group, service.name, service.clusters)
        for each in of_service(*named, empty=not service.instances):
            answer = await ask(base, each.path, each.query, expected=each.expected)
            file, what = f"{service.folder}/{each.file}", f"{service.what}. {each.what}"
            shelf.put_answer(file, answer, what=what, unordered=True)
    say(f"{shelf.part}: HTTP is answered")


async def _keep_pushes(shelf: Shelf, port: int) -> None:
    async with subscriber(LOOPBACK, port) as client:
        for service in SERVICES:
            heard = await client.subscribe(service.group, service.name)
            for file, text, what in (
                ("subscribed", heard.answer, "What a subscription is answered by."),
                ("pushed", heard.push, "What is pushed then, 0.6 s later."),
            ):
                shelf.put_json(
                    f"{service.folder}/{file}",
                    text,
                    what=f"{service.what}. {what}",
                    asked=f"SubscribeServiceRequest {service.group}@@{service.name}, over gRPC",
                    unordered=True,
                )
    say(f"{shelf.part}: all is pushed")
