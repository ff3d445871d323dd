"""A ZooKeeper that holds whole services, each an interface of Dubbo."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from peers.bed.matrix import Instance, Services
from peers.conftest import make_zookeeper

from meshbridge.testing import FaultProxy
from meshbridge.testing.faults import Refuse
from rig.zookeeper_nodes import Node, provider
from rig.zookeeper_session import Session

SCHEMES = {"": "rest"}
"""Dubbo's name of a protocol, where it is another one; what does not say speaks HTTP."""


@dataclass
class ZooKeeperRegistry:
    """A real ZooKeeper, filled by one application; the bridge comes by a proxy."""

    weighs: ClassVar[bool] = True

    session: Session
    way: FaultProxy
    options: Mapping[str, object]
    domain: str = "dubbo"
    _held: dict[str, Sequence[Node]] = field(default_factory=dict[str, Sequence[Node]])

    def labels(self, instance: Instance) -> Mapping[str, str]:
        """Return its parameters; what it speaks is the scheme of its URL."""
        told = {key: value for key, value in instance.metadata.items() if key != "protocol"}
        return {"application": "crowd", "release": "3.3.6", **told}

    async def hold(self, services: Services) -> None:
        """Register all, then take back what is too much, as a provider does that changes."""
        now = {name: _nodes(name, instances) for name, instances in services.items()}
        for name, nodes in now.items():
            for each in nodes:
                if each in self._held.get(name, ()):
                    await self.session.write(each.path, each.data)
                else:
                    await self.session.hold(each.path, each.data)
        for name, before in self._held.items():
            for each in before:
                if each not in now.get(name, ()):
                    await self.session.remove(each.path)
            if name not in now:
                providers = before[0].path.rpartition("/")[0]
                await self.session.remove(providers)
                await self.session.remove(providers.rpartition("/")[0])
        self._held = dict(now)

    async def go(self) -> None:
        """Let nobody through."""
        await self.way.inject(Refuse())

    async def come_back(self) -> None:
        """Let everybody through."""
        await self.way.mend()


def _nodes(name: str, instances: Sequence[Instance]) -> Sequence[Node]:
    made: list[Node] = []
    for each in instances:
        params = {key: value for key, value in each.metadata.items() if key != "protocol"}
        if each.weight != 1:
            params["weight"] = str(round(100 * each.weight))
        speaks = each.metadata.get("protocol", "")
        scheme = SCHEMES.get(speaks, speaks)
        made.append(provider(name, scheme, each.address, each.port, params))
    return made


@asynccontextmanager
async def zookeeper(directory: Path) -> AsyncGenerator[ZooKeeperRegistry]:
    """Run a ZooKeeper of one's own that holds nothing, and one application."""
    async with (
        make_zookeeper(directory) as server,
        Session(server.address) as session,
        FaultProxy("127.0.0.1", server.port) as way,
    ):
        options = {
            "adapter": "zookeeper-dubbo",
            "servers": [way.address],
            "guard": {"settle": "0s", "hold-service": "0s", "allow-empty": True},
        }
        yield ZooKeeperRegistry(session, way, options)
