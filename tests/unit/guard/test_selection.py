"""What is no longer selected is no loss, what is held and still selected stays held."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from unit.guard.registry import A, Told, finished, fleet, name, running, service

from meshbridge.adapter import Changed, Listing
from meshbridge.guard import Guard, GuardRules, Selection
from meshbridge.guard.selection import Said
from meshbridge.registration import RegisteredService, ServiceId

HUGE = 10_000.0


def only(services: Iterable[int], instances: int = 1000) -> "Selection":
    """Select these services, and so many instances of each by the number in their address."""
    names = {name(each) for each in services}
    return Selection(lambda said: some(said, names, instances), {})


def some(
    said: RegisteredService, names: set[ServiceId], instances: int
) -> RegisteredService | None:
    if said.id not in names:
        return None
    kept = tuple(each for each in said.instances if int(each.id.rsplit("-")[-1]) < instances)
    return RegisteredService(said.id, kept)


def select(
    guard: Guard, selection: Selection, now: float = 500.0, rules: GuardRules | None = None
) -> dict[tuple[str, ServiceId], RegisteredService | None]:
    """Let it be selected; return what that changes of what is served."""
    step = finished(guard.select(selection, rules or guard.rules, now))
    served = {(scope, each.id): each for scope, each in step.served()}
    changed = {(each.scope, each.service_id): each.service for each in step.effective()}
    guard.keep(step)
    guard.go_by(rules or guard.rules)
    assert served == {
        (scope, each.id): each for scope in guard.scopes() for each in guard.served(scope)
    }
    return changed


def test_nine_in_ten_may_be_deselected_and_nothing_is_held() -> None:
    told = running(100)
    changed = select(told.guard, only(range(10)))
    assert set(changed) == {(A, name(each)) for each in range(10, 100)}
    assert set(changed.values()) == {None}
    told.oracle, told.watched = None, False
    told.tell(501, Listing(A, fleet(10))).until(HUGE)
    assert told.guard.scope(A).phase == "settled"
    assert told.guard.scope(A).services == 10


def test_what_remains_is_guarded_by_its_own_size() -> None:
    told = running(100)
    select(told.guard, only(range(20)))
    told.oracle, told.watched = None, False
    told.tell(501, Listing(A, fleet(9))).until(HUGE)
    assert told.guard.scope(A).phase == "in loss"
    assert sum(len(each.instances) for each in told.guard.served(A)) == 100


def test_what_is_held_stays_held_while_it_is_selected() -> None:
    told = running(100).tell(400, Listing(A, fleet(20)))
    assert told.held() == 400
    select(told.guard, only(range(50)))
    scope = told.guard.scope(A)
    assert (scope.size.instances, scope.missing.instances) == (100, 150)
    assert scope.phase == "in loss"


def test_a_loss_whose_services_are_deselected_is_over() -> None:
    told = running(100).tell(400, Listing(A, fleet(40)))
    assert told.guard.scope(A).phase == "in loss"
    select(told.guard, only(range(40)))
    assert told.guard.scope(A).missing.instances == 0
    assert told.guard.scope(A).in_loss is None


def test_what_is_selected_anew_is_there_at_once() -> None:
    told = running(10)
    left_out: Said = {(A, name(10)): service(10), (A, name(3)): service(3, 7)}
    changed = select(told.guard, Selection(lambda said: said, left_out))
    assert changed == {(A, name(10)): service(10), (A, name(3)): service(3, 7)}


def test_a_scope_that_is_not_read_any_more_goes_whole() -> None:
    guard = Guard(GuardRules(), ("a", "b"), {"a": fleet(50), "b": fleet(3)})
    finished_listing(guard, "a", fleet(5))
    assert guard.scope("a").missing.instances == 225
    selection = Selection(lambda said: said, {}, frozenset({"a"}))
    changed = select(guard, selection)
    assert len(changed) == 50
    assert (guard.scope("a").services, guard.scope("a").phase) == (0, "settled")
    assert guard.scope("b").services == 3


def finished_listing(guard: Guard, scope: str, services: tuple[RegisteredService, ...]) -> None:
    guard.keep(finished(guard.step(Listing(scope, services), 400.0)))


def test_another_max_loss_holds_from_then_on() -> None:
    told = running(100)
    select(told.guard, only(range(100)), rules=GuardRules(max_loss=0.9))
    told.oracle, told.watched = None, False
    told.tell(501, Listing(A, fleet(20))).until(HUGE)
    assert told.guard.scope(A).services == 20


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=6),
    st.sets(st.integers(0, 5)),
    st.integers(0, 5),
)
def test_the_figures_are_those_of_a_count(
    said: list[tuple[int, int]], chosen: set[int], instances: int
) -> None:
    """Whatever was said before: sizes are kept by differences, and no difference is forgotten."""
    told = Told({A: fleet(6)}, checked=False, watched=False).tell(0, Listing(A, fleet(6)))
    for at, (which, count) in enumerate(said):
        told.tell(310 + at, Changed(A, service(which, count)))
    select(told.guard, only(chosen, instances))
    scope = told.guard.scope(A)
    entries = list(scope.entries.values())
    assert scope.size.instances == sum(each.serving for each in entries)
    assert scope.missing.instances == sum(len(each.held) for each in entries)
    assert {each.owner[1] for each in entries} <= {name(each) for each in chosen}
    ids = {each.id for served in told.guard.served(A) for each in served.instances}
    assert all(int(each.rsplit("-")[-1]) < instances for each in ids)
