"""Notices from a thread of its own that the event loop does not turn, and says where it stands.

Whatever computes or waits on the loop without letting it turn holds everything up: every registry,
every subscriber, the probes. Only another thread can say so while it lasts.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from prometheus_client import CollectorRegistry, Counter
from structlog.typing import FilteringBoundLogger

from meshbridge.lineage import lineage_of

_FRAMES = 6
"""Innermost calls that are said."""
_AGAIN = 60.0
"""Seconds in which the same place is not said again; the counter tells how often."""
_PLACES = 64


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the loop may take for one turn."""

    limit: float = 0.5
    """Seconds without a turn that are too many."""
    look: float = 0.1
    """Seconds of one look. The limit is counted in looks of this thread, not by the clock: while
    the whole process was stopped (SIGSTOP, a suspended machine) it has looked but once."""
    pause: float = 0.2
    """Seconds between a turn and the next time it is asked for one."""


PATIENCE = Patience()


@contextmanager
def watchdog(
    loop: asyncio.AbstractEventLoop,
    logger: FilteringBoundLogger,
    metrics: CollectorRegistry,
    patience: Patience = PATIENCE,
) -> Generator[None]:
    """Watch the loop, which runs in this thread, until the block is left."""
    blocked = Counter(
        "meshbridge_loop_blocked",
        "Times the event loop did not turn for more than half a second.",
        registry=metrics,
    )
    watching = _Watching(loop, threading.get_ident(), logger, blocked.inc, patience)
    thread = threading.Thread(target=watching.run, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watching.stop()
        thread.join(patience.limit)  # it is a daemon: nothing waits for it longer


class _Watching:
    """What the thread does."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: int,
        logger: FilteringBoundLogger,
        count: Callable[[], None],
        patience: Patience,
    ) -> None:
        self._loop, self._thread = loop, thread
        self._logger, self._count, self._patience = logger, count, patience
        self._stop = threading.Event()
        self._said: dict[str, float] = {}

    def stop(self) -> None:
        """Let it end soon."""
        self._stop.set()

    def run(self) -> None:
        """Ask for a turn again and again, until stopped or the loop is closed."""
        while not self._stop.wait(self._patience.pause):
            turned = threading.Event()
            try:
                self._loop.call_soon_threadsafe(turned.set)
            except RuntimeError:  # the loop is closed
                return
            self._await_turn(turned)

    def _await_turn(self, turned: threading.Event) -> None:
        lasted, looks, said, counted = 0.0, 0, False, False
        enough = self._patience.limit / self._patience.look
        while not self._stop.is_set():
            begun = time.monotonic()
            if turned.wait(self._patience.look):
                lasted += time.monotonic() - begun
                break
            looks += 1
            # Not how long it took: this thread may have been stopped along with the loop.
            lasted += self._patience.look
            if looks >= enough and not counted:
                counted = True
                self._count()
                said = self._say()
        if said:
            self._logger.info("event loop turns again", after_seconds=round(lasted, 1))

    def _say(self) -> bool:
        """Say where it stands, if that was not said lately."""
        stack = _stack(sys._current_frames().get(self._thread))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the documented way to look at another thread
        place = stack[0] if stack else ""
        now = time.monotonic()
        if now - self._said.get(place, -_AGAIN) < _AGAIN:
            return False
        if len(self._said) >= _PLACES:
            self._said.clear()
        self._said[place] = now
        self._logger.warning(
            "event loop is blocked",
            seconds=self._patience.limit,
            at=stack,
            **self._whose(),
            next="nothing else goes on meanwhile; whoever wrote this code must not wait there",
        )
        return True

    def _whose(self) -> dict[str, str]:
        """Tell whose task it is, if it is one."""
        task = asyncio.current_task(self._loop)
        if task is None:
            return {}
        lineage = lineage_of(task, self._loop)
        return {"task": task.get_name(), **({"registry": lineage.registry} if lineage else {})}


def _stack(frame: FrameType | None) -> list[str]:
    """Return the innermost calls as ``file:line function``, innermost first."""
    calls: list[str] = []
    while frame is not None and len(calls) < _FRAMES:
        code = frame.f_code
        calls.append(f"{code.co_filename}:{frame.f_lineno} {code.co_qualname}")
        frame = frame.f_back
    return calls
