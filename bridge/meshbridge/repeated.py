"""Gives texts that repeat one place in memory, and lets go of those that repeat no more; pure.

What registries tell is mostly the same words for thousands of instances. ``sys.intern`` would keep
each word for ever: Python 3.12 never lets an interned text go, and registries hold ever new ones
(moments, process ids, ids of traces).
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, TypeVar

Pairs = tuple[tuple[str, str], ...]
"""(key, value) pairs in some order."""

MOST: Final = 2_000_000
"""Characters of what is known to have been there lately; twice as many at the most."""
LONGEST: Final = 16_384
"""Characters of what may be shared at all."""
_MANY: Final = 256
"""Pairs of one thing that are looked for: of more none repeat, and it would hold up the loop."""
_EACH: Final = 64
"""What each takes besides its characters, as so many of them."""

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class _Lately(dict[Key, Made]):
    """What was made of keys lately, in two generations: a full one takes the place of the other.

    A dictionary, because whatever is in it is found without a call of ours.
    """

    def __init__(self, make: Callable[[Key], Made], size: Callable[[Key], int]) -> None:
        super().__init__()
        self._make, self._size_of = make, size
        self._size = 0
        self._older: dict[Key, Made] = {}

    def __missing__(self, key: Key) -> Made:
        made = self._older.get(key)
        if made is None:
            made = self._make(key)
        size = self._size_of(key)
        if size > LONGEST:
            return made
        self._size += size + _EACH
        if self._size > MOST:
            self._older = dict(self)
            self.clear()
            self._size = size + _EACH
        self[key] = made
        return made


def text(told: str) -> str:
    """Return an equal text, the same each time while it is repeated."""
    return _TEXTS[told]


def pairs(told: Iterable[tuple[str, str]]) -> Pairs:
    """Return equal pairs in this order, each of them the same each time while it is repeated."""
    return tuple(map(_FIND, told))


def sorted_pairs(told: Mapping[str, str]) -> Pairs:
    """Return a mapping's pairs as :func:`pairs` does, in the order of their keys."""
    if len(told) > _MANY:
        return tuple(sorted(told.items()))
    return tuple(map(_FIND, sorted(told.items())))


def _size_of_both(told: tuple[str, str]) -> int:
    return len(told[0]) + len(told[1])


def _pair(told: tuple[str, str]) -> tuple[str, str]:
    """Return a pair whose texts others have in other pairs, too."""
    key, value = told
    return _TEXTS[key], _TEXTS[value]


_TEXTS: Final = _Lately[str, str](str, len)
_PAIRS: Final = _Lately[tuple[str, str], tuple[str, str]](_pair, _size_of_both)
_FIND: Final = _PAIRS.__getitem__
