"""What holds in every history: bounded loss, an end of settling, purity, one truth after quiet."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.guard import histories
from unit.guard.histories import SERVICES, Belief, beliefs
from unit.guard.oracle import serves
from unit.guard.registry import A, Told, finished, fleet, name, running, service

from meshbridge.adapter import Changed, Listing, Stale, Update
from meshbridge.guard import Effective, Guard, GuardRules, Release
from meshbridge.registration import RegisteredService

pytestmark = pytest.mark.slow

_SETTLED = 10 * 75 + 300 + 30 + 1
"""Seconds after which no rule that hypothesis draws lets anything but a loss last."""


def new_of(update: Update | Release | None) -> set[str]:
    """Return the ids of the serving instances that an update lists, those unreadable left out."""
    match update:
        case Listing(_, services, unreadable):
            listed = services
        case Changed(_, service, unreadable):
            listed = (service,)
        case _:
            return set()
    whole = {each for each in unreadable if not isinstance(each, tuple)}
    return {
        each.id
        for of in listed
        for each in of.instances
        if serves(each) and of.id not in whole and (of.id, each.id) not in unreadable
    }


@settings(max_examples=60, deadline=None)
@given(histories.histories, histories.rules, beliefs)
def test_no_history_takes_too_much_or_holds_back_what_is_new_or_grows(
    history: list[histories.Told], rules: GuardRules, belief: Belief
) -> None:
    """The bound itself is checked at each step, by the observer in ``Told``."""
    told = Told(belief, (A,), rules)
    for pause, update in history:
        told.tell(told.now + pause, update)
        if update is not None and not isinstance(update, Release):
            assert new_of(update) <= told.ids(update.scope), "adding is never held"
        for each in map(told.scope, told.guard.scopes()):
            entries = list(each.entries.values())
            assert len(each.peaks) <= 11
            assert len(entries) <= SERVICES
            assert sum(len(entry.held) for entry in entries) == each.missing.instances
            assert each.missing.instances <= 16 * SERVICES
            assert all(len(entry.fresh) <= len(entry.instances) for entry in entries)


@settings(max_examples=60, deadline=None)
@given(histories.histories, histories.rules, beliefs)
def test_after_quiet_only_a_loss_keeps_what_the_registry_does_not_list(
    history: list[histories.Told], rules: GuardRules, belief: Belief
) -> None:
    told = Told(belief, (A,), rules)
    for pause, update in history:
        told.tell(told.now + pause, update)
    for scope, said in told.observer.said.items():  # once more, and all of it readable
        listed = (RegisteredService(each, some) for each, some in said.services.items())
        told.tell(told.now, Listing(scope, tuple(listed)))
    told.until(told.now + _SETTLED)
    for scope in told.guard.scopes():
        assert told.listed(scope) <= told.ids(scope)
        if told.scope(scope).in_loss is None:
            assert told.is_quiet(scope)
            assert told.ids(scope) == told.listed(scope)
    told.tell(told.now, Release())
    for scope in told.guard.scopes():
        assert told.ids(scope) == told.listed(scope), "a release takes the registry at its word"


@settings(max_examples=60, deadline=None)
@given(histories.histories, histories.rules, beliefs, st.randoms(use_true_random=False))
def test_a_step_is_pure_repeatable_and_blind_to_the_order_of_a_listing(
    history: list[histories.Told], rules: GuardRules, belief: Belief, order: random.Random
) -> None:
    """Steps that are dropped leave no trace: the oracle, which knows nothing of them, agrees."""
    told = Told(belief, (A,), rules)
    for pause, update in history:
        told.until(told.now + pause)
        before = pictured(told.guard)
        first = outcome(told, update)
        assert outcome(told, update) == first
        if isinstance(update, Listing):
            shuffled = list(update.services)
            order.shuffle(shuffled)
            assert outcome(told, replace(update, services=tuple(shuffled))) == first
        assert pictured(told.guard) == before
        told.tell(told.now, update)


def outcome(told: Told, update: Update | Release | None) -> list[Effective]:
    """Return what the update would change."""
    step = finished(told.guard.step(update, told.now))
    return sorted(step.effective(), key=lambda each: (each.scope, each.service_id))


def pictured(guard: Guard) -> str:
    """Return all that a guard knows of its scopes, to compare."""
    return repr(
        [
            (
                dict(scope.entries.items()),
                dict(scope.holding.items()),
                replace(scope, entries=_NOTHING.entries, holding=_NOTHING.holding),
            )
            for scope in map(guard.scope, guard.scopes())
        ]
    )


_NOTHING = Guard(GuardRules()).scope(A)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.integers(0, 19), st.sets(st.integers(0, 6), max_size=5), max_size=20),
    st.randoms(use_true_random=False),
)
def test_one_listing_holds_at_least_what_the_same_said_in_parts_does(
    changes: dict[int, set[int]], order: random.Random
) -> None:
    want = tuple(service(each, changes.get(each, {0, 1, 2})) for each in range(20))
    whole, parts = running(20, 3), running(20, 3)
    whole.tell(400, Listing(A, want))
    shuffled = list(changes)
    order.shuffle(shuffled)
    for each in shuffled:
        parts.tell(400, Changed(A, want[each]))
    assert parts.listed() <= parts.ids() <= whole.ids()
    if not whole.unsettled() and not parts.unsettled():
        assert parts.ids() == whole.ids()
        assert parts.until(900).ids() == whole.until(900).ids() == whole.listed()


@settings(max_examples=60, deadline=None)
@given(histories.histories, histories.histories, beliefs, beliefs)
def test_two_guards_of_different_pasts_agree_after_quiet_or_one_says_that_it_holds_a_loss(
    one: list[histories.Told], other: list[histories.Told], first: Belief, second: Belief
) -> None:
    final = fleet(SERVICES, 3)
    for history, belief in ((one, first), (other, second)):
        told = Told(belief, (A,))
        for pause, update in history:
            told.tell(told.now + pause, update)
        for scope in told.guard.scopes():
            told.tell(told.now + 1, Listing(scope, final))
        told.until(told.now + 1000)
        for scope in told.guard.scopes():
            if told.scope(scope).in_loss is None:
                assert told.ids(scope) == {each.id for some in final for each in some.instances}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 30), st.integers(0, 39), st.booleans()), max_size=80))
def test_no_scope_settles_longer_than_ten_settles_after_its_last_gap_or_loss(
    changes: list[tuple[float, int, bool]],
) -> None:
    """Whatever comes and goes meanwhile: after half of it did not come back from an outage."""
    told = running(40, 2, checked=False, watched=False).tell(400, Stale(A, "refused"))
    told.tell(401, Listing(A, fleet(21, 2), after_gap=True))
    last = 401.0
    for pause, which, back in changes:
        told.tell(told.now + pause, Changed(A, service(which, 2 if back else 1)))
        scope = told.scope()
        last = told.now if scope.in_loss is not None else last
        assert scope.unsettled is None or told.now <= last + 10 * told.rules.settle
    if told.scope().in_loss is None:
        assert not told.until(last + 10 * told.rules.settle).unsettled()


def test_the_same_name_in_two_scopes_is_two_services() -> None:
    told = Told(scopes=("a", "b"))
    told.tell(0, Listing("a", fleet(20))).tell(0, Listing("b", fleet(20)))
    told.tell(400, Changed("a", service(0, 2)))
    assert len(told.served(0, "a") or ()) == 2
    assert len(told.served(0, "b") or ()) == 5
    assert name(0) in {each.id for each in told.guard.served("b")}
