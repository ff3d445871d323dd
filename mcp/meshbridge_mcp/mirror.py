"""Reads from an istiod's store what a bridge told it, and says what of a service that can be.

The reverse of :mod:`meshbridge_mcp.istio`: the parts of a host become one service again. Less
comes back than was served: endpoints that are not HEALTHY are not sent, ``dubbo`` is sent as TCP,
and what istiod would refuse is left out (:mod:`meshbridge_mcp.validate`).
"""

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from meshbridge.errors import BadData
from meshbridge.mirror import Held
from meshbridge.service import Endpoint, Labels, Locality, Port, Service, Source
from meshbridge_mcp.configz import Config, Metadata, configs
from meshbridge_mcp.istio import REGISTRY_LABEL, SOURCES_ANNOTATION, has_names, parts_of
from meshbridge_mcp.legal import PROTOCOLS
from meshbridge_mcp.validate import repair
from meshbridge_mcp.workload import HOST_LABEL

UNTOLD = "health and endpoints that are not healthy, dubbo apart from tcp, what istiod would refuse"

_KIND = "ServiceEntry"
_SELECTED = "WorkloadEntry"


class _Port(msgspec.Struct):
    number: int
    protocol: str
    name: str


class _Endpoint(msgspec.Struct, rename="camel"):
    """Go leaves out what is empty."""

    address: str
    ports: dict[str, int] | None = None
    labels: dict[str, str] | None = None
    network: str = ""
    locality: str = ""
    weight: int = 1
    service_account: str = ""


class _Selector(msgspec.Struct):
    labels: dict[str, str] = {}


class _Spec(msgspec.Struct, rename="camel"):
    hosts: list[str]
    addresses: list[str] | None = None
    ports: list[_Port] | None = None
    endpoints: list[_Endpoint] | None = None
    export_to: list[str] | None = None
    workload_selector: _Selector | None = None


class _Source(msgspec.Struct):
    registry: str
    name: str


Selected = dict[tuple[str, str], list[_Endpoint]]
"""Endpoints by their namespace and the mark of their host."""


def told(service: Service) -> Service | None:
    """Return what of a service an istiod gives back; ``None`` when it is told nothing of it.

    Endpoints that have a name are there only where istiod is told of them.
    """
    legal = repair(service, names=True).service
    if legal is None:
        return None
    parts = parts_of(legal, resolved=has_names(legal))
    declared = {name for names in parts for name in names}
    return replace(
        legal,
        ports=tuple(
            sorted(
                replace(port, protocol=PROTOCOLS[port.protocol].lower())
                for port in legal.ports
                if port.name in declared
            )
        ),
        endpoints=tuple(each for sent in parts.values() for each in sent),
        labels=_own_labels(legal.labels),
        sources=tuple(Source(_text(each.registry), _text(each.name)) for each in legal.sources),
        version="",
    )


def held(answer: bytes) -> Held:
    """Read ``/debug/configz``; raises BadData when it is none.

    Only ServiceEntries that a bridge marked as its own count as services.
    """
    found = configs(answer)
    selected = _selected(found)
    parts: dict[str, list[Service]] = {}
    foreign = 0
    for config in found:
        if config.kind != _KIND:
            continue
        labels, notes = config.metadata.labels or {}, config.metadata.annotations or {}
        if REGISTRY_LABEL not in labels and SOURCES_ANNOTATION not in notes:
            foreign += 1
            continue
        part = _part(config.metadata, config.spec, selected)
        parts.setdefault(part.host, []).append(part)
    return Held(tuple(_joined(parts[host]) for host in sorted(parts)), foreign)


def _selected(found: Iterable[Config]) -> Selected:
    """Return the endpoints that are resources of their own."""
    selected: Selected = {}
    for config in found:
        if config.kind != _SELECTED:
            continue
        try:
            endpoint = msgspec.json.decode(config.spec, type=_Endpoint)
        except (msgspec.DecodeError, RecursionError):
            continue  # none of a bridge's: a user's own may have any shape
        mark = (endpoint.labels or {}).pop(HOST_LABEL, None)
        if mark is not None:
            selected.setdefault((config.metadata.namespace, mark), []).append(endpoint)
    return selected


def _part(metadata: Metadata, raw: msgspec.Raw, selected: Selected) -> Service:
    where = f"{_KIND} {metadata.namespace}/{metadata.name}"
    try:
        spec = msgspec.json.decode(raw, type=_Spec)
        note = (metadata.annotations or {}).get(SOURCES_ANNOTATION, "[]")
        sources = msgspec.json.decode(note, type=list[_Source])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadData(f"{where} cannot be read: {error}") from None
    if not spec.hosts:
        raise BadData(f"{where} cannot be read: it has no host")
    ports = spec.ports or []
    endpoints = spec.endpoints or []
    if spec.workload_selector is not None:
        mark = spec.workload_selector.labels.get(HOST_LABEL, "")
        endpoints = selected.get((metadata.namespace, mark), [])
    return Service(
        host=spec.hosts[0],
        namespace=metadata.namespace,
        ports=tuple(Port(each.number, each.protocol.lower(), each.name) for each in ports),
        endpoints=tuple(_endpoint(each, ports) for each in endpoints),
        labels=_own_labels(tuple((metadata.labels or {}).items())),
        aliases=tuple(spec.hosts[1:]),
        addresses=tuple(spec.addresses or ()),
        sources=tuple(Source(each.registry, each.name) for each in sources),
        export_to=tuple(spec.export_to or ()),
    )


def _endpoint(found: _Endpoint, ports: list[_Port]) -> Endpoint:
    own = found.ports or {}
    return Endpoint(
        address=found.address,
        # istiod gives an endpoint every port of its ServiceEntry, by default under its number.
        ports=tuple(sorted((port.name, own.get(port.name, port.number)) for port in ports)),
        weight=found.weight,
        locality=Locality.of(found.locality),
        labels=tuple(sorted((found.labels or {}).items())),
        network=found.network,
        service_account=found.service_account,
    )


def _joined(parts: list[Service]) -> Service:
    """Return the parts of a host as one service.

    All parts of one bridge agree in what is not ports and endpoints; where others do not, each
    value is kept, and shows itself as a difference.
    """
    return Service(
        host=parts[0].host,
        namespace=", ".join(sorted({part.namespace for part in parts})),
        ports=tuple(sorted({port for part in parts for port in part.ports})),
        endpoints=tuple(each for part in parts for each in part.endpoints),
        labels=tuple(sorted({pair for part in parts for pair in part.labels})),
        aliases=tuple(sorted({alias for part in parts for alias in part.aliases})),
        addresses=tuple(sorted({address for part in parts for address in part.addresses})),
        sources=tuple(dict.fromkeys(source for part in parts for source in part.sources)),
        export_to=tuple(sorted({each for part in parts for each in part.export_to})),
    )


def _own_labels(labels: Labels) -> Labels:
    return tuple(sorted(pair for pair in labels if pair[0] != REGISTRY_LABEL))


def _text(text: str) -> str:
    """Return what is left of a text that may hold half a surrogate pair, which is not sent."""
    return text.encode(errors="replace").decode()
