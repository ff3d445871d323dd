"""However a registry loses what it holds, at least ``1 - max-loss`` of it is served on."""

import random

import pytest
from unit.guard.registry import A, Told, fleet, name, running, service, with_instances

from meshbridge.adapter import Changed, Gone, Listing, Removed, Update
from meshbridge.guard import GuardRules, Release
from meshbridge.registration import Instance, InstancePort, RegisteredService


@pytest.mark.parametrize("update", [Listing(A, ()), Gone(A)], ids=["listing", "gone"])
def test_a_wipe_in_one_word_takes_nothing_until_a_person_says_so(update: Update) -> None:
    told = running(60).tell(400, update).until(30 * 86_400)
    assert told.count() == told.held() == 300
    assert told.tell(told.now, Release(A)).count() == 0
    assert not list(told.guard.served(A))


@pytest.mark.parametrize("instances", [1, 5])
@pytest.mark.parametrize(("total", "seconds", "checked"), [(100, 1, True), (1000, 10, False)])
def test_a_fast_wipe_instance_by_instance_leaves_half_and_no_service_empty(
    total: int, seconds: float, *, checked: bool, instances: int
) -> None:
    told = wiped_one_by_one(total, instances, seconds, checked=checked)
    assert told.count() >= total / 2
    for each in range(total // instances):
        assert told.served(each), "no service goes empty"


@pytest.mark.parametrize("instances", [1, 5])
@pytest.mark.parametrize(("total", "checked"), [(100, True), (1000, False)])
def test_a_wipe_that_takes_ten_minutes_leaves_half_of_each_window(
    total: int, *, checked: bool, instances: int
) -> None:
    """What went before the window began is no longer known: half, and half of that."""
    assert wiped_one_by_one(total, instances, 600, checked=checked).count() >= total / 4


def wiped_one_by_one(total: int, instances: int, seconds: float, *, checked: bool) -> Told:
    """Return a guard whose registry lost all its instances one at a time, in any order."""
    told = running(total // instances, instances, checked=checked)
    left = {each: set(range(instances)) for each in range(total // instances)}
    order = [(each, number) for each in left for number in range(instances)]
    random.Random(1).shuffle(order)  # noqa: S311  the same order each time
    for step, (each, number) in enumerate(order):
        left[each].discard(number)
        told.tell(400 + step * seconds / total, Changed(A, service(each, left[each])))
    return told.until(86_400)


@pytest.mark.parametrize(("total", "checked"), [(100, True), (1000, False)])
def test_a_wipe_by_single_removals_of_services_leaves_half(total: int, *, checked: bool) -> None:
    told = running(total, 1, checked=checked)
    for each in range(total):
        told.tell(400 + each * 10 / total, Removed(A, name(each)))
    assert told.until(86_400).count() >= total / 2


def test_services_are_counted_beside_instances() -> None:
    """Ten large services hide that ninety small ones are gone."""
    listed = (*fleet(10, 50), *fleet(100, 1)[10:])
    told = Told({A: listed}).tell(0, Listing(A, listed)).until(400)
    told.tell(400, Listing(A, listed[:10])).until(86_400)
    assert told.count() == 590
    assert told.scope().in_loss is not None


@pytest.mark.parametrize(("scopes", "checked"), [(12, True), (60, False)])
def test_many_small_scopes_are_judged_together(scopes: int, *, checked: bool) -> None:
    names = [f"g{each:02}" for each in range(scopes)]
    told = Told({each: fleet(5, 1) for each in names}, scopes=names, checked=checked, watched=False)
    for each in names:
        told.tell(0, Listing(each, fleet(5, 1)))
    told.until(400)
    for number, each in enumerate(names):
        told.tell(400 + number / 50, Listing(each, ()))
    told.until(86_400)
    assert sum(map(told.count, names)) >= 5 * scopes / 2


def test_one_small_scope_may_go_whole_beside_a_large_one() -> None:
    told = Told({"a": fleet(60), "b": fleet(3, 2)}, scopes=("a", "b"))
    told.tell(0, Listing("a", fleet(60))).tell(0, Listing("b", fleet(3, 2))).until(400)
    assert told.tell(400, Gone("b")).until(429).count("b") == 6
    assert told.until(430).count("b") == 0


def test_the_answer_of_another_environment_of_the_same_size_takes_nothing() -> None:
    other = tuple(service(f"x{each}", 5, 7) for each in range(60))
    told = running(60).tell(400, Listing(A, other)).until(86_400)
    assert told.held() == 300
    assert told.count() == 600


def test_what_the_answer_of_another_environment_added_goes_when_the_right_one_returns() -> None:
    other = tuple(service(f"x{each}", 5, 7) for each in range(60))
    told = running(60).tell(400, Listing(A, other)).tell(430, Listing(A, fleet(60)))
    assert told.ids() == told.listed()
    assert told.is_quiet()


def test_a_registry_of_few_instances_is_not_told_from_a_wish() -> None:
    told = running(3, 3).tell(400, Listing(A, ()))
    assert told.until(429).count() == 9
    assert told.until(430).count() == 0


def test_no_loss_is_allowed_where_max_loss_is_0() -> None:
    told = Told({A: fleet(20)}, rules=GuardRules(max_loss=0)).tell(0, Listing(A, fleet(20)))
    told.until(400).tell(400, Changed(A, service(0, 4))).until(86_400)
    assert told.count() == 100
    assert told.scope().in_loss is not None


def test_everything_may_go_where_max_loss_is_1() -> None:
    told = Told({A: fleet(20)}, rules=GuardRules(max_loss=1)).tell(0, Listing(A, fleet(20)))
    told.until(400).tell(400, Listing(A, ()))
    assert told.until(429).count() == 100, "last instances wait all the same"
    assert told.until(430).count() == 0


def test_hold_lets_a_loss_pass_by_itself_after_that_time() -> None:
    told = Told({A: fleet(20)}, rules=GuardRules(hold=600)).tell(0, Listing(A, fleet(20)))
    told.until(400).tell(400, Listing(A, ()))
    assert told.until(999).count() == 100
    assert told.until(1000).count() == 0


def test_hold_counts_from_the_last_return() -> None:
    told = Told({A: fleet(20)}, rules=GuardRules(hold=600)).tell(0, Listing(A, fleet(20)))
    told.until(400).tell(400, Listing(A, ())).tell(900, Changed(A, service(0)))
    assert told.until(1499).count() == 100
    assert told.until(1500).count() == 5


def test_a_shared_dubbo_address_is_no_sign_of_reuse() -> None:
    """One provider serves fifty interfaces at one address and port: a new one proves nothing."""
    names = [f"com.acme.I{each}" for each in range(12)]
    listed = [dubbo(each) for each in names]
    told = Told({A: listed}).tell(0, Listing(A, tuple(listed))).until(400)
    told.tell(400, Listing(A, (), after_gap=True))
    for number, each in enumerate(listed):
        told.tell(401 + number / 5, Changed(A, each))
        assert told.count() == 240
    told.tell(500, Listing(A, ())).tell(501, Changed(A, dubbo("com.acme.New")))
    assert told.held() == 240


def dubbo(interface: str) -> RegisteredService:
    """Return an interface that twenty providers serve."""
    return with_instances(
        interface,
        [
            Instance(f"{interface}@{host}", f"10.0.0.{host}", (InstancePort(20880),))
            for host in range(20)
        ],
    )
