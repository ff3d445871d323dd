"""Versions change with what was written, and only then; some are to be the same everywhere."""

from dataclasses import replace

import pytest
from unit.testing.short import BARE, ONE, TWO, of, registered, shows

from meshbridge.testing.checker import Disagreement, Verdict, check
from meshbridge.testing.history import (
    Event,
    FaultBegan,
    FaultEnded,
    FaultSeen,
    Sample,
    Unreachable,
    View,
    Write,
)

SAME = replace(BARE, same_versions=(frozenset({"bridge", "istiod"}),))


def version(at: float, number: str, observer: str = "istiod") -> Sample:
    """Return a look that saw a version of the host."""
    return Sample(at, at, observer, View(frozenset({ONE}), versions={"a.file": number}))


def changed(at: float) -> Write:
    """Return a change of the host's weight that takes a tenth of a second."""
    return Write(at, at + 0.1, changed=frozenset({"a.file"}))


def waited(verdict: Verdict) -> list[float | None]:
    """Return the seconds that new versions took."""
    return [each.seconds for each in verdict.convergences if "the version of" in each.after]


def test_a_version_that_changes_without_a_write_is_found() -> None:
    failed = Write(30, None, changed=frozenset({"a.file"}))
    other = Write(20, 21, changed=frozenset({"b.file"}))
    events = registered(0, ONE), version(1, "1"), changed(10), version(15, "2"), other
    verdict = check(of(*events, version(22, "3"), failed, version(60, "4"), shows(99, ONE)))
    assert [(each.at, each.before, each.after) for each in verdict.restless] == [(22, "2", "3")]
    assert "istiod: a.file: 2 -> 3" in str(verdict)


def test_a_change_of_unknown_outcome_explains_a_version_until_it_is_made_again() -> None:
    """All of it: what was added with it, too."""
    failed = Write(10, None, frozenset({ONE, TWO}), changed=frozenset({"a.file"}))
    events: list[Event] = [registered(0, ONE), version(1, "1"), failed, version(11, "2")]
    for again, found in (
        ([changed(20)], []),
        ([changed(20), registered(20, ONE)], []),
        ([changed(20), replace(changed(22), done=None), registered(20, ONE, TWO)], []),
        ([changed(20), registered(20, ONE, TWO)], [60]),
    ):
        verdict = check(of(*events, *again, version(21, "3"), version(60, "4")))
        assert [each.at for each in verdict.restless] == found


def test_a_change_that_no_endpoint_shows_must_change_the_version() -> None:
    """Whoever has no version of the host is not asked."""
    events = registered(0, ONE), version(1, "1"), shows(1, ONE), changed(10)
    verdict = check(of(*events, version(13, "2"), shows(90, ONE)))
    assert waited(verdict) == [pytest.approx(2.9)]
    verdict = check(of(*events, version(90, "1"), shows(90, ONE)))
    assert verdict.outcome == "broken"
    assert "changing a.file (the version of a.file): istiod never" in str(verdict)
    late = check(of(*events, version(19, "2"), shows(90, ONE)))
    assert [each.seconds for each in late.late] == [pytest.approx(8.9)]
    assert "changing a.file (the version of a.file)" in check(of(*events)).voids[0]


def test_a_fault_stops_the_time_to_a_new_version() -> None:
    fault = FaultBegan(11, "kill"), FaultSeen(12, "kill", "refused"), FaultEnded(20, "kill")
    events = registered(0, ONE), version(1, "1"), changed(10), *fault
    verdict = check(of(*events, Unreachable(12, 12, "istiod", "refused"), version(21, "2")))
    assert waited(verdict) == [pytest.approx(1.9)]


def test_who_shows_a_change_before_it_is_done_needs_no_time() -> None:
    """And it counts although the next change takes the version back."""
    slow = Write(10, 12, changed=frozenset({"a.file"}))
    events = registered(0, ONE), version(1, "1"), slow, version(11, "2"), changed(13)
    assert waited(check(of(*events, version(14, "1")))) == [0, pytest.approx(0.9)]


def test_changes_that_follow_each_other_are_not_told_apart() -> None:
    """Nobody needs to have shown the first, and both together may have left what there was."""
    events = registered(0, ONE), version(1, "1"), changed(10), changed(11)
    assert waited(check(of(*events, version(90, "1")))) == []
    failed = replace(changed(10), done=None)
    again = registered(0, ONE), version(1, "1"), failed, version(10.5, "2"), changed(11)
    assert waited(check(of(*again, version(90, "2")))) == []


def test_a_change_is_judged_again_once_there_was_time_to_show_the_others() -> None:
    events = registered(0, ONE), version(1, "1"), changed(10), changed(11), version(12, "1")
    assert waited(check(of(*events, changed(20), version(90, "1")))) == [None]


def test_who_did_not_look_before_a_change_is_not_asked_for_another_version() -> None:
    """Nor for one of a later change, which is not told from this one."""
    events = registered(0, ONE), changed(10), version(10.5, "1"), changed(11), version(90, "1")
    assert waited(check(of(*events))) == []


def test_versions_that_are_to_be_the_same_in_the_end_are_compared() -> None:
    """Of those who can be asked; nobody else's are."""
    events = registered(0, ONE), version(1, "1", "bridge"), version(1, "2"), version(9, "3", "zoo")
    verdict = check(of(*events, rules=SAME))
    assert verdict.disagreements == (Disagreement("a.file", (("bridge", "1"), ("istiod", "2"))),)
    assert verdict.outcome == "broken"
    assert "  a.file: bridge has 1, istiod has 2\n" in str(verdict)
    lacks = check(of(*events, shows(2, ONE, observer="istiod"), rules=SAME))
    assert "  a.file: bridge has 1, istiod has none\n" in str(lacks)
    same = check(of(*events, version(9, "1"), rules=SAME))
    assert (same.disagreements, same.voids) == ((), ())
    away = check(of(*events, Unreachable(9, 9, "istiod", "refused"), rules=SAME))
    assert away.disagreements == ()
    assert check(of(*events)).disagreements == ()


def test_versions_that_nobody_shows_are_not_the_same() -> None:
    """Then nothing was compared, and the run is void."""
    verdict = check(of(registered(0, ONE), shows(9, ONE, observer="bridge"), rules=SAME))
    assert verdict.voids == (
        "istiod never looked",
        "bridge never showed a version, to be compared with others'",
    )
