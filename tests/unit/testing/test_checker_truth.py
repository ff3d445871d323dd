"""What the registry had is told from its writes, also where the outcome of one is not known."""

from unit.testing.short import ONE, TWO, of, registered, removed, shows

from meshbridge.testing.checker import Difference, check
from meshbridge.testing.checker.truth import Truth
from meshbridge.testing.history import Write


def test_a_write_of_unknown_outcome_may_have_happened_but_not_only_for_some() -> None:
    unknown = Write(2, None, frozenset({TWO}), frozenset({ONE}))
    writes = registered(0, ONE), unknown
    for seen in ((ONE,), (TWO,), (ONE, TWO), ()):
        both = shows(9, *seen, observer="bridge"), shows(9, *seen)
        verdict = check(of(*writes, shows(1, ONE), shows(1, ONE, observer="bridge"), *both))
        assert verdict.outcome == "held", str(verdict)
    verdict = check(of(*writes, shows(9, ONE, TWO, observer="bridge"), shows(9, ONE)))
    assert verdict.differences == (Difference("envoy", (TWO,)),)


def test_what_is_written_again_after_an_unknown_outcome_is_the_truth() -> None:
    """What goes or stays after that is found, whatever had become of the first attempt."""
    failed = Write(2, None, removed=frozenset({ONE}))
    for again in ([removed(4, ONE), registered(6, ONE)], [registered(6, ONE)]):
        seen = shows(1, ONE), shows(7, ONE), shows(8), shows(90)
        verdict = check(of(registered(0, ONE), failed, *again, *seen))
        assert [(each.seen, each.missing) for each in verdict.lost] == [(7, 8)]
        assert verdict.differences == (Difference("envoy", (ONE,)),)
    failed = Write(2, None, frozenset({ONE}))
    for again in ([registered(4, ONE), removed(6, ONE)], [removed(6, ONE)]):
        verdict = check(of(shows(1), failed, *again, shows(3, ONE), shows(90, ONE)))
        assert verdict.outcome == "broken"
        assert verdict.differences == (Difference("envoy", surplus=(ONE,)),)


def test_until_it_is_written_again_an_unknown_outcome_is_open() -> None:
    """While the next write is going on, too, whether that does the same or the opposite."""
    for next_one in (Write(6, 8, frozenset({ONE})), Write(6, 8, removed=frozenset({ONE}))):
        for failed in (Write(4, None, frozenset({ONE})), Write(4, None, removed=frozenset({ONE}))):
            truth = Truth([next_one, failed, registered(0, ONE), registered(9, TWO)])
            for at in (5, 7):
                assert truth.possibly(ONE, at, at)
                assert truth.surely(ONE, at, at) == bool(
                    failed.added and (at < 6 or next_one.added)
                )
            assert truth.surely(ONE, 8, 8) == truth.possibly(ONE, 8, 8) == bool(next_one.added)


def test_writes_in_one_instant_leave_open_what_is_there() -> None:
    writes = Write(1, 1, frozenset({ONE})), Write(1, 1, removed=frozenset({ONE}))
    for truth in (Truth(writes), Truth(reversed(writes))):
        assert not truth.surely(ONE, 2, 2)
        assert truth.possibly(ONE, 2, 2)
    assert not Truth([]).surely(ONE, 2, 2)
    assert not Truth([]).possibly(ONE, 2, 2)
    one_after_the_other = Truth([Write(0, 1, removed=frozenset({ONE})), registered(1, ONE)])
    assert one_after_the_other.surely(ONE, 2, 2)
