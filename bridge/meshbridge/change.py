"""What a lane is to become under another configuration, worked out beside what it is."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from meshbridge.guard import Guard, GuardRules, Selection, Step
from meshbridge.publish import ClaimKey, Published, Registry, publish, selected
from meshbridge.registration import RegisteredService, ServiceId
from meshbridge.turns import Turn

LeftOut = dict[tuple[str, ServiceId], RegisteredService]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a configuration says of one registry, as far as its lane goes."""

    registry: Registry
    rules: GuardRules
    scopes: tuple[str, ...]
    """The scopes that its adapter names."""
    dropped: frozenset[str] = frozenset()
    """Scopes that were read and are not any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a lane becomes; nothing of it has taken effect."""

    wanted: Wanted
    step: Step | None
    """What becomes of the guard's belief; ``None`` if the same counts as before."""
    left_out: LeftOut
    claims: tuple[tuple[ClaimKey, Published], ...]
    """All that the registry claims then."""


async def worked_out(
    guard: Guard, registry: Registry, left_out: LeftOut, wanted: Wanted, now: float, turn: Turn
) -> Change:
    """Return what becomes of what the guard serves; its lane must be still meanwhile."""
    alike = guard.rules == wanted.rules and _selects_alike(registry, wanted.registry)
    if alike and not wanted.dropped:
        step = None
        served: Iterable[tuple[str, RegisteredService]] = (
            (scope, service) for scope in guard.scopes() for service in guard.served(scope)
        )
    else:
        step = await _selected(guard, left_out, wanted, now, turn)
        left_out = await _left_out(guard, left_out, wanted, turn)
        served = step.served()
    claims: list[tuple[ClaimKey, Published]] = []
    for scope, service in served:
        published = publish(service, wanted.registry, scope)
        if published is not None:
            claims.append((ClaimKey(wanted.registry.name, scope, service.id), published))
        await turn.breathe()
    return Change(wanted, step, left_out, tuple(claims))


def _selects_alike(before: Registry, after: Registry) -> bool:
    return (before.rules.include, before.rules.exclude, before.rules.instances) == (
        after.rules.include,
        after.rules.exclude,
        after.rules.instances,
    )


async def _selected(
    guard: Guard, left_out: LeftOut, wanted: Wanted, now: float, turn: Turn
) -> Step:
    selection = Selection(
        lambda service: selected(service, wanted.registry), left_out, wanted.dropped
    )
    steps: Generator[None, None, Step] = guard.select(selection, wanted.rules, now)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            step: Step = end.value
            return step
        await turn.breathe()


async def _left_out(guard: Guard, left_out: LeftOut, wanted: Wanted, turn: Turn) -> LeftOut:
    """Return as the registry says them those of which less is selected now, or nothing."""
    said = dict(left_out)
    for scope in guard.scopes():
        for service_id, entry in guard.scope(scope).entries.items():
            if entry.listed:
                said.setdefault((scope, service_id), entry.service)
    left: LeftOut = {}
    for key, service in said.items():
        chosen = selected(service, wanted.registry)
        less = chosen is None or len(chosen.instances) < len(service.instances)
        if less and key[0] not in wanted.dropped:
            left[key] = service
        await turn.breathe()
    return left
