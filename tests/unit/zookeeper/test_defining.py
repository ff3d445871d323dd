"""Service definitions are read when they may be new, ever more rarely after that, and not more."""

from collections.abc import Callable, Sequence

import pytest
from unit.zookeeper.pieces import DEFINED, HERE, LIFE, interfaces, mapped, shop
from unit.zookeeper.stand_in_registry import StandInServer, node, running
from unit.zookeeper.stand_in_registry import metadata as metadata_of
from unit.zookeeper.trees import Registry, Tree, kids

from meshbridge_zookeeper_dubbo import fetching
from meshbridge_zookeeper_dubbo.defining import TOGETHER, Defining
from meshbridge_zookeeper_dubbo.persistent import NO_NODE, Read, Result
from meshbridge_zookeeper_dubbo.retrying import LATEST, SOONEST
from meshbridge_zookeeper_dubbo.tree import Want

pytestmark = pytest.mark.asyncio

TREE = shop() | mapped() | {f"{DEFINED}/1/b/provider/shop": b""}
DEFINED_HERE = {f"b@@{LIFE}#1": HERE}


def answers(tree: Tree, reads: Sequence[Read]) -> list[Result]:
    children = kids(tree)
    names: dict[str, Result] = {path: [*below] for path, below in children.items()}
    return [
        tree.get(path, NO_NODE) if want is Want.DATA else names.get(path, NO_NODE)
        for path, want in reads
    ]


class Defined:
    """A registry, and what is done to know its definitions."""

    def __init__(self, tree: Tree) -> None:
        self.registry = Registry()
        self.registry.defines = False
        self.registry.read(tree)
        self.asked: list[int] = []
        """How much was asked for at once."""
        self.soon: list[str] = []
        self.waits: list[float] = []
        self._calls: list[Callable[[], None]] = []
        applications = self.registry.holdings.applications
        self.defining = Defining(
            applications, self.registry.roots, self.soon.append, self._call_later
        )
        self.look()

    def become(self, tree: Tree) -> None:
        self.registry.become(tree)
        self.look()

    def look(self) -> None:
        """Look as the one does who fetches."""
        fresh = self.registry.holdings.applications.revisions.fresh
        while fresh:
            (application, _), _ = fresh.popitem()
            self.defining.look(application)

    async def read(self) -> None:
        these = [*self.soon]
        self.soon.clear()
        await self.defining.read(self._ask, these)
        self.registry.say()
        self.look()

    def time_passes(self) -> None:
        """Let all that is waited for come."""
        calls = [*self._calls]
        self._calls.clear()
        for call in calls:
            call()

    def _call_later(self, longest: float, call: Callable[[], None]) -> None:
        self.waits.append(longest)
        self._calls.append(call)

    async def _ask(self, reads: Sequence[Read]) -> list[Result]:
        self.asked.append(len(reads))
        return answers(self.registry.tree, reads)


async def test_they_are_read_at_once_and_then_ever_more_rarely() -> None:
    it = Defined(TREE)
    for _ in range(12):
        assert it.soon == ["shop"]
        await it.read()
        assert interfaces(it.registry) == DEFINED_HERE
        assert it.soon == []
        it.time_passes()
    assert it.waits[:4] == [SOONEST, 2 * SOONEST, 4 * SOONEST, 8 * SOONEST]
    assert it.waits[-1] == LATEST


async def test_for_instances_that_come_in_a_row_they_are_read_once_and_soon() -> None:
    it = Defined(TREE)
    for _ in range(4):
        await it.read()
        it.time_passes()
    await it.read()
    before = len(it.waits)
    tree = TREE
    for port in range(1, 9):
        tree = tree | shop(port)
        it.become(tree)
    assert it.soon == []
    assert it.waits[before:] == [SOONEST]
    it.time_passes()
    assert it.soon == ["shop"], "and not for those that were waited for before"
    await it.read()
    it.become(tree | shop(9))
    assert it.waits[before:] == [SOONEST, 2 * SOONEST, SOONEST]
    it.time_passes()
    assert it.soon == ["shop"]


async def test_they_are_read_at_once_for_who_comes_back() -> None:
    it = Defined(TREE)
    await it.read()
    it.become(mapped())
    it.become(TREE)
    assert it.soon == ["shop"]
    assert interfaces(it.registry) == {}
    await it.read()
    assert interfaces(it.registry) == DEFINED_HERE


async def test_for_who_has_gone_they_are_read_no_more() -> None:
    it = Defined(TREE)
    await it.read()
    it.become(mapped())
    it.time_passes()
    assert (it.soon, it.waits) == ([], [SOONEST])
    it.become(TREE)
    assert it.soon == ["shop"]
    it.become(mapped())
    await it.read()
    it.time_passes()
    assert it.soon == []


async def test_what_fails_is_tried_again() -> None:
    it = Defined(TREE)
    it.soon.clear()
    it.defining.fail({"shop": "it is away"})
    it.registry.say()
    assert interfaces(it.registry) == {LIFE: HERE}
    it.time_passes()
    assert it.soon == ["shop"]
    await it.read()
    assert interfaces(it.registry) == DEFINED_HERE
    assert it.waits == [SOONEST, 2 * SOONEST]
    it.defining.fail({})
    assert len(it.waits) == 2


async def test_many_are_asked_for_together_and_not_too_many() -> None:
    names = [f"a.B{number}" for number in range(TOGETHER + 1)]
    it = Defined(shop() | mapped(*names))
    await it.read()
    assert it.asked == [TOGETHER, 1]


class StandInTree(StandInServer):
    """Answers what a tree holds; the metadata of revisions, too."""

    def __init__(self, tree: Tree) -> None:
        super().__init__()
        self.tree = tree

    def answer(self, reads: Sequence[Read]) -> list[Result]:
        return answers(self.tree, reads)


async def test_they_are_read_over_the_connection_that_reads_metadata(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = TREE | {"/dubbo/metadata/shop/r1": metadata_of("r1")}
    server = StandInTree(tree)
    monkeypatch.setattr(fetching, "connected", server.connected)
    async with running() as fetched:
        fetched.registry.defines = False
        fetched.become(tree | node("r1"))
        await fetched.until(lambda: interfaces(fetched.registry).items() >= DEFINED_HERE.items())
        await fetched.until(lambda: fetched.known == {"r1"})
        assert len(server.sessions) == 1
        await fetched.until(lambda: fetched.pauses == [0.75 * SOONEST])


async def test_a_registry_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    server = StandInTree(TREE)
    server.down = True
    monkeypatch.setattr(fetching, "connected", server.connected)
    async with running() as fetched:
        fetched.registry.defines = False
        fetched.become(TREE)
        await fetched.until(lambda: interfaces(fetched.registry) == {LIFE: HERE})
        assert "it is away" in fetched.registry.reports[0].reason
        server.down = False
        await fetched.until(lambda: bool(fetched.pauses))
        fetched.again.set()
        await fetched.until(lambda: interfaces(fetched.registry) == DEFINED_HERE)
