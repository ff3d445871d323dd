"""Turns a service into the ServiceEntries that say the same to istiod, always in the same bytes.

istiod gives every inline endpoint every port of its ServiceEntry, so a host goes out in *parts*:
ServiceEntries of one host, each declaring exactly the ports that its endpoints have. The rules are
proven against a real istiod and need no history:

* The *holder*, the part that declares all ports of the host, is always there, if need be without
  endpoints. So ports never vanish while the host lives, whichever other part comes or goes.
* Labels, annotations, address, resolution, location, selector and exportTo are the same in all
  parts of a host: where they differ, istiod follows one part, and which one may change from push
  to push.
* A part is named by its host, the number of its ports and a hash of them, so nothing renames it
  while it exists, and the names sort a host's parts next to each other, larger port sets first:
  istiod applies a response in its order, so an instance that registers its ports one after another
  arrives in its new part before it leaves the old one.
* Its create_time is late, because the older resource wins a conflict and a user's own should; and
  it differs from part to part, because among equals chance decides.

A part other than the holder goes with its last endpoint and comes with its first, each time with a
full push that changes nothing of the host. To empty it instead would be cheaper, but which empty
parts there are would be the host's history, and replicas with different pasts must send the same
bytes.

Where an endpoint's address is a DNS name all parts have resolution DNS, and there is no empty
holder: istiod would resolve the host itself in the place of endpoints. A port that no endpoint has
is not declared then.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message

from meshbridge.problems import Problem, ProblemKind
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import (
    ServiceEntry,
    ServicePort,
)
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Labels, Port, Service, Source, first_source
from meshbridge_mcp.legal import LONGEST_NAME, PROTOCOLS, is_address, is_label_value
from meshbridge_mcp.resource import Document, late
from meshbridge_mcp.validate import repair
from meshbridge_mcp.workload import inline, selected, selector

REGISTRY_LABEL = "meshbridge.io/registry"
SOURCES_ANNOTATION = "meshbridge.io/sources"
"""JSON list of {registry, name}: where the host comes from, in the registries' own words."""

_MOST_PORTS = 0xFF
"""Port sets beyond it are ordered by chance, which costs no more than a moment's doubling."""

Part: TypeAlias = Document[ServiceEntry]
"""One of the ServiceEntries of a host."""
Members: TypeAlias = dict[tuple[str, ...], list[Endpoint]]
"""The endpoints of each part, by the sorted names of its ports."""


@dataclass(frozen=True, slots=True)
class Shape:
    """In which of its forms istiod is told of services."""

    inline: bool = True
    """Whether endpoints stand in ServiceEntries; else they are WorkloadEntries."""
    names: bool = False
    """Whether endpoints are sent whose address is a DNS name, for each proxy to resolve."""


USUAL = Shape()


@dataclass(frozen=True, slots=True)
class Entries:
    """All ServiceEntries of one host, and what of the host they cannot say."""

    parts: tuple[Part, ...]
    problems: tuple[Problem, ...]
    workloads: tuple[Document[WorkloadEntry], ...] = ()
    """The endpoints that are resources of their own, by name."""

    @property
    def documents(self) -> tuple[Document[Message], ...]:
        """All of them."""
        return *self.parts, *self.workloads


def entries(service: Service, shape: Shape = USUAL) -> Entries:
    """Return the parts of a service by name, none if it has no legal one."""
    repaired = repair(service, names=shape.names)
    legal, problems = repaired.service, repaired.problems
    if legal is None:
        return Entries((), problems)
    resolved = shape.names and has_names(legal)
    members = parts_of(legal, resolved=resolved)
    workloads: list[Document[WorkloadEntry]] = []
    if shape.inline or len(members) > 1:
        parts = [_part(legal, names, sent, resolved=resolved) for names, sent in members.items()]
        if not shape.inline:
            problems += (_not_selected(legal),)
    else:
        ((names, sent),) = members.items()
        parts = [_part(legal, names, resolved=resolved)]
        workloads += [_workload(legal, endpoint) for endpoint in sent]
    return Entries(
        tuple(sorted(parts, key=lambda part: part.name)),
        problems,
        tuple(sorted(workloads, key=lambda workload: workload.name)),
    )


def _not_selected(service: Service) -> Problem:
    source = first_source(service, "mcp")
    return Problem(
        source.registry,
        source.name,
        ProblemKind.OTHER,
        "its endpoints are no WorkloadEntries but inline, because not all have the same ports",
        "let its instances register the same ports, or set `endpoints: inline` of the outlet",
    )


def parts_of(service: Service, *, resolved: bool) -> Members:
    """Return the parts of a legal service, with what is to be sent of its endpoints."""
    holder = tuple(sorted(port.name for port in service.ports))
    members: Members = {holder: []}
    for endpoint in service.endpoints:
        # istiod knows no health of inline endpoints: what is not fit is not sent.
        if endpoint.health is Health.HEALTHY:
            names = tuple(name for name, _ in endpoint.ports)
            members.setdefault(names, []).append(endpoint)
    if resolved and not members[holder]:
        del members[holder]
    return members


def has_names(service: Service) -> bool:
    """Whether the address of any endpoint to send is a DNS name: with STATIC istiod drops it."""
    return any(
        each.health is Health.HEALTHY and not is_address(each.address) for each in service.endpoints
    )


def _part(
    service: Service,
    names: tuple[str, ...],
    endpoints: Iterable[Endpoint] | None = None,
    *,
    resolved: bool,
) -> Part:
    """Return the part of these ports; without endpoints it selects those of its host."""
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
            resolution=ServiceEntry.DNS if resolved else ServiceEntry.STATIC,
            endpoints=map(inline, endpoints or ()),
            export_to=service.export_to,
            workload_selector=selector(service.host) if endpoints is None else None,
        ),
    )


def _workload(service: Service, endpoint: Endpoint) -> Document[WorkloadEntry]:
    """Return an endpoint as a resource.

    It has no labels but those in its spec: istiod would take them for the endpoint's.
    """
    said = " ".join((service.host, endpoint.address, *map(str, endpoint.ports)))
    identity = hashlib.sha256(said.encode()).digest()
    return Document(
        namespace=service.namespace,
        name=named(service.host, identity[:4].hex(), identity[4:]),
        created_at=late(identity),
        labels=(),
        annotations=(),
        spec=selected(service.host, endpoint),
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
