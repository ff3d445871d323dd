"""Registries under test: each holds the same services, can be broken in several ways, and mended.

A further kind of registry joins by a class with the members of :class:`Registry`.
"""

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from robustness.bed import Instances, document, replace

from meshbridge.testing import Endpoint, FaultProxy
from meshbridge.testing.faults import Hang
from rig.any_crowd import AnyCrowd
from rig.observing import refuses
from rig.server import Server
from rig.waiting import until

LATER = "later"
"""The service that is changed after a fault."""
FIRST, LAST = 1.0, 14.0
"""Seconds after its reconnection, 2 to 5 s after the server is back, in which a crowd returns."""


async def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break a registry, and to mend it."""

    name: str
    begin: Callable[[], Awaitable[str]]
    """Break it; return how that was seen, empty if it was not."""
    mend: Callable[[], Awaitable[None]]
    """Repair it; returns when the registry itself answers again."""
    lasts: float
    """Seconds for which it stays broken once the bridge says so."""
    shown_within: float = 1.0
    """Seconds in which the bridge must say that it cannot read it: longer where nothing tells."""
    returns: Callable[[], Awaitable[None]] = nothing
    """Let the registrants come back, if they do not do so by themselves."""
    empties: bool = False
    """Whether it holds next to nothing when it is mended, until the registrants come back."""


class Registry(Protocol):
    """What a test asks of a registry under test."""

    options: Mapping[str, object]
    """How the bridge is told of it."""

    def host(self, service: str) -> str:
        """Return the host of a service that it holds."""
        ...

    def faults(self) -> Sequence[Fault]:
        """Return the ways to break it: killed, hung, cut off; then those that may empty it."""
        ...

    async def change(self) -> tuple[Endpoint, Endpoint]:
        """Let ``later`` have another instance instead; return the new and the old endpoint."""
        ...

    async def refilled(self) -> None:
        """Wait until all registrants are back."""
        ...


def later(number: int) -> Instances:
    """Return the instances of ``later`` after so many changes."""
    return [("10.3.0.1", 8000 + number)]


def step(host: str, number: int) -> tuple[Endpoint, Endpoint]:
    """Return what ``later`` has after so many changes, and what it had before the last one."""
    return Endpoint.of(host, *later(number)[0]), Endpoint.of(host, *later(number - 1)[0])


AServer = TypeVar("AServer", bound=Server)
ACrowd = TypeVar("ACrowd", bound=AnyCrowd)


@dataclass
class ServerUnderTest(ABC, Generic[AServer, ACrowd]):
    """A real server, with a crowd over connections of its own and the bridge behind a proxy."""

    server: AServer
    way: FaultProxy
    crowd: ACrowd
    options: Mapping[str, object]
    _changes: int = field(default=0, init=False)

    @property
    @abstractmethod
    def door(self) -> str:
        """Where the server's clients come in, as ``host:port``."""

    @abstractmethod
    def host(self, service: str) -> str:
        """Return the host of a service that it holds."""

    @abstractmethod
    async def has(self, service: str) -> bool:
        """Whether the service has an instance there."""

    @abstractmethod
    async def _ask(self) -> None:
        """Ask the server something; raises TimeoutError if it does not answer within a second."""

    async def change(self) -> tuple[Endpoint, Endpoint]:
        """Register another instance of ``later`` in the place of the one before."""
        self._changes += 1
        await self.crowd.set(LATER, later(self._changes))
        return step(self.host(LATER), self._changes)

    async def refilled(self) -> None:
        """Wait until the crowd has registered all."""
        await self.crowd.settle()

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
            await self._ask()
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

    async def _let_return(self) -> None:
        self.crowd.process.resume()

    def _refuses(self) -> str:
        return f"{self.door} refuses" if refuses(self.door) else ""


@asynccontextmanager
async def file(
    directory: Path, services: Mapping[str, Instances]
) -> AsyncGenerator["FileUnderTest"]:
    """Write the services into a file."""
    path = directory / "registry.yaml"
    under_test = FileUnderTest(path, dict(services), {"adapter": "file", "path": str(path)})
    under_test.write()
    yield under_test


@dataclass
class FileUnderTest:
    """A file; it dies by being deleted, hangs as a pipe, and is cut off in its middle."""

    path: Path
    services: dict[str, Instances]
    options: Mapping[str, object]
    _changes: int = 0
    _missing: int = 0
    """Services that are not back yet."""
    _returning: list[asyncio.Task[None]] = field(default_factory=list["asyncio.Task[None]"])

    def host(self, service: str) -> str:
        """Return the host of a service that it holds."""
        return f"{service}.file"

    def faults(self) -> Sequence[Fault]:
        """Return the ways to break it."""
        return (
            Fault("killed (deleted)", self._delete, self._mend, lasts=8.0),
            Fault("hung (a pipe nobody writes to)", self._pipe, self._mend, lasts=8.0),
            Fault("cut off (in its middle)", self._halve, self._mend, lasts=8.0, shown_within=3.0),
            Fault(
                "wiped", self._delete, self._empty, lasts=1.0, returns=self._return, empties=True
            ),
            Fault("restarted", self._delete, self._begin_anew, lasts=1.0),
        )

    def write(self) -> None:
        """Write what it holds, in one step."""
        there = dict(list(self.services.items())[: len(self.services) - self._missing])
        replace(self.path, document({**there, LATER: later(self._changes)}))

    async def change(self) -> tuple[Endpoint, Endpoint]:
        """Write another instance of ``later`` in the place of the one before."""
        self._changes += 1
        self.write()
        return step(self.host(LATER), self._changes)

    async def refilled(self) -> None:
        """Wait until all services are back."""
        await asyncio.gather(*self._returning)
        self._returning.clear()

    async def _delete(self) -> str:
        self.path.unlink()
        return f"{self.path.name} is not there"

    async def _pipe(self) -> str:
        self.path.unlink()
        os.mkfifo(self.path)
        return f"{self.path.name} is a pipe" if self.path.is_fifo() else ""

    async def _halve(self) -> str:
        text = self.path.read_text()
        self.path.write_text(text[: len(text) // 2])
        return f"{self.path.name} is cut off"

    async def _mend(self) -> None:
        self.path.unlink(missing_ok=True)
        self.write()

    async def _empty(self) -> None:
        replace(self.path, '{"services": []}')

    async def _begin_anew(self) -> None:
        self._missing = len(self.services)
        self.write()
        await self._return()

    async def _return(self) -> None:
        self._missing = len(self.services)
        self._returning.append(asyncio.create_task(self._come_back()))

    async def _come_back(self) -> None:
        steps = 50
        await asyncio.sleep(3.0)
        for step in range(1, steps + 1):
            self._missing = len(self.services) * (steps - step) // steps
            self.write()
            await asyncio.sleep(15.0 / steps)
