"""What is asked of a server, and how much at once; the real ones are in tests/peers."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge_zookeeper_dubbo import reading
from meshbridge_zookeeper_dubbo.persistent import (
    NO_AUTH,
    NO_NODE,
    UNIMPLEMENTED,
    Event,
    Read,
    Result,
)
from meshbridge_zookeeper_dubbo.session import Answer, Session
from meshbridge_zookeeper_dubbo.tree import Want

pytestmark = pytest.mark.asyncio

ENOUGH = "the test has seen enough"


class Scripted:
    """Stands in for a session, as no server before 3.6 is at hand, nor one with huge answers."""

    def __init__(self, tree: dict[str, Result], *, watch: Result = 0, weight: int = 1) -> None:
        self.tree = tree
        self.watch_answer = watch
        self.weight = weight
        self.asked: list[tuple[int, bool]] = []
        self.answers: list[Event | Answer] = []
        self.open = 0
        self.most_open = 0
        self.number = 0
        self.watched: list[str] = []

    def put(self, results: Sequence[Result], size: int = 0) -> int:
        self.number += 1
        self.answers.append(Answer(self.number, results, size))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        return self.number

    def sync(self) -> int:
        return self.put([])

    def watch(self, path: str) -> int:
        self.watched.append(path)
        return self.put([self.watch_answer] if self.watch_answer else [])

    def ask(self, reads: Sequence[Read], *, watching: bool = False) -> int:
        self.asked.append((len(reads), watching))
        results = [self.tree.get(read.path, NO_NODE) for read in reads]
        return self.put(results, size=len(reads) * self.weight)

    async def take(self) -> list[Event | Answer]:
        await asyncio.sleep(0)
        if not self.answers:
            raise RegistryUnavailable(ENOUGH)
        self.open -= 1
        return [self.answers.pop(0)]

    def check(self) -> None:
        """Have no reason to end."""

    def wake(self) -> None:
        """Wake nobody: what is taken is there."""

    def unavailable(self, reason: str) -> RegistryUnavailable:
        return RegistryUnavailable(reason)

    def protected(self, path: str) -> RegistryRejected:
        return RegistryRejected(f"{path} may not be read")


class Heard:
    """Counts what is told."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.settlings = 0

    def children(self, path: str, names: Sequence[str]) -> None:
        self.names[path] = len(names)

    @property
    def told(self) -> int:
        return sum(self.names.values())

    def added(self, path: str, name: str) -> None:
        raise AssertionError(path, name)

    def removed(self, path: str, name: str) -> None:
        raise AssertionError(path, name)

    def data(self, path: str, data: bytes | None) -> None:
        raise AssertionError(path, data)

    def guarded(self, path: str) -> None:
        raise AssertionError(path)

    def settled(self) -> None:
        self.settlings += 1


def interest(path: str) -> Want:
    return Want.CHILDREN if path.count("/") < 3 else Want.NOTHING


async def follow(server: Scripted, together: int = reading.MOST_QUESTIONS) -> Heard:
    """Follow until all is answered."""
    heard = Heard()
    session = cast("Session", server)
    with pytest.raises(RegistryUnavailable, match=ENOUGH):
        await reading.follow(session, ["/a"], interest, heard, together=together)
    return heard


def wide(children: int) -> dict[str, Result]:
    names = [str(number) for number in range(children)]
    return {"/a": names, **{f"/a/{name}": ["url"] for name in names}}


async def test_many_nodes_are_asked_for_in_few_requests() -> None:
    server = Scripted(wide(2000))
    heard = await follow(server)
    assert heard.told == 4000
    assert heard.settlings == 1
    assert len(server.asked) < 40
    assert max(asked for asked, _ in server.asked) == reading.MOST_QUESTIONS
    assert server.most_open <= reading.REQUESTS
    assert server.watched == ["/a"]


async def test_the_larger_the_answers_the_fewer_are_asked_for_at_once() -> None:
    server = Scripted(wide(200), weight=reading.REPLY // 4)
    assert (await follow(server)).told == 400
    assert {asked for asked, _ in server.asked[-20:]} == {4}


async def test_each_node_is_asked_for_by_itself_where_that_is_said() -> None:
    server = Scripted(wide(200))
    assert (await follow(server, together=1)).told == 400
    assert {asked for asked, _ in server.asked} == {1}


async def test_a_server_that_knows_no_persistent_watch_is_asked_node_by_node() -> None:
    server = Scripted(wide(500), watch=UNIMPLEMENTED)
    heard = await follow(server)
    assert heard.told == 1000
    assert heard.settlings == 1
    assert set(server.asked) == {(1, True)}
    assert reading.REQUESTS < server.most_open <= reading.SINGLE_REQUESTS


async def test_a_root_that_may_not_be_watched_is_a_refusal() -> None:
    session = cast("Session", Scripted({}, watch=NO_AUTH))
    with pytest.raises(RegistryRejected, match="/a may not be read"):
        await reading.follow(session, ["/a"], interest, Heard())


async def test_a_watch_that_fails_otherwise_is_an_outage() -> None:
    session = cast("Session", Scripted({}, watch=-1))
    with pytest.raises(RegistryUnavailable, match="/a cannot be watched"):
        await reading.follow(session, ["/a"], interest, Heard())


async def test_an_answer_of_an_unknown_kind_is_an_outage() -> None:
    session = cast("Session", Scripted({"/a": -99}))
    with pytest.raises(RegistryUnavailable, match="/a cannot be read: error -99"):
        await reading.follow(session, ["/a"], interest, Heard())
