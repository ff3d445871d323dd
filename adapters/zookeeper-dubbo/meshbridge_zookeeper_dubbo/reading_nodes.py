"""The nodes that are read: which is to be read next, and how large everything is."""

from collections import deque
from collections.abc import Sequence
from functools import reduce

from meshbridge_zookeeper_dubbo.persistent import Read
from meshbridge_zookeeper_dubbo.tree import Want

MOST_NODES = 1_000_000
"""Nodes that are read; Dubbo has four or five for each interface."""
MOST_BYTES = 2 * 1024 * 1024 * 1024
"""Of all names and data; ten instances of each of 100,000 interfaces have a fourth of it."""

WANTS = {want: tuple(want) for want in (Want.CHILDREN, Want.DATA, Want.CHILDREN | Want.DATA)}
"""The questions to ask, since taking a flag apart costs as much as all else about a node."""
_LOOKING = (Want.NOTHING,)
_CHECKING = (Want.CHILDREN,)


class UnreadableTreeError(Exception):
    """The tree cannot be read as a whole, and why."""


class ProtectedRootError(Exception):
    """A root may not be read, and which."""


class Node:
    """A node that is read."""

    __slots__ = (
        "again",
        "below",
        "checking",
        "data_size",
        "fresh",
        "gone",
        "guarded",
        "known",
        "mark",
        "missing",
        "names_size",
        "open",
        "path",
        "queued",
        "want",
    )

    def __init__(self, path: str, want: Want) -> None:
        self.path = path
        self.want = want
        self.below: dict[str, Node] = {}
        """Its children that are read, by name."""
        self.names_size = 0
        """Characters of its children's names."""
        self.data_size = 0
        """Bytes of its data."""
        self.mark = 0
        """Of its children's names: see :func:`mark`."""
        self.fresh = True
        """It was never read yet."""
        self.known = False
        """The names of its children are told and kept up to date by events."""
        self.missing = False
        """It was not there when it was read last."""
        self.guarded = False
        """It might not be read when it was read last."""
        self.queued = False
        """It is still to be asked for."""
        self.open = 0
        """Answers that are outstanding."""
        self.again = False
        """It has changed since it was asked for."""
        self.checking = False
        """It is read only to see whether its children are those that were told."""
        self.gone = False
        """Nothing is wanted of it any more."""


def mark(names: Sequence[str]) -> int:
    """Return a number that tells a set of names from others.

    A name that comes or goes changes it by its own hash and ``^``, in any order.
    """
    return reduce(int.__xor__, map(hash, names), 0)


class Nodes:
    """Knows every node that is read, and which is to be read next."""

    def __init__(self) -> None:
        self.most = MOST_NODES
        self.most_bytes = MOST_BYTES
        self.size = 0
        """Bytes of all names and data that are known."""
        self.unread = 0
        """Nodes that were never read yet: while there are any, not all that is wanted is told."""
        self._open = 0
        self._queue: deque[Node] = deque()
        self._nodes: dict[str, Node] = {}
        self._round: list[Node] = []

    @property
    def busy(self) -> bool:
        """Whether something is to be read or being read."""
        return bool(self._queue) or self._open > 0

    def get(self, path: str) -> Node | None:
        """Return a node if it is read."""
        return self._nodes.get(path)

    def parent(self, path: str) -> tuple[Node | None, str]:
        """Return the node above, if it is read, and the last name of the path."""
        above, _, name = path.rpartition("/")
        return (self._nodes.get(above or "/") if name else None), name

    def add(self, path: str, want: Want) -> Node:
        """Read one more; raises UnreadableTreeError."""
        node = Node(path, want)
        self._nodes[path] = node
        self.unread += 1
        if len(self._nodes) > self.most:
            raise UnreadableTreeError(f"there are more than {self.most} nodes to read")
        self.read(node)
        return node

    def read(self, node: Node) -> None:
        """Read it, or read it again if it is being read."""
        node.checking = False
        if node.open:
            node.again = True
        elif not node.queued:
            node.queued = True
            self._queue.append(node)

    def check(self, share: float) -> None:
        """Read the children of some nodes again, each in its turn, to see whether all was told.

        They are one more than this share of all that are read. Of one that might not be read, all
        that is wanted is read again, as no watch tells that it may be.
        """
        if not self._round:
            self._round = [
                node for node in self._nodes.values() if Want.CHILDREN in node.want or node.guarded
            ]
        most = int(share * len(self._nodes)) + 1
        for node in self._round[-most:]:
            if not (node.gone or node.queued or node.open):
                self.read(node)
                node.checking = True
        del self._round[-most:]

    def next_reads(self, most: int, *, look: bool) -> list[tuple[Node, Read]]:
        """Return questions to ask now, about so many at most.

        ``look`` asks of nodes that are missing only whether they are there.
        """
        reads: list[tuple[Node, Read]] = []
        while self._queue and len(reads) < most:
            node = self._queue.popleft()
            node.queued = False
            if node.gone:
                continue
            wants = _LOOKING if look and node.missing else WANTS[node.want]
            if node.checking and not node.guarded:
                wants = _CHECKING
            reads.extend((node, Read(node.path, want)) for want in wants)
            node.open = len(wants)
            node.again = False
            self._open += 1
        return reads

    def answered(self, node: Node) -> None:
        """Count an answer."""
        node.open -= 1
        if not node.open:
            self._open -= 1

    def complete(self, node: Node) -> None:
        """Take it that all of it was read, and read it again if it has changed meanwhile."""
        self._no_longer_fresh(node)
        if node.again:
            self.read(node)

    def has_names(self, node: Node, size: int, names: int) -> None:
        """Take how long its children's names are, and their mark; raises UnreadableTreeError."""
        self._grow(size - node.names_size)
        node.names_size = size
        node.mark = names

    def has_data(self, node: Node, size: int) -> None:
        """Take the bytes of its data; raises UnreadableTreeError."""
        self._grow(size - node.data_size)
        node.data_size = size

    def remove(self, node: Node) -> None:
        """Forget a node that is no root, and what is below it."""
        above, name = self.parent(node.path)
        if above is None:
            raise AssertionError("what is below a node is forgotten with it")
        above.below.pop(name, None)
        self.drop(node)

    def drop(self, dropped: Node) -> None:
        """Forget it and what is below it, when the node above does so itself."""
        stack = [dropped]
        while stack:
            node = stack.pop()
            node.gone = True
            del self._nodes[node.path]
            self._no_longer_fresh(node)
            self.has_names(node, 0, 0)
            self.has_data(node, 0)
            stack.extend(node.below.values())

    def _no_longer_fresh(self, node: Node) -> None:
        self.unread -= node.fresh
        node.fresh = False

    def _grow(self, more: int) -> None:
        self.size += more
        if self.size > self.most_bytes:
            raise UnreadableTreeError(
                f"there are more than {self.most_bytes} bytes of names and data"
            )
