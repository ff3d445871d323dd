"""The guard and its slow oracle agree on everything that is served, held, and due."""

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.guard import histories
from unit.guard.registry import Told

from meshbridge.guard import GuardRules


@settings(max_examples=300, deadline=None)
@given(histories.histories, histories.rules, histories.beliefs, st.sampled_from([0, 1, 3]))
def test_the_guard_agrees_with_its_oracle(
    history: list[histories.Told], rules: GuardRules, belief: histories.Belief, scopes: int
) -> None:
    told = Told(belief, histories.SCOPES[:scopes], rules)
    at = 0.0
    for pause, update in history:
        at += pause
        told.tell(at, update)
    told.until(at + 2000)
