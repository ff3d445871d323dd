"""Makes one service of all registrations that have its host together."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Final

from meshbridge.catalog.calling import OPAQUE, called
from meshbridge.health import decide
from meshbridge.problems import Problem, ProblemKind
from meshbridge.publish.claim import Published
from meshbridge.service import Direct, Endpoint, Port, Service, versioned

_WEIGHTS: Final = 2**32 - 1
"""Envoy refuses a whole assignment in which the weights of a locality add up to more
(config.endpoint.v3.LocalityLbEndpoints, load_balancing_weight)."""

_FIRST_VIRTUAL: Final = int(IPv4Address("240.0.0.0"))
_AVOIDED: Final = int(IPv4Address("240.240.0.0")) - _FIRST_VIRTUAL
_AVOIDED_SIZE: Final = 2**16
_VIRTUAL_SIZE: Final = 2**28 - _AVOIDED_SIZE - 1  # without 255.255.255.255, which is broadcast


@dataclass(frozen=True, slots=True)
class Merged:
    """A service before its contested names are known."""

    service: Service
    virtual: bool
    """Whether it asks for a virtual address."""
    at: tuple[tuple[str, int], ...] = ()
    """(address, port) at which it asks to be called, sorted."""
    problems: tuple[Problem, ...] = ()


def merge(host: str, claims: tuple[Published, ...]) -> Merged:
    """Return the service of these claims, the owner first, then by priority.

    The owner decides about everything that a host has once. An instance (address and own ports)
    that stands in several registries is one endpoint, as the first of them tells it.
    """
    owner = claims[0]
    ports, problems = _ports(host, claims)
    endpoints = gathered(claims, ports)
    at: tuple[tuple[str, int], ...] = ()
    if owner.addresses == "endpoints":
        found = called(owner, ports, endpoints)
        ports, endpoints, at = found.ports, found.endpoints, found.at
        problems += found.problems
    endpoints = decide(endpoints, keep_last=owner.keep_last)
    protocols = {port.protocol for port in ports}
    service = Service(
        host=host,
        namespace=owner.namespace,
        ports=ports,
        endpoints=bounded(endpoints),
        labels=owner.labels,
        sources=tuple(sorted((c.source for c in claims), key=lambda s: (s.registry, s.name))),
        export_to=owner.export_to,
    )
    virtual = owner.addresses == "virtual" or (
        owner.addresses != "none" and bool(protocols & OPAQUE)
    )
    return Merged(service, virtual, at, problems)


def _ports(
    host: str, claims: tuple[Published, ...]
) -> tuple[tuple[Port, ...], tuple[Problem, ...]]:
    """Return all ports, of two with one number the earlier claim's."""
    chosen: dict[int, Port] = {}
    problems: list[Problem] = []
    for claim in claims:
        for port in claim.ports:
            other = chosen.setdefault(port.number, port)
            if other != port:
                problems.append(
                    Problem(
                        claim.source.registry,
                        claim.source.name,
                        ProblemKind.INVALID_PORT,
                        f"its {port.name} is not served, because {host} has {other.name}",
                        "let the registries that share a host use the same publish.ports",
                    )
                )
    return tuple(sorted(chosen.values())), tuple(problems)


def gathered(claims: tuple[Published, ...], ports: tuple[Port, ...]) -> Iterable[Endpoint]:
    """Return the endpoints of all claims, with the ports that the host has, as registered."""
    if len(claims) == 1:
        return claims[0].endpoints
    names = {port.name for port in ports}
    found: dict[tuple[str, tuple[int, ...]], Endpoint] = {}
    for claim in claims:
        for endpoint in claim.endpoints:
            key = (endpoint.address, tuple(sorted(number for _, number in endpoint.ports)))
            kept = tuple(port for port in endpoint.ports if port[0] in names)
            if kept:
                known = endpoint if kept == endpoint.ports else replace(endpoint, ports=kept)
                found.setdefault(key, known)
    return sorted(found.values(), key=lambda endpoint: (endpoint.address, endpoint.ports))


def bounded(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return the endpoints with weights that Envoy can add up, in proportion if they are cut."""
    total = sum(endpoint.weight for endpoint in endpoints)
    if total <= _WEIGHTS:
        return endpoints
    room = _WEIGHTS - len(endpoints)  # each may be lifted to 1
    return tuple(
        replace(endpoint, weight=max(1, endpoint.weight * room // total)) for endpoint in endpoints
    )


def virtual_address(host: str) -> tuple[str, str]:
    """Return the virtual address that the host's hash points at, and the hash for ties.

    240.240.0.0/16 is istiod's own range of automatic addresses.
    """
    digest = hashlib.sha256(host.encode()).hexdigest()
    offset = int(digest, 16) % _VIRTUAL_SIZE
    if offset >= _AVOIDED:
        offset += _AVOIDED_SIZE
    return str(IPv4Address(_FIRST_VIRTUAL + offset)), digest


def finished(
    service: Service,
    aliases: tuple[str, ...],
    addresses: tuple[str, ...],
    direct: tuple[Direct, ...],
) -> Service:
    """Return the service with the names it won, and its version."""
    if aliases or addresses or direct:  # a merged service has none
        service = replace(service, aliases=aliases, addresses=addresses, direct=direct)
    return versioned(service)
