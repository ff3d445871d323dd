"""A Eureka under test, whose instances renew their leases as Spring Cloud's do."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from robustness.bed import Instances
from robustness.registries import FIRST, LAST, LATER, Fault, ServerUnderTest, later

from meshbridge.testing import FaultProxy
from rig import eureka_crowd
from rig.eureka import Eureka
from rig.eureka_crowd import EurekaCrowd

INTERVAL: Final = 2.0
"""Seconds between two questions of the bridge; 5 where nobody says otherwise."""
ANSWER: Final = 10.0
"""Seconds that the bridge waits for an answer."""


@asynccontextmanager
async def eureka(
    directory: Path, services: Mapping[str, Instances]
) -> AsyncGenerator["EurekaUnderTest"]:
    """Run a Eureka that holds the services, behind a proxy that the bridge is told of."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Eureka(directory))
        way = await stack.enter_async_context(FaultProxy("127.0.0.1", server.port))
        crowd = EurekaCrowd(server.address, directory, renews=LAST)
        await stack.enter_async_context(crowd)
        await crowd.fill({**services, LATER: later(0)})
        await crowd.pace(FIRST, LAST)
        yield EurekaUnderTest(server, way, crowd, options(way.address))


def options(address: str, interval: float = INTERVAL) -> Mapping[str, object]:
    """Return how a bridge is told of a server."""
    return {
        "adapter": "eureka",
        "servers": [f"http://{address}/eureka"],
        "interval": f"{interval:g}s",
    }


@dataclass
class EurekaUnderTest(ServerUnderTest[Eureka, EurekaCrowd]):
    """A real Eureka."""

    @property
    def door(self) -> str:
        """Its one port."""
        return self.server.address

    def host(self, service: str) -> str:
        """Return the host of a service that it holds."""
        return eureka_crowd.host(service)

    def faults(self) -> Sequence[Fault]:
        """Return the ways to break it."""
        soon, late = INTERVAL + 1, INTERVAL + ANSWER + 1
        return (
            Fault("killed", self._kill, self._start, lasts=10.0, shown_within=soon),
            Fault("hung", self._hang, self._resume, lasts=12.0, shown_within=late),
            Fault("cut off", self._cut_off, self.way.mend, lasts=12.0, shown_within=late),
            Fault(
                "wiped",
                self._wipe,
                self._start,
                lasts=1.0,
                shown_within=soon,
                returns=self._let_return,
                empties=True,
            ),
            Fault("restarted", self._stop, self._start, lasts=0.0, shown_within=soon),
        )

    async def has(self, service: str) -> bool:
        """Whether the service has an instance there."""
        return service.upper() in await self.server.applications()

    async def _ask(self) -> None:
        limit = aiohttp.ClientTimeout(total=1)
        async with aiohttp.ClientSession(timeout=limit) as session:
            await session.get(f"http://{self.server.address}/eureka/apps")
