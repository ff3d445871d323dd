"""Waits for something to become true in another process, and says what it saw if it never does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(
    look: Callable[[], Awaitable[T]],
    holds: Callable[[T], bool],
    *,
    within: float,
    every: float = 0.02,
) -> tuple[T, float]:
    """Look again and again until what is seen ``holds``; return it and the seconds that took.

    Raises AssertionError with what was seen last after ``within`` seconds.
    """
    begun = time.monotonic()
    while True:
        seen = await look()
        took = time.monotonic() - begun
        if holds(seen):
            return seen, took
        if took > within:
            message = f"not within {within:g} s; seen last: {seen!r}"
            raise AssertionError(message)
        await asyncio.sleep(every)
