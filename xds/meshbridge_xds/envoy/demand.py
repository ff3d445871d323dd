"""Listeners and routes that gRPC asks for by the name in ``xds:///name``, made when asked for.

Most services are never asked for so; encoding a listener for every name of every port in advance
would cost more than all that proxies need.
"""

from collections.abc import Mapping

from meshbridge.service import Port, Service
from meshbridge.snapshot import Snapshot
from meshbridge_xds.envoy.listener import encode_api_listener
from meshbridge_xds.envoy.names import cluster_name, parse_cluster_name
from meshbridge_xds.envoy.route import domains, join_routes, virtual_host
from meshbridge_xds.resources import Resource


def bare_port(service: Service) -> Port | None:
    """Return the port that a name without number means to gRPC: the lowest that speaks it."""
    return next(
        (port for port in service.ports if port.protocol == "grpc"),
        service.ports[0] if service.ports else None,
    )


def demanded_names(service: Service, aliases: tuple[str, ...]) -> tuple[set[str], set[str]]:
    """Return the names under which a service's listeners and routes may be asked for."""
    names = (service.host, *aliases)
    numbered = {f"{name}:{port.number}" for name in names for port in service.ports}
    routes = {cluster_name(service.host, port.number) for port in service.ports}
    return numbered | set(names), routes


class Demanded:
    """Answers for names in one snapshot; remembers what it has made."""

    def __init__(self, snapshot: Snapshot, aliases: Mapping[str, tuple[str, ...]]) -> None:
        """Take the services, and for each host the aliases that it has."""
        self._services = snapshot.services
        self._aliases = aliases
        self._host_of: dict[str, str] | None = None
        self._made: dict[tuple[str, str], Resource | None] = {}

    def listener(self, name: str) -> Resource | None:
        """Return the listener for ``host``, ``host:port``, or the same of an alias."""
        key = ("listener", name)
        if key not in self._made:
            found = self._find(name)
            if found is None:
                return None
            service, port = found
            routes = cluster_name(service.host, port.number)
            self._made[key] = encode_api_listener(name, routes)
        return self._made[key]

    def routes(self, name: str) -> Resource | None:
        """Return the routes to one service port, for whatever authority."""
        key = ("routes", name)
        if key not in self._made:
            parsed = parse_cluster_name(name)
            service = self._services.get(parsed[0]) if parsed else None
            port = _numbered(service, str(parsed[1])) if service and parsed else None
            if service is None or port is None:
                return None
            names = domains((service.host, *self._aliases[service.host]), port, bare=True)
            encoded = virtual_host(service, port, [*names, "*"])
            self._made[key] = join_routes(name, [encoded])
        return self._made[key]

    def _find(self, name: str) -> tuple[Service, Port] | None:
        host, colon, number = name.partition(":")
        if self._host_of is None:
            self._host_of = {alias: host for host, held in self._aliases.items() for alias in held}
        service = self._services.get(self._host_of.get(host, host))
        if service is None:
            return None
        port = _numbered(service, number) if colon else bare_port(service)
        return (service, port) if port else None


def _numbered(service: Service, number: str) -> Port | None:
    return next((port for port in service.ports if str(port.number) == number), None)
