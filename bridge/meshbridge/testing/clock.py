"""A clock that stands still while anything can run and jumps when nothing can: no test waits."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class Clock:
    """Time for tests: hours of it pass in milliseconds.

    Call it for the seconds; :meth:`run` runs a coroutine on an event loop whose time this is, so
    that ``asyncio.sleep`` and ``asyncio.timeout`` follow it too. It advances only by
    :meth:`advance`, and by itself when the loop has nothing to do but wait for a time: then it
    jumps there. ``idle`` is how many real seconds the loop must have had nothing to do; leave it 0
    unless sockets or threads take part.
    """

    def __init__(self, now: float = 1_000.0, *, idle: float = 0.0) -> None:
        """Begin at ``now`` seconds."""
        self._now = now
        self._idle = idle

    def __call__(self) -> float:
        """Return the seconds now."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of this clock."""
        await asyncio.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass at once."""
        self._now += seconds

    def run(self, main: Coroutine[None, None, T]) -> T:
        """Run a coroutine to its end on a loop that has this clock's time."""
        with asyncio.Runner(loop_factory=self._loop) as runner:
            return runner.run(main)

    def _loop(self) -> asyncio.AbstractEventLoop:
        return _Loop(self, _Selector(self, self._idle))


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that asks the clock for the time."""

    def __init__(self, clock: Clock, selector: selectors.BaseSelector) -> None:
        self._meshbridge_clock = clock
        super().__init__(selector)

    def time(self) -> float:
        """Return the clock's time."""
        return self._meshbridge_clock()


class _Selector(selectors.DefaultSelector):
    """Where the loop waits, and so where it is known that it has nothing else to do."""

    def __init__(self, clock: Clock, idle: float) -> None:
        super().__init__()
        self._clock = clock
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; instead of waiting for a time, jump to it."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(timeout, self._idle))
        if not ready:
            self._clock.advance(timeout)
        return ready
