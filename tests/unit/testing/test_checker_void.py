"""A run whose load, fault or looking did not really happen is void, whatever else it shows."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from unit.testing.short import BARE, ONE, PLAN, of, registered, removed, shows
from unit.testing.simulation import ANCHOR, OBSERVERS, RULES, played

from meshbridge.testing.checker import assert_holds, check, picture
from meshbridge.testing.history import (
    Event,
    FaultBegan,
    FaultEnded,
    FaultSeen,
    History,
    Request,
    Rules,
    Same,
    Sample,
    Unreachable,
    View,
    Write,
)

Events = Callable[[Sequence[Event]], Sequence[Event]]


def without(kind: type[Event]) -> Events:
    return lambda events: [each for each in events if not isinstance(each, kind)]


def late(events: Sequence[Event]) -> Sequence[Event]:
    """Let all observers begin to look a second late."""
    view = View(frozenset({ANCHOR}))
    first = [Sample(1.0, 1.02, observer, view) for observer in OBSERVERS]
    return [*first, *cut((Sample, Same), 0.0, 1.05)(events)]


def cut(kinds: tuple[type[Event], ...], start: float, end: float) -> Events:
    def change(events: Sequence[Event]) -> Sequence[Event]:
        return [
            each for each in events if not (isinstance(each, kinds) and start <= begun(each) < end)
        ]

    def begun(event: Event) -> float:
        match event:
            case Request(_, sent):
                return sent
            case Sample(asked) | Same(asked) | Unreachable(asked):
                return asked
            case _:
                raise AssertionError(f"{event} has no such time")

    return change


@pytest.mark.parametrize(
    ("change", "rules", "reason"),
    [
        (without(FaultBegan), RULES, "faults that began: 0, to be 1 at least"),
        (without(FaultSeen), RULES, "fault 'the bridge is away' was never seen"),
        (without(Request), RULES, "no request was sent"),
        (without(Write), RULES, "no write of the registry was noted"),
        (cut((Request,), 0.0, 1.5), RULES, "0.50 s of load before the first fault"),
        (cut((Request,), 0.0, 2.5), RULES, "0.00 s of load before the first fault"),
        (cut((Request,), 4.0, 9.0), RULES, "s of load after the last fault"),
        (cut((Request,), 3.5, 4.5), RULES, "requests/s after the last fault, to be 5"),
        (cut((Request,), 2.0, 3.05), RULES, "no request was sent for 1.20 s from 2.40 s on"),
        (list, replace(RULES, rate=11), "10 requests/s before the first fault"),
        (list, replace(RULES, observers=frozenset({"zoo"})), "zoo never looked"),
        (list, replace(RULES, away=frozenset()), "bridge was not looked at for 1."),
        (cut((Sample, Same), 3.5, 3.9), RULES, "envoy was not looked at for 0."),
        (late, RULES, "istiod was not looked at for 1."),
        (cut((Sample, Same, Unreachable), 4.0, 9.0), RULES, "istiod was not looked at for 1."),
        (cut((Sample, Same, Unreachable), 0.0, 99.0), RULES, "nobody looked at what is shown"),
    ],
)
def test_a_run_in_which_it_did_not_really_happen_is_void(
    change: Events, rules: Rules, reason: str
) -> None:
    """The load, the fault, or the looking."""
    history = of(*change(played(PLAN).events), rules=rules)
    verdict = check(history)
    assert verdict.outcome == "void"
    assert any(reason in each for each in verdict.voids), verdict.voids
    with pytest.raises(AssertionError, match="void: "):
        assert_holds(history)


def test_a_run_without_a_fault_counts_where_none_is_asked_for() -> None:
    """Its load is then measured as a whole."""
    events = without(FaultSeen)(without(FaultBegan)(played(PLAN).events))
    assert check(of(*events, rules=replace(RULES, faults=0))).outcome == "held"
    verdict = check(of(*events, rules=replace(RULES, faults=0, rate=11)))
    assert verdict.voids == ("10 requests/s in the run, to be 11 at least",)


@pytest.mark.parametrize(
    ("last", "rules", "reason"),
    [
        (9.002, Rules(rate=1), "0.9998 requests/s in the run, to be 1 at least"),
        (8.999, Rules(rate=1, span=9), "8.999 s of load in the run, to be 9 s at least"),
        (9.002, Rules(rate=0.9, pause=1), "no request was sent for 1.002 s from 8.00 s on"),
        (9.0, Rules(rate=1, gap=2), "envoy was not looked at for 2.001 s from 0.00 s on"),
    ],
)
def test_a_reason_has_the_digits_that_show_it(last: float, rules: Rules, reason: str) -> None:
    """What rounds to the limit is written with more of them."""
    sent = [Request("a.file", n, n, "") for n in (*range(int(last)), last)]
    same = [Same(n, n, "envoy") for n in range(3, 10)]
    events = registered(-0.1, ONE), shows(2.001, ONE)
    verdict = check(of(*events, *sent, *same, rules=replace(rules, faults=0)))
    assert any(reason in each for each in verdict.voids), verdict.voids


def test_a_run_with_a_fault_that_never_ends_is_void() -> None:
    """Nobody is late while something is broken; the load after it counts from its begin."""
    events = without(FaultEnded)(played(PLAN).events)
    (reason,) = check(of(*events, rules=RULES)).voids
    assert reason == "fault 'the bridge is away' never ended: call History.end when it is repaired"


def long_fault(*requests: Request) -> History:
    """Return a run of 200 requests/s on both sides of a fault of 28 s, with these besides."""
    fault = FaultBegan(2, "kill"), FaultSeen(3, "kill", "refused"), FaultEnded(30, "kill")
    looks = shows(0, ONE), shows(31, ONE), shows(36, ONE)
    sent = (start + number / 200 for start in (0, 30) for number in range(400))
    load = [Request("a.file", each, each + 0.01, ONE.address) for each in sent]
    rules = Rules(rate=199, gap=100)
    return of(registered(-0.1, ONE), *fault, *looks, *load, *requests, rules=rules)


def test_a_load_that_stops_while_something_is_broken_proves_nothing() -> None:
    verdict = check(long_fault())
    (reason,) = verdict.voids
    assert reason == "no request was sent for 28.00 s from 2.00 s on, to be 1 s at most"
    assert check(of(*long_fault().events, rules=replace(BARE, pause=0.1))).outcome == "held"


def test_a_request_that_is_answered_after_all_patience_is_lost() -> None:
    """A load that waits for it and sends no other is not missed besides."""
    late = Request("a.file", 2.0, 30.0, ONE.address)
    verdict = check(long_fault(late))
    assert verdict.outcome == "broken", str(verdict)
    (failed,) = verdict.failed
    assert (failed.sent, failed.failure) == (2.0, "no answer in 10 s")
    assert "1 of 801 requests failed (1 times no answer in 10 s)" in str(verdict)
    in_time = check(of(*long_fault(late).events, rules=replace(BARE, patience=28)))
    assert in_time.outcome == "held"


def test_a_load_waits_only_for_what_is_lost() -> None:
    """One that waits for its answer and gets it in time has sent too few at a time."""
    waits = [Request("a.file", 2.0 + n * 7, 2.0 + n * 7 + 7, ONE.address) for n in range(4)]
    (reason,) = check(long_fault(*waits)).voids
    assert reason == "no request was sent for 7.00 s from 23.00 s on, to be 1 s at most"
    lost = [replace(each, failure="status 504") for each in waits]
    assert check(long_fault(*lost)).outcome == "broken"


def test_evidence_of_another_time_is_none_for_a_fault() -> None:
    events = without(FaultSeen)(played(PLAN).events)
    for at, outcome in ((1.9, "void"), (2.0, "held"), (3.0, "held"), (3.1, "void")):
        seen = FaultSeen(at, "the bridge is away", "refused")
        assert check(of(*events, seen, rules=RULES)).outcome == outcome


def slow_at_the_end(*last: Event) -> History:
    """Return a run that is over at 1 s, with these looks at its end."""
    looks = [
        look(at, each) for at, look in ((0, first), (0.5, again)) for each in ("bridge", "envoy")
    ]
    return of(registered(-0.1, ONE), *looks, *last, rules=replace(BARE, gap=0.6))


def first(at: float, observer: str) -> Event:
    return shows(at, ONE, observer=observer)


def again(at: float, observer: str) -> Event:
    return Same(at, at, observer)


def test_an_answer_for_which_all_wait_at_the_end_is_no_gap_in_the_looking() -> None:
    """The run was over when it was asked for; nobody is asked again meanwhile."""
    verdict = assert_holds(slow_at_the_end(Same(1, 4, "envoy"), again(1, "bridge")))
    assert verdict.outcome == "held"
    silent = Unreachable(1, 4, "envoy", "no answer in 3 s")
    verdict = check(slow_at_the_end(silent, again(1, "bridge")))
    assert (verdict.outcome, verdict.voids) == ("broken", ())
    assert "envoy cannot be asked: no answer in 3 s" in str(verdict)


def test_who_is_not_asked_once_more_at_the_end_was_not_looked_at() -> None:
    (reason,) = check(slow_at_the_end(again(1, "envoy"), Same(1.2, 4, "envoy"))).voids
    assert reason.startswith("bridge was not looked at for 0.70 s from 0.50 s on")


def test_nobody_is_late_because_all_wait_for_another_at_the_end() -> None:
    """The time in which to show a write ends with the last question."""
    silent = Unreachable(4, 9, "bridge", "no answer in 5 s")
    old = shows(4), Same(4, 9, "istiod"), silent
    verdict = check(of(shows(0), shows(0, observer="istiod"), registered(1, ONE), *old))
    assert verdict.late == ()
    assert "the run ended 2.90 s (without a fault) after adding a.file" in verdict.voids[0]


def test_nothing_at_all_is_void() -> None:
    verdict = check(History())
    assert verdict.outcome == "void"
    assert "nobody looked at what is shown" in verdict.voids
    assert picture(History())


def test_what_is_found_in_a_void_run_is_told_nonetheless() -> None:
    lost = registered(0, ONE), shows(1, ONE), shows(2), shows(9, ONE)
    verdict = check(of(*lost, rules=replace(BARE, faults=1)))
    assert verdict.outcome == "void"
    assert "found nonetheless:\n1 endpoints lost" in str(verdict)


def test_a_run_that_ends_before_the_truth_was_due_is_void() -> None:
    """It is no verdict on who had the time to show it and has not yet."""
    verdict = check(of(shows(0), registered(1, ONE), shows(4)))
    assert verdict.outcome == "void"
    assert verdict.late == ()
    assert "the run ended 2.90 s (without a fault) after adding a.file" in verdict.voids[0]
    after = check(of(shows(0, ONE), registered(0, ONE), shows(9, ONE), removed(10, ONE)))
    assert "the run ended 0.00 s" in after.voids[0]
    endless = FaultBegan(2, "kill"), FaultSeen(3, "kill", "refused")
    verdict = check(of(shows(0), registered(1, ONE), *endless, shows(99)))
    assert "the run ended 0.90 s" in verdict.voids[1]
