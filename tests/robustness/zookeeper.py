"""A ZooKeeper under test, in which Dubbo interfaces and Spring Cloud services are registered."""

import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from robustness.bed import Instances
from robustness.registries import FIRST, LAST, LATER, Fault, ServerUnderTest, later

from meshbridge.testing import FaultProxy
from rig import zookeeper_crowd
from rig.zookeeper import ZooKeeper
from rig.zookeeper_crowd import ZooKeeperCrowd

SESSIONS = {"maxSessionTimeout": "40000"}
"""What ZooKeeper allows by itself; the crowd's outlive a server that hangs, as Dubbo's would."""
BRIEF = 2.0
"""Seconds that the sessions of an older state go on once that is in place."""
OLDER = 3
"""One of so many services is in the older state."""


@asynccontextmanager
async def zookeeper(
    directory: Path, services: Mapping[str, Instances]
) -> AsyncGenerator["ZooKeeperUnderTest"]:
    """Run a ZooKeeper that holds the services, behind a proxy that the bridge is told of."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ZooKeeper(directory, settings=SESSIONS))
        older = directory / "older"
        earlier = ZooKeeperCrowd(server.address, directory, name="earlier", lasts=BRIEF)
        async with earlier:
            await earlier.fill(dict(list(services.items())[::OLDER]))
            await server.stop()
            shutil.copytree(server.home, older)
            await server.start()
        way = await stack.enter_async_context(FaultProxy("127.0.0.1", server.port))
        crowd = await stack.enter_async_context(ZooKeeperCrowd(server.address, directory))
        await crowd.fill({**services, LATER: later(0)})
        await crowd.pace(FIRST, LAST)
        options = {"adapter": "zookeeper-dubbo", "servers": [way.address]}
        yield ZooKeeperUnderTest(server, way, crowd, options, older)


@dataclass
class ZooKeeperUnderTest(ServerUnderTest[ZooKeeper, ZooKeeperCrowd]):
    """A real ZooKeeper."""

    older: Path
    """An older state of its data."""

    @property
    def door(self) -> str:
        """Its one port."""
        return self.server.address

    def host(self, service: str) -> str:
        """Return the host of a service that it holds."""
        return zookeeper_crowd.host(service)

    def faults(self) -> Sequence[Fault]:
        """Return the ways to break it."""
        return (
            Fault("killed", self._kill, self._start, lasts=10.0),
            # Shorter than the crowd's sessions: it would be a flap of all registrants otherwise.
            Fault("hung", self._hang, self._resume, lasts=6.0, shown_within=11.0),
            Fault("cut off", self._cut_off, self.way.mend, lasts=12.0, shown_within=11.0),
            Fault(
                "wiped", self._wipe, self._start, lasts=1.0, returns=self._let_return, empties=True
            ),
            Fault("restarted", self._stop, self._start, lasts=0.0),
            Fault(
                "replaced by an older state",
                self._go_back,
                self._start,
                lasts=1.0,
                returns=self._let_return,
                empties=True,
            ),
        )

    async def has(self, service: str) -> bool:
        """Whether the service has an instance there."""
        return f"/{service}/" in await self.server.ask("dump")

    async def _ask(self) -> None:
        await self.server.ask("ruok")

    async def _go_back(self) -> str:
        refused = await self._wipe()
        shutil.copytree(self.older, self.server.home)
        return refused
