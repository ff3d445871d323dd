"""Waits until what is looked at has become as expected and has stopped changing."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rig.waiting import until

T = TypeVar("T")

QUIET = 2.0
"""Seconds without a change; frameworks write part of what they write a second after the rest."""


async def settled(
    look: Callable[[], Awaitable[T]],
    holds: Callable[[T], bool],
    *,
    within: float = 30.0,
    quiet: float = QUIET,
) -> T:
    """Return what is seen once it holds and has been the same for ``quiet`` seconds.

    Raises AssertionError with what was seen last after ``within`` seconds.
    """
    last: list[T] = []
    since = time.monotonic()

    async def unchanged() -> tuple[T, float]:
        nonlocal since
        seen = await look()
        if [seen] != last:
            last[:] = [seen]
            since = time.monotonic()
        return seen, time.monotonic() - since

    (seen, _), _ = await until(
        unchanged, lambda pair: holds(pair[0]) and pair[1] >= quiet, within=within, every=0.1
    )
    return seen
