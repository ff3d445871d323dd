"""A Eureka that holds whole services, each an application."""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from peers.bed.matrix import Instance, Services
from peers.conftest import make_eureka, shared

from meshbridge.testing import FaultProxy
from meshbridge.testing.faults import Refuse, Reset
from rig.eureka import Eureka

LEASE = 3600
"""Seconds that an instance stays: nobody renews it here."""


@dataclass
class EurekaRegistry:
    """A real Eureka; the bridge comes by a proxy."""

    weighs: ClassVar[bool] = False

    server: Eureka
    way: FaultProxy
    options: Mapping[str, object]
    domain: str = "eureka"
    _held: dict[str, Sequence[Instance]] = field(default_factory=dict[str, Sequence[Instance]])

    def labels(self, instance: Instance) -> Mapping[str, str]:
        """Return its metadata, with the lease that is none of Eureka's own default."""
        return {**_metadata(instance), "eureka.lease-seconds": str(LEASE)}

    async def hold(self, services: Services) -> None:
        """Register all, then take back what is too much."""
        for name, instances in services.items():
            for each in instances:
                await self.server.register(
                    name,
                    each.address,
                    each.port,
                    metadata=_metadata(each),
                    lease=LEASE,
                    vip=name,
                )
        for name, before in self._held.items():
            now = {(each.address, each.port) for each in services.get(name, ())}
            for each in before:
                if (each.address, each.port) not in now:
                    await self.server.deregister(name, each.address, each.port)
        self._held = dict(services)

    async def go(self) -> None:
        """Let nobody through, nor those who are connected."""
        await self.way.inject(Refuse(), Reset())

    async def come_back(self) -> None:
        """Let everybody through."""
        await self.way.mend()


def _metadata(instance: Instance) -> Mapping[str, str]:
    """Return what it says of itself, its weight in words of its own: Eureka knows none."""
    weight = {} if instance.weight == 1 else {"heavy": f"{instance.weight:g}"}
    return {**instance.metadata, **weight}


@contextmanager
def a_eureka(directory: Path) -> Generator[Eureka]:
    """Run one for many tests."""
    with shared(make_eureka(directory)) as server:
        yield server


@asynccontextmanager
async def eureka(server: Eureka, _: Path) -> AsyncGenerator[EurekaRegistry]:
    """Take a Eureka that runs, and that holds nothing before and after."""
    async with FaultProxy("127.0.0.1", server.port) as way:
        options = {
            "adapter": "eureka",
            "servers": [f"http://{way.address}/eureka"],
            "interval": "1s",
            "guard": {"settle": "0s", "hold-service": "0s", "allow-empty": True},
        }
        registry = EurekaRegistry(server, way, options)
        yield registry
        await registry.hold({})
