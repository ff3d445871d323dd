"""Keeps the event loop turning while there is much to compute: at most 5 ms in each turn."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

SLICE = 0.005
"""Seconds of computing after which the loop gets its turn."""


class Turns:
    """Lets one task compute at a time, however many want to: many registries, one loop.

    The slice is counted over all who compute in one turn of the loop: a thousand small pieces of
    work hold it up as long as a big one, and no longer.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Take turns; ``clock`` measures real computing time, which no test can hold still."""
        self.one = asyncio.Lock()
        self._clock = clock
        self._begun: float | None = None

    def turn(self) -> "Turn":
        """Return a context in which its task may compute."""
        return Turn(self)

    def over(self) -> bool:
        """Whether the slice of this turn of the loop is used up."""
        if self._begun is None:
            self._begun = self._clock()
            asyncio.get_running_loop().call_soon(self._turned)
            return False
        return self._clock() - self._begun >= SLICE

    def _turned(self) -> None:
        self._begun = None


class Turn:
    """One task's right to compute, given up and taken again at each :meth:`breathe`."""

    def __init__(self, turns: Turns) -> None:
        """Belong to ``turns``."""
        self._turns = turns
        self._held = False

    async def __aenter__(self) -> Self:
        """Wait for the right to compute, first come first served."""
        await self._take()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it up."""
        self._give()

    async def breathe(self) -> None:
        """Let the loop and the others have theirs if the slice is over; between two small steps."""
        if self._turns.over():
            self._give()
            await self._take()

    async def _take(self) -> None:
        await self._turns.one.acquire()
        self._held = True
        while self._turns.over():  # noqa: ASYNC110 - it waits for the loop, not for an event
            await asyncio.sleep(0)

    def _give(self) -> None:
        if self._held:
            self._held = False
            self._turns.one.release()
