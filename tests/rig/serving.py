"""The outlet ``mcp`` in this process, and a server beneath it that sends whatever it is given."""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Never

import structlog
from prometheus_client import CollectorRegistry

from meshbridge.outlet import OutletContext
from meshbridge.problems import Problems
from meshbridge.service import Service
from meshbridge.settings import Address
from meshbridge.snapshot import Snapshot, Snapshots
from meshbridge_mcp import Mcp
from meshbridge_mcp.kinds import SERVICE_ENTRY, resource_type
from meshbridge_mcp.server import Options
from meshbridge_xds.offers import Offer, Offers
from meshbridge_xds.resources import Resource, ResourceSet
from meshbridge_xds.server import DiscoveryServer

ANYWHERE = Address("127.0.0.1", 0)


@dataclass
class _Surroundings:
    """What an outlet is handed, and where it listens."""

    bound: asyncio.Event = field(default_factory=asyncio.Event)
    address: str = ""

    def context(self) -> OutletContext:
        def listening(_what: str, where: str) -> None:
            self.address = where
            self.bound.set()

        return OutletContext(
            clock=time.monotonic,
            logger=structlog.get_logger(),
            metrics=CollectorRegistry(),
            listening=listening,
            problems=Problems().put,
        )


@asynccontextmanager
async def services_served(
    services: Iterable[Service], options: Options | None = None
) -> AsyncGenerator[str]:
    """Serve these services by the outlet ``mcp``; yield where."""
    snapshots = Snapshots()
    snapshots.publish(Snapshot(MappingProxyType({each.host: each for each in services})))
    around = _Surroundings()
    serving = Mcp(options or Options(listen=ANYWHERE)).serve(snapshots, around.context())
    async with _running(serving, around):
        yield around.address


@asynccontextmanager
async def resources_served(resources: Iterable[Resource]) -> AsyncGenerator[str]:
    """Serve these as ServiceEntries, whatever they hold; yield where."""
    offers = Offers()
    offers.publish(Offer({SERVICE_ENTRY: ResourceSet({each.name: each for each in resources})}))
    around = _Surroundings()
    server = DiscoveryServer("mcp", offers, resource_type, around.context())
    async with _running(server.serve(ANYWHERE), around):
        yield around.address


@asynccontextmanager
async def _running(
    serving: Coroutine[object, object, Never], around: _Surroundings
) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(serving)
        async with asyncio.timeout(10):
            await around.bound.wait()
        try:
            yield
        finally:
            task.cancel()
