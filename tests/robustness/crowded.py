"""Registries in which a crowd holds 2,000 services, for bridges that start at bad moments."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from robustness.bed import Bed
from robustness.zookeeper import SESSIONS

from meshbridge_xds.envoy.names import cluster_name
from rig import eureka_crowd, zookeeper_crowd
from rig.any_crowd import AnyCrowd, Places
from rig.crowd import Crowd
from rig.eureka import Eureka
from rig.eureka_crowd import EurekaCrowd
from rig.nacos import GRPC, Nacos
from rig.server import Server
from rig.zookeeper import ZooKeeper
from rig.zookeeper_crowd import ZooKeeperCrowd

SERVICES = 2000
NAMES = [f"service-{number}" for number in range(SERVICES)]
ALL: Mapping[str, Places] = {
    name: [(f"10.1.{number // 250}.{1 + number % 250}", 8080)] for number, name in enumerate(NAMES)
}


@dataclass
class Crowded:
    """A registry that runs, and who holds the services."""

    server: Server
    crowd: AnyCrowd
    listens: str
    """Where it is connected to, ``host:port``."""
    options: Mapping[str, object]
    clusters: list[str]
    """What Envoy calls the services."""

    def bed(self, folder: Path, keeping: Mapping[str, object] | None = None) -> Bed:
        """Return a bridge of that registry."""
        return Bed(folder, registry=self.options, keeping=keeping)

    async def begin_anew(self) -> None:
        """Start it, dead and empty; the crowd comes back at its pace."""
        self.server.wipe()
        await self.server.start()


@asynccontextmanager
async def _nacos(directory: Path) -> AsyncGenerator[Crowded]:
    async with Nacos(directory) as server, Crowd(server.address, directory) as crowd:
        await crowd.fill(ALL)
        yield Crowded(
            server,
            crowd,
            f"127.0.0.1:{server.port + GRPC}",
            {"adapter": "nacos", "servers": [server.address]},
            [cluster_name(f"{name}.nacos", 80) for name in NAMES],
        )


@asynccontextmanager
async def _zookeeper(directory: Path) -> AsyncGenerator[Crowded]:
    async with (
        ZooKeeper(directory, settings=SESSIONS) as server,
        ZooKeeperCrowd(server.address, directory) as crowd,
    ):
        await crowd.fill(ALL)
        yield Crowded(
            server,
            crowd,
            server.address,
            {"adapter": "zookeeper-dubbo", "servers": [server.address]},
            [cluster_name(zookeeper_crowd.host(name), 80) for name in NAMES],
        )


@asynccontextmanager
async def _eureka(directory: Path) -> AsyncGenerator[Crowded]:
    async with Eureka(directory) as server, EurekaCrowd(server.address, directory) as crowd:
        await crowd.fill(ALL)
        yield Crowded(
            server,
            crowd,
            server.address,
            {"adapter": "eureka", "servers": [f"http://{server.address}/eureka"]},
            [cluster_name(eureka_crowd.host(name), 80) for name in NAMES],
        )


CROWDED: Mapping[str, Callable[[Path], AbstractAsyncContextManager[Crowded]]] = {
    "nacos": _nacos,
    "zookeeper": _zookeeper,
    "eureka": _eureka,
}
