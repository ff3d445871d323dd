"""A Eureka server is asked for changes, and for everything when that is called for."""

import pytest

from meshbridge_eureka.agenda import Agenda, Ask, Question

FULL, DELTA = Question(Ask.FULL, after_gap=False), Question(Ask.DELTA, after_gap=False)


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
    assert begun.question(399) == DELTA
    assert begun.question(400) == FULL
    begun.took_full(400)
    assert begun.question(405) == DELTA


@pytest.mark.parametrize(("chance", "due", "full"), [(0.0, 105, 400), (1.0, 104.5, 370)])
def test_times_are_spread_and_never_longer(chance: float, due: float, full: float) -> None:
    begun = agenda(chance)
    begun.took_full(100)
    assert begun.due == due
    assert begun.question(full - 0.1) == DELTA
    assert begun.question(full) == FULL


def test_where_the_server_holds_something_else_everything_is_read_at_once() -> None:
    begun = reading()
    begun.took_delta(105, agrees=False)
    assert begun.due == 105
    assert begun.question(105) == FULL


def test_if_that_is_of_no_avail_everything_is_read_ever_more_seldom() -> None:
    begun, now, last = reading(), 100.0, 100.0
    waits: list[float] = []
    while len(waits) < 8:
        now = begun.due
        if begun.question(now) == FULL:
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
        assert begun.question(now) == FULL


def test_where_the_server_tells_no_changes_everything_is_read_for_a_while() -> None:
    begun = reading()
    begun.refused_delta(105)
    assert begun.due == 105
    for now in (105, 110, 400):
        assert begun.question(now) == FULL
        begun.took_full(now)
    assert begun.question(405) == DELTA


def test_after_an_outage_everything_is_read_as_after_a_gap() -> None:
    begun = reading()
    begun.lost(105)
    assert begun.due == 110
    assert begun.question(110) == Question(Ask.FULL, after_gap=True)
    begun.moved()
    assert begun.question(110) == Question(Ask.FULL, after_gap=True), "wherever it is read"
    begun.took_full(110)
    assert begun.question(115) == DELTA


def test_another_server_is_read_whole_at_once_and_without_a_gap() -> None:
    begun = reading()
    begun.took_delta(105, agrees=False)
    begun.refused_delta(105)
    begun.moved()
    assert begun.due <= 0
    assert begun.question(105) == FULL
    begun.took_full(105)
    assert begun.question(110) == DELTA, "the other one may tell changes"
