"""Registries that hold whole services, and what a bridge of one tells istiod of them.

A further kind of registry joins by a class with the members of :class:`Registry` and a line in
:data:`peers.bed.kinds.KINDS`.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from google.protobuf.json_format import MessageToDict
from robustness.bed import Bed, replace
from robustness.istiod_mesh import BACK, unanswered
from robustness.subscriber import StateClient, channel, open_stream

from meshbridge.protos.gen.istio.mcp.v1alpha1.resource_pb2 import Resource
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from meshbridge.testing import FaultProxy
from meshbridge.testing.faults import Refuse
from rig.istiod import Istiod, Stored
from rig.nacos import GRPC, Nacos
from rig.ports import free_port
from rig.registrant import Registrant
from rig.waiting import until

SERVICE_ENTRY = "networking.istio.io/v1/ServiceEntry"
WORK = r"^pilot_(xds_pushes|inbound_updates|push_triggers|services|debounce_time_count)\b"
"""What istiod counts of its work: what came in, and what it sent to proxies because of that."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as every registry can hold it."""

    address: str
    port: int
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """``protocol`` says what it speaks, where that is not http."""
    weight: float = 1.0


Services = Mapping[str, Sequence[Instance]]
"""By name; each has at most two instances."""


class Registry(Protocol):
    """What a test asks of a registry."""

    weighs: ClassVar[bool]
    """Whether its instances have weights."""

    options: Mapping[str, object]
    """How a bridge is told of it; its guard lets everything go at once."""

    @property
    def domain(self) -> str:
        """The end of its hosts."""
        ...

    def labels(self, instance: Instance) -> Mapping[str, str]:
        """Return the labels that the endpoint of an instance has by its registration."""
        ...

    async def hold(self, services: Services) -> None:
        """Hold these services and no others; what it holds already it is told again."""
        ...

    async def go(self) -> None:
        """Be away: who comes now cannot read it."""
        ...

    async def come_back(self) -> None:
        """Be there again, with the same content."""
        ...


@dataclass
class FileRegistry:
    """A file, in the reverse order each time it is written."""

    weighs: ClassVar[bool] = True

    path: Path
    options: Mapping[str, object]
    domain: str = "file"
    _step: int = -1

    def labels(self, instance: Instance) -> Mapping[str, str]:
        """Return its metadata."""
        return instance.metadata

    async def hold(self, services: Services) -> None:
        """Write it."""
        self._step = -self._step
        listed = [
            {"name": name, "instances": [_record(each) for each in instances[:: self._step]]}
            for name, instances in list(services.items())[:: self._step]
        ]
        replace(self.path, json.dumps({"services": listed}))

    async def go(self) -> None:
        """Stand under another name."""
        self.path.rename(self.path.with_suffix(".away"))

    async def come_back(self) -> None:
        """Stand under its own name again."""
        self.path.with_suffix(".away").rename(self.path)


def _record(instance: Instance) -> dict[str, object]:
    return {
        "address": instance.address,
        "port": instance.port,
        "protocol": instance.metadata.get("protocol", ""),
        "weight": instance.weight,
        "metadata": dict(instance.metadata),
    }


@asynccontextmanager
async def file(directory: Path) -> AsyncGenerator[FileRegistry]:
    """Make a file that holds nothing."""
    path = directory / "registry.yaml"
    registry = FileRegistry(path, {"adapter": "file", "path": str(path)})
    await registry.hold({})
    yield registry


@dataclass
class NacosRegistry:
    """A group of a real Nacos, filled by applications over gRPC; the bridge comes by a proxy."""

    weighs: ClassVar[bool] = True

    server: Nacos
    way: FaultProxy
    applications: Sequence[Registrant]
    group: str
    options: Mapping[str, object]
    _held: dict[str, Sequence[Instance]] = field(default_factory=dict[str, Sequence[Instance]])

    @property
    def domain(self) -> str:
        """The end of its hosts."""
        return f"{self.group}.nacos"

    def labels(self, instance: Instance) -> Mapping[str, str]:
        """Return its metadata."""
        return instance.metadata

    async def hold(self, services: Services) -> None:
        """Register all, then take back what is too much."""
        for name, instances in services.items():
            for application, each in zip(self.applications, instances, strict=False):
                await application.register(
                    name,
                    each.address,
                    each.port,
                    weight=each.weight,
                    metadata=each.metadata,
                    group=self.group,
                )
        for name, before in self._held.items():
            now = services.get(name, ())
            for application, each in list(zip(self.applications, before, strict=False))[len(now) :]:
                await application.deregister(name, each.address, each.port, group=self.group)
            if name not in services:
                await self._forget(name)
        self._held = dict(services)

    async def go(self) -> None:
        """Let nobody through."""
        await self.way.inject(Refuse())

    async def come_back(self) -> None:
        """Let everybody through."""
        await self.way.mend()

    async def _forget(self, name: str) -> None:
        """Remove a service; Nacos sees a moment later that it has no instances left."""

        async def removed() -> str:
            try:
                await self.server.remove_service(name, group=self.group)
            except OSError as refused:
                return str(refused)
            return ""

        await until(removed, lambda why: not why, within=5, every=0.1)


@asynccontextmanager
async def nacos(
    server: Nacos, applications: Sequence[Registrant], _: Path
) -> AsyncGenerator[NacosRegistry]:
    """Take a group of one's own in a Nacos that runs, and two applications that do, too."""
    group, port = f"matrix-{secrets.token_hex(4)}", free_port(GRPC)
    options = {
        "adapter": "nacos",
        "servers": [f"127.0.0.1:{port}"],
        "groups": [group],
        "discover-every": "1s",
        "guard": {"settle": "0s", "hold-service": "0s", "allow-empty": True},
    }
    async with FaultProxy("127.0.0.1", server.port + GRPC, port=port + GRPC) as way:
        registry = NacosRegistry(server, way, applications, group, options)
        yield registry
        await registry.hold({})


Source = AbstractAsyncContextManager[Registry]
Kind = Callable[[Path], Source]
"""Makes a registry in a folder."""


async def told(bed: Bed) -> tuple[Stored, ...]:
    """Return the ServiceEntries that the bridge tells whoever asks, as istiod should store them."""
    async with channel(bed.mcp) as connected:
        client = StateClient(open_stream(connected, delta=False))
        await client.ask(SERVICE_ENTRY)
        response = await client.read()
        client.call.cancel()
    stored: list[Stored] = []
    for each in response.resources:
        resource, entry = Resource(), ServiceEntry()
        assert each.Unpack(resource)
        assert resource.body.Unpack(entry)
        namespace, _, name = resource.metadata.name.partition("/")
        stored.append(
            Stored(
                kind="ServiceEntry",
                namespace=namespace,
                name=name,
                version=resource.metadata.version,
                hosts=tuple(entry.hosts),
                endpoints=tuple(endpoint.address for endpoint in entry.endpoints),
                created=resource.metadata.create_time.ToJsonString(),
                labels=dict(resource.metadata.labels),
                annotations=dict(resource.metadata.annotations),
                spec=MessageToDict(entry),
            )
        )
    return tuple(sorted(stored, key=lambda one: (one.namespace, one.name)))


async def entries(istiod: Istiod) -> tuple[Stored, ...]:
    """Return the ServiceEntries in istiod's store."""
    return await istiod.stored("ServiceEntry")


async def hosts(istiod: Istiod) -> dict[str, int]:
    """Return how many endpoints istiod's store has for each host."""
    found: dict[str, int] = {}
    for entry in await entries(istiod):
        for host in entry.hosts:
            found[host] = found.get(host, 0) + len(entry.endpoints)
    return found


async def all_in_step(bed: Bed, istiods: int = 1) -> None:
    """Wait until so many have acknowledged all that this process of the bridge has to say."""
    wanted = [set[str]()] * istiods
    await until(lambda: unanswered(bed), lambda seen: seen == wanted, within=BACK)


@asynccontextmanager
async def starting(istiod: Istiod) -> AsyncGenerator[asyncio.Task[float]]:
    """Start it, whether it gets ready or not; its start is what this yields."""
    start = asyncio.create_task(istiod.start())
    try:
        yield start
    finally:
        start.cancel()
        await asyncio.wait([start])
        await istiod.stop()


async def at_rest(istiod: Istiod) -> dict[str, float]:
    """Return what istiod counts of its work, once it has counted nothing more for a moment."""
    looks: list[dict[str, float]] = []

    async def same() -> bool:
        looks.append(await istiod.metrics(WORK))
        # A single look is none: an istiod that has just begun counts nothing at all.
        return looks[-1:] == looks[-2:-1]

    await until(same, bool, within=10, every=0.3)
    return looks[-1]
