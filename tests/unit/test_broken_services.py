"""Services broken one by one, judged by the rig's copy of istio's rules.

The real istiod judges them in tests/peers/bed/test_istiod_rules.py, and the copy with them.
"""

from meshbridge_mcp.istio import entries
from rig.istio_rules import broken_rules
from rig.verdicts import KEPT, STRICTER, cases, table, verdicts

CASES = cases(seed=1, each=25)
FOUND = verdicts(CASES, [case.key for case in CASES if case.foretold])


def test_what_istiod_would_refuse_is_not_let_through_and_stricter_is_nobody_without_a_reason() -> (
    None
):
    assert [str(each.case) for each in FOUND if not each.is_explained] == [], table(FOUND)


def test_what_is_left_of_each_keeps_every_rule() -> None:
    """Also after what was broken is repaired."""
    for case in CASES:
        for part in entries(case.service).parts:
            assert broken_rules(part.spec) == [], case


def test_limits_are_let_through_and_all_else_is_not_always() -> None:
    """A rule that breaks nothing would prove nothing."""
    spoilt = {each.case.rule.name for each in FOUND if each.ours != KEPT}
    whole = {case.rule.name for case in CASES if case.rule.harmless}
    assert spoilt == {case.rule.name for case in CASES} - whole


def test_each_reason_to_be_stricter_is_still_one() -> None:
    used = {reason for each in FOUND if not each.agrees for reason in each.reasons}
    assert used == set(STRICTER)
