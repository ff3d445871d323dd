"""Looks through much without holding up the loop, and finds what somebody may have meant."""

import asyncio
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import islice
from typing import Final, TypeVar

_LONGEST: Final = 0.001
"""Seconds of looking after which the loop gets its turn."""
_AT_ONCE: Final = 16
_T = TypeVar("_T")


class Slices:
    """Cuts a long look into short ones; what is looked at may change between two of them."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin; ``clock`` measures real computing time."""
        self._clock = clock
        self._begun = clock()

    async def breathe(self) -> None:
        """Let the loop have its turn if it is due."""
        if self._clock() - self._begun >= _LONGEST:
            await asyncio.sleep(0)
            self._begun = self._clock()

    async def all_of(self, steps: Generator[None, None, _T]) -> _T:
        """Take all the steps, and return what they amount to."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: _T = end.value
                return result
            await self.breathe()


async def nearest(
    asked: str, names: Iterable[str], slices: Slices, most: int = 3
) -> tuple[str, ...]:
    """Return the names that somebody who typed ``asked`` may have meant, the likeliest first."""
    found: list[str] = []
    remaining = iter(names)
    while some := list(islice(remaining, _AT_ONCE)):
        found += get_close_matches(asked, some, most)
        await slices.breathe()
    return tuple(get_close_matches(asked, dict.fromkeys(found), most))


def utc(unix: float) -> str:
    """Return a Unix time as people read it."""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def listed(texts: Sequence[str], most: int, of: int | None = None) -> str:
    """Return these with commas between them, or the first so many and how many more there are.

    They may themselves be the first ``of`` so many.
    """
    beyond = (len(texts) if of is None else of) - most
    return ", ".join(texts[:most]) + (f" and {beyond} more" if beyond > 0 else "")


def counted(number: int, what: str) -> str:
    """Return so many of a thing, in words."""
    return f"{number} {what}{'' if number == 1 else 's'}"
