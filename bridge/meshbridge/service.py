"""What the mesh sees: services under their hosts, frozen, and never more than may be sent."""

import hashlib
from dataclasses import dataclass, replace
from typing import Self

import msgspec

from meshbridge.registration import Health

Labels = tuple[tuple[str, str], ...]
"""Sorted (key, value) pairs."""


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port that callers use."""

    number: int
    protocol: str
    """One of http, https, grpc, dubbo, tcp."""
    name: str
    """``<protocol>-<number>``: what an endpoint's own port is found under."""


@dataclass(frozen=True, slots=True, order=True)
class Locality:
    """Where an endpoint runs, as Envoy and Istio name it; empty parts are unknown."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""

    def __str__(self) -> str:
        """Return Istio's ``region/zone/sub-zone`` without trailing empty parts."""
        return f"{self.region}/{self.zone}/{self.sub_zone}".rstrip("/")

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the locality that was written like that; a slash too many is its last part's."""
        return cls(*text.split("/", 2))


@dataclass(frozen=True, slots=True)
class Source:
    """The registration that a service, or part of it, comes from."""

    registry: str
    name: str
    """The identity in the registry's own words (``str(ServiceId)``)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that takes traffic."""

    address: str
    """An IPv4 or IPv6 address in canonical text, without brackets; or, only where an outlet takes
    names (:attr:`meshbridge.publish.Registry.names`), a DNS name in lower case."""
    ports: tuple[tuple[str, int], ...]
    """(name of a service port, the endpoint's own port number), sorted by name.

    An endpoint need not have every port of its service; it then takes no part in that cluster.
    """
    weight: int = 100
    """``max(1, round(100 * registered weight))``: never 0, because istiod reads 0 as 1."""
    health: Health = Health.HEALTHY
    """HEALTHY or DEGRADED: what to send, already decided (:mod:`meshbridge.health`)."""
    locality: Locality = Locality()
    labels: Labels = ()
    network: str = ""
    """Istio's name of the network it is in; empty where that is not said."""
    service_account: str = ""
    """Kubernetes' name of what it runs as, in the namespace of the resources; empty: unknown."""


@dataclass(frozen=True, slots=True, order=True)
class Direct:
    """An endpoint's address that callers may use in place of the host."""

    address: str
    """An IPv4 or IPv6 address in canonical text, without brackets."""
    ports: tuple[int, ...]
    """The endpoint's own ports there that no other host claims, sorted, at least one; each is the
    number of a service port too."""
    alone: bool
    """Whether no other host claims the address, at whatever port: only then may it stand without
    a port."""


@dataclass(frozen=True, slots=True)
class Service:
    """One host with all that may be sent of it."""

    host: str
    namespace: str
    """The Istio namespace of its resources."""
    ports: tuple[Port, ...]
    """Sorted by number."""
    endpoints: tuple[Endpoint, ...]
    """In a deterministic order, which does not depend on the order of arrival."""
    labels: Labels = ()
    """Labels of the service itself, not of its endpoints."""
    aliases: tuple[str, ...] = ()
    """Further names callers use, sorted."""
    addresses: tuple[str, ...] = ()
    """Virtual addresses, at most one today, in 240.0.0.0/4."""
    direct: tuple[Direct, ...] = ()
    """Addresses of its endpoints that lead to the host, sorted; none unless publishing says so."""
    sources: tuple[Source, ...] = ()
    """Sorted; more than one where registries share a host."""
    export_to: tuple[str, ...] = ()
    """The namespaces that see it in Istio, ``.`` for its own, ``*`` for all; empty: not said."""
    version: str = ""
    """Hash of everything above: same content, same version, on every replica."""


def versioned(service: Service) -> Service:
    """Return the service with its version: a hash of all but the version itself.

    Two bridges with the same content have the same version, whatever ``PYTHONHASHSEED`` and the
    order in which they learned it. ``sources`` count, because istiod is told of them: a change of
    them alone must not be skipped. What a proxy gets has versions of its own bytes.
    """
    bare = replace(service, version="") if service.version else service
    digest = hashlib.blake2b(msgspec.msgpack.encode(bare), digest_size=8)
    return replace(service, version=digest.hexdigest())


def first_source(service: Service, outlet: str) -> Source:
    """Return by which registration problems know a service; one that has none, by its host.

    ``outlet`` stands in the place of the registry then.
    """
    return service.sources[0] if service.sources else Source(outlet, service.host)
