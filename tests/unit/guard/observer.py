"""Watches from outside that never too much is lost: hears only what the registry says."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from unit.guard.oracle import serves

from meshbridge.adapter import Changed, Gone, Listing, Removed, Stale, Unreadable, Update
from meshbridge.guard import GuardRules, Release
from meshbridge.registration import Instance, RegisteredService, ServiceId

Replaced = Iterable[tuple[float, int]]
"""(when, how many): instances that went and were replaced one for one, or withdrawn by name."""

_SURE = 0.9
"""Of the window: the guard cuts it into ten parts and may forget one early."""


@dataclass
class _Said:
    """One scope, as the registry says it."""

    services: dict[ServiceId, tuple[Instance, ...]] = field(
        default_factory=dict[ServiceId, tuple[Instance, ...]]
    )
    count: int = 0
    """How many instances are listed and serve."""
    before: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    """(until when, how many) of what was listed before, without those followed by more."""
    wanted: float = -inf
    """Until when losses are announced."""

    def put(self, service: ServiceId, instances: tuple[Instance, ...] | None) -> None:
        self.count -= sum(map(serves, self.services.pop(service, ())))
        if instances is not None:
            self.services[service] = instances
            self.count += sum(map(serves, instances))


class Observer:
    """The independent bound: what is served against the most that was listed lately."""

    def __init__(self, rules: GuardRules) -> None:
        """Watch by these rules."""
        self.rules = rules
        self.said: dict[str, _Said] = {}

    def believe(self, scope: str, services: Iterable[RegisteredService]) -> None:
        """Take what the store held for listed."""
        said = self.said.setdefault(scope, _Said())
        for each in services:
            said.put(each.id, each.instances)

    def hear(self, update: Update | Release | None, now: float) -> None:
        """Take in what was said; a person who releases accepts what is missing."""
        if isinstance(update, Release):
            scopes = list(self.said) if update.scope is None else [update.scope]
            for said in [self.said.setdefault(each, _Said()) for each in scopes]:
                said.before.clear()
                said.wanted = max(said.wanted, now if update.until is None else update.until)
        elif update is not None and not isinstance(update, Stale):
            said = self.said.setdefault(update.scope, _Said())
            before = said.count
            _hear(said, update)
            if said.count != before:
                while said.before and said.before[-1][1] <= before:
                    said.before.pop()
                said.before.append((now, before))

    def check(self, scope: str, served: int, now: float, replaced: Replaced = ()) -> None:
        """Hold what is served against what was listed."""
        said = self.said.get(scope)
        if said is None or said.wanted >= now or self.rules.hold is not None:
            return
        since = max(now - _SURE * self.rules.window, said.wanted)
        while said.before and said.before[0][0] <= since:
            said.before.popleft()
        most = max(said.count, said.before[0][1] if said.before else 0)
        no_loss = sum(count for when, count in replaced if when > since)
        # What is withdrawn after a loss within the budget leaves a smaller part of a smaller whole.
        if most - no_loss >= self.rules.min_size:
            floor = (1 - self.rules.max_loss) * most - no_loss
            assert served >= floor - 1e-9, f"{now:g}: {served} of {most} are left in {scope!r}"

    def listed(self, scope: str) -> set[str]:
        """Return the ids of all instances that are listed and serve."""
        said = self.said.get(scope, _Said())
        return {each.id for some in said.services.values() for each in some if serves(each)}


def _hear(said: _Said, update: Listing | Changed | Removed | Gone) -> None:
    match update:
        case Removed(_, service):
            said.put(service, None)
        case Gone():
            for service in list(said.services):
                said.put(service, None)
        case Changed(_, service, unreadable):
            known = said.services.get(service.id, ())
            said.put(service.id, _with_unreadable(service, known, unreadable))
        case Listing(_, services, unreadable):
            kept = {each for each in unreadable if isinstance(each, ServiceId)}
            for each in set(said.services) - {each.id for each in services} - kept:
                said.put(each, None)
            for service in services:
                known = said.services.get(service.id, ())
                if service.id not in kept:
                    said.put(service.id, _with_unreadable(service, known, unreadable))


def _with_unreadable(
    service: RegisteredService, known: Iterable[Instance], unreadable: Unreadable
) -> tuple[Instance, ...]:
    """Return what is listed of it: what could not be read, and is not there, is as it was."""
    names = {each[1] for each in unreadable if isinstance(each, tuple) and each[0] == service.id}
    names -= {each.id for each in service.instances}
    return service.instances + tuple(each for each in known if each.id in names)
