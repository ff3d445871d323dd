"""What is told of a tree against the tree itself, over every order that Hypothesis finds.

The server here is a model: it changes, answers and tells events as ZooKeeper does. It is allowed
even to send an answer later than events that happened after it, which ZooKeeper never does.
"""

import posixpath
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from meshbridge_zookeeper_dubbo.persistent import (
    EXISTING,
    NO_NODE,
    Event,
    Happened,
    Read,
    Result,
)
from meshbridge_zookeeper_dubbo.reading_nodes import Node
from meshbridge_zookeeper_dubbo.reading_state import State
from meshbridge_zookeeper_dubbo.tree import Want

ROOTS = ("/a", "/b/a", "/a/b")
"""One missing at first with its parent, and one below another."""
NAMES = st.sampled_from(["a", "b"])
DEPTH = 5
EXAMPLES = 60
CHANGES = st.sampled_from(["creates", "deletes", "writes", "comes_back"])
PATHS = st.lists(NAMES, min_size=1, max_size=DEPTH).map(lambda names: "/" + "/".join(names))


def interest(path: str) -> Want:
    """Want something else at each depth, and nothing of some and of the deepest."""
    depth = path.count("/")
    if depth >= DEPTH or path.endswith("b/b"):
        return Want.NOTHING
    return (Want.CHILDREN, Want.CHILDREN | Want.DATA, Want.CHILDREN, Want.DATA)[depth - 1]


class View:
    """What a listener knows that believes what it is told, and nothing else."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}
        self.contents: dict[str, bytes | None] = {}

    def children(self, path: str, names: Sequence[str]) -> None:
        for name in self.names.get(path, set()) - set(names):
            self._forget(posixpath.join(path, name))
        self.names[path] = set(names)

    def added(self, path: str, name: str) -> None:
        self.names[path].add(name)

    def removed(self, path: str, name: str) -> None:
        self.names[path].discard(name)
        self._forget(posixpath.join(path, name))

    def data(self, path: str, data: bytes | None) -> None:
        self.contents[path] = data

    def guarded(self, path: str) -> None:
        raise AssertionError(path)

    def settled(self) -> None:
        """Hear it."""

    def _forget(self, gone: str) -> None:
        for held in (self.names, self.contents):
            for path in [each for each in held if f"{each}/".startswith(f"{gone}/")]:
                if not any(f"{path}/".startswith(f"{root}/") and root != gone for root in ROOTS):
                    del held[path]


class Asked(NamedTuple):
    """A question on its way."""

    node: Node
    read: Read


class Answered(NamedTuple):
    """An answer on its way."""

    asked: Asked
    result: Result


class Server(RuleBasedStateMachine):
    """A server that changes, one client that reads it, and the wire between them."""

    recursive = True
    guarded = False
    """Whether some of its nodes may not be read."""

    @initialize(paths=st.lists(PATHS, max_size=20))
    def begins(self, paths: list[str]) -> None:
        self.tree: dict[str, bytes] = {}
        self.watched: set[tuple[str, Want]] = set()
        self.wire: list[Event | Answered] = []
        self.asked: list[Asked] = []
        self.answers: list[Answered] = []
        for path in paths:
            self.creates(path)
        self.wire.clear()
        self.view = View()
        self.state = State(ROOTS, interest, self.view, recursive=self.recursive)

    @rule(path=PATHS)
    def creates(self, path: str) -> None:
        """Create a node, and first those above it."""
        above = posixpath.dirname(path)
        if above != "/" and above not in self.tree:
            self.creates(above)
        if path not in self.tree:
            self.tree[path] = b"new"
            self.tell(Happened.CREATED, path, Want.NOTHING)

    @rule(path=PATHS)
    def deletes(self, path: str) -> None:
        """Delete a node, and first those below it."""
        for each in sorted(self.tree, reverse=True):
            if f"{each}/".startswith(f"{path}/"):
                del self.tree[each]
                self.tell(Happened.DELETED, each, Want.NOTHING, Want.DATA, Want.CHILDREN)

    @rule(path=PATHS, data=st.binary(min_size=1, max_size=2))
    def writes(self, path: str, data: bytes = b"other") -> None:
        if path in self.tree:
            self.tree[path] = data
            self.tell(Happened.CHANGED, path, Want.DATA)

    @rule(path=PATHS)
    def comes_back(self, path: str) -> None:
        """Delete a node and create it again, perhaps with less below it."""
        if path in self.tree:
            self.deletes(path)
            self.creates(path)

    @precondition(lambda self: self.guarded)
    @rule(data=st.data())
    def changes_unseen(self, data: st.DataObject) -> None:
        """Change a node that we may not read, of which only the name is wanted: no event comes."""
        paths = (posixpath.join(above, name) for above in self.tree for name in "ab")
        unwanted = [path for path in paths if not interest(path) and not self.below(path)]
        if unwanted:
            path = data.draw(st.sampled_from(unwanted))
            if path not in self.tree:
                self.tree[path] = b"new"
            else:
                del self.tree[path]

    @precondition(lambda self: self.guarded)
    @rule(share=st.floats(0, 1))
    def checks(self, share: float) -> None:
        self.state.nodes.check(share)

    @rule(most=st.integers(1, 5))
    def asks(self, most: int) -> None:
        self.asked += [Asked(*each) for each in self.state.next_reads(most)]

    @precondition(lambda self: self.asked)
    @rule(late=st.booleans())
    def answers_one(self, *, late: bool) -> None:
        asked = self.asked.pop(0)
        answered = Answered(asked, self.answer(asked.read))
        self.answers.append(answered)
        if not late:
            self.sends_answers()

    @rule()
    def sends_answers(self) -> None:
        self.wire += self.answers
        self.answers.clear()

    @rule(data=st.data(), how=CHANGES, served=st.booleans())
    def changes_while_read(self, data: st.DataObject, how: str, *, served: bool) -> None:
        """Change a node, or one below it, between the question and its answer or just after."""
        self.asks(5)
        if not self.asked:
            return
        path = data.draw(st.sampled_from([asked.read.path for asked in self.asked]))
        below = [posixpath.join(path, name) for name in self.below(path)]
        while served and self.asked:
            self.answers_one(late=True)
        getattr(self, how)(data.draw(st.sampled_from([posixpath.join(path, "a"), path, *below])))

    @precondition(lambda self: self.wire)
    @rule(most=st.integers(1, 5))
    def delivers(self, most: int) -> None:
        for item in self.wire[:most]:
            if isinstance(item, Event):
                self.state.happened(item)
            else:
                self.state.answered(item.asked.node, item.asked.read, item.result)
            while self.state.find(1):
                pass
        del self.wire[:most]

    def teardown(self) -> None:
        """Everything that is under way arrives and is checked; then the view is the tree."""
        if not hasattr(self, "state"):
            return
        self.arrives()
        for _ in range(2 * self.guarded):  # the round that has begun, and a whole one
            self.state.nodes.check(1)
            self.arrives()
        self.compared: set[str] = set()
        assert self.state.nodes.size == sum(self.compare(root) for root in ROOTS)
        assert self.state.nodes.unread == 0

    def arrives(self) -> None:
        while self.state.nodes.busy or self.asked or self.answers or self.wire:
            self.asks(5)
            while self.asked:
                self.answers_one(late=False)
            self.sends_answers()
            self.delivers(len(self.wire))

    def compare(self, path: str) -> int:
        """Compare what is told with what is; return the bytes that are read once."""
        if path in self.compared:
            return 0
        self.compared.add(path)
        size = 0
        want = interest(path)
        if Want.DATA in want:
            assert self.view.contents.get(path) == self.tree.get(path), path
            size += len(self.tree.get(path, b""))
        if Want.CHILDREN in want:
            names = self.below(path)
            assert self.view.names.get(path, set()) == set(names), path
            for name in names:
                size += len(name) + self.compare(posixpath.join(path, name))
        return size

    def below(self, path: str) -> list[str]:
        return [posixpath.basename(each) for each in self.tree if posixpath.dirname(each) == path]

    def answer(self, read: Read) -> Result:
        there = read.path in self.tree
        if there or read.want is Want.NOTHING:
            self.watched.add((read.path, read.want))
        if not there:
            return NO_NODE
        if read.want is Want.DATA:
            return self.tree[read.path]
        return self.below(read.path) if read.want is Want.CHILDREN else EXISTING

    def tell(self, happened: Happened, path: str, *fire: Want) -> None:
        """Send what the watches tell: those of old once, and the parent's without a name."""
        if self.recursive:
            if any(f"{path}/".startswith(f"{root}/") for root in ROOTS):
                self.wire.append(Event(happened, path))
            return
        fired = {(path, want) for want in fire} & self.watched
        self.watched -= fired
        if fired:
            self.wire.append(Event(happened, path))
        above = (posixpath.dirname(path), Want.CHILDREN)
        if happened is not Happened.CHANGED and above in self.watched:
            self.watched.remove(above)
            self.wire.append(Event(Happened.CHILDREN, above[0]))


class OldServer(Server):
    """One before 3.6."""

    recursive = False


class GuardedServer(Server):
    """One that tells nothing of nodes that may not be read."""

    guarded = True


@pytest.mark.parametrize("server", [Server, OldServer, GuardedServer])
def test_what_is_told_is_what_the_tree_holds(server: type[Server]) -> None:
    run_state_machine_as_test(
        server, settings=settings(max_examples=EXAMPLES, stateful_step_count=30, deadline=None)
    )
