"""Only the first answer of a process waits, and it is neither empty nor half."""

import pytest
from unit.guard.registry import A, Told, fleet, refill, service

from meshbridge.adapter import Changed, Listing, Stale
from meshbridge.guard import GuardRules, Release

SIZES = [pytest.param(40, True, id="small"), pytest.param(2000, False, id="large")]
"""Services, and whether the oracle counts them too."""


def empty(services: int) -> Listing:
    """Return a listing of services that nobody has registered at yet."""
    return Listing(A, fleet(services, 0))


def test_a_full_registry_is_answered_after_one_quiet_settle() -> None:
    told = Told().tell(0, Listing(A, fleet())).until(60)
    assert told.first_answer == 20
    assert told.answer[A] == 1000


@pytest.mark.parametrize("since", [0, 5, 10])
@pytest.mark.parametrize(("services", "checked"), SIZES)
def test_a_start_in_the_middle_of_a_refill_waits_for_its_end(
    services: int, *, checked: bool, since: float
) -> None:
    told = Told(checked=checked).tell(0, empty(services))
    refill(told, 0, services, 1, 18 - since, begin=max(0.1, 3 - since)).until(300)
    assert told.answer[A] == services
    assert told.first_answer is not None
    assert told.first_answer <= 18 - since + 20


@pytest.mark.parametrize(("services", "checked"), SIZES)
def test_a_refill_that_begins_late_is_waited_for_as_well(services: int, *, checked: bool) -> None:
    told = Told(checked=checked).tell(0, empty(services))
    assert refill(told, 98, services, 1, 18).until(400).answer[A] == services


@pytest.mark.parametrize(("services", "checked"), SIZES)
def test_services_that_are_listed_and_empty_hold_the_first_answer_back(
    services: int, *, checked: bool
) -> None:
    told = Told(checked=checked).tell(0, empty(services))
    assert refill(told, 0, services, 1, 18, stall=(0.6, 30)).until(300).answer[A] == services


@pytest.mark.parametrize(("services", "checked"), SIZES)
def test_services_that_a_stalled_refill_does_not_even_list_cannot_be_missed(
    services: int, *, checked: bool
) -> None:
    """A known limit: only a ``settle`` longer than the stall helps."""
    told = Told(checked=checked).tell(0, Listing(A, ()))
    refill(told, 0, services, 1, 18, stall=(0.6, 30)).until(300)
    assert told.answer[A] == services * 0.6
    patient = Told(rules=GuardRules(settle=40), checked=checked).tell(0, Listing(A, ()))
    assert refill(patient, 0, services, 1, 18, stall=(0.6, 30)).until(300).answer[A] == services


def test_many_services_that_stay_empty_delay_the_answer_by_five_settles_at_most() -> None:
    told = Told().tell(7, Listing(A, (*fleet(20, 1), *fleet(40, 0)[20:]))).until(600)
    assert told.first_answer == 7 + 5 * 20


def test_few_services_that_stay_empty_delay_nothing() -> None:
    told = Told().tell(7, Listing(A, (*fleet(38, 1), *fleet(40, 0)[38:]))).until(600)
    assert told.first_answer == 7 + 20


def test_no_time_makes_an_empty_registry_the_first_answer() -> None:
    told = Told().tell(0, empty(50)).until(3600)
    assert told.first_answer is None
    assert told.tell(3601, Release(A)).first_answer == 3601


def test_an_empty_registry_is_answered_where_it_may_be_empty() -> None:
    told = Told(rules=GuardRules(allow_empty=True)).tell(0, Listing(A, ()))
    assert told.until(60).first_answer == 20


def test_an_adapter_that_needs_no_settling_is_answered_at_once() -> None:
    means_it = GuardRules(settle=0, hold_service=0, allow_empty=True)
    assert Told(rules=means_it).tell(3, Listing(A, ())).first_answer == 3
    assert Told(rules=means_it).tell(3, Listing(A, fleet(3, 1))).first_answer == 3


def test_the_time_of_an_outage_does_not_count_as_quiet() -> None:
    told = Told().tell(0, Listing(A, fleet(10))).tell(5, Stale(A, "refused")).until(200)
    assert told.first_answer is None
    told.tell(200, Listing(A, fleet(20), after_gap=True))
    assert told.tell(210, Changed(A, service(30))).until(300).first_answer == 230


def test_a_scope_that_cannot_be_read_holds_back_only_those_who_need_it() -> None:
    told = Told(scopes=("a", "b")).tell(0, Listing("a", fleet())).tell(0, Stale("b", "refused"))
    assert told.until(3600).first_answer is None
    assert told.is_ready("a")


def test_a_release_counts_a_scope_that_was_never_read_as_read() -> None:
    told = Told(scopes=("a", "b")).tell(0, Listing("a", fleet(30))).tell(0, Stale("b", "refused"))
    assert told.until(3600).tell(3600, Release("b")).first_answer == 3600


def test_an_empty_scope_beside_a_full_one_waits_its_own_settle_only() -> None:
    told = Told(scopes=("a", "b")).tell(0, Listing("a", fleet(30))).tell(10, Listing("b", ()))
    assert told.until(60).first_answer == 30


def test_a_second_empty_scope_does_not_vouch_for_the_first() -> None:
    told = Told(scopes=("a", "b")).tell(0, Listing("a", ())).tell(0, Listing("b", ()))
    assert told.until(3600).first_answer is None
