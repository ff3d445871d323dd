"""Small scopes are judged together, and that costs no more than to look at each of them."""

import pytest
from unit.guard.registry import A, Told, finished, fleet

from meshbridge.adapter import Listing
from meshbridge.guard import Guard, GuardRules, Release, Scope
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


def test_a_small_scope_whose_loss_is_announced_is_no_part_of_the_others() -> None:
    """Not before it is announced, and not after, while all are judged in one step."""
    names = tuple(f"g{each}" for each in range(12))
    whole = fleet(2, 1)
    told = Told(dict.fromkeys(names, whole), names, watched=False)
    for each in names:
        told.tell(0, Listing(each, whole))
    told.tell(400, Release("g0", until=4000))
    for each in names[:9]:
        told.tell(401, Listing(each, ()))
    assert told.held("g0") == 0
    assert told.scope("g8").in_loss is not None
    told.tell(402, Release(until=500))
    assert not any(told.held(each) for each in names)


def test_an_announcement_without_an_end_is_none() -> None:
    told = Told({A: fleet(20, 1)}, announced=(Release(A), Release(None, None, 50)))
    told.tell(1, Listing(A, ())).until(1000)
    assert told.held() == 20
