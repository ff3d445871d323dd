"""Metadata are read over one connection at a time, and what spoils one spoils itself only.

The stand-in for a ZooKeeper ends connections at will; a real one is read in
tests/peers/test_zookeeper_adapter.py.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import structlog
from unit.zookeeper.trees import Registry, Tree, captured

from meshbridge import Context, RegistryRejected, RegistryUnavailable
from meshbridge.testing import Recorder
from meshbridge_dubbo import ApplicationInstance, ApplicationMetadata, read_metadata
from meshbridge_zookeeper_dubbo import Options, fetching
from meshbridge_zookeeper_dubbo.dialling import NotAnsweredError
from meshbridge_zookeeper_dubbo.fetching import APART, Fetching
from meshbridge_zookeeper_dubbo.persistent import NO_NODE, Read, Result
from meshbridge_zookeeper_dubbo.session import Answer

pytestmark = pytest.mark.asyncio

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


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> StandInServer:
    it = StandInServer()
    monkeypatch.setattr(fetching, "connected", it.connected)
    return it


async def test_many_revisions_one_after_the_other_take_one_connection(
    server: StandInServer,
) -> None:
    async with running() as fetched:
        tree: Tree = {}
        for number in range(10):
            server.held[f"r{number}"] = metadata(f"r{number}")
            tree |= node(f"r{number}")
            fetched.become(tree)
            await fetched.until(lambda: len(fetched.known) == len(tree))  # noqa: B023 - at once
        assert server.sessions == [[1] * 10]


async def test_a_connection_with_nothing_to_read_is_closed(
    server: StandInServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "KEPT", 0.01)
    server.held = {name: metadata(name) for name in ("r1", "r2")}
    async with running() as fetched:
        fetched.become(node("r1"))
        await fetched.until(lambda: "r1" in fetched.known and not server.open)
        fetched.become(node("r1") | node("r2"))
        await fetched.until(lambda: "r2" in fetched.known)
        assert server.sessions == [[1], [1]]


async def test_what_ends_a_connection_spoils_itself_only(
    server: StandInServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "KEPT", 0.01)
    names = [f"r{number}" for number in range(6)]
    server.held = {name: metadata(name) for name in names}
    server.ends = {"r3"}
    async with running() as fetched:
        fetched.become(nodes(names))
        await fetched.until(lambda: fetched.known == {*names} - server.ends)
        await fetched.until(lambda: fetched.failures == {"r3": "it ends"} and not server.open)
        assert server.sessions[0] == [6]
        server.held |= {name: metadata(name) for name in ("r7", "r8")}
        fetched.become(nodes([*names, "r7", "r8"]))
        await fetched.until(lambda: fetched.known >= {"r7", "r8"})
        assert server.sessions[-1] == [2], "others are asked for together again"


async def test_a_registry_that_is_away_fails_all_and_is_asked_again(server: StandInServer) -> None:
    server.down = True
    server.held = {name: metadata(name) for name in ("r1", "r2")}
    async with running() as fetched:
        fetched.become(node("r1") | node("r2"))
        await fetched.until(lambda: len(fetched.failures) == 2)
        assert set(fetched.failures.values()) == {"it is away"}
        server.down = False
        fetched.again.set()
        await fetched.until(lambda: fetched.known == {"r1", "r2"})


async def test_how_often_it_failed_is_forgotten_with_the_last_that_has_it(
    server: StandInServer,
) -> None:
    async with running() as fetched:
        fetched.become(node("r1"))
        await fetched.until(lambda: len(fetched.pauses) == 1)
        fetched.again.set()
        await fetched.until(lambda: len(fetched.pauses) == 2)
        fetched.become({})
        fetched.again.set()
        await fetched.until(lambda: not fetched.again.is_set())
        fetched.become(node("r1"))
        await fetched.until(lambda: len(fetched.pauses) == 3)
        assert fetched.pauses == [1.5, 3.0, 1.5]
        assert server.sessions


async def test_others_have_their_turn_while_large_metadata_are_read(
    server: StandInServer,
) -> None:
    names = [f"r{number}" for number in range(fetching.TOGETHER)]
    server.held = {name: metadata(name, 2_000) for name in names}
    async with running() as fetched:
        fetched.become(nodes(names))
        turns = 0
        async with asyncio.timeout(20):
            while not fetched.known:
                await asyncio.sleep(0)
                turns += bool(server.sessions)
        assert turns > 20, "a handful if all is read at once"


async def test_what_was_not_asked_yet_goes_before_what_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    answers = asyncio.Event()

    async def ask_any(_: Sequence[ApplicationInstance], revision: str) -> ApplicationMetadata:
        asked.append(revision)
        if revision == "bad":
            raise NotAnsweredError("no")
        if revision == "slow":
            await answers.wait()
        return read_metadata(metadata(revision))

    monkeypatch.setattr(fetching, "ask_any", ask_any)
    monkeypatch.setattr(fetching, "AT_ONCE", 1)
    async with running() as fetched:
        fetched.become(node("bad", "local"))
        await fetched.until(lambda: len(fetched.pauses) == 1)
        fetched.become(node("bad", "local") | node("slow", "local"))
        await fetched.until(lambda: "slow" in asked)
        fetched.again.set()
        await fetched.until(lambda: not fetched.again.is_set())
        fetched.become(node("bad", "local") | node("slow", "local") | node("new", "local"))
        await fetched.until(lambda: not fetched.registry.holdings.applications.revisions.fresh)
        answers.set()
        await fetched.until(lambda: len(asked) == 4)
        assert asked == ["bad", "slow", "new", "bad"]
