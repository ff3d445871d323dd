"""Keeps the resources of all services encoded, at a cost proportional to what changed.

It promises: the resources depend on the snapshot alone, never on the way to it; and a changed
endpoint encodes the endpoints of its own service and nothing else.
"""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass

from meshbridge.service import Service
from meshbridge.settings import Address
from meshbridge.snapshot import Changes, Snapshot
from meshbridge_xds.envoy.aliases import Aliases
from meshbridge_xds.envoy.cluster import encode_cluster
from meshbridge_xds.envoy.demand import Demanded, demanded_names
from meshbridge_xds.envoy.endpoint import Omission, encode_endpoints
from meshbridge_xds.envoy.listener import encode_http_listener, encode_tcp_listener
from meshbridge_xds.envoy.names import CDS, EDS, LDS, RDS, cluster_name, http_listener_name
from meshbridge_xds.envoy.route import direct_names, encode_virtual_hosts, join_routes
from meshbridge_xds.offers import Offer
from meshbridge_xds.resources import Resource, ResourceSet

_BATCH = 256
"""Hosts whose names are taken in at a time: under a millisecond."""


@dataclass(frozen=True, slots=True)
class HttpListener:
    """Where proxies listen for requests, and for which service ports."""

    address: Address
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TcpListener:
    """Where proxies listen for connections to one service."""

    address: Address
    host: str
    port: int | None = None
    """The service port; ``None`` for the only one, or the lowest that is neither HTTP nor gRPC."""


@dataclass(slots=True)
class _Host:
    """What is encoded of one service."""

    service: Service
    aliases: tuple[str, ...]
    direct: tuple[str, ...]
    """Addresses of its endpoints that it answers to."""
    virtual_hosts: tuple[tuple[bytes, ...], ...]
    """For each HTTP listener."""


class _Touched:
    """What an encoding has changed, by type."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Resource | None]] = {CDS: {}, EDS: {}}
        self.demanded: dict[str, set[str]] = {LDS: set(), RDS: set()}
        self.routes = False
        self.hosts: set[str] = set()


class Encoder:
    """The encoded resources of the last snapshot, from which those of the next are made."""

    def __init__(self, http: tuple[HttpListener, ...], tcp: tuple[TcpListener, ...]) -> None:
        """Start with listeners and without services."""
        self._http = http
        self._tcp = tcp
        self._snapshot: Snapshot | None = None
        self._hosts: dict[str, _Host] = {}
        self._granted: dict[str, tuple[str, ...]] = {}
        self._aliases = Aliases()
        self._omissions: dict[str, tuple[Omission, ...]] = {}
        self._unopened: tuple[Omission, ...] = ()
        self.encoded = 0
        """How many resources were encoded so far, those that gRPC alone asks for left out."""
        self._sets = {url: ResourceSet() for url in (CDS, EDS, LDS, RDS)}

    def encode(self, snapshot: Snapshot) -> Generator[None, None, Offer]:
        """Encode what changed; yields after each service so that others may have a turn.

        The generator's return value is the offer. One that is not run to its end leaves the
        encoder in between: go on with it before beginning another.
        """
        changes = snapshot.since(self._snapshot)
        touched = _Touched()
        yield
        for host in sorted(changes.removed):
            self._remove(host, touched)
            yield
        renamed = yield from self._rename(snapshot, changes)
        for host in sorted(changes.changed | {host for host in renamed if host in self._hosts}):
            self._encode(snapshot.services[host], touched)
            yield
        first, self._snapshot = self._snapshot is None, snapshot
        yield from self._publish(snapshot, touched, first=first)
        return Offer(dict(self._sets))

    def omissions(self) -> Mapping[str, tuple[Omission, ...]]:
        """Return what was left out, by host."""
        return self._omissions

    def unopened(self) -> tuple[Omission, ...]:
        """Return the TCP listeners that no proxy opens, since they lead nowhere."""
        return self._unopened

    def _rename(self, snapshot: Snapshot, changes: Changes) -> Generator[None, None, set[str]]:
        """Take in the names of all hosts that changed; return whose aliases may be others now."""
        renamed: set[str] = set()
        for batch in _batches(changes.removed):
            renamed |= self._aliases.change(dict.fromkeys(batch, frozenset()), (), batch)
            yield
        for batch in _batches(changes.changed):
            names = {host: frozenset(_names(snapshot.services[host])) for host in batch}
            renamed |= self._aliases.change(names, batch, ())
            yield
        return renamed

    def _encode(self, service: Service, touched: _Touched) -> None:
        host = service.host
        before = self._hosts.get(host)
        granted, omitted = self._aliases.granted(host, _names(service))
        aliases = tuple(name for name in granted if name in service.aliases)
        held = _Host(service, aliases, tuple(name for name in granted if name not in aliases), ())
        if before is None or _shape(before) != _shape(held):
            self._encode_shape(held, before, touched)
        omissions = list(omitted)
        for port in service.ports:
            resource, left_out = encode_endpoints(service, port)
            omissions += left_out
            self._touch(touched, EDS, resource)
        self._hosts[host].service = service
        self._omissions.pop(host, None)
        if omissions:
            self._omissions[host] = tuple(dict.fromkeys(omissions))

    def _encode_shape(self, held: _Host, before: _Host | None, touched: _Touched) -> None:
        """Encode what does not depend on the endpoints' state: clusters and virtual hosts."""
        service = held.service
        numbers = {port.number for port in service.ports}
        if before is not None:
            for port in before.service.ports:
                if port.number not in numbers:
                    self._take_away(touched, cluster_name(service.host, port.number))
            self._touch_demanded(touched, before)
        for port in service.ports:
            self._touch(touched, CDS, encode_cluster(service, port))
        held.virtual_hosts = tuple(
            encode_virtual_hosts(service, held.aliases, held.direct, listener.ports)
            for listener in self._http
        )
        touched.routes |= before is None or before.virtual_hosts != held.virtual_hosts
        touched.hosts.add(service.host)
        self._hosts[service.host] = held
        self._granted[service.host] = held.aliases
        self._touch_demanded(touched, held)

    def _remove(self, host: str, touched: _Touched) -> None:
        held = self._hosts.pop(host)
        del self._granted[host]
        self._omissions.pop(host, None)
        for port in held.service.ports:
            self._take_away(touched, cluster_name(host, port.number))
        self._touch_demanded(touched, held)
        touched.routes |= any(held.virtual_hosts)
        touched.hosts.add(host)

    def _touch(self, touched: _Touched, url: str, resource: Resource) -> None:
        self.encoded += 1
        held = self._sets[url].listed.get(resource.name)
        if held is None or held.version != resource.version:
            touched.resources[url][resource.name] = resource

    def _take_away(self, touched: _Touched, cluster: str) -> None:
        touched.resources[CDS][cluster] = None
        touched.resources[EDS][cluster] = None

    def _touch_demanded(self, touched: _Touched, held: _Host) -> None:
        listeners, routes = demanded_names(held.service, held.aliases)
        touched.demanded[LDS].update(listeners)
        touched.demanded[RDS].update(routes)

    def _publish(
        self, snapshot: Snapshot, touched: _Touched, *, first: bool
    ) -> Generator[None, None, None]:
        """Make the next sets of those types that changed."""
        for url in (CDS, EDS):
            if touched.resources[url]:
                self._sets[url] = self._sets[url].changed(touched.resources[url])
                yield
        if not (touched.hosts or first):
            return
        demanded = Demanded(snapshot, dict(self._granted))
        routes: dict[str, Resource] = {}
        if touched.routes or first:
            for index, listener in enumerate(self._http):
                routes |= _named(self._join(index, listener))
                yield
        listeners = self._listeners(snapshot.services)
        self.encoded += len(routes) + len(listeners)
        gone = self._sets[LDS].listed.keys() - listeners.keys()
        self._sets[RDS] = self._sets[RDS].changed(routes, demanded.routes, touched.demanded[RDS])
        self._sets[LDS] = self._sets[LDS].changed(
            {**listeners, **dict.fromkeys(gone)}, demanded.listener, touched.demanded[LDS]
        )

    def _join(self, index: int, listener: HttpListener) -> Resource:
        encoded = (
            each for host in sorted(self._hosts) for each in self._hosts[host].virtual_hosts[index]
        )
        return join_routes(http_listener_name(str(listener.address)), encoded)

    def _listeners(self, services: Mapping[str, Service]) -> dict[str, Resource]:
        found = [encode_http_listener(listener.address) for listener in self._http]
        unopened: list[Omission] = []
        for listener in self._tcp:
            service = services.get(listener.host)
            port = tcp_port(service, listener.port)
            if port is None:
                unopened.append(
                    Omission(f"tcp {listener.address}", _why_unopened(listener, service))
                )
            else:
                cluster = cluster_name(listener.host, port)
                found.append(encode_tcp_listener(listener.address, cluster))
        self._unopened = tuple(unopened)
        return {each.name: each for each in found}


def tcp_port(service: Service | None, said: int | None) -> int | None:
    """Return the service port that a TCP listener forwards to, or ``None`` without one."""
    if service is None:
        return None
    if said is not None:
        return said if any(port.number == said for port in service.ports) else None
    raw = [port.number for port in service.ports if port.protocol not in ("http", "grpc")]
    numbers = raw or [port.number for port in service.ports]
    return min(numbers, default=None)


def _why_unopened(listener: TcpListener, service: Service | None) -> str:
    if service is None:
        return f"no service has the host {listener.host}"
    if not service.ports:
        return f"{listener.host} has no ports, as its instances have none"
    there = ", ".join(str(port.number) for port in service.ports)
    return f"{listener.host} has no port {listener.port}, but {there}"


def _batches(hosts: Iterable[str]) -> Iterable[list[str]]:
    remaining = list(hosts)
    return (remaining[at : at + _BATCH] for at in range(0, len(remaining), _BATCH))


def _names(service: Service) -> tuple[str, ...]:
    """Return the names of a service that another one could have too."""
    return (*service.aliases, *direct_names(service))


def _shape(held: _Host) -> tuple[object, ...]:
    return held.service.ports, held.aliases, held.direct


def _named(resource: Resource) -> dict[str, Resource]:
    return {resource.name: resource}
