"""How long what is registered in a real Nacos takes to answer through Envoy, and others beside it.

Every registration is timed at once by all who wait for it: a plain subscriber, which shows Nacos'
own push delay, a client behind Envoy, and a client of Nacos' own istio module.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.nacos_estate import holding
from benchmarks.nacos_module import Module, module, settings
from benchmarks.samples import Figure
from meshbridge.cli.demo.traffic import Connection
from meshbridge.testing import Recorder, context
from meshbridge_nacos.access import Access
from meshbridge_nacos.options import DEFAULT_GROUP, Options
from meshbridge_nacos.parse import Record
from meshbridge_nacos.session import Session
from rig.backends import Backend
from rig.bridge import Bridge
from rig.envoy import Envoy, bootstrap
from rig.nacos import Nacos
from rig.ports import free_port
from rig.waiting import until

HERE: Final = "127.0.0.1"
EVERY: Final = 5.0
"""Seconds of ``discover-every`` as it is by default."""
OWN: Final = 30.0
"""Milliseconds that may pass after Nacos' push (DESIGN's target)."""
TWICE: Final = 50.0
"""Percent of the module's time that the bridge may take."""
NEW: Final = {2: EVERY + 1, 3: 1.0}
"""Seconds to a new service, by the release."""
_WITHIN: Final = 60.0
_TOGETHER: Final = 5
"""New services that are registered within one :data:`EVERY`."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    few: int
    """Services that are there when new ones are registered: fuzzy watch tells of 500 in all."""
    many: int
    """Services that are there when known ones get new instances."""
    instances: int
    fresh: int
    """New services."""
    changes: int
    """Known services that get a new instance, each one."""
    seed: int


class Subscriber:
    """A plain subscriber: when it was pushed what it waits for."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._awaited: dict[str, tuple[bytes, asyncio.Future[float]]] = {}

    def awaits(self, service: str, text: str) -> "asyncio.Future[float]":
        """Return what will be the monotonic seconds at which a push of the service had a text."""
        found = asyncio.get_running_loop().create_future()
        self._awaited[service] = text.encode(), found
        return found

    def take(self, group: str, name: str, info: Record) -> None:
        """Take a push."""
        del group
        hosts = info.get("hosts")
        if name in self._awaited and isinstance(hosts, msgspec.Raw):
            text, found = self._awaited[name]
            if text in bytes(memoryview(hosts)):
                found.set_result(time.monotonic())
                del self._awaited[name]


@dataclass(slots=True)
class Waits:
    """Seconds from a registration, one for each."""

    pushed: list[float] = field(default_factory=list[float])
    live: list[float] = field(default_factory=list[float])
    module: list[float] = field(default_factory=list[float])


@dataclass(frozen=True, slots=True)
class Mesh:
    """A bridge between a Nacos and an Envoy, and who waits beside them."""

    port: int
    """Of Envoy's listener."""
    old: Backend
    new: Backend
    first: Session
    """Holds what is known before, and subscribes to it."""
    second: Session
    """Registers what is new."""
    subscriber: Subscriber
    chance: random.Random

    async def known(self, number: int, module: Module | None, waits: Waits) -> None:
        """Give a known service a second instance, and wait until that answers."""
        service, sample = f"known-{number}", f"sample-{number:06}"
        connection = Connection(self.port, f"{service}.nacos")
        await answered(connection, self.old.name)
        pushed = self.subscriber.awaits(service, sample)
        await asyncio.sleep(self.chance.uniform(0.05, 0.5))
        begun = time.monotonic()
        theirs = None if module is None else module.awaits(sample)
        registering = asyncio.create_task(register(self.second, service, self.new, sample))
        waits.live.append(await answered(connection, self.new.name) - begun)
        async with asyncio.timeout(_WITHIN):
            waits.pushed.append(await pushed - begun)
            if theirs is not None:  # its best case: nothing else changes while it waits
                waits.module.append(await theirs - begun)
        await registering
        connection.close()

    async def fresh(self, number: int) -> float:
        """Register a service that is new, some time soon; return the seconds until it answers."""
        service = f"fresh-{number}"
        connection = Connection(self.port, f"{service}.nacos")
        await asyncio.sleep(self.chance.uniform(0, EVERY))
        begun = time.monotonic()
        registering = asyncio.create_task(register(self.second, service, self.new, service))
        took = await answered(connection, self.new.name, every=0.01) - begun
        await registering
        connection.close()
        return took


async def live(
    nacos: Nacos, folder: Path, size: Size, port: int | None, say: Callable[[str], None]
) -> list[Figure]:
    """Measure on a server that runs; ``port`` is that of its own istio module, if it has one."""
    name = ".".join((await nacos.version()).split(".")[:2])
    waits = Waits()
    async with AsyncExitStack() as stack:
        estate = await stack.enter_async_context(holding(nacos.address, "public", "spring"))
        await estate.fill(0, size.few, size.instances)
        mesh = await stack.enter_async_context(meshed(nacos, folder, size))
        fresh: list[float] = []
        while len(fresh) < size.fresh:
            numbers = range(len(fresh), min(len(fresh) + _TOGETHER, size.fresh))
            fresh += await asyncio.gather(*map(mesh.fresh, numbers))
            say(f"Nacos {name}, new service {len(fresh)}/{size.fresh}: {fresh[-1]:.2f} s")
        await estate.fill(size.few, size.many - size.few, size.instances)
        await asyncio.sleep(EVERY + 3)
        heard = None
        if port is not None:
            heard = await stack.enter_async_context(module(port))
            await heard.answers()
        for number in range(size.changes):
            await mesh.known(number, heard, waits)
            if not (number + 1) % 10:
                took = f"{waits.live[-1]:.3f} s, pushed after {waits.pushed[-1]:.3f} s"
                say(f"Nacos {name}, new instance {number + 1}/{size.changes}: {took}")
    return figures(name, nacos.release, waits, fresh)


def figures(name: str, release: int, waits: Waits, fresh: list[float]) -> list[Figure]:
    """Return the rows of one server."""
    lag = [(ours - pushed) * 1e3 for ours, pushed in zip(waits.live, waits.pushed, strict=True)]
    rows = [
        Figure(f"{name}: new instance → pushed to a plain subscriber", "s", waits.pushed),
        Figure(f"{name}: new instance → live in Envoy", "s", waits.live),
        Figure(f"{name}: pushed to a plain subscriber → live in Envoy", "ms", lag, OWN),
    ]
    if waits.module:
        what = f"{name}: new instance → ServiceEntry from Nacos' own istio module"
        rows.append(Figure(what, "s", waits.module))
        share = rows[1].median / rows[-1].median * 100
        what = f"{name}: the bridge's median as a share of the module's"
        rows.append(Figure(what, "%", [share], TWICE))
    what = f"{name}: new service → live in Envoy"
    rows.append(Figure(what, "s", fresh, NEW[release], always=True))
    return rows


async def answered(connection: Connection, name: str, every: float = 0.001) -> float:
    """Ask until an instance answers; return when it had done so."""

    async def answer() -> tuple[str, float]:
        asked = await connection.ask()
        return asked.instance, asked.done

    (_, done), _ = await until(answer, lambda got: got[0] == name, within=_WITHIN, every=every)
    return done


async def register(session: Session, service: str, backend: Backend, sample: str) -> None:
    """Register a backend as an application does, with a text by which it is known again."""
    record = {
        "ip": HERE,
        "port": backend.port,
        "weight": 1.0,
        "healthy": True,
        "enabled": True,
        "ephemeral": True,
        "clusterName": "DEFAULT",
        "metadata": {"sample": sample},
    }
    fields = {
        "namespace": session.namespace,
        "serviceName": service,
        "groupName": DEFAULT_GROUP,
        "type": "registerInstance",
        "instance": record,
    }
    await session.ask("InstanceRequest", fields)


@asynccontextmanager
async def meshed(nacos: Nacos, folder: Path, size: Size) -> AsyncGenerator[Mesh]:
    """Run a bridge and an Envoy, with services that are known and have one instance each."""
    port, subscriber = free_port(), Subscriber()
    access = Access(
        Options.model_validate({"servers": [nacos.address]}), context(Recorder().report)
    )
    registry = {
        "name": "estate",
        "adapter": "nacos",
        "servers": [nacos.address],
        "publish": {"allow-addresses": ["127.0.0.0/8"]},
        "guard": {"settle": "0s"},
    }
    xds = {"listen": f"{HERE}:0", "http": [{"listen": f"{HERE}:{port}", "ports": [80]}]}
    configuration = {"version": 1, "registries": [registry], "outlets": {"xds": xds}}
    async with AsyncExitStack() as stack:
        old, new = [await stack.enter_async_context(Backend(name)) for name in ("old", "new")]
        first, second = [
            await stack.enter_async_context(access.session("public", subscriber.take))
            for _ in range(2)
        ]
        for number in range(size.changes):
            await register(first, f"known-{number}", old, "old")
            await first.subscribe(DEFAULT_GROUP, f"known-{number}")
        bridge = await stack.enter_async_context(Bridge(folder, configuration))
        control_plane = bootstrap(await bridge.address("xds"), api="DELTA_GRPC")
        await stack.enter_async_context(Envoy(folder, control_plane))
        with closing(Connection(port, "known-0.nacos")) as connection:
            await answered(connection, old.name, every=0.05)
        chance = random.Random(size.seed)  # noqa: S311 - repeatable, not secret
        yield Mesh(port, old, new, first, second, subscriber, chance)


__all__ = ["Size", "live", "settings"]
