"""The outlet ``xds`` in the test's own loop, fed by hand, and what it tells the core."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Never

import structlog
from prometheus_client import CollectorRegistry

from meshbridge.outlet import OutletContext
from meshbridge.problems import Problems
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Locality, Port, Service, Source, versioned
from meshbridge.settings import Address
from meshbridge.snapshot import EMPTY, Snapshot, Snapshots
from meshbridge_xds import Xds, XdsOptions

HTTP = Port(80, "http", "http-80")
GRPC = Port(50051, "grpc", "grpc-50051")
TCP = Port(9000, "tcp", "tcp-9000")


def endpoint(
    port: int,
    *,
    of: Port = HTTP,
    weight: int = 100,
    health: Health = Health.HEALTHY,
    locality: str = "",
    address: str = "127.0.0.1",
) -> Endpoint:
    """Return an endpoint with one port, on loopback."""
    return Endpoint(address, ((of.name, port),), weight, health, Locality(*locality.split("/")))


def service(
    host: str,
    *endpoints: Endpoint,
    ports: tuple[Port, ...] = (HTTP,),
    aliases: tuple[str, ...] = (),
    sources: tuple[Source, ...] = (),
) -> Service:
    """Return a service as the core would make it."""
    return versioned(
        Service(
            host=host,
            namespace="test",
            ports=ports,
            endpoints=endpoints,
            aliases=aliases,
            sources=sources,
        )
    )


@dataclass
class ControlPlane:
    """What serves, what it serves, and what it has said."""

    outlet: Xds
    snapshots: Snapshots = field(default_factory=Snapshots)
    problems: Problems = field(default_factory=Problems)
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    address: str = ""
    """``host:port``, while it listens."""
    snapshot: Snapshot = EMPTY
    bound: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self) -> Never:
        """Serve until cancelled. Raises ConfigurationError."""

        def listening(_what: str, where: str) -> None:
            self.address = where
            self.bound.set()

        context = OutletContext(
            clock=time.monotonic,
            logger=structlog.get_logger(),
            metrics=self.metrics,
            listening=listening,
            problems=self.problems.put,
        )
        await self.outlet.serve(self.snapshots, context)

    def publish(self, *services: Service, without: tuple[str, ...] = ()) -> None:
        """Add or replace services, and take others away."""
        touched: dict[str, Service | None] = {each.host: each for each in services}
        touched.update(dict.fromkeys(without))
        self.snapshot = self.snapshot.with_changes(touched)
        self.snapshots.publish(self.snapshot)

    def metric(self, name: str, **labels: str) -> float:
        """Return a sample's value, 0 where there is none yet."""
        return self.metrics.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def control_plane(
    options: XdsOptions, *, snapshots: Snapshots | None = None
) -> AsyncGenerator[ControlPlane]:
    """Serve while the context lasts; an address with port 0 becomes a free one."""
    plane = ControlPlane(Xds(options), snapshots or Snapshots())
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(plane.serve())
        waiting = tasks.create_task(plane.bound.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if serving.done():
            await serving
        try:
            yield plane
        finally:
            serving.cancel()


LOOPBACK = Address("127.0.0.1", 0)
"""Any free port."""
