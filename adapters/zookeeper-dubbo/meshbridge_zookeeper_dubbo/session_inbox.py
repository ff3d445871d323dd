"""Hands what another thread puts in to the event loop, in order, waking it once for many."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_WAITING = 2_000_000
"""What may wait to be taken: hours of a busy registry, and less than half a gigabyte."""


class Overrun(Exception):  # noqa: N818 - what it is, is said by its name
    """More came than is taken."""


class Inbox(Generic[T]):
    """Has one thread that puts in and one task that takes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int = MOST_WAITING) -> None:
        self._loop = loop
        self._most = most
        self._items: deque[T] = deque()
        self._filled = asyncio.Event()
        self._woken = False

    def put(self, item: T) -> None:
        """Put it in, on the other thread; raises Overrun when too much waits already."""
        if len(self._items) >= self._most:
            raise Overrun(f"more than {self._most} changes wait to be told")
        self._items.append(item)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._filled.set)

    def wake(self) -> None:
        """Have :meth:`take` return on the event loop's next turn, also if there is nothing."""
        self._filled.set()

    async def take(self) -> list[T]:
        """Wait until there is something, and return all that there is."""
        await self._filled.wait()
        self._filled.clear()
        # Before looking: whoever puts in between then wakes once more, for nothing at worst.
        self._woken = False
        return [self._items.popleft() for _ in range(len(self._items))]
