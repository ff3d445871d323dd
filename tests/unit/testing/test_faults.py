"""What becomes of a stream's bytes: exactly what the faults say, however the bytes come in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbridge.testing import (
    Corrupt,
    Delay,
    Direction,
    Fault,
    Flip,
    Hang,
    Refuse,
    Reset,
    Throttle,
    Truncate,
)
from meshbridge.testing.fault_proxy_stream import (
    Break,
    Close,
    Finish,
    Hold,
    Send,
    Stream,
    Wait,
)

UNTIMED = settings(deadline=None)

THERE, BACK = Direction.TO_SERVER, Direction.TO_CLIENT
PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
PLACES = st.integers(min_value=0, max_value=120)
DIRECTIONS = st.sampled_from([THERE, BACK, Direction.BOTH])
FLIPS = st.builds(Flip, at=PLACES, mask=st.integers(1, 255), direction=DIRECTIONS)
CORRUPTS = st.builds(
    Corrupt,
    every=st.integers(1, 50),
    seed=st.integers(),
    after=PLACES,
    direction=DIRECTIONS,
)
ENDS = (
    st.builds(Truncate, after=PLACES)
    | st.builds(Reset, after=PLACES)
    | st.builds(Hang, after=PLACES)
)
SLOW = st.builds(
    Throttle, bytes_per_second=st.floats(1, 1000), after=PLACES, direction=DIRECTIONS
) | st.builds(Delay, seconds=st.floats(0, 5), after=PLACES, direction=DIRECTIONS)
NO_DIRECTION = "direction must be TO_SERVER, TO_CLIENT or BOTH, is <Direction: 0>"
FAULTS = st.lists(FLIPS | CORRUPTS | ENDS | SLOW | st.just(Refuse()), max_size=4)


@dataclass
class Outcome:
    """All that came of a stream."""

    data: bytes = b""
    altered: int = 0
    finished: bool = False
    fate: Break | Close | Hold | None = None
    seconds: float = 0.0


def play(pieces: Sequence[bytes], *faults: Fault, direction: Direction = THERE) -> Outcome:
    """Let the pieces and an end come at once, and hand on until nothing more can be."""
    stream = Stream(direction)
    for piece in pieces:
        stream.take(piece, 0.0)
    stream.end(0.0)
    outcome = Outcome()
    while (fate := stream.fate(faults, outcome.seconds)) is None:
        match stream.next(faults, outcome.seconds):
            case Send(data, altered):
                outcome.data += data
                outcome.altered += altered
            case Finish():
                outcome.finished = True
            case Wait(None):
                break
            case Wait(until):
                assert until is not None
                assert until > outcome.seconds
                outcome.seconds = until
    assert not isinstance(fate, Wait), "its sender has not gone"
    outcome.fate = fate
    return outcome


def wrong(fraction: float) -> int:
    """Return what no type checker lets through, as those do who have none."""
    return cast("int", fraction)


def differing(left: bytes, right: bytes) -> list[int]:
    return [place for place, pair in enumerate(zip(left, right, strict=True)) if len(set(pair)) > 1]


@UNTIMED
@given(PIECES)
def test_without_a_fault_the_bytes_and_the_end_come_as_they_are(pieces: list[bytes]) -> None:
    assert play(pieces) == Outcome(b"".join(pieces), finished=True)


@UNTIMED
@given(PIECES, PLACES, FAULTS)
def test_the_pieces_in_which_the_bytes_come_change_nothing(
    pieces: list[bytes], cut: int, faults: list[Fault]
) -> None:
    """Neither what arrives nor what ends it; the time only by what a throttle cannot divide."""
    whole = b"".join(pieces)
    one, two, many = (
        play([piece for piece in split if piece], *faults)
        for split in ((whole,), (whole[:cut], whole[cut:]), pieces)
    )
    for other in (two, many):
        other.seconds = one.seconds
        assert other == one


@UNTIMED
@given(PIECES, PLACES)
def test_truncate_lets_through_exactly_so_many_bytes(pieces: list[bytes], after: int) -> None:
    whole = b"".join(pieces)
    outcome = play(pieces, Truncate(after=after))
    assert outcome.data == whole[:after]
    assert outcome.fate == (Close() if after <= len(whole) else None)


@UNTIMED
@given(PIECES, PLACES, st.integers(1, 255))
def test_flip_changes_the_byte_it_names_and_no_other(
    pieces: list[bytes], at: int, mask: int
) -> None:
    expected = bytearray(b"".join(pieces))
    if at < len(expected):
        expected[at] ^= mask
    outcome = play(pieces, Flip(at=at, mask=mask))
    assert outcome.data == bytes(expected)
    assert outcome.altered == (at < len(expected))


@UNTIMED
@given(st.binary(max_size=300), st.integers(1, 50), PLACES, st.integers())
def test_corrupt_changes_one_byte_of_each_so_many(
    data: bytes, every: int, after: int, seed: int
) -> None:
    """Beginning at its place; the seed is all that says which."""
    fault = Corrupt(every=every, after=after, seed=seed)
    outcome = play([data] if data else [], fault)
    changed = differing(data, outcome.data)
    blocks = [(place - after) // every for place in changed]
    complete = max(len(data) - after, 0) // every
    assert outcome.altered == len(changed)
    assert all(place >= after for place in changed)
    assert blocks[:complete] == list(range(complete))
    assert len(blocks) <= complete + 1
    assert play([data] if data else [], fault) == outcome


def test_corrupt_chooses_other_bytes_for_another_seed_and_direction() -> None:
    data = bytes(10_000)

    def places(seed: int, direction: Direction) -> tuple[int, ...]:
        outcome = play([data], Corrupt(every=100, seed=seed), direction=direction)
        return tuple(differing(data, outcome.data))

    found = {places(seed, direction) for seed in (1, 2) for direction in (THERE, BACK)}
    assert len(found) == 4


def test_two_flips_of_one_byte_can_leave_it_as_it_was() -> None:
    outcome = play([b"abc"], Flip(at=1, mask=3), Flip(at=1, mask=3))
    assert (outcome.data, outcome.altered) == (b"abc", 0)


@UNTIMED
@given(st.integers(1, 300), st.floats(0.5, 2000), PLACES)
def test_throttle_lets_no_more_through_in_a_second(size: int, rate: float, after: int) -> None:
    """The first slice comes at once, and slices are 50 ms or a byte."""
    outcome = play([bytes(size)], Throttle(bytes_per_second=rate, after=after))
    assert outcome.data == bytes(size)
    throttled = max(size - after, 0)
    slice_ = max(1, int(rate * 0.05))
    rounds = math.ceil(throttled / slice_) - 1
    assert outcome.seconds == pytest.approx(max(rounds, 0) * slice_ / rate)


def test_a_throttle_counts_nothing_that_went_before_it() -> None:
    """Else what came at full speed would have to be waited for."""
    stream = Stream(THERE)
    stream.take(bytes(1_000_000), 0.0)
    stream.take(b"x", 0.0)
    assert isinstance(stream.next((), 0.0), Send)
    assert stream.next((Throttle(bytes_per_second=1),), 0.0) == Send(b"x", altered=0, slowed=True)


def test_a_throttle_that_is_gone_holds_nothing_back() -> None:
    stream = Stream(THERE)
    stream.take(b"ab", 0.0)
    slow = (Throttle(bytes_per_second=0.001),)
    assert stream.next(slow, 0.0) == Send(b"a", altered=0, slowed=True)
    assert stream.next(slow, 1.0) == Wait(1000.0)
    assert stream.next((), 1.0) == Send(b"b", altered=0, slowed=False)


def test_the_pause_of_a_throttle_is_none_of_the_next_one() -> None:
    """Neither a slower one's before it, nor one for what a faster one let through."""
    stream = Stream(THERE)
    stream.take(bytes(102), 0.0)
    slow, fast = (Throttle(bytes_per_second=each) for each in (0.01, 1000))
    assert stream.next((slow,), 0.0) == Send(bytes(1), altered=0, slowed=True)
    assert stream.next((slow,), 0.0) == Wait(100.0)
    assert stream.next((fast,), 0.0) == Wait(0.001)
    assert stream.next((fast,), 0.5) == Send(bytes(50), altered=0, slowed=True)
    assert stream.next((slow,), 0.5) == Wait(0.55)
    assert stream.next((slow,), 0.55) == Send(bytes(1), altered=0, slowed=True)
    assert stream.next((slow, fast), 1.0) == Wait(100.55)


def test_each_byte_and_the_end_are_delayed_from_their_own_arrival() -> None:
    stream = Stream(BACK)
    late = (Delay(seconds=1), Delay(seconds=2), Delay(seconds=9, direction=THERE))
    stream.take(b"a", 10.0)
    stream.take(b"b", 11.0)
    stream.end(12.0)
    assert stream.next(late, 10.0) == Wait(13.0)
    assert stream.next(late, 13.0) == Send(b"a", altered=0, slowed=True)
    assert stream.next(late, 13.0) == Wait(14.0)
    assert stream.next(late, 14.5) == Send(b"b", altered=0, slowed=True)
    assert stream.next(late, 14.5) == Wait(15.0)
    assert stream.next(late, 15.0) == Finish()
    assert stream.next(late, 15.0) == Wait(None)


@pytest.mark.parametrize(
    ("fault", "fate"),
    [
        (Reset(after=3), Break(Direction.BOTH, injected=True)),
        (Reset(after=3, direction=THERE), Break(THERE, injected=True)),
        (Truncate(after=3), Close()),
        (Hang(after=3), Hold()),
    ],
)
def test_what_ends_a_stream_lets_through_the_bytes_before_it(
    fault: Fault, fate: Break | Close | Hold
) -> None:
    assert play([b"abcdef"], fault) == Outcome(b"abc", fate=fate)


def test_a_fault_of_the_other_direction_is_none_of_this() -> None:
    for fault in (Reset(direction=BACK), Truncate(direction=BACK), Hang(direction=BACK)):
        assert play([b"abc"], fault) == Outcome(b"abc", finished=True)
    assert play([b"abc"], Flip(at=0, direction=BACK)).data == b"abc"


def test_a_fault_waits_until_the_bytes_before_it_have_left() -> None:
    """Handed on is not sent: a RST at once would take the last of them back."""
    stream = Stream(THERE)
    stream.take(b"abc", 0.0)
    faults = (Reset(after=3),)
    assert stream.next(faults, 0.0) == Send(b"abc", altered=0, slowed=False)
    assert stream.fate(faults, 0.0, unsent=1) is None
    assert stream.fate(faults, 0.0) == Break(Direction.BOTH, injected=True)


def test_of_several_ends_the_hardest_comes_first() -> None:
    """Whatever their order."""
    faults: list[Fault] = [Hang(), Truncate(), Reset()]
    assert isinstance(play([b"a"], *faults).fate, Break)
    assert play([b"a"], *faults[:2]).fate == Close()


def test_a_sender_that_is_lost_is_told_after_its_last_bytes() -> None:
    stream = Stream(BACK)
    stream.take(b"last", 0.0)
    stream.fail(0.0)
    assert stream.fate((), 0.0) is None
    assert stream.next((), 0.0) == Send(b"last", altered=0, slowed=False)
    assert stream.fate((), 0.0, unsent=2) is None
    assert stream.next((), 0.0) == Wait(None)
    assert stream.fate((), 0.0) == Break(BACK, injected=False)


def test_the_loss_of_a_sender_is_delayed_as_its_bytes_are() -> None:
    """By the delay of the place where it was lost, as long as there is one."""
    stream = Stream(BACK)
    late = (Delay(seconds=2, after=2), Delay(seconds=1), Delay(seconds=9, after=3))
    stream.take(b"ab", 10.0)
    stream.fail(10.5)
    assert stream.fate(late, 11.0) is None
    assert stream.next(late, 11.0) == Send(b"ab", altered=0, slowed=True)
    assert stream.fate(late, 13.0) == Wait(13.5)
    assert stream.fate((), 13.0) == Break(BACK, injected=False)
    assert stream.fate(late, 13.5) == Break(BACK, injected=False)


def test_a_hang_keeps_the_loss_of_the_sender_to_itself() -> None:
    stream = Stream(BACK)
    stream.fail(0.0)
    assert stream.fate((Hang(),), 0.0) == Hold()
    assert stream.pending


def test_a_stream_knows_whether_it_has_anything_to_say() -> None:
    stream = Stream(THERE)
    assert not stream.pending
    stream.take(b"abc", 0.0)
    told = [stream.pending]
    assert stream.discard() == 3
    told.append(stream.pending)
    stream.end(0.0)
    told.append(stream.pending)
    assert stream.next((), 0.0) == Finish()
    assert [*told, stream.pending] == [True, False, True, False]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Hang(after=-1), "after must be 0 or more, is -1"),
        (lambda: Truncate(after=wrong(12.5)), "after must be a whole number, 0 or more, is 12.5"),
        (lambda: Reset(direction=Direction(0)), NO_DIRECTION),
        (lambda: Delay(seconds=-1), "seconds must be finite and 0 or more, is -1"),
        (lambda: Delay(seconds=math.inf), "seconds must be finite and 0 or more, is inf"),
        (lambda: Delay(seconds=1, after=-1), "after must be"),
        (lambda: Delay(seconds=1, direction=Direction(0)), NO_DIRECTION),
        (lambda: Throttle(bytes_per_second=0), "second must be finite and more than 0, is 0"),
        (lambda: Throttle(bytes_per_second=math.nan), "finite and more than 0, is nan"),
        (lambda: Throttle(bytes_per_second=1, after=-1), "after must be"),
        (lambda: Flip(at=-1), "at must be 0 or more, is -1"),
        (lambda: Flip(at=wrong(0.5)), "at must be a whole number, 0 or more, is 0.5"),
        (lambda: Flip(at=0, mask=0), "mask must be from 1 to 255, is 0"),
        (lambda: Flip(at=0, mask=256), "mask must be from 1 to 255, is 256"),
        (lambda: Flip(at=0, mask=wrong(1.0)), "mask must be a whole number, from 1 to 255, is 1.0"),
        (lambda: Flip(at=0, direction=Direction(0)), NO_DIRECTION),
        (lambda: Corrupt(every=0, seed=1), "every must be 1 or more, is 0"),
        (lambda: Corrupt(every=wrong(2.5), seed=1), "every must be a whole number, 1 or more"),
        (lambda: Corrupt(every=1, seed=1, after=-1), "after must be"),
    ],
)
def test_a_fault_that_makes_no_sense_cannot_be_made(make: object, complaint: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=complaint):
        make()
