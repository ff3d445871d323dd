"""Metadata are read over one connection at a time, and what spoils one spoils itself only.

The stand-in for a ZooKeeper ends connections at will; a real one is read in
tests/peers/test_zookeeper_adapter.py.
"""

import asyncio
from collections.abc import Sequence

import pytest
from unit.zookeeper.stand_in_registry import StandInServer, metadata, node, nodes, running
from unit.zookeeper.trees import Tree

from meshbridge_dubbo import ApplicationInstance, ApplicationMetadata, read_metadata
from meshbridge_zookeeper_dubbo import fetching
from meshbridge_zookeeper_dubbo.dialling import NotAnsweredError

pytestmark = pytest.mark.asyncio


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
