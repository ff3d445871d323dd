"""Encodes the endpoints of a service port, by locality, so that traffic follows their weights.

Envoy and gRPC refuse all endpoints of a cluster for one that is wrong, so what they would refuse
is left out here and named: an address that is none, a port out of range, a second endpoint of the
same address.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from meshbridge.protos.gen.envoy.config.core.v3.health_check_pb2 import HealthStatus
from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_components_pb2 import (
    LocalityLbEndpoints,
)
from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Locality, Port, Service
from meshbridge_xds.envoy.names import cluster_name, encoded
from meshbridge_xds.resources import Resource

_HIGHEST_PORT = 65535
_HEALTHY, _DEGRADED = HealthStatus.HEALTHY, HealthStatus.DEGRADED
_MOST_WEIGHT = 2**32 - 1
"""Envoy refuses a cluster whose weights add up to more."""


@dataclass(frozen=True, slots=True)
class Omission:
    """Something left out, since the subscriber would refuse all for it."""

    subject: str
    reason: str


class _Target(NamedTuple):
    locality: Locality
    address: str
    port: int
    weight: int
    degraded: bool


def encode_endpoints(service: Service, port: Port) -> tuple[Resource, tuple[Omission, ...]]:
    """Return the endpoints that have this port, and what had to be left out."""
    name = cluster_name(service.host, port.number)
    targets, omissions = _targets(service.endpoints, port)
    by_locality: dict[Locality, list[_Target]] = {}
    for target in _bounded(targets):
        by_locality.setdefault(target.locality, []).append(target)
    assignment = ClusterLoadAssignment(cluster_name=name)
    for locality in sorted(by_locality):
        _fill(assignment.endpoints.add(), locality, by_locality[locality])
    return Resource.of(name, encoded(assignment)), omissions


def _targets(
    endpoints: Iterable[Endpoint], port: Port
) -> tuple[list[_Target], tuple[Omission, ...]]:
    found: dict[tuple[str, int], _Target] = {}
    omissions: list[Omission] = []
    numbers = (
        (each, number) for each in endpoints for name, number in each.ports if name == port.name
    )
    for endpoint, number in numbers:
        key = (endpoint.address, number)
        if reason := _refusal(endpoint.address, number) or _twice(found, key):
            omissions.append(Omission(f"{endpoint.address}:{number}", reason))
            continue
        found[key] = _Target(
            endpoint.locality,
            endpoint.address,
            number,
            max(1, endpoint.weight),
            degraded=endpoint.health is Health.DEGRADED,
        )
    return [found[key] for key in sorted(found)], tuple(omissions)


def _twice(found: Iterable[tuple[str, int]], key: tuple[str, int]) -> str:
    return "stands twice in one service" if key in found else ""


def _refusal(address: str, port: int) -> str:
    if not 0 < port <= _HIGHEST_PORT:
        return "has a port that is not from 1 to 65535"
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):
        return "is not an IP address"
    return ""


def _bounded(targets: list[_Target]) -> list[_Target]:
    """Return the targets with weights scaled down where their sum is more than Envoy takes."""
    total = sum(each.weight for each in targets)
    if total <= _MOST_WEIGHT:
        return targets
    most = _MOST_WEIGHT - len(targets)  # each may be raised to 1
    return [
        _Target(
            each.locality,
            each.address,
            each.port,
            max(1, each.weight * most // total),
            degraded=each.degraded,
        )
        for each in targets
    ]


def _fill(group: LocalityLbEndpoints, locality: Locality, targets: list[_Target]) -> None:
    """Make it one locality; its weight is its endpoints' sum, because gRPC chooses it first.

    Everything is set where it stands: messages made by themselves and then put into others take
    three times as long.
    """
    place = group.locality
    place.region, place.zone, place.sub_zone = locality.region, locality.zone, locality.sub_zone
    place.SetInParent()  # one that is empty is a locality too
    group.load_balancing_weight.value = sum(each.weight for each in targets)
    for each in targets:
        endpoint = group.lb_endpoints.add(health_status=_DEGRADED if each.degraded else _HEALTHY)
        socket_address = endpoint.endpoint.address.socket_address
        socket_address.address, socket_address.port_value = each.address, each.port
        endpoint.load_balancing_weight.value = each.weight
