"""Reads from an istiod's store what a bridge told it, and says what of a service that can be.

The reverse of :mod:`meshbridge_mcp.istio`: the parts of a host become one service again. Less
comes back than was served: endpoints that are not HEALTHY are not sent, ``dubbo`` is sent as TCP,
and what istiod would refuse is left out (:mod:`meshbridge_mcp.validate`).
"""

from dataclasses import replace

import msgspec

from meshbridge.errors import BadData
from meshbridge.mirror import Held
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Labels, Locality, Port, Service, Source
from meshbridge_mcp.configz import Metadata, configs
from meshbridge_mcp.istio import REGISTRY_LABEL, SOURCES_ANNOTATION
from meshbridge_mcp.legal import PROTOCOLS
from meshbridge_mcp.validate import repair

UNTOLD = "health and endpoints that are not healthy, dubbo apart from tcp, what istiod would refuse"

_KIND = "ServiceEntry"


class _Port(msgspec.Struct):
    number: int
    protocol: str
    name: str


class _Endpoint(msgspec.Struct):
    """Go leaves out what is empty."""

    address: str
    ports: dict[str, int] | None = None
    labels: dict[str, str] | None = None
    locality: str = ""
    weight: int = 1


class _Spec(msgspec.Struct):
    hosts: list[str]
    addresses: list[str] | None = None
    ports: list[_Port] | None = None
    endpoints: list[_Endpoint] | None = None


class _Source(msgspec.Struct):
    registry: str
    name: str


def told(service: Service) -> Service | None:
    """Return what of a service an istiod gives back; ``None`` when it is told nothing of it."""
    legal = repair(service).service
    if legal is None:
        return None
    return replace(
        legal,
        ports=tuple(
            sorted(replace(port, protocol=PROTOCOLS[port.protocol].lower()) for port in legal.ports)
        ),
        endpoints=tuple(each for each in legal.endpoints if each.health is Health.HEALTHY),
        labels=_own_labels(legal.labels),
        sources=tuple(Source(_text(each.registry), _text(each.name)) for each in legal.sources),
        version="",
    )


def held(answer: bytes) -> Held:
    """Read ``/debug/configz``; raises BadData when it is none.

    Only ServiceEntries that a bridge marked as its own count as services.
    """
    found = configs(answer)
    parts: dict[str, list[Service]] = {}
    foreign = 0
    for config in found:
        if config.kind != _KIND:
            continue
        labels, notes = config.metadata.labels or {}, config.metadata.annotations or {}
        if REGISTRY_LABEL not in labels and SOURCES_ANNOTATION not in notes:
            foreign += 1
            continue
        part = _part(config.metadata, config.spec)
        parts.setdefault(part.host, []).append(part)
    return Held(tuple(_joined(parts[host]) for host in sorted(parts)), foreign)


def _part(metadata: Metadata, raw: msgspec.Raw) -> Service:
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
    return Service(
        host=spec.hosts[0],
        namespace=metadata.namespace,
        ports=tuple(Port(each.number, each.protocol.lower(), each.name) for each in ports),
        endpoints=tuple(_endpoint(each, ports) for each in spec.endpoints or ()),
        labels=_own_labels(tuple((metadata.labels or {}).items())),
        aliases=tuple(spec.hosts[1:]),
        addresses=tuple(spec.addresses or ()),
        sources=tuple(Source(each.registry, each.name) for each in sources),
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
    )


def _own_labels(labels: Labels) -> Labels:
    return tuple(sorted(pair for pair in labels if pair[0] != REGISTRY_LABEL))


def _text(text: str) -> str:
    """Return what is left of a text that may hold half a surrogate pair, which is not sent."""
    return text.encode(errors="replace").decode()
