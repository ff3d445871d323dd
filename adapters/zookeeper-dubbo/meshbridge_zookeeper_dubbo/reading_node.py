"""A node of which more than the name is read, and why a tree cannot be read."""

from meshbridge_zookeeper_dubbo.tree import Want


class UnreadableTreeError(Exception):
    """The tree cannot be read as a whole, and why."""


class ProtectedRootError(Exception):
    """A root may not be read, and which."""


class Node:
    """A node that is read."""

    __slots__ = (
        "again",
        "below",
        "data_size",
        "fresh",
        "gone",
        "known",
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
        """Bytes, of ASCII, of its children's names."""
        self.data_size = 0
        """Bytes of its data."""
        self.fresh = True
        """It was never read yet."""
        self.known = False
        """The names of its children are told and kept up to date by events."""
        self.missing = False
        """It was not there when it was read last."""
        self.queued = False
        """It is still to be asked for."""
        self.open = 0
        """Answers that are outstanding."""
        self.again = False
        """It has changed since it was asked for."""
        self.gone = False
        """Nothing is wanted of it any more."""
