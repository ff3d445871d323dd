"""What can go wrong on the wire, as values that a test hands to a FaultProxy."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag
from hashlib import blake2b

ALL_BITS = 0xFF


class Direction(Flag):
    """Which way bytes go."""

    TO_SERVER = 1
    TO_CLIENT = 2
    BOTH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFault:
    """What a fault of the bytes that go in one direction has: which way, and from where on."""

    direction: Direction = Direction.BOTH
    after: int = 0
    """Bytes of a connection and direction that are spared, counted from the connection's begin."""

    def __post_init__(self) -> None:
        """Raise ValueError for a place where no byte is, or no direction."""
        _check_direction(self.direction)
        _check_whole("after", self.after, 0)

    def hits(self, direction: Direction, position: int) -> bool:
        """Whether it concerns what comes at that place of a stream in that direction."""
        return direction in self.direction and self.after <= position


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing listens: new connections are refused. Those there are go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(StreamFault):
    """The end that the bytes go to is told by a RST, the other one sees a close; BOTH: two RSTs.

    As every RST, it takes back bytes that the receiver's full buffers have kept on the way.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang(StreamFault):
    """Connections are taken and stay open, and neither bytes nor ends come through.

    What is held back arrives once it is mended.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate(StreamFault):
    """As soon as ``after`` bytes went through, both ends see a regular close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(StreamFault):
    """Everything arrives ``seconds`` later, an end and a RST too; several delays add up."""

    seconds: float

    def __post_init__(self) -> None:
        """Raise ValueError for seconds that nobody can wait."""
        StreamFault.__post_init__(self)
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise ValueError(f"seconds must be finite and 0 or more, is {self.seconds!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle(StreamFault):
    """No more than that many bytes arrive in a second, in each direction of each connection."""

    bytes_per_second: float

    def __post_init__(self) -> None:
        """Raise ValueError for a rate at which nothing would arrive: that is :class:`Hang`."""
        StreamFault.__post_init__(self)
        rate = self.bytes_per_second
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"bytes_per_second must be finite and more than 0, is {rate!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """The byte at offset ``at`` of each connection arrives with the bits of ``mask`` inverted."""

    at: int
    mask: int = ALL_BITS
    direction: Direction = Direction.BOTH

    def __post_init__(self) -> None:
        """Raise ValueError for a place, mask or direction that changes nothing."""
        _check_direction(self.direction)
        _check_whole("at", self.at, 0)
        _check_whole("mask", self.mask, 1, ALL_BITS)

    def places(self, _: Direction, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Give the offsets from ``begin`` up to ``end`` that are changed, each with its mask."""
        if begin <= self.at < end:
            yield self.at, self.mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrupt(StreamFault):
    """One byte in each ``every`` arrives changed; the seed says which and how, always the same."""

    every: int
    seed: int

    def __post_init__(self) -> None:
        """Raise ValueError where there is no byte to choose from."""
        StreamFault.__post_init__(self)
        _check_whole("every", self.every, 1)

    def places(self, direction: Direction, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Give the offsets from ``begin`` up to ``end`` that are changed, each with its mask."""
        first = max(begin - self.after, 0) // self.every
        for block in range(first, -(-(end - self.after) // self.every)):
            words = f"{self.seed} {direction.value} {block}".encode()
            chance = int.from_bytes(blake2b(words, digest_size=16).digest())
            offset = self.after + block * self.every + chance % self.every
            if begin <= offset < end:
                yield offset, 1 + chance // self.every % ALL_BITS


Fault = Refuse | Reset | Hang | Truncate | Delay | Throttle | Flip | Corrupt


def _check_direction(direction: Direction) -> None:
    if direction not in (Direction.TO_SERVER, Direction.TO_CLIENT, Direction.BOTH):
        raise ValueError(f"direction must be TO_SERVER, TO_CLIENT or BOTH, is {direction!r}")


def _check_whole(name: str, value: float, least: int, most: float = math.inf) -> None:
    """Refuse what counts no bytes: half of one is never reached, whatever the annotation says."""
    whole = isinstance(value, int)
    if not (whole and least <= value <= most):
        number = "" if whole else "a whole number, "
        range_ = f"{least} or more" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be {number}{range_}, is {value!r}")
