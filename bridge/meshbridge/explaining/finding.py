"""Finds the registrations that somebody means: by host, alias, address or the registry's name."""

from collections.abc import Generator, Iterable, Iterator

from meshbridge.bridge import Bridge
from meshbridge.explaining.asked import Asked
from meshbridge.lane import Lane
from meshbridge.publish import ClaimKey
from meshbridge.publish.findings import printable
from meshbridge.publish.hosts import wanted_host
from meshbridge.registration import Instance, RegisteredService, ServiceId

_Ids = Iterator[tuple[ClaimKey, Lane]]


def by_host(bridge: Bridge, asked: Asked) -> tuple[list[ClaimKey], list[str]]:
    """Return who wants the name as host, and the hosts that want it as alias or address."""
    catalog = bridge.catalog
    hosts = list(catalog.claimants(asked.address or asked.host))
    found: dict[ClaimKey, None] = {}
    for host in [*([] if asked.address else [asked.host]), *hosts]:
        holding = catalog.holding(host)
        losers = (claim for claim, _, _ in holding.moved)
        for claim in (*holding.served, *losers, *holding.outranked, *holding.crowded_out):
            found[claim.key] = None
    return list(found), hosts


def by_name(bridge: Bridge, asked: Asked) -> Generator[None, None, list[ClaimKey]]:
    """Return the registrations that their registry calls so; yields between short steps."""
    found: list[ClaimKey] = []
    wanted = {asked.text, asked.name}
    for key, _ in _registrations(bridge):
        identity = str(key.id)
        if key.id.name in wanted or identity in wanted or printable(identity) in wanted:
            found.append(key)
        yield
    return found


def by_name_in_any_case(bridge: Bridge, asked: Asked) -> Generator[None, None, list[ClaimKey]]:
    """Return the registrations whose registry calls them so in another case."""
    found: list[ClaimKey] = []
    wanted = {asked.text.casefold(), asked.name.casefold()}
    for key, _ in _registrations(bridge):
        if key.id.name.casefold() in wanted or str(key.id).casefold() in wanted:
            found.append(key)
        yield
    return found


def by_wanted_host(bridge: Bridge, asked: Asked) -> Generator[None, None, list[ClaimKey]]:
    """Return the registrations that would ask for the host if the rules selected them."""
    found: list[ClaimKey] = []
    for name, lane in bridge.lanes.items():
        registry = lane.registry
        for (scope, _), service in list(lane.left_out.items()):
            wanted = wanted_host(service.id, service.kind, registry.rules.host, registry.domain)
            if wanted.host == asked.host:
                found.append(ClaimKey(name, scope, service.id))
            yield
    return found


def by_instance(bridge: Bridge, asked: Asked) -> Generator[None, None, list[ClaimKey]]:
    """Return the registrations with an instance there, or called so, listed or held or left out."""
    meets = asked.is_at if asked.address else asked.is_called
    found: list[ClaimKey] = []
    for key, lane in _registrations(bridge):
        if any(map(meets, instances(lane, key.scope, key.id))):
            found.append(key)
        yield
    return found


def instances(lane: Lane, scope: str, service: ServiceId) -> Iterable[Instance]:
    """Yield what the registry lists of a service and what is held of it; some may come twice."""
    left_out: RegisteredService | None = lane.left_out.get((scope, service))
    if left_out is not None:
        yield from left_out.instances
    entry = lane.guard.scope(scope).entries.get(service)
    if entry is not None:
        yield from entry.instances
        yield from (each.instance for each in entry.held)


def _registrations(bridge: Bridge) -> _Ids:
    """Yield all that is known; each scope as it was when its turn came."""
    for name, lane in bridge.lanes.items():
        for scope in lane.guard.scopes():
            for service in list(lane.guard.scope(scope).entries):
                yield ClaimKey(name, scope, service), lane
        for scope, service in list(lane.left_out):
            if lane.guard.scope(scope).entries.get(service) is None:
                yield ClaimKey(name, scope, service), lane


def hosts_like(bridge: Bridge) -> Iterable[str]:
    """Yield all names that somebody may have meant."""
    newest = bridge.snapshots.newest
    for service in newest.services.values() if newest is not None else ():
        yield service.host
        yield from service.aliases
    for key, _ in _registrations(bridge):
        yield printable(str(key.id))
