"""A registry that was away lists too little for a while: nothing of what was served goes."""

import pytest
from unit.guard.registry import A, fleet, refill, running, service

from meshbridge.adapter import Changed, Listing, Removed, Stale
from meshbridge.guard import Release

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("last", [3.5, 18, 60, 170])
def test_a_refill_after_an_outage_costs_nothing(last: float) -> None:
    told = running(60).tell(400, Stale(A, "refused"))
    told.tell(410, Listing(A, fleet(60, 0), after_gap=True))
    refill(told, 410, 60, 5, last).until(410 + last + 1)
    assert told.least[A] == 300
    assert told.is_quiet()


def test_a_refill_that_stalls_half_way_costs_nothing() -> None:
    """Services that are missing whole are waited for one ``window`` more."""
    told = running(60).tell(410, Listing(A, (), after_gap=True))
    refill(told, 410, 60, 5, 18, stall=(0.6, 30)).until(600)
    assert told.least[A] == 300
    assert told.is_quiet()


def test_a_registry_that_never_refills_is_waited_for_without_end() -> None:
    told = running(60).tell(410, Listing(A, fleet(1), after_gap=True)).until(7 * 86_400)
    assert told.count() == 300
    refill(told, told.now, 60, 5, 600).until(told.now + 60)
    assert told.least[A] == 300
    assert told.is_quiet()


@pytest.mark.parametrize(("services", "checked"), [(50, True), (1000, False)])
def test_a_loss_that_shrinks_back_lets_nothing_go_while_the_rest_returns(
    services: int, *, checked: bool
) -> None:
    told = running(services, 1, checked=checked)
    for each in range(services):
        told.tell(400 + 10 * each / services, Removed(A, service(each).id))
    assert told.count() == services, "last instances are kept until the loss is seen"
    for each in range(services):
        told.tell(500 + 50 * each / services, Changed(A, service(each, 1)))
    assert told.least[A] == services
    assert not told.until(600).held()


@pytest.mark.parametrize(("services", "checked"), [(30, True), (200, False)])
def test_what_comes_back_in_parts_is_waited_for_until_it_is_quiet(
    services: int, *, checked: bool
) -> None:
    told = running(services, checked=checked).tell(400, Listing(A, fleet(services, 1)))
    for instances in range(2, 6):
        for each in range(services):
            at = 400 + 10 * instances + 8 * each / services
            told.tell(at, Changed(A, service(each, instances)))
        assert told.count() == 5 * services
    assert told.until(480).count() == 5 * services
    assert told.is_quiet()


def test_two_losses_within_one_window_are_one() -> None:
    told = running().tell(400, Listing(A, fleet(instances=3)))
    assert told.count() == 600
    assert told.tell(410, Listing(A, fleet(instances=2))).until(86_400).count() == 600


def test_a_loss_soon_after_a_gap_that_settled_is_one_with_it() -> None:
    told = running().tell(400, Listing(A, fleet(instances=3), after_gap=True)).until(425)
    assert told.count() == 600
    assert told.tell(430, Listing(A, fleet(instances=2))).until(86_400).count() == 600


@pytest.mark.parametrize(("services", "checked"), [(40, True), (200, False)])
def test_a_gap_of_little_hides_no_wipe_behind_it(services: int, *, checked: bool) -> None:
    told = running(services, checked=checked)
    told.tell(400, Listing(A, fleet(services - 1), after_gap=True))
    for each in range(services - 1):
        told.tell(401 + 10 * each / services, Removed(A, service(each).id))
    assert told.until(86_400).count() >= services * 5 / 2


@pytest.mark.parametrize(("services", "times", "checked"), [(20, 10, True), (200, 20, False)])
def test_a_registry_that_flaps_costs_nothing(services: int, times: int, *, checked: bool) -> None:
    told = running(services, checked=checked)
    for each in range(times):
        at = 400 + 15 * each
        told.tell(at, Listing(A, fleet(services // 20), after_gap=True))
        refill(told, at, services * 4 // 5, 5, 14)
    assert told.least[A] == 5 * services
    end = told.now
    assert refill(told, end, services, 5, 10).until(end + 300).is_quiet()


def test_an_outage_stops_the_clock_of_settling() -> None:
    told = running().tell(400, Listing(A, fleet(instances=3), after_gap=True))
    told.tell(405, Stale(A, "refused")).tell(8000, None).until(9000)
    assert told.count() == 1000
    assert told.tell(9000, Listing(A, fleet(), after_gap=True)).is_quiet()


def test_an_outage_stops_the_clock_of_last_instances() -> None:
    told = running(30).tell(400, Removed(A, service(0).id)).tell(410, Stale(A, "refused"))
    assert told.until(9000).served(0) == service(0).instances


def test_one_scope_that_cannot_be_read_holds_no_other_one_up() -> None:
    told = running(60)
    told.tell(400, Listing("b", fleet(60))).tell(450, Stale("b", "refused"))
    told.tell(451, Changed(A, service(0, 3))).until(86_400)
    assert told.count() == 298
    assert told.count("b") == 300


def test_settling_ends_after_ten_times_settle_whatever_keeps_returning() -> None:
    told = running(60).tell(400, Listing(A, fleet(40), after_gap=True))
    for each in range(40, 60):  # one instance of one service each 15 s: never quiet for 20
        told.tell(400 + 15 * (each - 39), Changed(A, service(each, 1)))
        if told.now < 600:
            assert told.unsettled()
    assert not told.unsettled()


def test_a_release_in_a_refill_accepts_the_present() -> None:
    told = running().tell(400, Listing(A, fleet(60), after_gap=True)).tell(405, Release(A))
    assert told.count() == 300
    assert told.is_quiet()
    assert told.tell(410, Listing(A, fleet())).count() == 1000
