"""Work that pauses after each step, so that much of it does not hold up the loop."""

import asyncio
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Pauses at each ``yield``, and returns what it has made."""


def at_once(steps: Steps[T]) -> T:
    """Return what all steps make, without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made


async def in_turns(steps: Steps[T]) -> T:
    """Return what all steps make; others get their turns in between."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made
        await asyncio.sleep(0)
