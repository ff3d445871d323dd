"""What is marked, unhealthy or unreadable has not vanished."""

import pytest
from unit.guard.registry import A, Told, fleet, name, running, service, with_instances

from meshbridge.adapter import Changed, Listing, Removed
from meshbridge.registration import Health, Instance, InstancePort

MARKS = [
    pytest.param(Health.HEALTHY, 0.0, id="weight 0"),
    pytest.param(Health.DISABLED, 1.0, id="disabled"),
    pytest.param(Health.DRAINING, 1.0, id="draining"),
]


def test_health_that_flips_is_no_loss() -> None:
    told = running()
    for at, health in ((400, Health.UNHEALTHY), (430, Health.HEALTHY), (460, Health.DEGRADED)):
        told.tell(at, Listing(A, fleet(health=health)))
        assert told.count() == 1000
        assert told.is_quiet()


@pytest.mark.parametrize(("health", "weight"), MARKS)
def test_what_is_withdrawn_by_name_goes_at_once_and_is_no_loss(
    health: Health, weight: float
) -> None:
    drained = fleet(180, health=health, weight=weight)
    told = running().tell(400, Listing(A, (*drained, *fleet()[180:])))
    assert told.count() == 100
    assert not told.held()
    told.tell(401, Changed(A, service(199, 4)))
    assert told.count() == 99, "an ordinary stop beside a mass drain is not held"


@pytest.mark.parametrize(("health", "weight"), MARKS)
def test_a_mark_ends_a_hold(health: Health, weight: float) -> None:
    told = running(60).tell(400, Listing(A, ()))
    told.tell(500, Changed(A, service(0, health=health, weight=weight)))
    assert told.held() == 295
    assert not {each for each in told.ids() if each.startswith("s0000")}


def test_what_was_withdrawn_may_vanish_unseen() -> None:
    told = running(30).tell(400, Changed(A, service(0, health=Health.DRAINING)))
    assert told.tell(401, Removed(A, name(0))).served(0) is None
    assert told.is_quiet()


@pytest.mark.parametrize("restarted", ["id", "address"])
def test_an_instance_is_the_same_by_its_id_or_by_its_address_and_port(restarted: str) -> None:
    """Ids that change at each registration, and addresses that do, are no loss and no hold."""
    told = running(1, 12)
    other = tuple(
        Instance(
            f"new-{each.id}" if restarted == "id" else each.id,
            each.address if restarted == "id" else f"9.{each.address}",
            each.ports,
        )
        for each in service(0, 12).instances
    )
    told.tell(400, Listing(A, ())).tell(410, Changed(A, with_instances(0, other)))
    assert told.ids() == {each.id for each in other}
    assert told.is_quiet()


def test_an_unreadable_service_keeps_its_previous_value() -> None:
    told = running(60).tell(400, Listing(A, fleet(59), unreadable=(name(59),)))
    assert told.served(59) == service(59).instances
    assert not told.held()


def test_an_unreadable_instance_keeps_its_previous_value() -> None:
    told = running(60).tell(400, Changed(A, service(0, 4), unreadable=((name(0), "s0000-0-4"),)))
    assert told.count() == 300
    assert not told.held()
    assert told.tell(401, Changed(A, service(0, 4))).count() == 299


def test_a_held_instance_that_is_unreadable_is_listed_again() -> None:
    told = running(30).tell(400, Removed(A, name(0))).until(420)
    told.tell(420, Listing(A, fleet(30)[1:], unreadable=(name(0),))).until(86_400)
    assert told.served(0) == service(0).instances
    assert not told.held()


def test_a_new_service_that_is_unreadable_is_not_served_as_empty() -> None:
    told = running(30).tell(400, Listing(A, fleet(30), unreadable=(name("new"),)))
    assert told.served("new") is None


def test_an_instance_without_a_port_is_guarded_like_any_other() -> None:
    portless = with_instances(
        "x", [Instance(f"x{each}", f"10.9.9.{each}", ()) for each in range(4)]
    )
    told = running(30).tell(400, Changed(A, portless)).until(800)
    told.tell(800, Changed(A, with_instances("x", [])))
    assert told.served("x") == portless.instances
    assert told.until(830).served("x") == ()


def test_two_services_of_one_address_and_other_ports_are_two() -> None:
    one, two = (
        with_instances(each, [Instance(each, "10.9.9.9", (InstancePort(port),))])
        for each, port in (("one", 80), ("two", 81))
    )
    told = Told({A: (one,)}).tell(0, Listing(A, (one,)))
    told.tell(400, Listing(A, (two,)))
    assert told.served("one") == one.instances, "another port is no reuse of the address"
