"""What guards hold, and what of it a release let go, bounded and in the registries' words."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import Final

from meshbridge.bridge import Bridge
from meshbridge.found import LIST, read_by
from meshbridge.guard import Scope
from meshbridge.guard.entry import Entry
from meshbridge.lane import Lane
from meshbridge.looking import Slices, utc
from meshbridge.publish.findings import printable
from meshbridge.readiness import awaited
from meshbridge.registration import ServiceId

_SCOPES: Final = 100
_SERVICES: Final = 10
_INSTANCES: Final = 5
_AT_ONCE: Final = 200
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class HeldService:
    """A service of which something is held."""

    service: str
    held: int
    of: int
    """Instances that are served, listed or held."""
    since: str
    """When the first of them vanished (UTC)."""
    instances: tuple[str, ...]
    """Ids of those that are held, bounded."""


@dataclass(frozen=True, slots=True)
class HeldScope:
    """A scope of which something is held."""

    registry: str
    scope: str
    phase: str
    """``settled``, ``settling`` or ``in loss``."""
    held: int
    of: int
    """Instances that are served, listed or held."""
    since: str
    """Since when it is in this phase, or the first of them vanished (UTC)."""
    services: tuple[HeldService, ...]
    """By name, bounded."""
    of_services: int
    """In how many services something is held."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A planned loss that is not over."""

    registry: str
    scope: str
    service: str
    """Empty: the whole scope."""
    until: str
    """UTC."""


@dataclass(frozen=True, slots=True)
class Held:
    """All that is held."""

    scopes: tuple[HeldScope, ...]
    """Bounded."""
    of_scopes: int
    announced: tuple[Announced, ...]
    waiting: tuple[str, ...]
    """What the first answer waits for: a line for each scope; empty once it was given."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be let go: a registry, a scope of it, a service of that."""

    registry: str
    scope: str | None = None
    service: ServiceId | None = None


@dataclass(frozen=True, slots=True)
class LetGo:
    """A service with what of it was let go."""

    scope: str
    service: str
    released: int
    left: int
    """Instances that are served on."""
    instances: tuple[str, ...]
    """Ids of those that were let go, bounded."""


@dataclass(frozen=True, slots=True)
class Released:
    """What a release did."""

    registry: str
    scope: str | None
    service: str | None
    instances: int
    """That were held and are served no longer."""
    of_services: int
    services: tuple[LetGo, ...]
    """Bounded."""
    accepted: tuple[str, ...]
    """Scopes for which the first answer waited, and waits no more; bounded."""
    until: str
    """Until when further losses are wanted, too (UTC); empty: none was announced."""
    lost: tuple[str, ...] = ()
    """The accepted scopes of which nothing is known: proxies lose all hosts that they had."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was held of a target before it was released."""

    held: tuple[tuple[str, ServiceId, Entry], ...]
    waiting: tuple[str, ...]


async def held(bridge: Bridge, slices: Slices) -> Held:
    """Return what the guards of all registries hold."""
    scopes: list[HeldScope] = []
    announced: list[Announced] = []
    of_scopes = 0
    for registry, lane in bridge.lanes.items():
        for name in lane.guard.scopes():
            scope = lane.guard.scope(name)
            if scope.missing.instances:
                of_scopes += 1
                if len(scopes) < _SCOPES:
                    scopes.append(await _scope(registry, lane, scope, slices))
            announced += _announced(registry, lane, scope)
            await slices.breathe()
    waiting: list[str] = []
    if bridge.snapshots.newest is None:
        waiting = [printable(each) for each in awaited(bridge.registries(), bridge.configuration)]
    return Held(tuple(scopes), of_scopes, tuple(announced[:_SCOPES]), tuple(waiting[:_SCOPES]))


async def _scope(registry: str, lane: Lane, scope: Scope, slices: Slices) -> HeldScope:
    ids = list(scope.holding)
    first: list[ServiceId] = []
    remaining = iter(ids)
    while some := list(islice(remaining, _AT_ONCE)):
        first = nsmallest(_SERVICES, [*first, *some])
        await slices.breathe()
    found = [
        _service(lane, each, entry)
        for each in first
        if (entry := scope.entries.get(each)) is not None and entry.held
    ]
    since = scope.in_loss if scope.in_loss is not None else scope.since
    if scope.unsettled is None:
        earliest = min((each.since for each in found), default="")
    else:
        earliest = utc(lane.unix_of(since))
    return HeldScope(
        registry,
        printable(scope.name),
        scope.phase,
        scope.missing.instances,
        scope.instances,
        earliest,
        tuple(found),
        len(ids),
    )


def _service(lane: Lane, service: ServiceId, entry: Entry) -> HeldService:
    return HeldService(
        printable(str(service)),
        len(entry.held),
        len(entry.instances) + len(entry.held),
        utc(lane.unix_of(min(each.since for each in entry.held))),
        _shown(each.instance.id for each in entry.held),
    )


def _announced(registry: str, lane: Lane, scope: Scope) -> Iterator[Announced]:
    for service, until in scope.announced.items():
        if until > lane.now:
            name = "" if service is None else printable(str(service))
            yield Announced(registry, printable(scope.name), name, utc(lane.unix_of(until)))


def awaited_of(bridge: Bridge, registry: str) -> frozenset[str]:
    """Return the registry's scopes for which the first answer waits; none if it was given."""
    states = () if bridge.snapshots.newest is not None else bridge.registries()
    return frozenset(
        scope.scope for state in states if state.name == registry for scope in state.awaited
    )


def remembered(lane: Lane, target: Target, awaited: Collection[str]) -> Remembered:
    """Return what is held of the target now, for :func:`let_go`.

    ``awaited``: the scopes of its registry for which the first answer waits.
    """
    names = lane.guard.scopes() if target.scope is None else (target.scope,)
    scopes = [lane.guard.scope(name) for name in names]
    return Remembered(
        tuple(
            (scope.name, service, entry)
            for scope in scopes
            for service, entry in scope.held()
            if target.service in {None, service}
        ),
        tuple(name for name in names if name in awaited),
    )


async def let_go(
    lane: Lane, target: Target, before: Remembered, until: float | None, slices: Slices
) -> Released:
    """Return what of that is no longer served; ``until`` is Unix time."""
    found: list[LetGo] = []
    of_services = instances = 0
    for scope, service, entry in before.held:
        now = lane.guard.scope(scope).entries.get(service)
        served = {each.id for each in now.instances} if now else set[str]()
        served |= {each.instance.id for each in now.held} if now else set[str]()
        gone = [each.instance.id for each in entry.held if each.instance.id not in served]
        if gone:
            of_services += 1
            instances += len(gone)
            if len(found) < _SERVICES:
                name = printable(str(service))
                found.append(
                    LetGo(printable(scope), name, len(gone), len(served), _shown(iter(gone)))
                )
        await slices.breathe()
    accepted = [name for name in before.waiting if lane.guard.scope(name).ready]
    lost = [name for name in accepted if _is_lost(lane, name)]
    return Released(
        target.registry,
        None if target.scope is None else printable(target.scope),
        None if target.service is None else printable(str(target.service)),
        instances,
        of_services,
        tuple(found),
        tuple(map(printable, accepted[:_SCOPES])),
        "" if until is None else utc(until),
        tuple(map(printable, lost[:_SCOPES])),
    )


def _is_lost(lane: Lane, name: str) -> bool:
    """Whether nothing is known of a scope; an empty one may stand for the list of others."""
    guard, scope = lane.guard, lane.guard.scope(name)
    if scope.instances:
        return False
    if not (scope.read and name.endswith(LIST)):
        return True
    is_read = read_by([name])
    return not any(guard.scope(each).instances for each in guard.scopes() if is_read(each))


def _shown(ids: Iterator[str]) -> tuple[str, ...]:
    return tuple(printable(each[:_LONGEST]) for each in islice(ids, _INSTANCES))
