"""How long single turns of an event loop take: what one callback does before the next one may."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True, slots=True)
class Turn:
    """One callback, or one step of a task."""

    lasted: float
    """Seconds by the clock: whatever else the machine did meanwhile is in it."""
    spent: float
    """Seconds of processor time of the loop's thread."""
    whose: str


class Turns:
    """The longest turns since they were asked for last."""

    def __init__(self) -> None:
        """Measure every turn of every loop of this process from now on."""
        self._longest = self._busiest = Turn(0.0, 0.0, "")
        run = cast("Callable[[asyncio.Handle], None]", vars(asyncio.Handle)["_run"])

        def measured(handle: asyncio.Handle) -> None:
            spent, begun = time.thread_time(), time.perf_counter()
            run(handle)
            lasted, spent = time.perf_counter() - begun, time.thread_time() - spent
            if lasted > self._longest.lasted:
                self._longest = Turn(lasted, spent, _whose(handle))
            if spent > self._busiest.spent:
                self._busiest = Turn(lasted, spent, _whose(handle))

        setattr(asyncio.Handle, "_run", measured)  # noqa: B010 - it is not public

    def take(self) -> tuple[Turn, Turn]:
        """Return the turn that lasted longest and the one that computed most; begin anew."""
        taken = self._longest, self._busiest
        self._longest = self._busiest = Turn(0.0, 0.0, "")
        return taken


def answer(figures: dict[str, float], longest: Turn, busiest: Turn) -> None:
    """Print the figures, with the longest turns since the last answer; complain of long ones."""
    for turn in {longest, busiest}:
        if turn.lasted > 0.01:  # noqa: PLR2004 - half of what may be
            said = f"{turn.lasted * 1e3:.1f} ms, {turn.spent * 1e3:.1f} ms of processor time"
            print(f"a turn of {said}: {turn.whose}", file=sys.stderr)  # noqa: T201
    print(json.dumps(figures | {"longest": longest.lasted, "busiest": busiest.spent}), flush=True)  # noqa: T201


def _whose(handle: asyncio.Handle) -> str:
    """Return what ran: a task's coroutine, else the callback."""
    callback = cast("object", getattr(handle, "_callback", None))
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return str(getattr(cast("object", owner.get_coro()), "__qualname__", owner.get_name()))
    return repr(callback)[:80]
