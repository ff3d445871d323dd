"""Explains one host, address or name, in slices of the loop's time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from meshbridge.bridge import Bridge
from meshbridge.explaining.asked import Asked, read
from meshbridge.explaining.delivering import delivered
from meshbridge.explaining.fate import sent_as_healthy
from meshbridge.explaining.finding import (
    by_host,
    by_instance,
    by_name,
    by_name_in_any_case,
    by_wanted_host,
    hosts_like,
    instances,
)
from meshbridge.explaining.telling import tell
from meshbridge.explaining.values import ORDER, Explanation, RegistrationTold, Stage
from meshbridge.looking import Slices, counted, listed, nearest
from meshbridge.outlet import Outlet
from meshbridge.problems import ProblemKind
from meshbridge.publish import ClaimKey
from meshbridge.publish.findings import printable
from meshbridge.readiness import awaited
from meshbridge.registration import Instance
from meshbridge.service import Service

_MOST: Final = 10
"""Registrations that are told one by one, and lines of what cannot be read."""
_HOSTS: Final = 3
"""Hosts of which is told how far they came with subscribers."""


@dataclass(slots=True)
class _Found:
    """What the text may mean."""

    whole: list[ClaimKey]
    """Registrations that are meant with all their instances."""
    claimants: tuple[str, ...]
    """Hosts that want the text as an alias or a virtual address."""
    is_host: bool
    parts: list[ClaimKey] = field(default_factory=list[ClaimKey])
    """Registrations of which some instances are meant."""


async def explain(bridge: Bridge, outlets: Mapping[str, Outlet], text: str) -> Explanation:
    """Return at which stage is, or was lost, what the text names.

    What is looked at may change between two slices: of each registration all is told as it was at
    one moment.
    """
    asked, slices = read(text), Slices()
    found = await _find(bridge, asked, slices)
    told = await _tell(bridge, asked, found, slices)
    if not told:
        return await _unknown(bridge, asked, slices)
    told.sort(key=_farness, reverse=True)
    service = _called(bridge, asked, found) if found.is_host else None
    lost, summary = _verdict(bridge, asked, told, found, service)
    reached = [
        each
        for one in _served(bridge, told, service)
        for each in await delivered(outlets, one, asked.address, slices)
    ]
    return Explanation(
        asked=printable(asked.text),
        known=True,
        served=lost is None,
        lost=lost,
        summary=printable(summary),
        registrations=tuple(told[:_MOST]),
        more=max(0, len(told) - _MOST),
        outlets=tuple(reached),
        unread=() if lost is None else tuple(_unread(bridge)),
    )


async def _find(bridge: Bridge, asked: Asked, slices: Slices) -> _Found:
    whole, claimants = by_host(bridge, asked)
    found = _Found(whole, tuple(claimants), is_host=bool(whole))
    if asked.address:
        found.parts = await slices.all_of(by_instance(bridge, asked))
        return found
    found.whole += await slices.all_of(by_name(bridge, asked))
    for by_another in (by_name_in_any_case, by_wanted_host):
        if not found.whole:
            found.whole = await slices.all_of(by_another(bridge, asked))
    if not found.whole:
        found.parts = await slices.all_of(by_instance(bridge, asked))
    return found


async def _tell(
    bridge: Bridge, asked: Asked, found: _Found, slices: Slices
) -> list[RegistrationTold]:
    states = {
        (state.name, scope.scope): scope for state in bridge.registries() for scope in state.scopes
    }
    newest = bridge.snapshots.newest
    waiting = "" if newest is not None else "; ".join(_waiting(bridge))
    at: Callable[[Instance], bool] = asked.is_at if asked.address else asked.is_called
    of_parts = [(key, at, asked.port) for key in found.parts]
    of_whole = [(key, _any, None) for key in found.whole]
    told: dict[ClaimKey, RegistrationTold] = {}
    for key, concerns, port in (*of_parts, *of_whole):
        if key not in told:
            state = states.get((key.registry, key.scope))
            one = await slices.all_of(tell(bridge, key, concerns, port, state, waiting))
            if one is not None:
                told[key] = one
    return list(told.values())


def _any(_: Instance) -> bool:
    return True


def _farness(told: RegistrationTold) -> int:
    return len(ORDER) if told.lost is None else ORDER[told.lost]


def _called(bridge: Bridge, asked: Asked, found: _Found) -> Service | None:
    """Return the service that is served under the name, or under the virtual address."""
    newest = bridge.snapshots.newest
    if newest is None:
        return None
    if not asked.address and (service := newest.services.get(asked.host)) is not None:
        return service
    name = asked.address or asked.host
    for host in found.claimants:
        service = newest.services.get(host)
        if service is not None and name in (*service.aliases, *service.addresses):
            return service
    return None


def _verdict(
    bridge: Bridge,
    asked: Asked,
    told: Sequence[RegistrationTold],
    found: _Found,
    service: Service | None,
) -> tuple[Stage | None, str]:
    """Return where it was lost, and the line that stands first; those told are sorted."""
    if service is not None:
        unfit = sent_as_healthy(bridge.catalog.holding(service.host), service)
        return _of_service(asked, told, service, f", {unfit}, sent as healthy" if unfit else "")
    name = asked.text
    if found.is_host and not found.parts and told[0].lost is None:
        hosts = listed(found.claimants, _MOST)
        return Stage.CATALOG, f"{name} is not served: lost at catalog: none of {hosts} has the name"
    served = [each for each in told if each.lost is None]
    if served:
        hosts = listed(list(dict.fromkeys(each.host for each in served)), _HOSTS)
        of = f" in {len(served)} of {len(told)} registrations" if len(told) > 1 else ""
        return None, f"{name} is served{of}: {hosts}"
    return told[0].lost, _lost(name, told[0])


def _of_service(
    asked: Asked, told: Sequence[RegistrationTold], service: Service, unfit: str
) -> tuple[Stage | None, str]:
    ports = {port.name for port in service.ports if asked.port in {None, port.number}}
    endpoints = [each for each in service.endpoints if any(name in ports for name, _ in each.ports)]
    host = service.host if asked.host == service.host else f"{asked.name}, which is {service.host},"
    if endpoints:
        many = counted(len(endpoints), "endpoint")
        return None, f"{host} is served: {many}{unfit}, version {service.version}"
    if not ports:
        there = ", ".join(str(port.number) for port in service.ports)
        why = f"its ports are {there}"
        return Stage.PUBLISH, f"{host} is not served at port {asked.port}: lost at publish: {why}"
    lost = next((each for each in told if each.lost is not None), None)
    if lost is None:
        return Stage.SNAPSHOT, f"{host} is not served: lost at snapshot: no endpoint has the port"
    there = f"{host.removesuffix(',')} (the host is there, without endpoints)"
    return lost.lost, _lost(f"{there}," if host.endswith(",") else there, lost)


def _lost(name: str, told: RegistrationTold) -> str:
    why = next((each.text for each in told.notes if each.mark == "LOST"), "")
    return f"{name} is not served: lost at {told.lost}: {told.registry}, {told.service}: {why}"


def _served(
    bridge: Bridge, told: Sequence[RegistrationTold], service: Service | None
) -> list[Service]:
    """Return the services of which subscribers may have heard."""
    if service is not None:
        return [service]
    newest = bridge.snapshots.newest
    hosts = dict.fromkeys(each.host for each in told if each.lost is None)
    found = [newest.services.get(host) for host in hosts] if newest is not None else []
    return [each for each in found if each is not None][:_HOSTS]


def _unread(bridge: Bridge) -> Iterator[str]:
    """Yield a line for each scope that cannot be read, bounded."""
    lines: list[str] = []
    for state in bridge.registries():
        for scope in state.scopes:
            reason = scope.stale or ("" if scope.listed else state.reason or "not read yet")
            if reason:
                lines.append(f"{state.name}, {scope.scope}: {reason}")
    yield from map(printable, lines[:_MOST])
    if lines[_MOST:]:
        yield f"and {len(lines) - _MOST} more"


def _waiting(bridge: Bridge) -> Iterator[str]:
    yield "nothing is served yet"
    yield from awaited(bridge.registries(), bridge.configuration)[:2]


async def _unknown(bridge: Bridge, asked: Asked, slices: Slices) -> Explanation:
    if asked.address:
        like = await _other_ports(bridge, asked, slices)
    else:
        like = await nearest(asked.host, hosts_like(bridge), slices)
    said = [
        each
        for run in (bridge.problems.runs() if _has_unreadable(bridge) else ())
        for each in run
        if each.kind is ProblemKind.UNREADABLE and asked.name in each.subject
    ]
    unread = list(_unread(bridge))
    where = "; not all registries can be read" if unread else ""
    unreadable = f"; {said[0]}" if said else ""
    return Explanation(
        asked=printable(asked.text),
        known=False,
        served=False,
        lost=Stage.REGISTRY,
        summary=printable(f"{asked.text} is not known: no registry lists it{where}{unreadable}"),
        unread=tuple(unread),
        nearest=like,
    )


def _has_unreadable(bridge: Bridge) -> bool:
    return any(kind is ProblemKind.UNREADABLE for _, kind in bridge.problems.counts())


async def _other_ports(bridge: Bridge, asked: Asked, slices: Slices) -> tuple[str, ...]:
    """Return the ports at which the address is registered, when another one was asked for."""
    anywhere = replace(asked, port=None)
    keys = await slices.all_of(by_instance(bridge, anywhere)) if asked.port is not None else []
    shown = f"[{asked.address}]" if ":" in asked.address else asked.address
    ports = {
        port.number
        for key in keys[:_MOST]
        for each in instances(bridge.lanes[key.registry], key.scope, key.id)
        if anywhere.is_at(each)
        for port in each.ports
    }
    return tuple(f"{shown}:{number}" for number in sorted(ports)[:_MOST])
