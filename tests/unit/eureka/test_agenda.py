"""A Eureka server is asked for changes, and for everything when that is called for."""

import itertools

import pytest

from meshbridge_eureka.agenda import Agenda, Ask, Question

FULL, DELTA = Question(Ask.FULL), Question(Ask.DELTA)
DOUBTED = Question(Ask.FULL, doubted=True)


def agenda(chance: float = 0.0) -> Agenda:
    return Agenda(5, 300, lambda: chance)


def reading(now: float = 100.0) -> Agenda:
    """Return the agenda of who has just read everything."""
    begun = agenda()
    begun.took_full(now)
    return begun


def test_everything_is_read_first_and_at_once() -> None:
    begun = agenda()
    assert begun.due <= 0
    assert begun.question(0) == FULL
    assert (Ask.FULL.value, Ask.DELTA.value) == ("", "/delta")


def test_then_changes_are_read_at_each_interval() -> None:
    begun = reading()
    for now in (105, 110, 115):
        assert begun.due == now
        assert begun.question(now) == DELTA
        begun.took_delta(now, agrees=True)


def test_everything_is_read_again_now_and_then() -> None:
    begun = reading()
    for now in range(105, 400, 5):
        assert begun.question(now) == DELTA
        begun.took_delta(now, agrees=True)
    assert begun.question(400) == FULL
    begun.took_full(400)
    assert begun.question(405) == DELTA


@pytest.mark.parametrize(("chance", "due", "full"), [(0.0, 105, 400), (1.0, 104.5, 370)])
def test_times_are_spread_and_never_longer(chance: float, due: float, full: float) -> None:
    begun = agenda(chance)
    begun.took_full(100)
    assert begun.due == due
    for now in (200, 300, full - 0.1):
        assert begun.question(now) == DELTA
        begun.took_delta(now, agrees=True)
    assert begun.question(full) == FULL


def test_who_slept_for_longer_than_changes_are_told_reads_everything() -> None:
    begun = reading()
    begun.took_delta(105, agrees=True)
    assert begun.question(224) == DELTA
    assert begun.question(225) == FULL


def test_where_the_server_holds_something_else_everything_is_read_at_once() -> None:
    begun = reading()
    begun.took_delta(105, agrees=False)
    assert begun.due == 105
    assert begun.question(105) == DOUBTED


def test_if_that_is_of_no_avail_everything_is_read_ever_more_seldom() -> None:
    begun, now, last = reading(), 100.0, 100.0
    waits: list[float] = []
    while len(waits) < 8:
        now = begun.due
        if begun.question(now) == DOUBTED:
            waits.append(now - last)
            last = now
            begun.took_full(now)
        else:
            begun.took_delta(now, agrees=False)
    assert waits == [5, 10, 15, 25, 35, 35, 35, 35]
    begun.took_delta(begun.due, agrees=True)
    begun.took_delta(500, agrees=False)
    assert begun.due == 500, "one that agrees ends it"


def test_doubts_do_not_put_off_what_is_due() -> None:
    begun = reading()
    for now in (105, 106):
        begun.took_delta(now, agrees=False)
        assert begun.due == now
        assert begun.question(now) == DOUBTED


def test_where_the_server_tells_no_changes_everything_is_read_for_a_while() -> None:
    begun = reading()
    begun.refused_delta(105, known=False)
    assert begun.due == 105
    for now in (105, 110, 400):
        assert begun.question(now) == FULL
        begun.took_full(now)
    assert begun.question(405) == DELTA


def test_where_a_server_could_not_tell_changes_they_are_asked_for_again_soon() -> None:
    """Everything is read each time that it cannot, and the more seldom it is asked."""
    begun, now = reading(), 105.0
    asked: list[float] = []
    while now < 2_000:
        if begun.question(now) == DELTA:
            asked.append(now)
            begun.refused_delta(now, known=True)
            assert begun.question(now) == FULL
        begun.took_full(now)
        now = begun.due
    assert [later - sooner for sooner, later in itertools.pairwise(asked)][:7] == [
        *(5, 10, 20, 40, 80, 160, 300)
    ]
    begun.took_delta(now, agrees=True)
    begun.refused_delta(now + 5, known=True)
    begun.took_full(now + 5)
    assert begun.question(now + 10) == DELTA, "one that is told ends it"


def test_leases_that_are_over_are_looked_at_again_soon() -> None:
    begun = reading(100)
    begun.soon(100)
    assert begun.question(129) == DELTA
    assert begun.question(130) == FULL
    begun.soon(129)
    assert begun.question(130) == FULL, "it puts off nothing"


def test_another_server_is_read_whole_at_once_and_without_a_gap() -> None:
    begun = reading()
    begun.took_delta(105, agrees=False)
    begun.refused_delta(105, known=False)
    begun.moved()
    assert begun.due <= 0
    assert begun.question(105) == FULL
    begun.took_full(105)
    assert begun.question(110) == DELTA, "the other one may tell changes"
