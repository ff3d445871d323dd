"""The checker accuses nobody who lost nothing, and finds what was lost."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.testing.short import BARE, ONE, PLAN, THREE, TWO, of, registered, removed, shows
from unit.testing.simulation import ANCHOR, EVERY, OBSERVERS, Plan, plans, played

from meshbridge.testing.checker import Difference, assert_holds, check
from meshbridge.testing.history import (
    Endpoint,
    FaultBegan,
    FaultEnded,
    FaultSeen,
    Request,
    Same,
    Sample,
    Unreachable,
    View,
    Write,
)

UNTIMED = settings(deadline=None)
"""A run is long: on a busy machine it is judged in more than the 0.2 s that an example may take."""


@UNTIMED
@given(plans)
def test_a_run_that_loses_nothing_is_never_accused(plan: Plan) -> None:
    """Whatever was written and however late the observers were, within what the rules allow."""
    verdict = check(played(plan))
    assert verdict.outcome == "held", str(verdict)
    assert [*verdict.findings()] == []
    shown = [each for each in verdict.convergences if "(the version of" not in each.after]
    assert len(shown) == 3 * (2 + sum(bool(step.added or step.removed) for step in plan.steps))


@UNTIMED
@given(plans, st.sampled_from(OBSERVERS), st.data())
def test_an_endpoint_lost_in_a_single_look_is_always_found(
    plan: Plan, observer: str, data: st.DataObject
) -> None:
    seeing = [
        round(each.asked / EVERY)
        for each in played(plan).events
        if isinstance(each, (Sample, Same)) and each.observer == observer
    ]
    place = data.draw(st.sampled_from(seeing[1:]))
    verdict = check(played(replace(plan, steal=(observer, place))))
    assert verdict.outcome == "broken"
    assert [(each.observer, each.endpoint) for each in verdict.lost] == [(observer, ANCHOR)]


@UNTIMED
@given(plans, st.data())
def test_a_request_that_failed_is_always_found(plan: Plan, data: st.DataObject) -> None:
    history = played(plan)
    sent = [each for each in history.events if isinstance(each, Request)]
    bad = replace(data.draw(st.sampled_from(sent)), by="", failure="status 503")
    verdict = check(of(*history.events, bad, rules=history.rules))
    assert verdict.outcome == "broken"
    assert verdict.failed == (bad,)
    assert "requests failed (1 times status 503)" in str(verdict)


def test_an_answer_of_who_never_was_an_instance_of_the_host_is_found() -> None:
    """Of who was one later or elsewhere, too; of who is one no more it is for others to say."""
    elsewhere = Endpoint("b.file", "10.0.0.9:80")
    asked = [
        Request("a.file", 1.0, 1.1, ONE.address),
        Request("a.file", 5.5, 5.6, ONE.address),
        Request("a.file", 2.0, 2.1, TWO.address),
        Request("a.file", 3.0, 3.1, elsewhere.address),
        Request("a.file", 3.0, 3.1, ""),
    ]
    writes = registered(0.0, ONE, elsewhere), registered(4.0, TWO), removed(5.0, ONE)
    verdict = check(of(*writes, *asked, shows(9.0, TWO, elsewhere)))
    assert verdict.strangers == (asked[2], asked[3])
    assert "2 requests answered by who never was" in str(verdict)


def test_what_goes_with_its_removal_is_not_lost() -> None:
    """While the removal is going on, or after it, even if it is back by then."""
    for gone in (2.05, 2.5, 3.9):
        events = registered(0, ONE), shows(1, ONE), removed(2, ONE), registered(3, ONE)
        history = of(*events, shows(gone), shows(6, ONE), rules=replace(BARE, grace=1.0))
        assert check(history).outcome == "held"


def test_what_goes_when_the_grace_after_its_registration_is_over_is_lost() -> None:
    events = registered(0, ONE), shows(1, ONE), removed(2, ONE), registered(3, ONE)
    history = of(*events, shows(4.2), shows(6, ONE), rules=replace(BARE, grace=1.0))
    (loss,) = check(history).lost
    assert (loss.endpoint, loss.seen, loss.missing, loss.resting) == (ONE, 1, 4.2, False)


def test_what_goes_while_an_observer_answers_is_not_lost() -> None:
    """Its answer may be of any moment since it was asked."""
    slow = Sample(2.0, 2.6, "envoy", View(frozenset()))
    history = of(registered(0, ONE), shows(1, ONE), removed(2.5, ONE), slow)
    assert check(history).outcome == "held"


def test_an_endpoint_at_rest_as_unhealthy_is_lost() -> None:
    unhealthy = Sample(2, 2, "envoy", View(frozenset({ONE}), frozenset({ONE})))
    verdict = check(of(registered(0, ONE), shows(1, ONE), unhealthy, shows(3, ONE)))
    assert [each.resting for each in verdict.lost] == [True]
    assert "2.00 s: envoy: a.file 10.0.0.1:80 at rest as unhealthy, there at 1.00 s" in str(
        check(of(shows(0.0), registered(0, ONE), shows(1, ONE), unhealthy))
    )


def test_what_an_observer_shows_less_after_it_was_away_is_lost() -> None:
    away = Unreachable(2, 2, "envoy", "refused")
    verdict = check(of(registered(0, ONE), shows(1, ONE), away, shows(3), shows(4, ONE)))
    assert [(each.seen, each.missing) for each in verdict.lost] == [(1, 3)]


def test_an_observer_that_is_started_anew_must_show_what_it_showed() -> None:
    """Under the name that it had; nobody is surprised that it cannot be asked meanwhile."""
    away = [Unreachable(at, at, "envoy", "refused") for at in (2, 3, 4)]
    changes = Write(2, 3, frozenset({TWO}), frozenset({THREE}))
    before = registered(0, ONE, THREE), shows(1, ONE, THREE), changes
    restarted = replace(BARE, gap=1, away=frozenset({"envoy"}))
    for shown, lost in (((ONE, TWO), []), ((TWO,), [ONE])):
        after = [shows(5, *shown), shows(6, ONE, TWO)]
        verdict = check(of(*before, *away, *after, rules=restarted))
        assert verdict.voids == ()
        assert [each.endpoint for each in verdict.lost] == lost
        assert verdict.outcome == ("broken" if lost else "held")
    (reason,) = check(of(*before, *away, shows(5, ONE, TWO), rules=replace(BARE, gap=1))).voids
    assert reason.startswith("envoy was not looked at for 4.00 s")


def test_what_was_not_shown_yet_cannot_be_lost() -> None:
    assert check(of(registered(0, ONE), shows(1), shows(2, ONE))).lost == ()


def test_the_time_to_the_truth_is_told_for_each_write_and_observer() -> None:
    """And a write about another host does not count into it."""
    other = Endpoint("b.file", "10.0.0.1:80")
    events = shows(0), registered(1, ONE), registered(1.2, other), shows(2, ONE), shows(4, ONE)
    verdict = check(of(*events, shows(5, ONE, other)))
    took = {each.after: each.seconds for each in verdict.convergences}
    assert took == {
        "adding a.file 10.0.0.1:80": pytest.approx(0.9),
        "adding b.file 10.0.0.1:80": pytest.approx(3.7),
    }
    assert verdict.slowest("envoy") == pytest.approx(3.7)
    assert verdict.slowest("nobody") is None
    assert "envoy: showed what was registered at most 3.70 s after 2 writes" in str(verdict)


def test_who_shows_one_write_after_the_other_is_not_late_for_the_first() -> None:
    """It shows what there was after the first when the registry already has the second."""
    events = shows(0), registered(1, ONE), registered(2, TWO), shows(1.9), shows(3, ONE)
    took = {
        each.after: each.seconds for each in check(of(*events, shows(4, ONE, TWO))).convergences
    }
    assert took == {
        "adding a.file 10.0.0.1:80": pytest.approx(1.9),
        "adding a.file 10.0.0.2:80": pytest.approx(1.9),
    }


def test_an_answer_that_was_asked_for_before_a_write_counts_when_it_shows_it() -> None:
    """What it shows of the time before is no sign; and its time is the one when it was there."""
    for seen, took in (((), 2.9), ((ONE,), 0.9)):
        early = Sample(0.5, 2, "envoy", View(frozenset(seen)))
        verdict = check(of(shows(0), registered(1, ONE), early, shows(4, ONE)))
        assert [each.seconds for each in verdict.convergences] == [pytest.approx(took)]


def test_who_begins_to_look_late_is_not_late_to_show() -> None:
    """Its time begins with its first answer."""
    away = Unreachable(1, 1, "envoy", "refused")
    verdict = check(of(registered(0, ONE), away, shows(9), shows(10, ONE)))
    assert [each.seconds for each in verdict.convergences] == [pytest.approx(1)]


def test_a_fault_stops_the_time_to_the_truth() -> None:
    fault = FaultBegan(2, "kill"), FaultSeen(3, "kill", "refused"), FaultEnded(42, "kill")
    second = FaultBegan(41, "frost"), FaultSeen(41, "frost", "hangs"), FaultEnded(42.5, "frost")
    events = shows(0), registered(1, ONE), *fault, *second, shows(43), shows(44, ONE)
    took = {each.after: each.seconds for each in check(of(*events)).convergences}
    assert took == {
        "adding a.file 10.0.0.1:80": pytest.approx(0.9 + 1.5),
        "the end of 'kill'": pytest.approx(1.5),
        "the end of 'frost'": pytest.approx(1.5),
    }


def test_who_is_late_or_never_shows_the_truth_has_not_converged() -> None:
    late = check(of(shows(0), registered(1, ONE), shows(7, ONE)))
    assert [each.seconds for each in late.late] == [pytest.approx(5.9)]
    assert "adding a.file 10.0.0.1:80: envoy after 5.90 s" in str(late)
    never = check(of(shows(0), registered(1, ONE), shows(7)))
    assert [each.seconds for each in never.late] == [None]
    assert never.outcome == "broken"
    assert "adding a.file 10.0.0.1:80: envoy never" in str(never)
    assert "envoy: showed what was registered never" in str(never)
    away = check(of(registered(1, ONE), Unreachable(7, 7, "envoy", "refused")))
    assert [each.seconds for each in away.late] == [None]


def test_what_is_shown_at_the_end_is_compared_and_the_difference_told() -> None:
    many = [Endpoint("b.file", f"10.0.1.{n}:80") for n in range(9)]
    writes = registered(0, ONE, TWO), registered(1, *many), removed(2, TWO)
    samples = shows(90, ONE, *many, observer="bridge"), shows(90, TWO), shows(90, ONE, TWO, *many)
    away = Unreachable(90, 90, "istiod", "refused")
    verdict = check(of(*writes, *samples[:2], away))
    assert verdict.differences == (
        Difference("envoy", tuple(sorted([ONE, *many])), (TWO,)),
        Difference("istiod", unreachable="refused"),
    )
    text = str(verdict)
    assert "envoy lacks a.file 10.0.0.1:80, b.file 10.0.1.0:80, " in text
    assert "10.0.1.6:80 and 2 more and has besides a.file 10.0.0.2:80" in text
    assert "istiod cannot be asked: refused" in text


def test_a_broken_run_fails_with_verdict_and_picture() -> None:
    lost = registered(0, ONE, TWO, THREE), shows(1, ONE, TWO, THREE), shows(2), shows(9, ONE)
    with pytest.raises(AssertionError) as raised:
        assert_holds(of(*lost))
    assert str(raised.value).startswith("3 endpoints lost that the registry had all the time:")
    assert "\nenvoy    " in str(raised.value)


def test_a_held_run_returns_its_verdict() -> None:
    verdict = assert_holds(played(PLAN))
    assert verdict.requests > 40
    assert [str(each) for each in verdict.loads] == [
        "10 requests/s before the first fault (0 of them failed)",
        "10 requests/s after the last fault (0 of them failed)",
    ]


def test_many_findings_of_a_kind_are_counted_and_not_all_told() -> None:
    failed = [Request("a.file", n, n + 0.1, "", "status 503") for n in range(20)]
    text = str(check(of(registered(0, ONE), *failed, shows(30, ONE))))
    assert "20 of 20 requests failed (20 times status 503):" in text
    assert "... and 12 more" in text


def test_an_observer_that_repeats_what_it_never_showed_contradicts_itself() -> None:
    for before in ([], [Unreachable(0, 0, "envoy", "refused")]):
        with pytest.raises(ValueError, match="nothing was before"):
            check(of(*before, Same(1, 1, "envoy")))
