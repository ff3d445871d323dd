"""A Nacos under test, of either release."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
from robustness.bed import Instances
from robustness.registries import FIRST, LAST, LATER, Fault, ServerUnderTest, later

from meshbridge.testing import FaultProxy
from rig.crowd import Crowd
from rig.nacos import GRPC, Nacos
from rig.ports import free_port


@asynccontextmanager
async def nacos(
    release: Literal[2, 3], directory: Path, services: Mapping[str, Instances]
) -> AsyncGenerator["NacosUnderTest"]:
    """Run a Nacos that holds the services, behind a proxy that the bridge is told of."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Nacos(directory, release=release))
        port = free_port(GRPC)
        way = FaultProxy("127.0.0.1", server.port + GRPC, port=port + GRPC)
        await stack.enter_async_context(way)
        crowd = await stack.enter_async_context(Crowd(server.address, directory))
        await crowd.fill({**services, LATER: later(0)})
        await crowd.pace(FIRST, LAST)
        yield NacosUnderTest(
            server, way, crowd, {"adapter": "nacos", "servers": [f"127.0.0.1:{port}"]}
        )


@dataclass
class NacosUnderTest(ServerUnderTest[Nacos, Crowd]):
    """A real Nacos."""

    @property
    def door(self) -> str:
        """Where gRPC is spoken."""
        return f"127.0.0.1:{self.server.port + GRPC}"

    def host(self, service: str) -> str:
        """Return the host of a service that it holds."""
        return f"{service}.nacos"

    def faults(self) -> Sequence[Fault]:
        """Return the ways to break it."""
        return (
            Fault("killed", self._kill, self._start, lasts=10.0),
            Fault("hung", self._hang, self._resume, lasts=12.0, shown_within=16.0),
            Fault("cut off", self._cut_off, self.way.mend, lasts=12.0, shown_within=16.0),
            Fault(
                "wiped", self._wipe, self._start, lasts=1.0, returns=self._let_return, empties=True
            ),
            Fault("restarted", self._stop, self._start, lasts=0.0),
        )

    async def has(self, service: str) -> bool:
        """Whether the service has an instance there."""
        return bool(await self.server.instances(service))

    async def _ask(self) -> None:
        limit = aiohttp.ClientTimeout(total=1)
        async with aiohttp.ClientSession(timeout=limit) as session:
            await session.get(f"http://{self.server.address}/nacos/")
