"""A step touches what changed, however much there is; the guard wakes only for what is due."""

from collections.abc import Iterator
from typing import TypeVar

import pytest
from unit.guard.registry import A, Told, finished, fleet, name, running, service

from meshbridge.adapter import Changed, Listing, Removed, Update
from meshbridge.guard import Entry, Guard, GuardRules
from meshbridge.guard.overlay import Overlay
from meshbridge.registration import ServiceId

V = TypeVar("V")


class Counted(Overlay[ServiceId, Entry]):
    """Entries that count how many of them are looked at or changed."""

    def __init__(self, base: dict[ServiceId, Entry]) -> None:
        self.counter = Counter(base)
        super().__init__(self.counter)


class Counter(dict[ServiceId, Entry]):
    """A dictionary that counts each key that is asked for, and each that is passed over."""

    touched = 0

    def get(self, key: ServiceId, default: V | None = None) -> Entry | V | None:  # type: ignore[override]
        self.touched += 1
        return super().get(key, default)

    def __setitem__(self, key: ServiceId, value: Entry) -> None:
        self.touched += 1
        super().__setitem__(key, value)

    def items(self) -> Iterator[tuple[ServiceId, Entry]]:  # type: ignore[override]
        for each in super().items():
            self.touched += 1
            yield each


def touched(services: int, update: Update, *, after: Update | None = None) -> tuple[int, int]:
    """Return how many services an update touches and changes, among so many."""
    whole = fleet(services, 2)
    guard = Guard(GuardRules(), (A,), {A: whole})
    guard.keep(finished(guard.step(Listing(A, whole), 0)))
    if after is not None:
        guard.keep(finished(guard.step(after, 350)))
    counted = Counted(guard.scope(A).entries.keep())
    guard.scope(A).entries = counted
    step = finished(guard.step(update, 400))
    changed = len(list(step.effective()))
    guard.keep(step)
    return counted.counter.touched, changed


@pytest.mark.parametrize(
    "update",
    [
        Changed(A, service(0, 1)),
        Changed(A, service(0, 3)),
        Changed(A, service(0, 2, 1)),
        Changed(A, service("new", 2)),
        Removed(A, name(0)),
    ],
    ids=["one fewer", "one more", "replaced", "new", "removed"],
)
def test_one_change_touches_as_much_among_many_services_as_among_few(update: Update) -> None:
    few, many = touched(1_000, update), touched(20_000, update)
    assert few == many
    assert few[0] <= 10
    assert few[1] == 1


def test_one_change_beside_held_services_touches_as_much_among_many_as_among_few() -> None:
    held = Removed(A, name(1))
    few, many = (touched(each, Changed(A, service(0, 1)), after=held) for each in (1_000, 20_000))
    assert few == many
    assert few[0] <= 15


def test_a_listing_that_says_nothing_new_changes_nothing() -> None:
    looked, changed = touched(1_000, Listing(A, fleet(1_000, 2)))
    assert changed == 0
    assert looked <= 2 * 1_000 + 10, "each once as listed, and once for what is listed no more"


def test_the_guard_sleeps_while_nothing_is_held() -> None:
    told = running(30)
    assert told.guard.wake_at() is None
    steps = told.steps
    told.until(30 * 86_400)
    assert told.steps == steps


def test_the_guard_does_not_wake_for_a_loss_that_only_a_person_ends() -> None:
    told = running(30).tell(400, Listing(A, ()))
    assert told.guard.wake_at() is None


def test_the_guard_wakes_once_for_all_that_is_due_at_one_time() -> None:
    told = running(300, 1, checked=False)
    for each in range(100):
        told.tell(400, Removed(A, name(each)))
    steps = told.steps
    told.until(86_400)
    assert told.count() == 200
    assert told.steps == steps + 1


def test_the_guard_wakes_once_for_each_time_at_which_something_is_due() -> None:
    told = running(300, 1, checked=False)
    steps = told.steps
    for each in range(100):
        told.tell(400 + each, Removed(A, name(each)))
    told.until(86_400)
    assert told.steps <= steps + 200


def test_settling_wakes_once_for_each_return_at_most() -> None:
    told = Told({A: fleet(100, 1)}, checked=False).tell(1, Listing(A, fleet(60, 1)))
    for each in range(60, 90):
        told.tell(2 + each - 60, Changed(A, service(each, 1)))
    steps = told.until(86_400).steps
    assert steps <= 1 + 30 + 5


def test_what_goes_by_time_goes_in_short_pieces() -> None:
    guard = Guard(GuardRules(), (A,), {A: fleet(100, 2)})
    guard.keep(finished(guard.step(Listing(A, fleet(60, 2), after_gap=True), 0)))
    for _ in ("settles", "lets go of it a window later"):
        at = guard.wake_at()
        assert at is not None
        steps = guard.step(None, at)
        assert sum(1 for _ in steps) >= 40
        guard.keep(finished(guard.step(None, at)))
    assert guard.scope(A).services == 60


def test_scopes_that_wait_are_looked_at_one_by_one() -> None:
    names = [f"s{each}" for each in range(50)]
    guard = Guard(GuardRules(), names, {each: fleet(2, 2) for each in names})
    for each in names:
        guard.keep(finished(guard.step(Listing(each, fleet(1, 2), after_gap=True), 0)))
    steps = guard.step(None, 1)
    assert sum(1 for _ in steps) >= len(names)
