"""Turns a service into the ServiceEntries that say the same to istiod, always in the same bytes.

istiod gives every inline endpoint every port of its ServiceEntry, so a host goes out in *parts*:
ServiceEntries of one host, each declaring exactly the ports that its endpoints have. The rules are
proven against a real istiod and need no history:

* The *holder*, the part that declares all ports of the host, is always there, if need be without
  endpoints. So ports never vanish while the host lives, whichever other part comes or goes.
* Labels, annotations, address, resolution and location are the same in all parts of a host: where
  they differ, istiod follows one part, and which one may change from push to push.
* A part is named by its host, the number of its ports and a hash of them, so nothing renames it
  while it exists, and the names sort a host's parts next to each other, larger port sets first:
  istiod applies a response in its order, so an instance that registers its ports one after another
  arrives in its new part before it leaves the old one.
* Its create_time is late, because the older resource wins a conflict and a user's own should; and
  it differs from part to part, because among equals chance decides.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from meshbridge.problems import Problem
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import (
    ServiceEntry,
    ServicePort,
)
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Labels, Port, Service, Source
from meshbridge_mcp.legal import LONGEST_NAME, PROTOCOLS, is_label_value
from meshbridge_mcp.resource import Document, late
from meshbridge_mcp.validate import repair

REGISTRY_LABEL = "meshbridge.io/registry"
SOURCES_ANNOTATION = "meshbridge.io/sources"
"""JSON list of {registry, name}: where the host comes from, in the registries' own words."""

_MOST_PORTS = 0xFF
"""Port sets beyond it are ordered by chance, which costs no more than a moment's doubling."""

Part: TypeAlias = Document[ServiceEntry]
"""One of the ServiceEntries of a host."""


@dataclass(frozen=True, slots=True)
class Entries:
    """All ServiceEntries of one host, and what of the host they cannot say."""

    parts: tuple[Part, ...]
    problems: tuple[Problem, ...]


def entries(service: Service) -> Entries:
    """Return the parts of a service by name, none if it has no legal one."""
    repaired = repair(service)
    legal = repaired.service
    if legal is None:
        return Entries((), repaired.problems)
    parts = [_part(legal, names, members) for names, members in _members(legal).items()]
    return Entries(tuple(sorted(parts, key=lambda part: part.name)), repaired.problems)


def _members(service: Service) -> dict[tuple[str, ...], list[Endpoint]]:
    """Return the endpoints to send by the sorted names of their ports, the holder's included."""
    holder = tuple(sorted(port.name for port in service.ports))
    members: dict[tuple[str, ...], list[Endpoint]] = {holder: []}
    for endpoint in service.endpoints:
        # istiod knows no health of inline endpoints: what is not fit is not sent.
        if endpoint.health is Health.HEALTHY:
            names = tuple(name for name, _ in endpoint.ports)
            members.setdefault(names, []).append(endpoint)
    return members


def _part(service: Service, names: tuple[str, ...], endpoints: Iterable[Endpoint]) -> Part:
    identity = hashlib.sha256(" ".join((service.host, *names)).encode()).digest()
    return Document(
        namespace=service.namespace,
        name=named(service.host, f"{_MOST_PORTS - min(len(names), _MOST_PORTS):02x}", identity),
        created_at=late(identity),
        labels=labels(service),
        annotations=annotations(service),
        spec=ServiceEntry(
            hosts=[service.host, *service.aliases],
            addresses=list(service.addresses),
            ports=[_port(port) for port in service.ports if port.name in names],
            # Internal, so that istiod gives endpoints that have a sidecar mutual TLS, and only
            # those: it goes by their label security.istio.io/tlsMode, one by one.
            location=ServiceEntry.MESH_INTERNAL,
            resolution=ServiceEntry.STATIC,
            endpoints=[_endpoint(endpoint) for endpoint in endpoints],
        ),
    )


def named(host: str, order: str, identity: bytes) -> str:
    """Return a name that Kubernetes takes too; the hash covers what is cut off or lower-cased."""
    mark = order + identity.hex()[:8]
    return f"{host.lower()[: LONGEST_NAME - len(mark) - 1].rstrip('.-')}-{mark}"


def labels(service: Service) -> Labels:
    """Return the labels that all resources of a host have."""
    found = dict(service.labels)
    # The first source only, and no list: a label holds one value that can be selected on.
    if service.sources and is_label_value(service.sources[0].registry):
        found[REGISTRY_LABEL] = service.sources[0].registry
    return tuple(sorted(found.items()))


def annotations(service: Service) -> Labels:
    """Return the annotations that all resources of a host have."""
    return ((SOURCES_ANNOTATION, _sources(service.sources)),) if service.sources else ()


def _sources(sources: Iterable[Source]) -> str:
    text = json.dumps(
        [{"registry": source.registry, "name": source.name} for source in sources],
        ensure_ascii=False,
    )
    # A registry may hold half a surrogate pair, which no protobuf string can.
    return text.encode(errors="replace").decode()


def _port(port: Port) -> ServicePort:
    return ServicePort(number=port.number, protocol=PROTOCOLS[port.protocol], name=port.name)


def _endpoint(endpoint: Endpoint) -> WorkloadEntry:
    return WorkloadEntry(
        address=endpoint.address,
        ports=dict(endpoint.ports),
        labels=dict(endpoint.labels),
        locality=str(endpoint.locality),
        weight=endpoint.weight,
    )
