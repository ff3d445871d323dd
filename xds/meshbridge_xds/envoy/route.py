"""Encodes who answers to which name: virtual hosts, one by one, joined into route configurations.

A route configuration with one domain in two virtual hosts is refused as a whole. The domains of
two hosts can meet only in aliases and in addresses of endpoints; who has one of those is decided
before (:mod:`.aliases`).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

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
from meshbridge.service import Direct, Port, Service
from meshbridge_xds import wire
from meshbridge_xds.envoy.names import RDS, cluster_name
from meshbridge_xds.resources import Resource

_HTTP_PORT = 80
"""The port that ``Host`` leaves out, whatever is meant by a host without one here."""
_RETRIES = 2
_RETRY_ON = "connect-failure,refused-stream"
"""Only what no backend has seen yet."""


def domains(names: Iterable[str], port: Port, *, bare: bool) -> list[str]:
    """Return what callers may write in ``Host``; ``bare`` is the port that needs no number."""
    known = list(names)
    numbered = [f"{name}:{port.number}" for name in known]
    return [*known, *numbered] if bare else numbered


def direct_names(service: Service) -> Iterator[str]:
    """Yield what callers may write in ``Host`` who call the addresses of its endpoints."""
    for each in service.direct:
        if _may_be_bare(each):
            yield _in_brackets(each)
        for number in each.ports:
            yield _numbered(each, number)


def encode_virtual_hosts(
    service: Service, aliases: Sequence[str], direct: Collection[str], ports: Sequence[int]
) -> tuple[bytes, ...]:
    """Return the virtual hosts of a service on a listener for these ports, ready to be joined.

    ``direct`` are those of its :func:`direct_names` that it answers to.
    """
    wanted = [port for port in service.ports if port.number in ports]
    further, answered = _direct_domains(service, wanted), frozenset(direct)
    return tuple(
        virtual_host(
            service,
            port,
            [
                *domains((service.host, *aliases), port, bare=index == 0),
                *(name for name in further[index] if name in answered),
            ],
        )
        for index, port in enumerate(wanted)
    )


def _direct_domains(service: Service, wanted: Sequence[Port]) -> list[list[str]]:
    """Return the addresses at which each of the wanted ports of a service is called.

    An address with a port belongs to the service port of that number. Where the listener does not
    have it, it belongs to the lowest of its protocol: all of one protocol have the same endpoints.
    """
    protocols = {port.number: port.protocol for port in service.ports}
    place = {port.number: index for index, port in enumerate(wanted)}
    lowest: dict[str, int] = {}
    for index, port in enumerate(wanted):
        lowest.setdefault(port.protocol, index)
    found: list[list[str]] = [[] for _ in wanted]
    for each in service.direct if wanted else ():
        if _may_be_bare(each):
            found[0].append(_in_brackets(each))
        for number in each.ports:
            where = place.get(number, lowest.get(protocols.get(number, "")))
            if where is not None:
                found[where].append(_numbered(each, number))
    return found


def _may_be_bare(direct: Direct) -> bool:
    return direct.alone or _HTTP_PORT in direct.ports


def _in_brackets(direct: Direct) -> str:
    return f"[{direct.address}]" if ":" in direct.address else direct.address


def _numbered(direct: Direct, number: int) -> str:
    return f"{_in_brackets(direct)}:{number}"


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
