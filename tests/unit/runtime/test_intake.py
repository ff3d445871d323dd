"""What is believed of a registry follows from what it says, and unreadable records keep theirs."""

from dataclasses import replace

import pytest
from unit.runtime.examples import service, sid

from meshbridge import Changed, Gone, Listing, RegisteredService, Removed, Stale
from meshbridge.adapter import Update
from meshbridge.backlog import Backlog
from meshbridge.intake import Intake


def believe(*updates: Update) -> Intake:
    """Return an intake that was told these, one after the other."""
    intake = Intake()
    for update in updates:
        for effective in intake.step(update):
            if effective is not None:
                intake.accept(effective)
        intake.finish(update)
    return intake


def ports(intake: Intake) -> dict[str, set[int]]:
    """Return the believed instances' ports by service."""
    held = intake.of("s").services.values()
    return {each.id.name: {i.ports[0].number for i in each.instances} for each in held}


def listing(*services: RegisteredService, unreadable: tuple[str, ...] = ()) -> Listing:
    """List a scope in which instances of ``gone`` with these ids cannot be read."""
    named = tuple((sid("gone"), f"10.0.0.1:{each}") for each in unreadable)
    return Listing("s", services, named)


def test_an_unlisted_service_keeps_the_instances_that_could_not_be_read() -> None:
    """The rest of it is gone, as the registry says."""
    before = listing(service("gone", 1, 2, 3), service("stays", 9))
    after = listing(service("stays", 9), unreadable=("1", "3"))
    assert ports(believe(before, after)) == {"gone": {1, 3}, "stays": {9}}


def test_an_unlisted_service_of_which_nothing_could_be_read_stays_whole() -> None:
    """Whether its instances are named one by one or the service itself."""
    before = listing(service("gone", 1, 2))
    assert ports(believe(before, listing(unreadable=("1", "2")))) == {"gone": {1, 2}}
    assert ports(believe(before, Listing("s", (), (sid("gone"),)))) == {"gone": {1, 2}}


def test_an_unlisted_service_whose_unreadable_instances_were_never_read_goes() -> None:
    assert ports(believe(listing(service("gone", 1)), listing(unreadable=("7",)))) == {}


def test_a_changed_service_that_cannot_be_read_keeps_its_value() -> None:
    """And one of whose instances one cannot be read keeps that one."""
    known = listing(service("a", 1, 2))
    whole = Changed("s", service("a"), (sid("a"),))
    assert ports(believe(known, whole)) == {"a": {1, 2}}
    part = Changed("s", service("a", 3), ((sid("a"), "10.0.0.1:1"),))
    assert ports(believe(known, part)) == {"a": {1, 3}}


def test_a_new_service_that_cannot_be_read_is_not_served_empty() -> None:
    """Whether it was never known or went before: empty only if that is proven."""
    unreadable = Changed("s", service("a"), (sid("a"),))
    assert ports(believe(listing(), unreadable)) == {}
    assert ports(believe(Listing("s", (service("a"),), (sid("a"),)))) == {}
    known = listing(service("a", 1))
    assert ports(believe(known, Removed("s", sid("a")), unreadable)) == {}
    backlog = Backlog()
    for update in (Removed("s", sid("a")), unreadable):
        backlog.put(update)
    assert ports(believe(known, backlog.take())) == {}


def test_what_is_said_again_has_no_effect() -> None:
    """So nothing behind it needs to be done."""
    intake = believe(listing(service("a", 1)))
    assert [each for each in intake.step(listing(service("a", 1))) if each] == []
    assert [each for each in intake.step(Removed("s", sid("b"))) if each] == []


def test_a_stale_scope_keeps_everything_and_a_deleted_one_nothing() -> None:
    known = listing(service("a", 1))
    stale = believe(known, Stale("s", "no answer"))
    assert ports(stale) == {"a": {1}}
    assert stale.of("s").stale == "no answer"
    gone = believe(known, Gone("s"))
    assert ports(gone) == {}
    assert gone.of("s").listed


@pytest.mark.parametrize("last", [Gone("s"), Listing("s", ())])
def test_a_service_taken_in_and_taken_away_while_both_wait_is_not_kept(last: Update) -> None:
    """A later listing that cannot read it finds nothing to keep."""
    backlog = Backlog()
    for update in (Changed("s", service("a", 1)), last, Listing("s", (), (sid("a"),))):
        backlog.put(update)
    told: list[Update] = []
    while backlog:
        told.append(backlog.take())
    assert ports(believe(*told)) == {}


def test_an_unreadable_service_keeps_the_value_that_still_waits() -> None:
    """It was said, was not worked off yet, and cannot be read now."""
    backlog = Backlog()
    newer = replace(service("a", 1, 2), metadata=(("k", "v"),))
    for update in (
        listing(service("a", 1)),
        Changed("s", newer),
        Changed("s", service("a"), (sid("a"),)),
        Listing("s", (), (sid("a"),)),
    ):
        backlog.put(update)
    told: list[Update] = []
    while backlog:
        told.append(backlog.take())
    assert believe(*told).of("s").services == {sid("a"): newer}


def test_an_instance_of_a_removed_service_is_not_kept() -> None:
    """The service came back, and what cannot be read of it now was of the one that went."""
    backlog = Backlog()
    returned = Changed("s", service("a", 2), ((sid("a"), "10.0.0.1:1"),))
    for update in (Removed("s", sid("a")), returned):
        backlog.put(update)
    assert backlog.take() == Changed("s", service("a", 2))


def test_a_removed_service_that_cannot_be_read_stays_removed() -> None:
    backlog = Backlog()
    for update in (Removed("s", sid("a")), Changed("s", service("a"), (sid("a"),))):
        backlog.put(update)
    assert backlog.take() == Removed("s", sid("a"))


def test_an_empty_backlog_has_nothing_to_take() -> None:
    with pytest.raises(KeyError, match="nothing waits"):
        Backlog().take()
