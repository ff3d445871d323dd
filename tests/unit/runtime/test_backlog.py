"""What waits is bounded, keeps its order, and amounts to the same as working off everything."""

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.guard.registry import finished
from unit.runtime.examples import service, sid

from meshbridge import Changed, Gone, Listing, RegisteredService, Removed, Stale
from meshbridge.adapter import Update
from meshbridge.backlog import Backlog
from meshbridge.guard import Guard, GuardRules

NAMES = ("a", "b", "c")
subjects = st.one_of(
    st.sampled_from(NAMES).map(sid),
    st.tuples(st.sampled_from(NAMES).map(sid), st.sampled_from(("10.0.0.1:1", "10.0.0.1:2"))),
)


def example(name: str, ports: set[int], weight: float) -> RegisteredService:
    """Return a service with these ports."""
    return service(name, *sorted(ports), weight=weight)


services = st.builds(
    example,
    st.sampled_from(NAMES),
    st.sets(st.sampled_from((1, 2))),
    st.sampled_from((1.0, 2.0)),
)


@st.composite
def updates(draw: st.DrawFn) -> Update:
    """Return any update of one of two scopes; an unreadable record is not listed as well."""
    scope = draw(st.sampled_from(("s", "t")))
    kind = draw(st.integers(0, 9))
    if kind < 4:
        chosen = draw(st.lists(services, max_size=3))
        listable = {each.id for each in chosen}
        unreadable = frozenset(
            subject
            for subject in draw(st.lists(subjects, max_size=2))
            if not isinstance(subject, tuple) or subject[0] in listable
        )
        found: dict[str, RegisteredService] = {}
        for each in chosen:
            found[each.id.name] = without(each, unreadable)
        listed = tuple(each for each in found.values() if each.id not in unreadable)
        return Listing(scope, listed, tuple(sorted(unreadable, key=repr)), draw(st.booleans()))
    if kind < 7:
        changed = draw(services)
        named = frozenset(
            subject
            for subject in draw(st.lists(subjects, max_size=1))
            if subject == changed.id or (isinstance(subject, tuple) and subject[0] == changed.id)
        )
        return Changed(scope, without(changed, named), tuple(named))
    if kind == 7:
        return Removed(scope, sid(draw(st.sampled_from(NAMES))))
    return Gone(scope) if kind == 8 else Stale(scope, "away")


def without(each: RegisteredService, unreadable: frozenset[object]) -> RegisteredService:
    """Return the service without the instances that could not be read."""
    kept = tuple(i for i in each.instances if (each.id, i.id) not in unreadable)
    return RegisteredService(each.id, kept)


class Intake:
    """What is believed by a guard that holds nothing."""

    def __init__(self) -> None:
        """Believe nothing."""
        rules = GuardRules(max_loss=1.0, window=0.0, hold_service=0.0, settle=0.0)
        self.guard = Guard(rules)


def work_off(intake: Intake, update: Update) -> None:
    """Let the update take effect."""
    intake.guard.keep(finished(intake.guard.step(update, 0.0)))


def believed(intake: Intake) -> dict[tuple[str, str], frozenset[object]]:
    """Return what is believed to be listed, whatever the order of instances."""
    return {
        (scope, service_id.name): frozenset(entry.instances)
        for scope in intake.guard.scopes()
        for service_id, entry in intake.guard.scope(scope).entries.items()
        if entry.listed
    }


def test_what_a_wholly_unreadable_update_brings_is_never_believed() -> None:
    """Nor when a newer one, in which an instance cannot be read, comes on top of it."""
    whole = example("a", {1}, 1.0)
    newer = Changed("s", RegisteredService(sid("a")), ((sid("a"), whole.instances[0].id),))
    assert waiting(Changed("s", whole, (sid("a"),)), newer) == [newer]


def test_an_instance_that_had_gone_does_not_come_back_because_it_cannot_be_read() -> None:
    """Though a listing that waits could not read its service, which keeps what was before."""
    there, gone = Changed("s", example("a", {1}, 1.0)), Changed("s", RegisteredService(sid("a")))
    listing = Listing("s", (), (sid("a"),))
    unreadable = replace(gone, unreadable=((sid("a"), there.service.instances[0].id),))
    assert waiting(there, listing, gone, unreadable) == [there, listing, gone]


def unreadable_beside_staleness(said: list[Update]) -> set[tuple[str, str]]:
    """Return the services of which something else may be kept when updates pile up.

    While a scope is stale nothing goes: a removal, and then a listing in which the same record
    cannot be read, leave what was believed before, where the listing in between had ended it.
    """
    stale = {each.scope for each in said if isinstance(each, Stale)}
    return {
        (each.scope, (subject[0] if isinstance(subject, tuple) else subject).name)
        for each in said
        if isinstance(each, Listing | Changed) and each.scope in stale
        for subject in each.unreadable
    }


@settings(max_examples=300, deadline=None)
@given(st.lists(updates(), max_size=12), st.lists(st.booleans(), max_size=12))
def test_coalescing_changes_nothing_of_what_is_believed_in_the_end(
    said: list[Update], pauses: list[bool]
) -> None:
    """However updates pile up, working the backlog off ends where working each off would."""
    each_one, coalesced, backlog = Intake(), Intake(), Backlog()
    for position, update in enumerate(said):
        work_off(each_one, update)
        backlog.put(update)
        if position < len(pauses) and pauses[position]:
            work_off(coalesced, backlog.take())
    while backlog:
        work_off(coalesced, backlog.take())
    expected, found = believed(each_one), believed(coalesced)
    doubtful = unreadable_beside_staleness(said)
    assert {key: found[key] for key in found.keys() - doubtful} == {
        key: expected[key] for key in expected.keys() - doubtful
    }
    for scope in ("s", "t"):
        assert coalesced.guard.scope(scope).read == each_one.guard.scope(scope).read


@given(st.lists(updates(), max_size=40))
def test_a_backlog_holds_at_most_two_values_of_a_service(said: list[Update]) -> None:
    """One before a listing that could not read it, one after: a storm cannot make it grow."""
    backlog = Backlog()
    for update in said:
        backlog.put(update)
    taken: list[Update] = []
    while backlog:
        taken.append(backlog.take())
    assert len(taken) <= 2 * (2 * len(NAMES) + 2)


def test_only_the_newest_update_of_a_service_waits() -> None:
    """What was superseded is never worked off."""
    backlog = Backlog()
    backlog.put(Changed("s", service("a", 1)))
    backlog.put(Changed("s", service("a", 2)))
    assert backlog.take() == Changed("s", service("a", 2))
    assert not backlog


def test_a_listing_supersedes_what_its_scope_said_before() -> None:
    """But not what another scope said."""
    backlog = Backlog()
    backlog.put(Changed("s", service("a", 1)))
    backlog.put(Changed("t", service("a", 1)))
    backlog.put(Listing("s", (service("b", 1),)))
    assert {backlog.take(), backlog.take()} == {
        Listing("s", (service("b", 1),)),
        Changed("t", service("a", 1)),
    }
    assert not backlog


def test_what_follows_a_listing_does_not_cross_it() -> None:
    """A listing is judged as it was said, and the change after it."""
    backlog = Backlog()
    listing = Listing("s", (service("a", 1),))
    backlog.put(listing)
    backlog.put(Changed("s", service("a", 2)))
    assert backlog.take() == listing
    assert backlog.take() == Changed("s", service("a", 2))


def test_a_gap_is_not_forgotten_with_the_listing_that_reported_it() -> None:
    """The newer listing tells of it; so it does when a Stale before it was not worked off."""
    backlog = Backlog()
    backlog.put(Listing("s", (), after_gap=True))
    backlog.put(Listing("s", (service("a", 1),)))
    assert backlog.take() == Listing("s", (service("a", 1),), after_gap=True)
    backlog.put(Stale("s", "away"))
    backlog.put(Listing("s", ()))
    assert backlog.take() == Listing("s", (), after_gap=True)


def test_scopes_take_turns() -> None:
    """A busy scope does not hold up the others."""
    backlog = Backlog()
    for name in NAMES:
        backlog.put(Changed("s", service(name, 1)))
    backlog.put(Changed("t", service("a", 1)))
    assert [backlog.take().scope for _ in range(4)] == ["s", "t", "s", "s"]


def test_a_list_of_scopes_comes_after_what_waited_of_those() -> None:
    """Else who asks what it leads to no more would not know yet that it cannot be read."""
    backlog = Backlog()
    for scope in ("a/*", "a/b", "c"):
        backlog.put(Stale(scope, "no route"))
    backlog.put(Listing("a/*", ()))
    assert [backlog.take().scope for _ in range(3)] == ["a/b", "c", "a/*"]


LONG = 5.0
"""Seconds of processor time that what follows took before it was in proportion to what waits; now
a tenth of it."""


def test_a_burst_of_changes_is_taken_out_in_time_that_grows_with_it() -> None:
    """200,000 services that changed: the first of those that wait is found at once."""
    backlog = Backlog()
    for number in range(200_000):
        backlog.put(Changed("s", RegisteredService(sid(str(number)))))
    begun = time.process_time()
    taken = 0
    while backlog:
        backlog.take()
        taken += 1
    assert taken == 200_000
    assert time.process_time() - begun < LONG


def test_a_listing_of_unreadable_records_is_superseded_in_time_that_grows_with_it() -> None:
    backlog = Backlog()
    ids = tuple(sid(str(number)) for number in range(10_000))
    begun = time.process_time()
    for _ in range(2):
        backlog.put(Listing("s", tuple(map(RegisteredService, ids)), ids))
    assert time.process_time() - begun < LONG


def test_changes_that_name_the_same_as_unreadable_are_folded_in_time_that_grows_with_it() -> None:
    """20,000 instances of one service that cannot be read, twice."""
    backlog = Backlog()
    unreadable = tuple((sid("a"), f"10.0.0.1:{port}") for port in range(20_000))
    begun = time.process_time()
    for _ in range(2):
        backlog.put(Changed("s", RegisteredService(sid("a")), unreadable))
    assert time.process_time() - begun < LONG


def test_what_cannot_be_put_changes_nothing() -> None:
    """Values that are no registrations raise, and leave no scope of which nothing waits."""
    backlog = Backlog()
    backlog.put(Listing("s", ("nonsense",)))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(AttributeError):
        backlog.put(Listing("s", (), (sid("a"),)))
    with pytest.raises(AttributeError):
        backlog.put(Changed("t", "nonsense"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    backlog.take()
    assert not backlog


def test_changes_on_top_of_a_listing_that_failed_are_forgotten() -> None:
    """Not what is said of the scope's state, nor what waits on top of a later listing."""
    backlog = Backlog()
    backlog.put(Listing("s", ()))
    backlog.put(Changed("s", service("a", 1)))
    backlog.put(Stale("s", "away"))
    backlog.take()
    backlog.forget_changes("s")
    assert backlog.stale("s")
    assert backlog.take() == Stale("s", "away")
    assert not backlog
    backlog.put(Listing("s", ()))
    backlog.put(Changed("s", service("a", 1)))
    backlog.forget_changes("s")
    assert [backlog.take(), backlog.take()] == [Listing("s", ()), Changed("s", service("a", 1))]
    backlog.put(Removed("s", sid("a")))
    backlog.forget_changes("s")
    backlog.forget_changes("unknown")
    assert not backlog
    assert not backlog.stale("s")


def waiting(*updates: Update) -> list[Update]:
    """Return what is left to be worked off of these, said one after the other."""
    backlog = Backlog()
    for update in updates:
        backlog.put(update)
    taken: list[Update] = []
    while backlog:
        taken.append(backlog.take())
    return taken


def test_an_unreadable_service_keeps_the_value_that_still_waits() -> None:
    """It was said, was not worked off yet, and cannot be read now."""
    newer = replace(service("a", 1, 2), metadata=(("k", "v"),))
    said = waiting(
        Listing("s", (service("a", 1),)),
        Changed("s", newer),
        Changed("s", service("a"), (sid("a"),)),
        Listing("s", (), (sid("a"),)),
    )
    assert said == [Changed("s", newer), Listing("s", (), (sid("a"),))]


def test_an_instance_of_a_removed_service_is_not_kept() -> None:
    """The service came back, and what cannot be read of it now was of the one that went."""
    returned = Changed("s", service("a", 2), ((sid("a"), "10.0.0.1:1"),))
    assert waiting(Removed("s", sid("a")), returned) == [Changed("s", service("a", 2))]


def test_an_instance_that_cannot_be_read_keeps_the_value_that_still_waits() -> None:
    named = ((sid("a"), "10.0.0.1:1"),)
    (said,) = waiting(Changed("s", service("a", 1, 2)), Changed("s", service("a", 3), named))
    assert said == Changed("s", service("a", 3, 1), named)


def test_a_removed_service_that_cannot_be_read_stays_removed() -> None:
    said = waiting(Removed("s", sid("a")), Changed("s", service("a"), (sid("a"),)))
    assert said == [Removed("s", sid("a"))]


def test_an_empty_backlog_has_nothing_to_take() -> None:
    with pytest.raises(KeyError, match="nothing waits"):
        Backlog().take()
