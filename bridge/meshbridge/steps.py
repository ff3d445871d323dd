"""Work that pauses after each step, so that much of it does not hold up the loop."""

import asyncio
import gc
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from meshbridge.memory import settle

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Pauses at each ``yield``, and returns what it has made."""

TURN: Final = 0.003
"""Seconds of work after which others get their turn."""
LARGE: Final = 256 * 1024
"""Bytes that take so long to read that others get a turn before more is made of them."""
MANY: Final = 5
"""Steps after which what they make is much."""
_NEAR: Final = 2
"""Collections of the middle generation, of the ten that a full one comes after."""
_PART: Final = 500
"""Small things that are done before it is looked whether others are to have a turn."""


def at_once(steps: Steps[T]) -> T:
    """Return what all steps make, without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made


async def in_turns(steps: Steps[T]) -> T:
    """Return what all steps make; others get their turns in between.

    What takes many steps makes much that stays: a full collection amid 12,000 instances would hold
    up the loop for longer than all of the steps.
    """
    done = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made
        done += 1
        spare(done, MANY)
        await asyncio.sleep(0)


def spare(done: int, many: int) -> None:
    """Keep a full collection from coming in the middle of much work whose results stay.

    It would look at all that was made so far, 100 ms for 5,000 services of ten instances. Where
    little is done it may come: there it frees what refers to itself.
    """
    if done >= many and gc.get_count()[2] >= _NEAR:
        settle()


async def after_reading(size: int) -> None:
    """Let others have their turn if so many bytes were a lot to read."""
    if size >= LARGE:
        await asyncio.sleep(0)


class Pace:
    """Of one piece of work."""

    def __init__(self) -> None:
        """Begin with it now."""
        self._until = time.perf_counter() + TURN

    async def breathe(self) -> None:
        """Let others have their turn if it is time, between two small steps."""
        if time.perf_counter() > self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + TURN


def parts(items: Iterable[T]) -> Iterator[Sequence[T]]:
    """Yield what there is now in parts that are small."""
    every = list(items)
    for begin in range(0, len(every), _PART):
        yield every[begin : begin + _PART]


async def snapshot(held: Iterable[T]) -> list[T]:
    """Return what is held; others get their turns in between, and may add to it or take from it.

    What is added or taken meanwhile may be in it or not.

    Memory that rests may be so slow that looking at 50,000 names at once takes 40 ms.
    """
    pace, found, left = Pace(), list[T](), iter(held)
    try:
        while part := list(islice(left, _PART)):
            found += part
            await pace.breathe()
    except RuntimeError:  # it has changed in between, and is no longer at rest
        return list(held)
    return found


async def chosen(items: Iterable[T], wanted: Callable[[T], bool]) -> list[T]:
    """Return those that are wanted; others get their turns in between."""
    pace, found = Pace(), list[T]()
    for part in parts(items):
        found += filter(wanted, part)
        await pace.breathe()
    return found


async def ordered(names: Iterable[str]) -> list[str]:
    """Return them sorted, of many each part by itself: as a whole that would hold up the loop."""
    pace, found = Pace(), list[str]()
    for part in parts(names):
        found += sorted(part)
        await pace.breathe()
    return found
