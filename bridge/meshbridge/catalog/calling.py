"""Lets a host be called by the addresses of its endpoints (``addresses: endpoints``), purely.

A client that reads the registry itself calls ``http://10.1.2.3:8080``. So that a proxy can route
that call like any other call of the host, the host also declares the ports of its endpoints. Each
of these service ports stands for the whole protocol: every endpoint that speaks it is found behind
it, at the endpoint's own port, because a route may choose another endpoint than the one called.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from meshbridge.problems import Problem, ProblemKind
from meshbridge.publish.addresses import parse
from meshbridge.publish.claim import Published
from meshbridge.publish.ports import DIRECT, MOST_DIRECT, direct_ports
from meshbridge.service import Endpoint, Port

MANY: Final = 200
"""Addresses of one host from which on it is reported that they are many: each new one is pushed to
every proxy, as 460 bytes for each port."""
OPAQUE: Final = frozenset(("tcp", "dubbo"))
"""Protocols that tell hosts apart by nothing but the address that is called."""
_NAMED: Final = 20

Own = tuple[tuple[str, int], ...]
"""(name of a service port, own number), as an endpoint has them."""


@dataclass(frozen=True, slots=True)
class Called:
    """A host with what it takes to be called by the addresses of its endpoints."""

    ports: tuple[Port, ...]
    """Sorted by number."""
    endpoints: tuple[Endpoint, ...]
    at: tuple[tuple[str, int], ...]
    """(address, port) at which it is called, sorted; others may claim the same."""
    problems: tuple[Problem, ...]


def called(owner: Published, ports: tuple[Port, ...], endpoints: Iterable[Endpoint]) -> Called:
    """Return the host with the ports of its endpoints; ``owner`` is who hears of problems.

    A host with a port that is told apart by its address alone is left as it is: it needs a virtual
    one. Endpoints are taken with the registry's health, so that one that is unfit for a while
    changes no listener; calls to its address go to the others then.
    """
    given = tuple(endpoints)
    unfit = _unfit(owner, ports)
    if unfit is not None:
        return Called(ports, given, (), (unfit,))
    protocols = {port.name: port.protocol for port in ports if port.protocol in DIRECT}
    own = {(protocols[n], number) for n, number in _distinct(given) if n in protocols}
    found = direct_ports(ports, own)
    declared = tuple(sorted((*ports, *found.declared)))
    names: dict[str, set[str]] = {}
    numbers = dict[int, str]()
    for port in declared:
        if (port.protocol, port.number) in own:
            names.setdefault(port.protocol, set()).add(port.name)
            numbers[port.number] = port.protocol
    widened = {ports: _widened(ports, protocols, names) for ports in {e.ports for e in given}}
    at = {
        (endpoint.address, number)
        for endpoint in given
        if parse(endpoint.address) is not None  # a name stands for what its owner makes of it
        for name, number in endpoint.ports
        if name in protocols and numbers.get(number) == protocols[name]
    }
    return Called(
        declared,
        tuple(replace(each, ports=widened[each.ports]) for each in given),
        tuple(sorted(at)),
        tuple(_said(owner, found.beyond, found.contested, at)),
    )


def _distinct(endpoints: Iterable[Endpoint]) -> set[tuple[str, int]]:
    return {pair for ports in {each.ports for each in endpoints} for pair in ports}


def _widened(own: Own, protocols: Mapping[str, str], names: Mapping[str, Iterable[str]]) -> Own:
    """Return the endpoint's own ports, under every name of their protocols."""
    found = dict(own)
    for name, number in own:
        for further in names.get(protocols.get(name, ""), ()):
            found.setdefault(further, number)
    return tuple(sorted(found.items()))


def _unfit(owner: Published, ports: Iterable[Port]) -> Problem | None:
    """Return why a host with these ports cannot be called by addresses, if it cannot."""
    known = tuple(ports)
    opaque = [port.name for port in known if port.protocol in OPAQUE]
    if opaque:
        return _problem(
            owner,
            ProblemKind.OTHER,
            "it is not called by the addresses of its instances, but by name and by a virtual "
            f"address, because of its port {opaque[0]}",
            "register what speaks http or grpc as a service of its own, or set publish.addresses "
            "to virtual",
        )
    if any(port.protocol in DIRECT for port in known):
        return None
    return _problem(
        owner,
        ProblemKind.OTHER,
        "it is not called by the addresses of its instances, because it speaks neither http nor "
        "grpc",
        "let it register the protocol that it speaks, or set publish.addresses to none",
    )


def _said(
    owner: Published,
    beyond: tuple[Port, ...],
    contested: tuple[Port, ...],
    at: Iterable[tuple[str, int]],
) -> Iterable[Problem]:
    if beyond:
        yield _problem(
            owner,
            ProblemKind.INVALID_PORT,
            f"its instances have more than {MOST_DIRECT} ports; they are not called at the ports "
            f"of {_listed(beyond)}",
            "let its instances use fewer ports, or call it by its host",
        )
    if contested:
        yield _problem(
            owner,
            ProblemKind.INVALID_PORT,
            f"its instances are not called at the ports of {_listed(contested)}, which it has for "
            "another protocol too",
            "let a port number stand for one protocol, or call it by its host",
        )
    if len({address for address, _ in at}) > MANY:
        yield _problem(
            owner,
            ProblemKind.OTHER,
            f"it is called by more than {MANY} addresses: every proxy gets each of them, and "
            "everything anew when one comes or goes",
            "read large services by a registry entry of their own, without publish.addresses",
        )


def _listed(ports: tuple[Port, ...]) -> str:
    shown = ", ".join(port.name for port in ports[:_NAMED])
    return f"{shown} and {len(ports) - _NAMED} more" if len(ports) > _NAMED else shown


def _problem(owner: Published, kind: ProblemKind, reason: str, remedy: str) -> Problem:
    return Problem(owner.source.registry, owner.source.name, kind, reason, remedy)
