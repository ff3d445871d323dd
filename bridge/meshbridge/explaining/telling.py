"""Tells of one registration: what each stage decided about it, and about its instances."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Final

from meshbridge.bridge import Bridge, ScopeState
from meshbridge.explaining.fate import Fate, Way
from meshbridge.explaining.stages import notes
from meshbridge.explaining.values import ORDER, InstanceTold, RegistrationTold, Stage
from meshbridge.guard.entry import Entry, Held
from meshbridge.lane import Lane
from meshbridge.looking import utc
from meshbridge.publish import ClaimKey
from meshbridge.publish.findings import printable
from meshbridge.registration import Instance, RegisteredService

_MOST: Final = 20
"""Instances that are told one by one, and keys of their metadata."""
_LONGEST: Final = 200


@dataclass(slots=True)
class Registered:
    """A registration as the registry lists it and as the guard holds it."""

    lane: Lane
    key: ClaimKey
    said: RegisteredService | None = field(init=False)
    """As the registry lists it, where the rules select less than that."""
    entry: Entry | None = field(init=False)

    def __post_init__(self) -> None:
        """Look at it as it is now."""
        self.said = self.lane.left_out.get((self.key.scope, self.key.id))
        self.entry = self.lane.guard.scope(self.key.scope).entries.get(self.key.id)

    @property
    def service(self) -> RegisteredService:
        """What holds of it."""
        served = self.entry.served if self.entry else None
        return served or self.said or RegisteredService(self.key.id)

    def lists(self, instance: Instance) -> bool:
        """Whether the registry lists the instance though the rules leave it out."""
        return self.said is not None and any(each.id == instance.id for each in self.said.instances)

    def instances(self) -> Iterator[tuple[Instance, Held | None, bool]]:
        """Yield each instance once, with how it is held, and whether the rules leave it out."""
        entry = self.entry
        held = {each.instance.id: each for each in (entry.held if entry else ())}
        selected = {each.id for each in (entry.instances if entry else ())}
        for instance in entry.instances if entry else ():
            yield instance, None, False
        for each in held.values():
            yield each.instance, each, False
        for instance in self.said.instances if self.said else ():
            if instance.id not in selected and instance.id not in held:
                yield instance, None, True


def tell(
    bridge: Bridge,
    key: ClaimKey,
    concerns: Callable[[Instance], bool],
    port: int | None,
    state: ScopeState | None,
    waiting: str,
) -> Generator[None, None, RegistrationTold | None]:
    """Return what became of the registration; ``None`` if it is no longer known.

    ``concerns`` says of which instances to tell, ``port`` of which of their own ports. Yields
    between short steps.
    """
    lane = bridge.lanes.get(key.registry)
    if lane is None:
        return None
    registered = Registered(lane, key)
    if registered.entry is None and registered.said is None:
        return None
    way = _way(bridge, registered, waiting)
    told: list[InstanceTold] = []
    for instance, held, left_out in registered.instances():
        if concerns(instance):
            fate = way.fate(instance, port, listed_only=left_out)
            listed = held is None or registered.lists(instance)
            told.append(_instance(lane, instance, held, fate, listed=listed))
        yield
    served = sum(each.lost is None for each in told)
    lost = None if served else _farthest(told)
    said = notes(bridge, registered.key, way, told, lost, state)
    told.sort(key=lambda each: each.lost is None)
    return RegistrationTold(
        registry=key.registry,
        scope=printable(key.scope),
        service=printable(str(key.id)),
        host=bridge.catalog.landed(key) or "",
        lost=lost,
        notes=said,
        instances=tuple(told[:_MOST]),
        of=len(told),
        served=served,
    )


def _way(bridge: Bridge, registered: Registered, waiting: str) -> Way:
    catalog, key = bridge.catalog, registered.key
    host = catalog.landed(key) or ""
    claim = catalog.claim(key)
    newest = bridge.snapshots.newest
    conflicts = bridge.problems.of(("host", host))
    if claim is not None and claim.host is not None and claim.host != host:
        conflicts += bridge.problems.of(("host", claim.host))
    return Way(
        registered.lane.registry,
        key.scope,
        registered.service,
        claim,
        catalog.holding(host),
        conflicts,
        catalog.service(host),
        newest.services.get(host) if newest is not None else None,
        waiting,
    )


def _farthest(told: list[InstanceTold]) -> Stage:
    """Return how far the last of them came; a registration without instances ends where it is."""
    stages = [each.lost for each in told if each.lost is not None]
    return max(stages, key=ORDER.__getitem__, default=Stage.REGISTRY)


def _instance(
    lane: Lane, instance: Instance, held: Held | None, fate: Fate, *, listed: bool
) -> InstanceTold:
    keys = [_short(key) for key, _ in instance.metadata]
    return InstanceTold(
        id=_short(instance.id),
        address=_short(instance.address),
        ports=tuple(
            _short(f"{each.number} {each.protocol}".strip()) for each in instance.ports[:_MOST]
        ),
        weight=f"{instance.weight:g}",
        health=str(instance.health),
        zone=_short(instance.zone),
        metadata=tuple(keys[:_MOST]) + (("…",) if keys[_MOST:] else ()),
        listed=listed,
        held_since=utc(lane.unix_of(held.since)) if held else "",
        lost=fate.lost,
        reason=printable(fate.reason),
    )


def _short(text: str) -> str:
    return printable(text[:_LONGEST])
