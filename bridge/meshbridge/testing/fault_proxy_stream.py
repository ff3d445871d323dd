"""What becomes of the bytes that go one way, decided without sockets and without a clock."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from meshbridge.testing.faults import (
    Corrupt,
    Delay,
    Direction,
    Fault,
    Flip,
    Hang,
    Reset,
    StreamFault,
    Throttle,
    Truncate,
)

SLICE = 0.05
"""Seconds of a throttled stream that are handed on at once."""


@dataclass(frozen=True, slots=True)
class Break:
    """The connection ends by a RST to those that bytes in this direction go to."""

    direction: Direction
    injected: bool
    """Whether a fault does it; otherwise the other end did."""


@dataclass(frozen=True, slots=True)
class Close:
    """The connection ends here, as both ends see."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing goes on until the faults change."""


@dataclass(frozen=True, slots=True)
class Send:
    """These bytes are to be handed on now."""

    data: bytes
    altered: int
    """How many of them differ from those that came in."""
    slowed: bool
    """Whether they had to wait for a fault's sake."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The sender has closed its side, and this is to be handed on now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done before this time; None: before something happens."""

    until: float | None


class Stream:
    """The bytes of one connection in one direction, from their arrival until they are handed on.

    The result depends on the bytes and the faults, never on the pieces in which the bytes came.
    """

    def __init__(self, direction: Direction) -> None:
        """Begin without a byte; ``direction`` is one, not BOTH."""
        self.direction = direction
        self.position = 0
        """Bytes handed on."""
        self.waiting = 0
        """Bytes that came in and were not handed on."""
        self.ended = False
        """Whether the sender sends nothing more."""
        self.finished = False
        """Whether the receiver was told."""
        self._failed = False
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._ended_at = 0.0
        self._sent_at = 0.0
        self._sent = 0
        """Bytes that were handed on last, at that time."""
        self._rate = math.inf
        """How many a second a throttle let through then."""

    def take(self, data: bytes, now: float) -> None:
        """Take in what came from the sender, which is not empty."""
        self._pieces.append((now, data))
        self.waiting += len(data)

    def end(self, now: float) -> None:
        """Note that the sender has closed its side."""
        self.ended = True
        self._ended_at = now

    def fail(self, now: float) -> None:
        """Note that the sender has gone, by a RST or because it was never reached."""
        self._failed = True
        self._ended_at = now

    def discard(self) -> int:
        """Forget the bytes that wait; return how many."""
        dropped, self.waiting = self.waiting, 0
        self._pieces.clear()
        return dropped

    @property
    def pending(self) -> bool:
        """Whether the receiver does not know all yet: bytes, or that the sender has gone."""
        return bool(self.waiting) or self._failed or (self.ended and not self.finished)

    def fate(
        self, faults: Sequence[Fault], now: float, *, unsent: int = 0
    ) -> Break | Close | Hold | Wait | None:
        """Return what now becomes of the connection, because of this stream; None: it goes on.

        Wait: it ends then. ``unsent`` of the bytes handed on have not left yet.
        """
        active = self._active(faults, self.position - unsent)
        for fault in active:
            if isinstance(fault, Reset):
                return Break(fault.direction, injected=True)
        if any(isinstance(fault, Truncate) for fault in active):
            return Close()
        if any(isinstance(fault, Hang) for fault in active):
            return Hold()
        if self._failed and not self.waiting and not unsent:
            told_at = self._ended_at + _delay(active)
            return Wait(told_at) if told_at > now else Break(self.direction, injected=False)
        return None

    def next(self, faults: Sequence[Fault], now: float) -> Send | Finish | Wait:
        """Return what is to be done next, for a receiver that is ready, and no fate.

        Bytes to be sent count as handed on.
        """
        if not self._pieces and (self._failed or self.finished or not self.ended):
            return Wait(None)
        active = self._active(faults, self.position)
        delay = _delay(active)
        arrived = self._pieces[0][0] if self._pieces else self._ended_at
        if arrived + delay > now:
            return Wait(arrived + delay)
        if not self._pieces:
            self.finished = True
            return Finish()
        rates = [fault.bytes_per_second for fault in active if isinstance(fault, Throttle)]
        rate = min(rates, default=math.inf)
        # The pause is the throttle's of now, and no longer than that of the one that let them go:
        # what went faster before a throttle began is not made up for.
        free_at = self._sent_at + self._sent / max(rate, self._rate)
        if free_at > now:
            return Wait(free_at)
        data = self._pop(min(self._ahead(faults), max(1, rate * SLICE)))
        self._sent_at, self._sent, self._rate = now, len(data), rate
        changed, altered = self._altered(faults, data)
        self.position += len(data)
        return Send(changed, altered, slowed=bool(delay or rates))

    def _active(self, faults: Sequence[Fault], position: int) -> list[StreamFault]:
        """Return those that concern the byte at that place."""
        return [
            fault
            for fault in faults
            if isinstance(fault, StreamFault) and fault.hits(self.direction, position)
        ]

    def _ahead(self, faults: Sequence[Fault]) -> float:
        """Return how many bytes there are before another fault begins."""
        begins = (fault.after for fault in faults if isinstance(fault, StreamFault))
        return min(
            (begin - self.position for begin in begins if begin > self.position), default=math.inf
        )

    def _pop(self, most: float) -> bytes:
        arrived, data = self._pieces.popleft()
        if most < len(data):
            most = int(most)
            self._pieces.appendleft((arrived, data[most:]))
            data = data[:most]
        self.waiting -= len(data)
        return data

    def _altered(self, faults: Sequence[Fault], data: bytes) -> tuple[bytes, int]:
        """Return the bytes as they arrive, and how many of them are others."""
        begin = self.position
        changed = bytearray(data)
        touched: set[int] = set()
        for fault in faults:
            if isinstance(fault, Flip | Corrupt) and self.direction in fault.direction:
                for offset, mask in fault.places(self.direction, begin, begin + len(data)):
                    changed[offset - begin] ^= mask
                    touched.add(offset - begin)
        return bytes(changed), sum(data[each] != changed[each] for each in touched)


def _delay(active: Sequence[StreamFault]) -> float:
    return sum(fault.seconds for fault in active if isinstance(fault, Delay))
