"""What Dubbo and Spring Cloud leave in ZooKeeper: the tree below /dubbo and /services."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from rig import ports
from rig.corpus.apart import FIRST_PORT, HOST, STEP
from rig.corpus.settling import settled
from rig.corpus.shelf import Shelf
from rig.corpus.znodes import Node, connected
from rig.dubbo import Consumer, Need, Offer, Provider
from rig.java import LOOPBACK
from rig.making import say
from rig.spring import Member, SpringService
from rig.zookeeper import ZooKeeper

ROOTS = ("/dubbo", "/services")
ASKED = "getData and getChildren, from /dubbo and /services down"
BOTH = ("dubbo", "tri")
DUBBO3 = Offer(
    name="provider", host=HOST, protocols=BOTH, mode="all", metadata="local", registry=""
)
"""The provider that most scenes are about, but for its registry."""
WITH = "A Dubbo 3 provider with group, version, weight, tag, zone, region"
TWO = "A Dubbo 3 provider with two interfaces over dubbo and tri"
SCENES: tuple[tuple[str, int, Offer, str], ...] = (
    (
        "dubbo3-remote",
        5,
        replace(DUBBO3, metadata="remote"),
        "A Dubbo 3 provider whose metadata is in ZooKeeper, too.",
    ),
    (
        "dubbo3-interface",
        4,
        replace(DUBBO3, mode="interface"),
        f"{TWO} that registers each of its interfaces only, as before Dubbo 3.",
    ),
    (
        "dubbo3-instance",
        1,
        replace(DUBBO3, mode="instance"),
        f"{TWO} that registers its application only.",
    ),
    (
        "dubbo3-parameters",
        5,
        replace(
            DUBBO3,
            group="g1",
            version="1.0.0",
            weight=50,
            tag="gray",
            zone="z1",
            region="hz",
            params={"owner": "ann"},
        ),
        f"{WITH} and a parameter of its own.",
    ),
)
"""A provider alone: its scene, how many ephemeral nodes it makes, and what it is."""


async def capture(folder: Path, shelf: Shelf) -> None:
    """Let each application write into a ZooKeeper of its own, and keep what is there then."""
    await _dubbo3_and_its_end(folder, shelf)
    for name, ephemerals, offer, what in SCENES:
        async with (
            _scene(folder, shelf, name) as scene,
            Provider(scene.folder, replace(offer, registry=scene.registry)),
        ):
            await scene.keep(name, ephemerals, what)
    await _dubbo2(folder, shelf)
    await _spring_cloud(folder, shelf)


async def _dubbo3_and_its_end(folder: Path, shelf: Shelf) -> None:
    async with _scene(folder, shelf, "dubbo3-local") as scene:
        offer = replace(DUBBO3, registry=scene.registry)
        need = Need(name="consumer", host=HOST, registry=scene.registry, mode="all")
        async with Provider(scene.folder, offer):
            what = f"{TWO}, registered both ways; it tells its metadata itself."
            await scene.keep("dubbo3-local", 5, what)
            async with Consumer(scene.folder, need):
                await scene.keep("dubbo3-consumer", 6, "The same, and a Dubbo 3 consumer of one.")
        what = "What is left of these two when both have gone: all of it stays for ever."
        await scene.keep("dubbo3-gone", 0, what)


async def _dubbo2(folder: Path, shelf: Shelf) -> None:
    async with _scene(folder, shelf, "dubbo2") as scene:
        offer = Offer(
            name="provider",
            host=HOST,
            release=2,
            registry=scene.registry,
            group="g1",
            version="1.0.0",
            weight=50,
        )
        need = Need(
            name="consumer",
            host=HOST,
            release=2,
            registry=scene.registry,
            group="g1",
            version="1.0.0",
        )
        async with Provider(scene.folder, offer):
            what = "A Dubbo 2.7 provider with group, version and weight."
            await scene.keep("dubbo2", 2, what)
            async with Consumer(scene.folder, need):
                await scene.keep("dubbo2-consumer", 3, "The same, and a Dubbo 2.7 consumer of one.")
        await scene.keep("dubbo2-gone", 0, "What is left of these two when both have gone.")
    async with _scene(folder, shelf, "dubbo2-instance") as scene:
        registry = f"{scene.registry}?registry-type=service"
        offer = Offer(name="provider", host=HOST, release=2, registry=registry)
        async with Provider(scene.folder, offer):
            what = "A Dubbo 2.7 provider with two interfaces that registers its application only."
            await scene.keep("dubbo2-instance", 1, what)


async def _spring_cloud(folder: Path, shelf: Shelf) -> None:
    async with _scene(folder, shelf, "spring-cloud") as scene:
        member = Member(
            kind="zookeeper",
            name="spring",
            service="orders",
            registry=scene.address,
            version="v1",
            zone="z1",
            metadata={"my_key": "under_score"},
        )
        async with SpringService(scene.folder, member):
            await scene.keep("spring-cloud", 1, "A Spring Cloud service with metadata.")


class _Scene:
    """A ZooKeeper to which one thing after the other happens."""

    def __init__(self, folder: Path, shelf: Shelf, server: ZooKeeper) -> None:
        self.folder = folder
        self.registry = f"zookeeper://{server.address}"
        self.address = server.address
        self._port = server.port
        self._shelf = shelf

    async def keep(self, name: str, ephemerals: int, what: str) -> None:
        """Keep the tree once it has so many ephemeral nodes and changes no more."""
        async with connected(LOOPBACK, self._port) as client:

            async def look() -> list[Node]:
                return [node for root in ROOTS for node in await client.tree(root)]

            def complete(nodes: list[Node]) -> bool:
                return sum(node.ephemeral for node in nodes) == ephemerals

            nodes = await settled(look, complete)
        told = [node.told() for node in nodes]
        self._shelf.put_json(name, told, what=what, asked=ASKED)
        say(f"{self._shelf.part}: {name}, {len(nodes)} nodes")


@asynccontextmanager
async def _scene(folder: Path, shelf: Shelf, name: str) -> AsyncGenerator[_Scene]:
    ports.in_order(FIRST_PORT, STEP)
    own = folder / name
    async with ZooKeeper(own) as server:
        yield _Scene(own, shelf, server)
