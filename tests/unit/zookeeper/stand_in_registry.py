"""A registry that is fetched for, and a stand-in for the ZooKeeper that holds it.

The stand-in ends connections at will; a real one is read in tests/peers/test_zookeeper_adapter.py.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from unit.zookeeper.trees import Registry, Tree, captured

from meshbridge import Context, RegistryRejected, RegistryUnavailable
from meshbridge.testing import Recorder
from meshbridge_zookeeper_dubbo import Options
from meshbridge_zookeeper_dubbo.fetching import APART, Fetching
from meshbridge_zookeeper_dubbo.persistent import NO_NODE, Read, Result
from meshbridge_zookeeper_dubbo.session import Answer

KIND = captured("dubbo3-instance")["/services/provider/10.99.0.1:20010"]


def node(revision: str, storage: str = "remote") -> Tree:
    """Return an instance of the application shop that has this revision."""
    before, _, rest = KIND.partition(b'"dubbo.metadata.revision":"')
    _, _, rest = rest.partition(b'"')
    data = b'%s"dubbo.metadata.revision":"%s"%s' % (before, revision.encode(), rest)
    data = data.replace(b'storage-type":"local', b'storage-type":"%s' % storage.encode())
    return {f"/services/shop/{revision}": data}


def nodes(revisions: Sequence[str]) -> Tree:
    return {path: data for revision in revisions for path, data in node(revision).items()}


def metadata(revision: str, interfaces: int = 1) -> bytes:
    names = [f"a.B{number}" for number in range(interfaces)]
    services = {name: {"name": name, "protocol": "tri", "port": 1} for name in names}
    return json.dumps({"app": "shop", "revision": revision, "services": services}).encode()


@dataclass
class StandInServer:
    """What is connected to in place of a ZooKeeper."""

    held: dict[str, bytes] = field(default_factory=dict[str, bytes])
    ends: set[str] = field(default_factory=set[str])
    """What ends the connection when it is asked for."""
    down: bool = False
    sessions: list[list[int]] = field(default_factory=list[list[int]])
    """For each connection, how much was asked for at once."""
    open: int = 0

    def answer(self, reads: Sequence[Read]) -> list[Result]:
        """Return what is held of revisions."""
        return [self.held.get(path.rpartition("/")[2], NO_NODE) for path, _ in reads]

    @asynccontextmanager
    async def connected(self, *_: object) -> AsyncGenerator["StandInSession"]:
        if self.down:
            raise RegistryUnavailable("it is away")
        self.sessions.append([])
        self.open += 1
        assert self.open == 1
        try:
            yield StandInSession(self)
        finally:
            self.open -= 1


class StandInSession:
    """One connection to it."""

    def __init__(self, server: StandInServer) -> None:
        self._server = server
        self._reads: Sequence[Read] = ()

    def ask(self, reads: Sequence[Read]) -> int:
        self._server.sessions[-1].append(len(reads))
        self._reads = reads
        return len(self._server.sessions[-1])

    async def take(self) -> list[Answer]:
        await asyncio.sleep(0)
        revisions = [path.rpartition("/")[2] for path, _ in self._reads]
        if self._server.ends.intersection(revisions):
            raise RegistryRejected("it ends")
        results = self._server.answer(self._reads)
        return [Answer(len(self._server.sessions[-1]), results, 1)]


class Fetched:
    """A registry for which is fetched."""

    def __init__(self) -> None:
        self.registry = Registry(dials=True, fetches=False).read({})
        self.pauses: list[float] = []
        self.again = asyncio.Event()
        self.fetching = self._fetching()

    async def sleep(self, seconds: float) -> None:
        if seconds == APART:
            return
        self.pauses.append(seconds)
        await self.again.wait()
        self.again.clear()

    def become(self, tree: Tree) -> None:
        self.registry.become(tree)
        self.fetching.look()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                await asyncio.sleep(0.001)
                self.registry.say()

    @property
    def known(self) -> set[str]:
        return {revision for _, revision in self.registry.holdings.applications.revisions.known}

    @property
    def failures(self) -> dict[str, str]:
        failures = self.registry.holdings.applications.revisions.failures
        return {revision: reason for (_, revision), reason in failures.items()}

    def _fetching(self) -> Fetching:
        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        context = Context(lambda: 0.0, self.sleep, Recorder().report, logger)
        options = Options.model_validate({"servers": ["127.0.0.1:1"], "dial-instances": True})
        applications = self.registry.holdings.applications
        return Fetching(
            applications, self.registry.roots, options, context, lambda: None, lambda: 0.75
        )


@asynccontextmanager
async def running() -> AsyncGenerator[Fetched]:
    fetched = Fetched()
    task = asyncio.create_task(fetched.fetching.run())
    try:
        yield fetched
    finally:
        task.cancel()
        await asyncio.wait([task])
