"""What of a ZooKeeper tree is known, what has to be read, and what is told of it: no I/O.

Events and answers are taken in the order in which they come from the server. An event of a
persistent recursive watch names the child that came or went, so only nodes of which more than the
name is wanted have to be read. A node that changes while it is being read is read again.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from meshbridge_zookeeper_dubbo.persistent import (
    EXISTING,
    NO_AUTH,
    NO_NODE,
    Event,
    Happened,
    Read,
    Result,
)
from meshbridge_zookeeper_dubbo.reading_node import Node, ProtectedRootError, UnreadableTreeError
from meshbridge_zookeeper_dubbo.tree import Interest, Listener, Want

MOST_NODES = 1_000_000
"""Nodes that are read; Dubbo has four or five for each interface."""
MOST_BYTES = 2 * 1024 * 1024 * 1024
"""Of all names and data; ten instances of each of 100,000 interfaces have a fourth of it."""

_LOOKING = (Want.NOTHING,)
_WANTS = {want: tuple(want) for want in (Want.CHILDREN, Want.DATA, Want.CHILDREN | Want.DATA)}
"""The questions to ask, since taking a flag apart costs as much as all else about a node."""


class State:
    """Takes what the server says, tells the listener, and says what to ask next.

    A root that is below another root is read on its own account.
    """

    def __init__(
        self,
        roots: Sequence[str],
        interest: Interest,
        listener: Listener,
        protected: Callable[[str], None],
        *,
        recursive: bool,
    ) -> None:
        """Begin with reading the roots.

        Args:
            roots: Paths to read from.
            interest: Says what to read of them and of what is below.
            listener: Is told.
            protected: Is told of a node below a root that may not be read, before the listener is
                told of it as of one that is not there.
            recursive: Whether events come for every node below the roots, each naming the node
                itself; otherwise once for each node that was read, and for children without a name.
        """
        self._interest = interest
        self._listener = listener
        self._protected = protected
        self._recursive = recursive
        self.most_nodes = MOST_NODES
        self.most_bytes = MOST_BYTES
        self.told = True
        """Whether anything was told that was not said to be one state."""
        self.unread = 0
        """Nodes that were never read yet: while there are any, not all that is wanted is told."""
        self._open = 0
        """Nodes that are being read."""
        self._size = 0
        self._queue: deque[Node] = deque()
        self._found: list[tuple[Node, Iterator[str]]] = []
        """Names of which it is not known yet whether they are wanted."""
        self._nodes: dict[str, Node] = {}
        self._roots = frozenset(roots)
        for root in roots:
            want = interest(root)
            if want:
                self._add(root, want)

    @property
    def busy(self) -> bool:
        """Whether something is to be read or being read."""
        return bool(self._queue) or self._open > 0

    @property
    def size(self) -> int:
        """Bytes of all names and data that are known."""
        return self._size

    def next_reads(self, most: int) -> list[tuple[Node, Read]]:
        """Return questions to ask now, about so many at most; each must be answered."""
        reads: list[tuple[Node, Read]] = []
        while self._queue and len(reads) < most:
            node = self._queue.popleft()
            node.queued = False
            if node.gone:
                continue
            looking = node.missing and not self._recursive
            wants = _LOOKING if looking else _WANTS[node.want]
            reads.extend((node, Read(node.path, want)) for want in wants)
            node.open = len(wants)
            node.again = False
            self._open += 1
        return reads

    def happened(self, event: Event) -> None:
        """Take an event; raises UnreadableTreeError."""
        match event.happened:
            case Happened.CREATED:
                self._created(event.path)
            case Happened.DELETED:
                self._deleted(event.path)
            case Happened.CHANGED:
                self._changed(event.path, Want.DATA)
            case Happened.CHILDREN:
                self._changed(event.path, Want.CHILDREN)

    def answered(self, node: Node, read: Read, result: Result) -> None:
        """Take the answer to a question; raises UnreadableTreeError and ProtectedRootError."""
        node.open -= 1
        if not node.open:
            self._open -= 1
        if node.gone:
            return
        if not isinstance(result, int):
            self._has(node, result)
        elif result == NO_NODE:
            self._is_missing(node, read.want)
        elif result == NO_AUTH:
            self._is_protected(node, read.want)
        elif result == EXISTING:
            node.missing = False
            node.again = True
        else:
            raise UnreadableTreeError(f"{node.path} cannot be read: error {result}")
        if not node.open and not node.gone:
            self._no_longer_fresh(node)
            if node.again:
                self._read(node)

    def find(self, most: int) -> bool:
        """Look at up to so many of the names that the last answer held; return whether any is left.

        To be called until then, before anything else: a part of it, so that a node with very many
        children blocks nobody. Raises UnreadableTreeError.
        """
        while self._found:
            node, names = self._found[-1]
            for name in islice(names, most):
                self._find(node, name)
                most -= 1
            if not most:
                return True
            self._found.pop()
        return False

    def _created(self, path: str) -> None:
        above, name = self._above(path)
        if above is not None:
            if above.open:
                above.again = True
            if above.known:
                self._has_names(above, above.names_size + len(name))
                self._listener.added(above.path, name)
                self.told = True
                self._find(above, name)
        node = self._nodes.get(path)
        if node is not None:
            node.missing = False
            self._read(node)

    def _deleted(self, path: str) -> None:
        node = self._nodes.get(path)
        if node is not None:
            self._has_gone(node)
        above, name = self._above(path)
        if above is not None:
            if above.open:
                above.again = True
            if above.known:
                self._has_names(above, above.names_size - len(name))
                self._listener.removed(above.path, name)
                self.told = True

    def _changed(self, path: str, what: Want) -> None:
        node = self._nodes.get(path)
        if node is not None and what in node.want:
            self._read(node)

    def _above(self, path: str) -> tuple[Node | None, str]:
        """Return the parent of a child whose coming and going is told by its own events."""
        above, name = self._parent(path)
        told = self._recursive and above is not None and Want.CHILDREN in above.want
        return (above if told else None), name

    def _parent(self, path: str) -> tuple[Node | None, str]:
        parent, _, name = path.rpartition("/")
        return (self._nodes.get(parent or "/") if name else None), name

    def _has(self, node: Node, result: list[str] | bytes) -> None:
        node.missing = False
        self.told = True
        if isinstance(result, bytes):
            self._has_data(node, len(result))
            self._listener.data(node.path, result)
            return
        self._has_names(node, sum(map(len, result)))
        node.known = True
        if node.below:
            for name in node.below.keys() - set(result):
                self._drop(node.below.pop(name))
        self._listener.children(node.path, result)
        self._found.append((node, iter(result)))

    def _is_missing(self, node: Node, want: Want) -> None:
        node.missing = True
        if want is Want.NOTHING:
            return  # it is looked out for now
        for each in _WANTS[node.want]:  # what was read of it just before has gone as well
            self._is_empty(node, each)
        if self._recursive:
            return
        if node.path in self._roots:
            node.again = True  # to look out for it
        else:
            self._remove(node)  # its parent's event comes, and then it is found again or not

    def _is_protected(self, node: Node, want: Want) -> None:
        if node.path in self._roots:
            raise ProtectedRootError(node.path)
        self._protected(node.path)
        self._is_empty(node, want)

    def _has_gone(self, node: Node) -> None:
        if node.path not in self._roots:
            self._remove(node)
            return
        node.missing = True
        for want in _WANTS[node.want]:
            self._is_empty(node, want)
        if node.open or not self._recursive:
            self._read(node)

    def _is_empty(self, node: Node, want: Want) -> None:
        self.told = True
        if want is Want.DATA:
            self._has_data(node, 0)
            self._listener.data(node.path, None)
            return
        self._has_names(node, 0)
        for child in node.below.values():
            self._drop(child)
        node.below.clear()
        self._listener.children(node.path, ())

    def _find(self, above: Node, name: str) -> None:
        """Read a child if it is wanted and not known yet."""
        path = f"{above.path}/{name}" if above.path != "/" else f"/{name}"
        if path in self._nodes:
            return
        want = self._interest(path)
        if want:
            above.below[name] = self._add(path, want)

    def _add(self, path: str, want: Want) -> Node:
        node = Node(path, want)
        self._nodes[path] = node
        self.unread += 1
        if len(self._nodes) > self.most_nodes:
            raise UnreadableTreeError(f"there are more than {self.most_nodes} nodes to read")
        self._read(node)
        return node

    def _read(self, node: Node) -> None:
        if node.open:
            node.again = True
        elif not node.queued:
            node.queued = True
            self._queue.append(node)

    def _remove(self, node: Node) -> None:
        above, name = self._parent(node.path)
        if above is not None:
            above.below.pop(name, None)
        self._drop(node)

    def _drop(self, dropped: Node) -> None:
        stack = [dropped]
        while stack:
            node = stack.pop()
            node.gone = True
            del self._nodes[node.path]
            self._no_longer_fresh(node)
            self._has_names(node, 0)
            self._has_data(node, 0)
            stack.extend(node.below.values())

    def _no_longer_fresh(self, node: Node) -> None:
        self.unread -= node.fresh
        node.fresh = False

    def _has_names(self, node: Node, size: int) -> None:
        self._grow(size - node.names_size)
        node.names_size = size

    def _has_data(self, node: Node, size: int) -> None:
        self._grow(size - node.data_size)
        node.data_size = size

    def _grow(self, more: int) -> None:
        self._size += more
        if self._size > self.most_bytes:
            raise UnreadableTreeError(
                f"there are more than {self.most_bytes} bytes of names and data"
            )
