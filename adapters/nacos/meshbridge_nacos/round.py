"""Picks a few of many in turn, so that all get theirs."""

from collections import deque
from collections.abc import Set as AbstractSet


class Round:
    """Picks a few of many in turn, whichever come and go meanwhile."""

    def __init__(self) -> None:
        """Begin anywhere."""
        self._left: deque[str] = deque()
        """Whose turn it is still in this round, of those that were there when it began."""

    def next(self, names: AbstractSet[str], most: int) -> list[str]:
        """Return so many names after those of the last time, fewer only where there are no more.

        It costs as much as it returns, but for the beginning of a round.
        """
        chosen: dict[str, None] = {}
        self._take(chosen, names, most)
        if len(chosen) < most:
            self._left = deque(names)
            self._take(chosen, names, most)
        return list(chosen)

    def _take(self, chosen: dict[str, None], names: AbstractSet[str], most: int) -> None:
        while self._left and len(chosen) < most:
            name = self._left.popleft()
            if name in names:
                chosen[name] = None
