"""Registries of a few services, and one that plays its history to the guard and to its oracle."""

from collections.abc import Generator, Iterable, Mapping

from unit.guard.observer import Observer
from unit.guard.oracle import Oracle, View, by_id, serves

from meshbridge.adapter import Changed, Listing, Update
from meshbridge.guard import Effective, Guard, GuardRules, Release, Scope, Step
from meshbridge.registration import Health, Instance, InstancePort, RegisteredService, ServiceId

_NONE: View = (None, ())
A = "a"
"""The scope of most histories."""


def name(service: int | str) -> ServiceId:
    """Return the identity of a service, whose number stands for its name."""
    return ServiceId("", "", f"s{service:04}" if isinstance(service, int) else service)


def service(
    which: int | str,
    instances: int | Iterable[int] = 5,
    generation: int = 0,
    *,
    health: Health = Health.HEALTHY,
    weight: float = 1.0,
) -> RegisteredService:
    """Return a service with that many instances, or those of these numbers."""
    numbers = range(instances) if isinstance(instances, int) else sorted(instances)
    identity = name(which)
    return RegisteredService(
        identity,
        tuple(
            Instance(
                f"{identity.name}-{generation}-{number}",
                f"10.{generation}.{identity.name}.{number}",
                (InstancePort(80),),
                weight,
                health,
            )
            for number in numbers
        ),
    )


def fleet(
    services: int = 200,
    instances: int = 5,
    generation: int = 0,
    *,
    health: Health = Health.HEALTHY,
    weight: float = 1.0,
) -> tuple[RegisteredService, ...]:
    """Return so many services with so many instances each."""
    return tuple(
        service(each, instances, generation, health=health, weight=weight)
        for each in range(services)
    )


def with_instances(which: int | str, instances: Iterable[Instance]) -> RegisteredService:
    """Return the service with these instances."""
    return RegisteredService(name(which), tuple(instances))


class Told:
    """A guard to which updates are told in the order of time; it wakes when it asks for it.

    Beside it runs the oracle, unless ``checked`` says no, and both must always agree. An observer,
    who hears only the updates, watches that never too much is lost. Of the oracle it learns what
    was replaced or withdrawn by name; without the oracle, ``watched`` must be no in a history that
    does such things in bulk.
    """

    def __init__(
        self,
        belief: Mapping[str, Iterable[RegisteredService]] | None = None,
        scopes: Iterable[str] = (A,),
        rules: GuardRules | None = None,
        announced: Iterable[Release] = (),
        *,
        checked: bool = True,
        watched: bool = True,
    ) -> None:
        """Start at second 0 with what the store held."""
        self.rules = rules or GuardRules()
        belief = {scope: tuple(services) for scope, services in (belief or {}).items()}
        scopes, announced = tuple(scopes), tuple(announced)
        self.guard = Guard(self.rules, scopes, belief, announced)
        self.oracle = Oracle(self.rules, scopes, belief, announced) if checked else None
        self.observer = Observer(self.rules)
        self.watched = watched
        self.now = 0.0
        self.wake: float | None = None
        self.steps = 0
        self.first_answer: float | None = None
        self.answer: dict[str, int] = {}
        """How much each scope served in the first answer."""
        self.least: dict[str, int] = {}
        """The least that each scope served since the first answer."""
        self.seen: dict[tuple[str, ServiceId], View] = {}
        """What the effective updates amount to."""
        self.serving: dict[str, int] = {}
        """How many of the instances in it serve, by scope."""
        for scope, services in belief.items():
            self.observer.believe(scope, services)
            for each in services:
                self._see((scope, each.id), (by_id(each.instances), ()))
        for release in announced:
            self.observer.hear(release, 0)
        self._note()

    def tell(self, at: float, update: Update | Release | None) -> "Told":
        """Let time pass until then, and say this."""
        self.until(at)
        self._step(update)
        return self

    def until(self, at: float) -> "Told":
        """Let time pass."""
        idle = 0
        while self.wake is not None and self.wake <= at:
            idle = idle + 1 if self.wake <= self.now else 0
            assert idle < 3, "it wakes for nothing"
            self.now = max(self.now, self.wake)
            self._step(None)
        self.now = max(self.now, at)
        return self

    def _step(self, update: Update | Release | None) -> None:
        step = finished(self.guard.step(update, self.now))
        effective = tuple(step.effective())
        self.guard.keep(step)
        self.wake = self.guard.wake_at()
        self.steps += 1
        changes = {
            where: view
            for each in effective
            if (view := _view(each)) != self.seen.get(where := (each.scope, each.service_id), _NONE)
        }
        for where, view in changes.items():
            self._see(where, view)
        if self.oracle is not None:
            assert changes == self.oracle.step(update, self.now)
            assert self.wake == self.oracle.wake_at()
        self.observer.hear(update, self.now)
        for scope in {where[0] for where in changes} if self.watched else ():
            replaced = self.oracle.parts[scope].harmless if self.oracle else ()
            self.observer.check(scope, self.count(scope), self.now, replaced)
        self._note()

    def _see(self, where: tuple[str, ServiceId], view: View) -> None:
        before = self.seen.get(where, _NONE)[0] or ()
        after = view[0] or ()
        change = sum(map(serves, after)) - sum(map(serves, before))
        self.serving[where[0]] = self.serving.get(where[0], 0) + change
        self.seen[where] = view

    def _note(self) -> None:
        if self.first_answer is None and self.is_ready():
            self.first_answer = self.now
            self.answer = {scope: self.count(scope) for scope in self.guard.scopes()}
        if self.first_answer is not None:
            for scope in self.guard.scopes():
                self.least[scope] = min(self.least.get(scope, self.count(scope)), self.count(scope))

    def is_ready(self, *scopes: str) -> bool:
        """Whether the first answer need not wait for these scopes, or any."""
        return all(self.scope(each).ready for each in scopes or self.guard.scopes())

    def scope(self, scope: str = A) -> Scope:
        """Return how a scope stands."""
        return self.guard.scope(scope)

    def served(self, which: int | str, scope: str = A) -> tuple[Instance, ...] | None:
        """Return what is served of a service; ``None``: it is not there."""
        return self.seen.get((scope, name(which)), _NONE)[0]

    def ids(self, scope: str = A) -> set[str]:
        """Return the ids of all instances that are served and not withdrawn."""
        return {
            each.id
            for (where, _), (instances, _) in self.seen.items()
            if where == scope
            for each in instances or ()
            if serves(each)
        }

    def count(self, scope: str = A) -> int:
        """Return how many instances are served."""
        return self.serving.get(scope, 0)

    def listed(self, scope: str = A) -> set[str]:
        """Return the ids of what the registry lists and is not withdrawn."""
        return self.observer.listed(scope)

    def is_quiet(self, scope: str = A) -> bool:
        """Whether nothing is held, and the scope is settled."""
        return not self.held(scope) and not self.unsettled(scope)

    def held(self, scope: str = A) -> int:
        """Return how many instances are held."""
        return self.scope(scope).missing.instances

    def unsettled(self, scope: str = A) -> bool:
        """Whether the scope waits for instances to come back."""
        return self.scope(scope).unsettled is not None


def finished(steps: Generator[None, None, Step]) -> Step:
    """Return what a step amounts to, without letting anything else happen meanwhile."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            step: Step = end.value
            return step


def _view(effective: Effective) -> View:
    service = effective.service
    held = tuple(sorted(each.instance.id for each in effective.held))
    return (None if service is None else by_id(service.instances)), held


def running(
    services: int = 200,
    instances: int = 5,
    until: float = 400,
    *,
    checked: bool = True,
    watched: bool = True,
) -> Told:
    """Return a guard of a fleet that has been running for so many seconds."""
    whole = fleet(services, instances)
    told = Told({A: whole}, checked=checked, watched=watched)
    return told.tell(0, Listing(A, whole)).until(until)


def refill(
    told: Told,
    at: float,
    services: int,
    instances: int,
    last: float,
    *,
    begin: float = 3.0,
    stall: tuple[float, float] | None = None,
) -> Told:
    """Let every service come back between ``begin`` and ``last`` seconds after ``at``.

    ``stall`` is (share, seconds): after that share the rest comes so much later.
    """
    for each in range(services):
        when = at + begin + (last - begin) * each / services
        if stall and each >= services * stall[0]:
            when += stall[1]
        told.tell(when, Changed(A, service(each, instances)))
    return told
