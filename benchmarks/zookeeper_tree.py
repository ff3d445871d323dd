"""A large tree of Dubbo's in a real ZooKeeper."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.zookeeper import ZooKeeper
from rig.zookeeper_nodes import provider
from rig.zookeeper_session import Session

_FILLER = {
    "anyhost": "true",
    "deprecated": "false",
    "dynamic": "true",
    "generic": "false",
    "metadata-type": "remote",
    "methods": ",".join(f"operation{number:02}" for number in range(6)),
    "pid": "12345",
    "service-name-mapping": "true",
}
"""It makes a node's name as long as those of real providers: 530 bytes."""
_AT_ONCE = 50
"""Services that are written together."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A ZooKeeper that holds so many services, and a session that writes there."""

    server: ZooKeeper
    session: Session
    services: int
    instances: int

    async def add(self, number: int, address: str, port: int, scheme: str = "dubbo") -> str:
        """Let a service have one instance more; return its node's path."""
        path = provider(interface(number), scheme, address, port, _FILLER).path
        await self.session.write(path)
        return path


def interface(number: int) -> str:
    """Return what a service of the tree is called."""
    return f"com.acme.shop.module{number % 40:02}.Service{number:05}"


@asynccontextmanager
async def filled(
    directory: Path, services: int, instances: int, say: Callable[[str], None]
) -> AsyncGenerator[Tree]:
    """Run a ZooKeeper that holds so many; what is in it stays, whoever goes.

    The nodes are persistent, which makes no difference to who reads them: one session with as many
    ephemeral ones would leave a transaction behind that no ZooKeeper starts with again.
    """
    async with ZooKeeper(directory, tuned=True) as server, Session(server.address) as session:
        tree = Tree(server, session, services, instances)
        numbers = iter(range(services))

        async def write() -> None:
            for number in numbers:
                if number % 2500 == 0:
                    say(f"filling ZooKeeper: {number:,} of {services:,} services")
                await _write(tree, number)

        await session.write("/dubbo")
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(write())
        yield tree


async def _write(tree: Tree, number: int) -> None:
    parent = f"/dubbo/{interface(number)}"
    await tree.session.write(parent)
    for below in ("providers", "configurators"):
        await tree.session.write(f"{parent}/{below}")
    addresses = (
        f"10.{1 + place}.{number // 250}.{1 + number % 250}" for place in range(tree.instances)
    )
    await asyncio.gather(*(tree.add(number, address, 20880) for address in addresses))
