"""When to ask a Eureka server, and for what: for changes, or for everything; pure."""

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_JITTER: Final = 0.1
"""The share of a time that is left out at random, so that not all bridges ask at once."""
_SELDOM: Final = 30.0
"""Seconds between full readings that an odd hash code asks for again and again."""
_WINDOW: Final = 120.0
"""Seconds after which a delta may lack what has changed since: a server tells it for 180 s, and its
answers may be old already."""
_DOUBLINGS: Final = 10


class Ask(enum.Enum):
    """What to ask for; the value stands behind ``/apps``."""

    FULL = ""
    DELTA = "/delta"


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask for now."""

    ask: Ask
    after_gap: bool = False
    """Whether changes may have been missed before it."""
    doubted: bool = False
    """Whether the server holds something else than we know."""


class Agenda:
    """Takes what became of each question, and says what the next one is, and when.

    All moments are monotonic seconds, and so are the two intervals: of questions, and of those for
    everything. ``chance`` gives numbers from 0 to 1.
    """

    def __init__(self, interval: float, full_interval: float, chance: Callable[[], float]) -> None:
        """Begin with everything, at once."""
        self._interval = interval
        self._full_interval = full_interval
        self._chance = chance
        self._full_at = -math.inf
        self._delta_at = -math.inf
        """When deltas may be asked for again, where the server refused one."""
        self._doubted = False
        """Whether everything is to be read because the server holds something else than we know."""
        self._vain = 0
        """Full readings for that reason, in a row, that were of no avail."""
        self._told_at = -math.inf
        """When the server told anything last."""
        self._refused = 0
        """Deltas in a row that were no answer, from a server that tells them."""
        self.due = -math.inf
        """When to ask next."""

    def question(self, now: float) -> Question:
        """Return what to ask for."""
        slept = now - self._told_at >= _WINDOW
        if now >= self._full_at or now < self._delta_at or slept:
            return Question(Ask.FULL, doubted=self._doubted)
        return Question(Ask.DELTA)

    def took_full(self, now: float) -> None:
        """Take it that everything has been read."""
        self._told_at = now
        self._vain += self._doubted
        self._doubted = False
        self._full_at = now + self._some(self._full_interval)
        self.due = now + self._some(self._interval)

    def took_delta(self, now: float, *, agrees: bool) -> None:
        """Take it that changes have been read, after which all ``agrees`` with the server or not.

        If not, everything is read: at once; if it is of no avail, ever more seldom. Meanwhile
        changes are read as ever.
        """
        self.due = now + self._some(self._interval)
        self._told_at, self._refused = now, 0
        if agrees:
            self._vain, self._doubted = 0, False
        elif not self._doubted:
            self._doubted = True
            wait = self._interval * 2 ** min(self._vain - 1, _DOUBLINGS) if self._vain else 0.0
            self._full_at = min(self._full_at, now + min(wait, max(_SELDOM, self._interval)))
        self.due = max(now, min(self.due, self._full_at))

    def refused_delta(self, now: float, *, known: bool) -> None:
        """Take it that the server told no changes: everything is read at once.

        Where it does not know such a question it is asked so again after a full interval. Where it
        does (``known``) the next time; if that is of no avail, ever more seldom.
        """
        wait = self._full_interval
        if known:
            wait = min(wait, self._interval * 2**self._refused) if self._refused else 0.0
            self._refused = min(self._refused + 1, _DOUBLINGS)
        self._delta_at = now + self._some(wait)
        self._full_at = self.due = now

    def soon(self, now: float) -> None:
        """Take it that everything is worth reading sooner: somebody may have renewed again."""
        self._full_at = min(self._full_at, now + max(_SELDOM, self._interval))

    def moved(self) -> None:
        """Take it that another server is asked from now on, which has caches of its own."""
        self._full_at = self._delta_at = self.due = -math.inf
        self._vain, self._refused, self._doubted = 0, 0, False

    def _some(self, seconds: float) -> float:
        return seconds * (1 - _JITTER * self._chance())
