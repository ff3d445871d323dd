"""What one subscriber holds: a mapping of its own, or that of a set which many streams share."""

from collections.abc import Iterable, Mapping

from meshbridge.copied import copied
from meshbridge_xds.resources import Resource


class Holding:
    """Resources by name; takes up no memory while it equals what is offered to everybody."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.now: Mapping[str, Resource] = {}
        """Not to be changed from outside."""
        self._own: dict[str, Resource] | None = None

    def share(self, listed: Mapping[str, Resource]) -> None:
        """Hold exactly this, which nobody will ever change."""
        self.now, self._own = listed, None

    def put(self, resources: Mapping[str, Resource]) -> None:
        """Hold these too, in place of others of the same names."""
        self._mine().update(resources)

    def drop(self, names: Iterable[str]) -> None:
        """Hold these no more."""
        mine = self._mine()
        for name in names:
            mine.pop(name, None)

    def _mine(self) -> dict[str, Resource]:
        if self._own is None:
            self.now = self._own = copied(self.now)
        return self._own
