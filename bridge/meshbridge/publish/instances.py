"""Sorts out a registration's instances: those that can be served, and what is wrong with others."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

from meshbridge.problems import ProblemKind
from meshbridge.publish.addresses import allowed, read_address
from meshbridge.publish.findings import Findings, quoted
from meshbridge.publish.names import read_name
from meshbridge.publish.ports import HIGHEST, OwnPorts, own_ports
from meshbridge.publish.registry import Registry
from meshbridge.registration import Health, Instance

HEAVIEST: Final = 10_000.0
"""The largest weight there is, Nacos' own limit; heavier ones count as this."""

_SERVED: Final = frozenset((Health.HEALTHY, Health.DEGRADED, Health.UNHEALTHY))
_READDRESS: Final = "let the instance register the IP address that callers reach it at"


class Candidate(NamedTuple):
    """An instance that could take traffic."""

    instance: Instance
    address: str
    """An IP address in canonical text, or a DNS name where names are taken."""
    weight: int
    own: OwnPorts


@dataclass(frozen=True, slots=True)
class Sorted:
    """What became of the instances."""

    candidates: tuple[Candidate, ...]
    """By instance id."""
    ports: tuple[OwnPorts, ...]
    """The ports of all instances, also of those that are not served, so that the service's ports
    stay while instances drain, are switched off or are registered wrongly for a while."""


def weight_to_send(weight: float) -> int:
    """Return ``max(1, round(100 * weight))``: never 0, which istiod reads as 1."""
    return round(100 * weight) or 1


def sort_out(
    instances: Iterable[Instance], protocol: str, registry: Registry, findings: Findings
) -> Sorted:
    """Leave out what must not or cannot be served, each with its reason.

    ``protocol`` is that of ports which do not name theirs.
    """
    candidates: list[Candidate] = []
    ports: list[OwnPorts] = []
    shadowed: dict[str, tuple[int, str]] = {}
    for instance in sorted(instances, key=attrgetter("id")):
        own = own_ports(instance.ports, protocol)
        ports.append(own)
        if instance.health not in _SERVED or instance.weight == 0:
            continue
        candidate = _examine(instance, own, registry, findings)
        if candidate is None:
            continue
        candidates.append(candidate)
        for shadow, number in own.shadowed:
            shadowed.setdefault(shadow, (number, instance.id))
    _report_shadowed(shadowed, findings)
    return Sorted(tuple(candidates), tuple(ports))


def _examine(
    instance: Instance, own: OwnPorts, registry: Registry, findings: Findings
) -> Candidate | None:
    address = _address(instance, registry, findings)
    weight = _weight(instance, findings)
    if own.impossible:
        found = ", ".join(quoted(str(number)) for number in own.impossible[:5])
        _invalid(
            instance,
            f"it has a port {found}, which is none",
            f"register a port from 1 to {HIGHEST}",
            findings,
        )
    elif not own.served:
        _invalid(instance, "it has no port", f"register a port from 1 to {HIGHEST}", findings)
    if not address or not weight or not own.served:
        return None
    return Candidate(instance, address, weight, own)


def _address(instance: Instance, registry: Registry, findings: Findings) -> str:
    """Return the canonical address, or an empty text if it must not be published."""
    address = read_address(instance.address)
    if not address.text:
        return _name(instance, registry, findings)
    if not address.refusal or allowed(address.text, registry.rules.allow_addresses):
        return address.text
    findings.instance(
        instance.id,
        ProblemKind.REFUSED_ADDRESS,
        f"its address {address.text} is {address.refusal}",
        f"{_READDRESS}, or list the network under publish.allow-addresses",
    )
    return ""


def _name(instance: Instance, registry: Registry, findings: Findings) -> str:
    """Return an address that is a DNS name, or an empty text if it must not be published."""
    name = read_name(instance.address)
    if not registry.names or not name.text:
        reason = f"its address {quoted(instance.address)} is not an IP address"
        _invalid(instance, reason, _READDRESS, findings)
        return ""
    if not name.refusal:
        return name.text
    findings.instance(
        instance.id,
        ProblemKind.REFUSED_ADDRESS,
        f"its address {name.text} is {name.refusal}",
        _READDRESS,
    )
    return ""


def _weight(instance: Instance, findings: Findings) -> int:
    """Return the weight to send, or 0 if it is none."""
    weight = instance.weight
    if 0 < weight <= HEAVIEST:
        return weight_to_send(weight)
    if math.isfinite(weight) and weight > 0:
        _invalid(
            instance,
            f"its weight {weight:g} is served as {HEAVIEST:g}, the largest there is",
            "register a smaller weight",
            findings,
        )
        return weight_to_send(HEAVIEST)
    _invalid(
        instance,
        f"its weight {weight} is not possible",
        "register a weight of 0 (takes no traffic) or more; 1 is usual",
        findings,
    )
    return 0


def _invalid(instance: Instance, reason: str, remedy: str, findings: Findings) -> None:
    findings.instance(instance.id, ProblemKind.INVALID_INSTANCE, reason, remedy)


def _report_shadowed(shadowed: dict[str, tuple[int, str]], findings: Findings) -> None:
    for protocol, (number, instance) in sorted(shadowed.items()):
        findings.instance(
            instance,
            ProblemKind.INVALID_PORT,
            f"it has several {protocol} ports; {number} is not served",
            "register the port to serve first, or give the others another protocol",
        )
