"""What each stage says of a registration, in a line or a few."""

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import Final, Literal

from meshbridge.bridge import Bridge, ScopeState
from meshbridge.commands import release_command
from meshbridge.explaining.fate import Way, sent_as_healthy
from meshbridge.explaining.values import ORDER, InstanceTold, Note, Stage
from meshbridge.looking import counted, listed, utc
from meshbridge.problems import Problem
from meshbridge.publish import ClaimKey, Published
from meshbridge.publish.findings import printable
from meshbridge.registration import Health

_MOST: Final = 5
_Mark = Literal["ok", "note"]


def notes(
    bridge: Bridge,
    key: ClaimKey,
    way: Way,
    told: Sequence[InstanceTold],
    lost: Stage | None,
    state: ScopeState | None,
) -> tuple[Note, ...]:
    """Return the lines of all stages that were reached, in their order."""
    found: list[Note] = []
    unreadable = _unreadable(bridge, key)
    why = _why(told, lost, unreadable) if lost is not None else ""
    for stage, says in (
        (Stage.REGISTRY, _registry(told, state, unreadable)),
        (Stage.SELECTION, _selection(told)),
        (Stage.GUARD, _guard(bridge, key, told)),
        (Stage.PUBLISH, _publish(way)),
        (Stage.CATALOG, _catalog(bridge, key, way)),
        (Stage.HEALTH, _health(way)),
        (Stage.SNAPSHOT, _snapshot(way)),
    ):
        if lost is not None and ORDER[stage] > ORDER[lost]:
            break
        if stage is lost:
            found.append(Note(stage, "LOST", printable(why)))
        found += (
            Note(stage, mark, printable(text))
            for mark, text in says
            if stage is not lost or (mark == "note" and text not in why)
        )
    return tuple(found)


_Says = Iterable[tuple[_Mark, str]]


def _unreadable(bridge: Bridge, key: ClaimKey) -> list[str]:
    """Return what is said of records that cannot be read."""
    said = bridge.problems.of(("unreadable", key.registry, key.scope, key.id))
    return [f"{each.subject}: {each.reason}; {each.remedy}" for each in said]


def _why(told: Sequence[InstanceTold], stage: Stage, unreadable: Sequence[str]) -> str:
    reasons = list(dict.fromkeys(each.reason for each in told if each.lost is stage))
    if not reasons and unreadable:
        return f"it has no instance that can be read: {' | '.join(unreadable[:_MOST])}"
    if not reasons:
        return "it is registered without instances"
    beyond = len(reasons) - _MOST
    return " | ".join(reasons[:_MOST]) + (f" | and {beyond} more reasons" if beyond > 0 else "")


def _registry(
    told: Sequence[InstanceTold], state: ScopeState | None, unreadable: Sequence[str]
) -> _Says:
    listed = sum(each.listed for each in told)
    read = f"; last heard of it at {utc(state.updated_at)}" if state and state.updated_at else ""
    unread = state is not None and not state.listed
    verb = "was stored with" if unread else "lists"
    yield ("ok" if listed or not told else "note"), f"{verb} {counted(listed, 'instance')}{read}"
    if state is not None and state.stale is not None:
        yield "note", f"cannot be read for {state.stale_seconds:.0f} s: {state.stale}"
    elif state is not None and not state.listed:
        yield "note", "was not read yet: what was stored is served"
    for each in unreadable[:_MOST]:
        yield "note", each


def _selection(told: Sequence[InstanceTold]) -> _Says:
    left_out = [each for each in told if each.lost is Stage.SELECTION]
    if any(each.listed and each.held_since for each in told):
        yield "note", "leaves out what it selected before: that is held as it was"
    elif left_out:
        if len(left_out) < len(told):
            yield "note", f"leaves out {len(left_out)} of {len(told)}: {left_out[0].reason}"
    else:
        yield "ok", "selects all of them"


def _guard(bridge: Bridge, key: ClaimKey, told: Sequence[InstanceTold]) -> _Says:
    lane = bridge.lanes[key.registry]
    scope = lane.guard.scope(key.scope)
    held = [each for each in told if each.held_since]
    if not held:
        yield "ok", f"holds nothing of it; the scope is {scope.phase}"
        return
    since = min(each.held_since for each in held)
    which = key.registry, key.scope, printable(str(key.id))
    way_out = release_command(bridge.configuration, *which, quote="`")
    what = f"holds {len(held)} of {len(told)}, no longer listed since {since}"
    remedy = f"{way_out} lets go of what is held of it"
    yield "note", f"{what}; {_goes(bridge, key)}; {remedy}"


def _goes(bridge: Bridge, key: ClaimKey) -> str:
    """Return when what is held of a registration goes."""
    lane = bridge.lanes[key.registry]
    scope, entry = lane.guard.scope(key.scope), lane.guard.scope(key.scope).entries.get(key.id)
    if scope.stale is not None:
        return "it stays while the scope cannot be read"
    if scope.in_loss is not None:
        return "too much vanished at once: it stays until it returns or is released"
    if scope.unsettled is not None:
        at = scope.settles_at(lane.guard.rules)
        soonest = f"at {utc(lane.unix_of(at))} at the soonest" if isfinite(at) else "soon"
        return f"it may go when the scope has settled, {soonest}"
    dues = [each.due for each in entry.held if isfinite(each.due)] if entry else []
    return f"it goes at {utc(lane.unix_of(min(dues)))}" if dues else "it goes with the next change"


def _publish(way: Way) -> _Says:
    claim = way.claim
    if claim is None or claim.host is None:
        return
    ports = ", ".join(each.name for each in claim.ports)
    yield "ok", f"asks for {claim.host} ({ports}) with {counted(len(claim.endpoints), 'endpoint')}"
    yield from _problems([each for each in claim.problems if ", instance " not in each.subject])


def _catalog(bridge: Bridge, key: ClaimKey, way: Way) -> _Says:
    claim, landed = way.claim, bridge.catalog.landed(key)
    if claim is None or landed is None:
        return
    sharing = [each for each in way.holding.served if each.key != key]
    text = f"{landed} is its host"
    if sharing:
        text = f"{landed} is shared with {_names(sharing)}"
    if claim.host != landed:
        text = f"renamed to {landed}"
    if all(each.key != key for each in way.holding.served):
        text = f"{landed} belongs to {_names(way.holding.served[:1])}"
    elif way.merged is not None and way.merged.aliases:
        text += f", also called {', '.join(way.merged.aliases[:_MOST])}"
    yield ("ok" if claim.host == landed else "note"), text
    mine = printable(str(key.id))
    said = [each for each in way.conflicts if each.subject == mine]
    for alias in claim.aliases[:_MOST]:
        said += [
            each for each in bridge.problems.of(("alias", alias)) if f"{landed} " in each.reason
        ]
    yield from _problems(said)


def _health(way: Way) -> _Says:
    merged = way.merged
    if merged is None:
        return
    registered = sum(len(each.endpoints) for each in way.holding.served)
    sent = len(merged.endpoints)
    yield (
        ("ok" if sent >= registered else "note"),
        f"sends {sent} of {counted(registered, 'endpoint')}",
    )
    if (unfit := sent_as_healthy(way.holding, merged)) is not None:
        why = " (publish.keep-last)" if unfit is Health.UNHEALTHY else ""
        yield "note", f"none is healthy: they are {unfit}, and sent as healthy all the same{why}"


def _snapshot(way: Way) -> _Says:
    served = way.snapshot
    if served is not None:
        yield (
            "ok",
            f"{served.host} version {served.version}, {counted(len(served.endpoints), 'endpoint')}",
        )


def _problems(problems: Sequence[Problem]) -> Iterator[tuple[_Mark, str]]:
    for each in problems[:_MOST]:
        yield "note", f"{each.reason}; {each.remedy}"
    if problems[_MOST:]:
        yield "note", f"{len(problems) - _MOST} more problems; /api/problems has all"


def _names(claims: Sequence[Published]) -> str:
    names = [f"{each.source.name} of {each.source.registry}" for each in claims]
    return listed(names, _MOST) or "nobody"
