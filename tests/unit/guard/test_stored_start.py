"""A start with stored state serves it at once, and what is missing of it is held like any loss."""

import pytest
from unit.guard.registry import A, Told, fleet, refill, service

from meshbridge.adapter import Changed, Listing, Stale
from meshbridge.guard import Release


def test_stored_state_is_served_while_the_registry_is_down_for_a_day() -> None:
    told = Told({A: fleet()}).tell(0, Stale(A, "refused")).until(86_400)
    assert told.first_answer == 0
    assert told.least[A] == 1000


def test_stored_state_is_served_while_the_registry_refills() -> None:
    told = Told({A: fleet(40)}).tell(1, Listing(A, fleet(40, 0)))
    refill(told, 1, 40, 5, 18).until(600)
    assert told.least[A] == 200
    assert told.is_quiet()


@pytest.mark.parametrize(("left", "served"), [(120, 600), (80, 1000)])
def test_what_is_gone_at_a_start_goes_by_itself_only_within_the_budget(
    left: int, served: int
) -> None:
    told = Told({A: fleet()}).tell(1, Listing(A, fleet(left)))
    assert told.until(20).count() == 1000
    assert told.until(86_400).count() == served
    assert told.tell(86_400, Release(A)).count() == left * 5


def test_a_redeploy_of_everything_while_the_bridge_was_down_is_one_for_one() -> None:
    told = Told({A: fleet()}).tell(1, Listing(A, fleet(generation=1)))
    assert told.ids() == told.listed()
    assert told.is_quiet()


def test_what_the_store_held_of_a_scope_that_is_never_read_again_stays() -> None:
    told = Told({"a": fleet(30), "old": fleet(3)}, scopes=("a",))
    told.tell(0, Listing("a", fleet(30))).until(86_400)
    assert told.count("old") == 15


def test_an_announcement_outlives_a_restart() -> None:
    announced = [Release(A, until=7600)]
    told = Told({A: fleet(50, 10)}, announced=announced)
    told.tell(10, Listing(A, fleet(50, 3)))
    assert told.until(29).count() == 500, "a first listing over stored state settles first"
    assert told.until(31).count() == 150


def test_a_loss_after_a_start_is_measured_against_what_was_stored() -> None:
    told = Told({A: fleet(60, 2)}).tell(1, Listing(A, fleet(60, 2)))
    for each in range(60):
        told.tell(2 + each / 10, Changed(A, service(each, 0)))
    assert told.until(86_400).count() >= 60
