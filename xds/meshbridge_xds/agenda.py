"""What has to be looked at for the next response to one subscriber; pure."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet


class Agenda:
    """Names that may be news, names that are told of in any case, and an answer that is owed."""

    def __init__(self) -> None:
        """Begin with everything in doubt."""
        self.owed = False
        """Whether an answer is owed even if there is nothing to tell."""
        self.due: AbstractSet[str] = frozenset()
        """Names to tell of in any case."""
        self.rest: list[str] = []
        """Names for which the last response had no room, in order."""
        self._doubtful: set[str] | None = None

    def __bool__(self) -> bool:
        """Whether there is something to look at."""
        return self._doubtful is None or bool(self.owed or self._doubtful or self.due or self.rest)

    @property
    def everything(self) -> bool:
        """Whether each name may differ from what the subscriber holds."""
        return self._doubtful is None

    @property
    def only_rest(self) -> bool:
        """Whether nothing has come since the last response, which had no room for the rest."""
        return not (self._doubtful is None or self._doubtful) and (
            bool(self.rest) and self.due <= set(self.rest)
        )

    def names(self) -> set[str]:
        """Return all names that it is about, unless that is everything."""
        return (self._doubtful or set[str]()).union(self.due, self.rest)

    def doubt(self, names: Iterable[str] | None) -> None:
        """Look at these, which may differ from what the subscriber holds; ``None``: at all."""
        if names is None:
            self._doubtful = None
        elif self._doubtful is not None:
            self._doubtful.update(names)

    def tell(self, names: AbstractSet[str]) -> None:
        """Owe an answer about these; shares the set of who asks for all of them at once."""
        self.due = self.due | names if self.due else names

    def worked_off(self, rest: list[str]) -> None:
        """Take it that all was looked at but the rest."""
        self.rest, self.owed, self._doubtful = rest, False, set()
        self.due = self.due & frozenset(rest) if rest else frozenset()
