"""What cannot be read keeps the value it had; what was never read is not taken for empty."""

import pytest
from unit.guard.registry import A, Told, name, service

from meshbridge.adapter import Changed, Gone, Listing, Removed, Update
from meshbridge.adapter import Unreadable as Names
from meshbridge.backlog import Backlog
from meshbridge.guard import GuardRules

NOTHING_HELD = GuardRules(max_loss=1.0, window=0.0, hold_service=0.0, settle=0.0)


def told(*updates: Update) -> Told:
    """Return a guard that holds nothing and was told these, one after the other."""
    it = Told(rules=NOTHING_HELD, watched=False)
    for update in updates:
        it.tell(it.now, update)
    return it


def served(it: Told) -> dict[str, set[int]]:
    """Return the numbers of the instances that are served, by service."""
    return {
        key.name: {int(each.id.rsplit("-", 1)[1]) for each in instances}
        for (_, key), (instances, _) in it.seen.items()
        if instances is not None
    }


def instance(which: str, number: int) -> Names:
    """Name one instance as unreadable."""
    return ((name(which), f"{which}-0-{number}"),)


def test_an_unlisted_service_keeps_the_instances_that_could_not_be_read() -> None:
    """The rest of it is gone, as the registry says."""
    before = Listing(A, (service("gone", [1, 2, 3]), service("stays", [9])))
    after = Listing(A, (service("stays", [9]),), instance("gone", 1) + instance("gone", 3))
    assert served(told(before, after)) == {"gone": {1, 3}, "stays": {9}}


def test_an_unlisted_service_of_which_nothing_could_be_read_stays_whole() -> None:
    """Whether its instances are named one by one or the service itself."""
    before = Listing(A, (service("gone", [1, 2]),))
    one_by_one = Listing(A, (), instance("gone", 1) + instance("gone", 2))
    assert served(told(before, one_by_one)) == {"gone": {1, 2}}
    assert served(told(before, Listing(A, (), (name("gone"),)))) == {"gone": {1, 2}}


def test_an_unlisted_service_whose_unreadable_instances_were_never_read_goes() -> None:
    before = Listing(A, (service("gone", [1]),))
    assert served(told(before, Listing(A, (), instance("gone", 7)))) == {}


def test_a_changed_service_that_cannot_be_read_keeps_its_value() -> None:
    """And one of whose instances one cannot be read keeps that one."""
    known = Listing(A, (service("a", [1, 2]),))
    assert served(told(known, Changed(A, service("a", []), (name("a"),)))) == {"a": {1, 2}}
    part = Changed(A, service("a", [3]), instance("a", 1))
    assert served(told(known, part)) == {"a": {1, 3}}


def test_a_new_service_that_cannot_be_read_is_not_served_empty() -> None:
    """Whether it was never known or went before: empty only if that is proven."""
    unreadable = Changed(A, service("a", []), (name("a"),))
    assert served(told(Listing(A, ()), unreadable)) == {}
    assert served(told(Listing(A, (service("a", []),), (name("a"),)))) == {}
    known = Listing(A, (service("a", [1]),))
    assert served(told(known, Removed(A, name("a")), unreadable)) == {}


def test_what_is_held_of_an_unreadable_service_is_listed_again() -> None:
    it = Told({A: (service("a", [1, 2]),)}).tell(0, Listing(A, ())).tell(1, None)
    assert it.held() == 2
    it.tell(2, Listing(A, (), (name("a"),)))
    assert it.held() == 0
    assert served(it) == {"a": {1, 2}}


@pytest.mark.parametrize("last", [Gone(A), Listing(A, ())])
def test_a_service_taken_in_and_taken_away_while_both_wait_is_not_kept(last: Update) -> None:
    """A later listing that cannot read it finds nothing to keep."""
    backlog = Backlog()
    for update in (Changed(A, service("a", [1])), last, Listing(A, (), (name("a"),))):
        backlog.put(update)
    waiting: list[Update] = []
    while backlog:
        waiting.append(backlog.take())
    assert served(told(*waiting)) == {}
