"""A ZooKeeper under test, in which Dubbo interfaces and Spring Cloud services are registered."""

import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from robustness.bed import Instances
from robustness.registries import FIRST, LAST, LATER, Fault, later, step

from meshbridge.testing import Endpoint, FaultProxy
from meshbridge.testing.faults import Hang
from rig import zookeeper_crowd
from rig.observing import refuses
from rig.waiting import until
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
        yield ZooKeeperUnderTest(server, way, crowd, older, options)


@dataclass
class ZooKeeperUnderTest:
    """A real ZooKeeper, with a crowd over sessions of its own and the bridge behind a proxy."""

    server: ZooKeeper
    way: FaultProxy
    crowd: ZooKeeperCrowd
    older: Path
    """An older state of its data."""
    options: Mapping[str, object]
    _changes: int = 0

    def host(self, service: str) -> str:
        """Return the host of a service that it holds."""
        return zookeeper_crowd.host(service)

    def faults(self) -> Sequence[Fault]:
        """Return the ways to break it."""
        come_back = self.crowd.process.resume

        async def let_return() -> None:
            come_back()

        return (
            Fault("killed", self._kill, self._start, lasts=10.0),
            # Shorter than the crowd's sessions: it would be a flap of all registrants otherwise.
            Fault("hung", self._hang, self._resume, lasts=6.0, shown_within=11.0),
            Fault("cut off", self._cut_off, self.way.mend, lasts=12.0, shown_within=11.0),
            Fault("wiped", self._wipe, self._start, lasts=1.0, returns=let_return, empties=True),
            Fault("restarted", self._stop, self._start, lasts=0.0),
            Fault(
                "replaced by an older state",
                self._go_back,
                self._start,
                lasts=1.0,
                returns=let_return,
                empties=True,
            ),
        )

    async def change(self) -> tuple[Endpoint, Endpoint]:
        """Register another instance of ``later`` in the place of the one before."""
        self._changes += 1
        await self.crowd.set(LATER, later(self._changes))
        return step(self.host(LATER), self._changes)

    async def refilled(self) -> None:
        """Wait until the crowd has registered all."""
        await self.crowd.settle()

    async def has(self, service: str) -> bool:
        """Whether the service has an instance there."""
        return f"/{service}/" in await self.server.ask("dump")

    async def _kill(self) -> str:
        await self.server.kill()
        return self._refuses()

    async def _stop(self) -> str:
        await self.server.stop()
        return self._refuses()

    async def _start(self) -> None:
        await self.server.start()

    async def _hang(self) -> str:
        self.server.pause()
        try:
            await self.server.ask("ruok")
        except TimeoutError:
            return "its port is open and nothing is answered"
        return ""

    async def _resume(self) -> None:
        self.server.resume()
        await until(self.server.is_up, bool, within=60)

    async def _cut_off(self) -> str:
        await self.way.inject(Hang())
        return f"{self.way.address} forwards nothing"

    async def _wipe(self) -> str:
        self.crowd.process.pause()
        await self.server.kill()
        self.server.wipe()
        return self._refuses()

    async def _go_back(self) -> str:
        refused = await self._wipe()
        shutil.copytree(self.older, self.server.home)
        return refused

    def _refuses(self) -> str:
        return f"{self.server.address} refuses" if refuses(self.server.address) else ""
