"""What of a ZooKeeper tree is known, what has to be read, and what is told of it: no I/O.

Events and answers are taken in the order in which they come from the server. An event of a
persistent recursive watch names the child that came or went, so only nodes of which more than the
name is wanted have to be read. A node that changes while it is being read is read again.

Such a watch is silent about a child that we may not read ourselves (since CVE-2024-23944), though
its name stands in its parent's list. So the lists are read again in turn, and what differs from
what was told is told then.
"""

from collections.abc import Iterator, Sequence
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
from meshbridge_zookeeper_dubbo.reading_nodes import (
    WANTS,
    Node,
    Nodes,
    ProtectedRootError,
    UnreadableTreeError,
    mark,
)
from meshbridge_zookeeper_dubbo.tree import Interest, Listener, Want


class State:
    """Takes what the server says, tells the listener, and says what to ask next.

    A root that is below another root is read on its own account.
    """

    def __init__(
        self,
        roots: Sequence[str],
        interest: Interest,
        listener: Listener,
        *,
        recursive: bool,
    ) -> None:
        """Begin with reading the roots.

        Args:
            roots: Paths to read from.
            interest: Says what to read of them and of what is below.
            listener: Is told.
            recursive: Whether events come for every node below the roots, each naming the node
                itself; otherwise once for each node that was read, and for children without a name.
        """
        self._interest = interest
        self._listener = listener
        self._recursive = recursive
        self.nodes = Nodes()
        self.told = True
        """Whether anything was told that was not said to be one state."""
        self.overlooked: list[str] = []
        """Nodes whose children differed from what was told, when they were checked."""
        self._found: list[tuple[Node, Iterator[str]]] = []
        """Names of which it is not known yet whether they are wanted."""
        self._roots = frozenset(roots)
        for root in roots:
            want = interest(root)
            if want:
                self.nodes.add(root, want)

    def next_reads(self, most: int) -> list[tuple[Node, Read]]:
        """Return questions to ask now, about so many at most; each must be answered."""
        return self.nodes.next_reads(most, look=not self._recursive)

    def happened(self, event: Event) -> None:
        """Take an event; raises UnreadableTreeError."""
        match event.happened:
            case Happened.CREATED:
                self._created(event.path)
            case Happened.DELETED:
                self._deleted(event.path)
            case Happened.CHANGED:
                self._changed(event.path, Want.DATA)
            case _:  # its children
                self._changed(event.path, Want.CHILDREN)

    def answered(self, node: Node, read: Read, result: Result) -> None:
        """Take the answer to a question; raises UnreadableTreeError and ProtectedRootError."""
        self.nodes.answered(node)
        if node.gone:
            return
        if isinstance(result, list):
            self._has_children(node, result)
        elif isinstance(result, bytes):
            self._has_data(node, result)
        elif result == NO_NODE:
            self._is_missing(node, read.want)
        elif result == NO_AUTH:
            self._is_guarded(node)
        elif result == EXISTING:
            node.missing = False
            node.again = True
        else:
            raise UnreadableTreeError(f"{node.path} cannot be read: error {result}")
        if not node.open and not node.gone:
            self.nodes.complete(node)

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
                size = above.names_size + len(name)
                self.nodes.has_names(above, size, above.mark ^ hash(name))
                self._listener.added(above.path, name)
                self.told = True
                self._find(above, name)
        node = self.nodes.get(path)
        if node is not None:
            node.missing = False
            self.nodes.read(node)

    def _deleted(self, path: str) -> None:
        node = self.nodes.get(path)
        if node is not None:
            self._has_gone(node)
        above, name = self._above(path)
        if above is not None:
            if above.open:
                above.again = True
            if above.known:
                size = above.names_size - len(name)
                self.nodes.has_names(above, size, above.mark ^ hash(name))
                self._listener.removed(above.path, name)
                self.told = True

    def _changed(self, path: str, what: Want) -> None:
        node = self.nodes.get(path)
        if node is not None and what in node.want:
            self.nodes.read(node)

    def _above(self, path: str) -> tuple[Node | None, str]:
        """Return the parent of a child whose coming and going is told by its own events."""
        above, name = self.nodes.parent(path)
        told = self._recursive and above is not None and Want.CHILDREN in above.want
        return (above if told else None), name

    def _has_data(self, node: Node, data: bytes) -> None:
        node.missing = node.guarded = False
        self.nodes.has_data(node, len(data))
        self._listener.data(node.path, data)
        self.told = True

    def _has_children(self, node: Node, names: list[str]) -> None:
        guarded = node.guarded
        node.missing = node.guarded = False
        size, found = sum(map(len, names)), mark(names)
        if node.checking and not guarded:
            if node.known and (size, found) == (node.names_size, node.mark):
                return
            self.overlooked.append(node.path)
        self.nodes.has_names(node, size, found)
        node.known = True
        if node.below:
            for name in node.below.keys() - set(names):
                self.nodes.drop(node.below.pop(name))
        self._listener.children(node.path, names)
        self.told = True
        self._found.append((node, iter(names)))

    def _is_missing(self, node: Node, want: Want) -> None:
        if node.missing and node.checking:
            return
        node.missing = True
        if want is Want.NOTHING:
            return  # it is looked out for now
        for each in WANTS[node.want]:  # what was read of it just before has gone as well
            self._is_empty(node, each)
        if self._recursive:
            return
        if node.path in self._roots:
            node.again = True  # to look out for it
        else:
            self.nodes.remove(node)  # its parent's event comes, and then it is found or not

    def _is_guarded(self, node: Node) -> None:
        if node.path in self._roots:
            raise ProtectedRootError(node.path)
        if not node.guarded:
            node.guarded = True
            self._listener.guarded(node.path)
            self.told = True

    def _has_gone(self, node: Node) -> None:
        if node.path not in self._roots:
            self.nodes.remove(node)
            return
        node.missing = True
        for want in WANTS[node.want]:
            self._is_empty(node, want)
        if node.open or not self._recursive:
            self.nodes.read(node)

    def _is_empty(self, node: Node, want: Want) -> None:
        self.told = True
        if want is Want.DATA:
            self.nodes.has_data(node, 0)
            self._listener.data(node.path, None)
            return
        self.nodes.has_names(node, 0, 0)
        for child in node.below.values():
            self.nodes.drop(child)
        node.below.clear()
        self._listener.children(node.path, ())

    def _find(self, above: Node, name: str) -> None:
        """Read a child if it is wanted and not known yet."""
        path = f"{above.path}/{name}" if above.path != "/" else f"/{name}"
        if self.nodes.get(path) is not None:
            return
        want = self._interest(path)
        if want:
            above.below[name] = self.nodes.add(path, want)
