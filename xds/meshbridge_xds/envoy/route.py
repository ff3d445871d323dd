"""Encodes who answers to which name: virtual hosts, one by one, joined into route configurations.

A route configuration with one domain in two virtual hosts is refused as a whole. The domains of
two hosts can meet only in aliases; who has an alias is decided before (:mod:`.domains`).
"""

from collections.abc import Iterable, Sequence

from meshbridge.protos.gen.envoy.config.route.v3.route_components_pb2 import (
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from meshbridge.protos.gen.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshbridge.protos.gen.google.protobuf.duration_pb2 import Duration
from meshbridge.protos.gen.google.protobuf.wrappers_pb2 import UInt32Value
from meshbridge.service import Port, Service
from meshbridge_xds import wire
from meshbridge_xds.envoy.names import RDS, cluster_name
from meshbridge_xds.resources import Resource

_RETRIES = 2
_RETRY_ON = "connect-failure,refused-stream"
"""Only what no backend has seen yet."""


def domains(names: Iterable[str], port: Port, *, bare: bool) -> list[str]:
    """Return what callers may write in ``Host``; ``bare`` is the port that needs no number."""
    known = list(names)
    numbered = [f"{name}:{port.number}" for name in known]
    return [*known, *numbered] if bare else numbered


def encode_virtual_hosts(
    service: Service, aliases: Sequence[str], ports: Sequence[int]
) -> tuple[bytes, ...]:
    """Return the virtual hosts of a service on a listener for these ports, ready to be joined."""
    wanted = [port for port in service.ports if port.number in ports]
    return tuple(
        virtual_host(service, port, domains((service.host, *aliases), port, bare=index == 0))
        for index, port in enumerate(wanted)
    )


def virtual_host(service: Service, port: Port, names: Iterable[str]) -> bytes:
    """Return the field of a route configuration that sends these names to one port's cluster.

    No timeout of ours: the caller's own holds, as it did before there was a mesh.
    """
    action = RouteAction(
        cluster=cluster_name(service.host, port.number),
        timeout=Duration(),
        retry_policy=RetryPolicy(retry_on=_RETRY_ON, num_retries=UInt32Value(value=_RETRIES)),
    )
    message = VirtualHost(
        name=f"{service.host}:{port.number}",
        domains=names,
        routes=[Route(match=RouteMatch(prefix="/"), route=action)],
    )
    field = RouteConfiguration.VIRTUAL_HOSTS_FIELD_NUMBER
    return wire.message_field(field, message.SerializeToString(deterministic=True))


def join_routes(name: str, virtual_hosts: Iterable[bytes]) -> Resource:
    """Return the route configuration that holds these encoded virtual hosts, in this order."""
    fields = b"".join((wire.text_field(1, name), *virtual_hosts))
    return Resource.of(name, wire.packed_any(RDS, fields))
