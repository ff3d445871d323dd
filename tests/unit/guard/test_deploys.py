"""What replaces instances, whole services or their names one for one is never held for long."""

import pytest
from unit.guard.registry import A, Told, fleet, name, running, service, with_instances

from meshbridge.adapter import Changed, Listing, Removed
from meshbridge.registration import Instance

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("instances", [1, 2, 3, 40])
@pytest.mark.parametrize("new_first", [True, False], ids=["new first", "old first"])
def test_a_rolling_restart_is_followed_step_by_step(instances: int, *, new_first: bool) -> None:
    told = running(30, 1).tell(400, Changed(A, service("x", instances))).until(1000)
    old, new = service("x", instances).instances, service("x", instances, 1).instances
    live, at = list(old), 1000
    for leaving, coming in zip(old, new, strict=True):
        for instance in (coming, leaving) if new_first else (leaving, coming):
            if instance is coming:
                live.append(coming)
            else:
                live.remove(leaving)
            told.tell(at, Changed(A, with_instances("x", live)))
            assert len(told.served("x") or ()) >= max(1, instances - 1)
            at += 10
        assert leaving.id not in told.ids()
    assert told.is_quiet()


@pytest.mark.parametrize(("services", "checked"), [(20, True), (200, False)])
def test_a_rolling_restart_of_everything_is_followed(services: int, *, checked: bool) -> None:
    told, at = running(services, checked=checked, watched=checked), 400.0
    for each in range(services):
        live = list(service(each).instances)
        for leaving, coming in zip(
            service(each).instances, service(each, 5, 1).instances, strict=True
        ):
            live.remove(leaving)
            told.tell(at, Changed(A, with_instances(each, live)))
            live.append(coming)
            at += 0.6
            told.tell(at, Changed(A, with_instances(each, live)))
        assert told.is_quiet()
    assert told.ids() == {each.id for some in fleet(services, 5, 1) for each in some.instances}


@pytest.mark.parametrize("whole", [True, False], ids=["the registry's only service", "one of 20"])
@pytest.mark.parametrize("new_first", [True, False], ids=["new first", "old first"])
@pytest.mark.parametrize("share", [0.8, 1.0, 1.2])
def test_blue_green_switches_at_once(*, whole: bool, new_first: bool, share: float) -> None:
    instances = 10 if whole else 5
    told = running(1 if whole else 20, instances)
    blue, green = service(0, instances), service(0, int(instances * share), 1)
    both = with_instances(0, blue.instances + green.instances)
    told.tell(400, Changed(A, both if new_first else with_instances(0, ())))
    assert told.count() >= (10 if whole else 100)
    told.tell(410, Changed(A, green)).until(800)
    assert set(told.served(0) or ()) == set(green.instances)
    assert told.is_quiet()


def test_a_service_that_is_renamed_at_the_same_addresses_moves_at_once() -> None:
    new = with_instances(
        "new",
        [Instance(f"n{each.id}", each.address, each.ports) for each in service(0).instances],
    )
    told = running(30).tell(400, Removed(A, name(0))).tell(401, Changed(A, new))
    assert not told.held()
    assert told.served(0) is None


def test_a_service_that_is_renamed_at_new_addresses_moves_after_hold_service() -> None:
    told = running(30).tell(500, Changed(A, service("new", 5, 3))).tell(501, Removed(A, name(0)))
    assert told.until(530).served(0) == service(0).instances
    assert told.until(531).served(0) is None
    assert told.is_quiet()


def test_all_services_renamed_in_one_listing_at_the_same_addresses_are_no_loss() -> None:
    """As when the version, a part of the name, is raised everywhere."""
    renamed = tuple(
        with_instances(
            f"v2-{each.id.name}",
            [Instance(f"n{one.id}", one.address, one.ports) for one in each.instances],
        )
        for each in fleet(60)
    )
    told = running(60).tell(400, Listing(A, renamed))
    assert told.ids() == told.listed()
    assert told.is_quiet()


@pytest.mark.parametrize("share", [1, 8])
@pytest.mark.parametrize(("seconds", "checked"), [(40, True), (400, False)])
def test_churn_that_is_never_quiet_costs_no_memory_and_delays_nothing(
    share: int, seconds: int, *, checked: bool
) -> None:
    told = Told(checked=checked)
    alive, following = [service(f"c{each}", 2, each) for each in range(100)], 100
    told.tell(0, Listing(A, tuple(alive)))
    for at in range(1, seconds):
        for _ in range(share):
            told.tell(at, Removed(A, alive.pop((at * 37) % 100).id))
            alive.append(service(f"c{following}", 2, following))
            following += 1
            told.tell(at, Changed(A, alive[-1]))
        assert not told.unsettled()
    assert told.first_answer == 20
    assert told.held() <= 2 * share * 31
    assert len(list(told.scope().entries)) <= 100 + share * 31
    assert len(told.scope().peaks) <= 12


@pytest.mark.parametrize(("seconds", "checked"), [(60, True), (1500, False)])
def test_churn_beside_an_open_hold_is_not_held_with_it(seconds: int, *, checked: bool) -> None:
    told = running(100, 2, checked=checked).tell(400, Listing(A, fleet(30, 2)))
    for at in range(401, 400 + seconds):
        told.tell(at, Changed(A, service(f"c{at}", 2, at)))
        if at > 410:
            told.tell(at, Removed(A, name(f"c{at - 10}")))
    assert told.held() == 140
    assert len(list(told.scope().entries)) < 120


def test_deploys_beside_an_open_hold_do_not_add_up() -> None:
    told = running(20, 2).tell(400, Listing(A, fleet(5, 2)))
    for generation in range(1, 50):
        at = 400 + 1000 * generation
        old, new = service(0, 2, generation - 1), service(0, 2, generation)
        told.tell(at, Changed(A, with_instances(0, old.instances + new.instances)))
        told.tell(at + (100 if generation % 2 else 900), Changed(A, new))
        assert len(told.served(0) or ()) <= 4
