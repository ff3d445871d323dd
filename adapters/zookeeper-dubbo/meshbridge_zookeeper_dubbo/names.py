"""Keeps what nodes' names tell, each of which is read once, however often it is listed; pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Names(Generic[T]):
    """The children of one node, by what their names tell.

    A name of Dubbo's is half a kilobyte and there are a hundred thousand of them, so what is kept
    of one that was read is its hash: Python's own has 64 bits and is seeded for each process, and
    only the names below one node are told apart by it.
    """

    __slots__ = ("_unread", "read")

    def __init__(self) -> None:
        """Begin without a name."""
        self.read: dict[int, T] = {}
        """What the names that were read tell."""
        self._unread: dict[int, str] = {}

    def __bool__(self) -> bool:
        """Whether there is any name."""
        return bool(self.read or self._unread)

    @property
    def unread(self) -> int:
        """How many names must be read still."""
        return len(self._unread)

    def add(self, name: str, before: "Names[T] | None" = None) -> T | None:
        """Take a name; return what it tells, if that is known now, since ``before`` knew it."""
        key = hash(name)
        if key in self.read or key in self._unread:
            return None
        if before is None or key not in before.read:
            self._unread[key] = name
            return None
        known = self.read[key] = before.read[key]
        return known

    def keep(self, before: "Names[T]") -> list[T]:
        """Take what was read before of names that cannot be listed now, and return it."""
        self.read = dict(before.read)
        return list(self.read.values())

    def remove(self, name: str) -> T | None:
        """Let a name go; return what it told, if it was read."""
        key = hash(name)
        self._unread.pop(key, None)
        return self.read.pop(key, None)

    def replace(
        self, names: Iterable[str], before: "Names[T] | None" = None
    ) -> tuple[list[T], list[T]]:
        """Let these be all names; return what those tell that are known now, and that went."""
        held = {hash(name): name for name in names}
        gone = [value for key, value in self.read.items() if key not in held]
        if gone:
            self.read = {key: value for key, value in self.read.items() if key in held}
        self._unread = {key: name for key, name in self._unread.items() if key in held}
        come = [known for name in held.values() if (known := self.add(name, before)) is not None]
        return come, gone

    def read_some(self, most: int, read: Callable[[str], T]) -> Iterator[T]:
        """Read up to so many of the names that are unread, and yield what they tell."""
        for _ in range(min(most, len(self._unread))):
            key, name = self._unread.popitem()
            value = self.read[key] = read(name)
            yield value
