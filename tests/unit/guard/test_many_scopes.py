"""Small scopes are judged together, and that costs no more than to look at each of them."""

import pytest
from unit.guard.registry import finished, fleet

from meshbridge.adapter import Listing
from meshbridge.guard import Guard, GuardRules, Scope
from meshbridge.guard.scope import Size


def looks(scopes: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how often a peak is looked at when one more of so many held scopes is wiped."""
    names = [f"g{each}" for each in range(scopes)]
    guard = Guard(GuardRules(), names, {each: fleet(1, 1) for each in names})
    for at, services in ((0, fleet(1, 1)), (400, ())):
        for each in names[at // 400 :]:
            guard.keep(finished(guard.step(Listing(each, services), at)))
    counted = 0
    peak = Scope.peak

    def counting(scope: Scope, now: float, window: float) -> Size:
        nonlocal counted
        counted += 1
        return peak(scope, now, window)

    with monkeypatch.context() as patched:
        patched.setattr(Scope, "peak", counting)
        guard.keep(finished(guard.step(Listing("g0", ()), 401)))
    assert sum(guard.scope(each).missing.instances for each in names) == scopes
    return counted


def test_one_update_looks_at_each_held_scope_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looks(20, monkeypatch) <= 4 * 20 + 10
    assert looks(80, monkeypatch) <= 4 * 80 + 10
