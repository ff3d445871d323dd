"""What is wanted of a ZooKeeper tree, and how it is told: between reading it and what it means.

Whoever knows what the nodes mean says by :class:`Interest` what to read; whoever reads tells a
:class:`Listener` what is there, first all of it, then each change, always on the event loop.
"""

import enum
from collections.abc import Sequence
from typing import Protocol


class Want(enum.Flag):
    """What to read of a node."""

    NOTHING = 0
    CHILDREN = enum.auto()
    """Its children's names, now and whenever one comes or goes."""
    DATA = enum.auto()
    """Its data, now and whenever it changes."""


class Interest(Protocol):
    """Says what to read of a node, by its path."""

    def __call__(self, path: str) -> Want:
        """Return what is wanted of the node at this path; pure, and quick: it is asked often."""
        ...


class Listener(Protocol):
    """Is told what is in the tree; every path and name is as ZooKeeper holds it, not decoded.

    A node that is not there has no children and no data. Between two :meth:`settled` it may be
    told of changes in any order of paths.
    """

    def children(self, path: str, names: Sequence[str]) -> None:
        """Take all children that a node has: at first, and where single changes are not known."""
        ...

    def added(self, path: str, name: str) -> None:
        """Take a new child; it may be known already."""
        ...

    def removed(self, path: str, name: str) -> None:
        """Take it that a child has gone; it may be unknown, and whatever was below it is gone."""
        ...

    def data(self, path: str, data: bytes | None) -> None:
        """Take a node's data; ``None``: there is no such node."""
        ...

    def guarded(self, path: str) -> None:
        """Take it that a node below a root may not be read: what was told of it may hold or not.

        That ends when more is told of it, or when it goes.
        """
        ...

    def settled(self) -> None:
        """Take it that what was told so far is one state: the first time it is the whole tree."""
        ...
