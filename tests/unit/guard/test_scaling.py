"""Fewer instances, or none, by a person's wish: at once within the budget, else by a release."""

import pytest
from unit.guard.registry import A, Told, fleet, name, running, service, with_instances

from meshbridge.adapter import Changed, Gone, Listing, Removed
from meshbridge.guard import Release

SIZES = [pytest.param(20, True, id="small"), pytest.param(100, False, id="large")]


def test_one_instance_that_stops_goes_at_once() -> None:
    told = running().tell(400, Changed(A, service(0, 4)))
    assert told.count() == 999
    assert not told.held()


@pytest.mark.parametrize("instances", [1, 5])
def test_a_service_scaled_to_zero_keeps_its_last_instances_for_hold_service(
    instances: int,
) -> None:
    told = running(30).tell(400, Changed(A, service("x", instances))).until(1000)
    told.tell(1000, Changed(A, service("x", 0)))
    assert told.until(1029).served("x") == service("x", instances).instances
    assert told.until(1030).served("x") == ()


def test_a_service_that_is_removed_goes_with_its_last_instances() -> None:
    told = running(30).tell(400, Removed(A, name(0)))
    assert told.until(429).served(0) == service(0).instances
    assert told.until(430).served(0) is None


@pytest.mark.parametrize(("services", "checked"), SIZES)
def test_a_scale_down_within_the_budget_is_followed_at_once(
    services: int, *, checked: bool
) -> None:
    told = running(services, 10, checked=checked)
    for each in range(services):
        told.tell(400 + each, Changed(A, service(each, 5)))
        assert told.is_quiet()
    assert told.count() == services * 5


@pytest.mark.parametrize(("services", "checked"), SIZES)
def test_a_nightly_scale_down_beyond_the_budget_is_held_and_ended_by_the_morning(
    services: int, *, checked: bool
) -> None:
    told = running(services, 10, checked=checked)
    for each in range(services):
        told.tell(400 + each * 100 / services, Changed(A, service(each, 3)))
    night = told.until(8 * 3600).count()
    assert services * 5 <= night <= services * 5 + 10
    for each in range(services):  # new instances stand in for those that are held
        scaled_up = service(each, 3).instances + service(each, 7, 1).instances
        told.tell(8 * 3600 + each, Changed(A, with_instances(each, scaled_up)))
    assert told.until(9 * 3600).count() == services * 10
    assert told.is_quiet()


@pytest.mark.parametrize(("services", "checked"), SIZES)
def test_a_nightly_scale_down_that_is_announced_is_followed_at_once(
    services: int, *, checked: bool
) -> None:
    told = running(services, 10, checked=checked).tell(399, Release(A, until=7600))
    for each in range(services):
        told.tell(400 + each, Changed(A, service(each, 3)))
        assert told.is_quiet()
    assert told.count() == 3 * services


def test_an_announcement_ends() -> None:
    told = running(20).tell(399, Release(A, until=7600)).tell(400, Listing(A, fleet(20, 3)))
    assert told.count() == 60
    assert told.tell(7601, Listing(A, ())).until(86_400).count() == 60


def test_a_decommissioned_namespace_waits_for_its_release_and_hinders_no_other_one() -> None:
    told = Told({"a": fleet(60), "b": fleet(20)}, scopes=("a", "b"))
    told.tell(0, Listing("a", fleet(60))).tell(0, Listing("b", fleet(20))).until(400)
    assert told.tell(400, Gone("b")).until(86_400).count("b") == 100
    assert not told.unsettled("a")
    told.tell(86_400, Changed("a", service(0, 4)))
    assert told.count("a") == 299, "the other scope lives on"
    assert told.tell(86_401, Release("b")).count("b") == 0


def test_a_decommission_that_is_announced_passes_at_once() -> None:
    told = running(20).tell(399, Release(A, until=7600)).tell(400, Gone(A))
    assert told.count() == 0
    assert not list(told.guard.served(A))
