"""Reads ``dump --format json`` and ``/api/services`` back into services: pure."""

from dataclasses import dataclass

import msgspec

from meshbridge.difference import Facet
from meshbridge.errors import BadData
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Locality, Port, Service, Source


class _Port(msgspec.Struct):
    number: int
    protocol: str
    name: str


class _Endpoint(msgspec.Struct):
    address: str
    ports: dict[str, int]
    weight: int
    health: Health
    locality: str
    labels: dict[str, str]
    network: str = ""
    service_account: str = ""


class _Source(msgspec.Struct):
    registry: str
    name: str


class _Service(msgspec.Struct):
    host: str
    namespace: str
    ports: list[_Port]
    endpoints: list[_Endpoint]
    labels: dict[str, str]
    sources: list[_Source]
    aliases: list[str] | None = None
    addresses: list[str] | None = None
    export_to: list[str] = []


class _Probe(msgspec.Struct):
    host: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Dumped:
    """What a dump holds."""

    services: dict[str, Service]
    unsaid: frozenset[Facet]
    """What it does not say of them, because it is an older one."""


def is_istios(answer: bytes) -> bool:
    """Whether JSON is a list of Istio's resources and no dump; broken JSON is neither."""
    if answer.strip() == b"null":
        return True  # Go's way to write no resources at all
    try:
        found = msgspec.json.decode(answer, type=list[_Probe])
    except (msgspec.DecodeError, RecursionError):
        return False
    return any(each.kind is not None and each.host is None for each in found[:1])


def read_dump(answer: bytes) -> Dumped:
    """Read a dump; raises BadData with what is wrong with it and where."""
    try:
        found = msgspec.json.decode(answer, type=list[_Service])
    except msgspec.ValidationError as error:
        raise BadData(f"it is no dump of services: {error}") from None
    except msgspec.DecodeError as error:
        raise BadData(f"it is no JSON: {error}") from None
    except RecursionError:
        raise BadData("it is no dump of services: it is nested too deeply") from None
    services: dict[str, Service] = {}
    unsaid: set[Facet] = set()
    for each in found:
        if each.host in services:
            raise BadData(f"host {each.host!r} stands in it twice")
        services[each.host] = _service(each)
        if each.aliases is None:
            unsaid.add("aliases")
        if each.addresses is None:
            unsaid.add("addresses")
    return Dumped(services, frozenset(unsaid))


def _service(found: _Service) -> Service:
    return Service(
        host=found.host,
        namespace=found.namespace,
        ports=tuple(sorted(Port(each.number, each.protocol, each.name) for each in found.ports)),
        endpoints=tuple(map(_endpoint, found.endpoints)),
        labels=tuple(sorted(found.labels.items())),
        aliases=tuple(sorted(found.aliases or ())),
        addresses=tuple(found.addresses or ()),
        sources=tuple(Source(each.registry, each.name) for each in found.sources),
        export_to=tuple(found.export_to),
    )


def _endpoint(found: _Endpoint) -> Endpoint:
    return Endpoint(
        address=found.address,
        ports=tuple(sorted(found.ports.items())),
        weight=found.weight,
        health=found.health,
        locality=Locality.of(found.locality),
        labels=tuple(sorted(found.labels.items())),
        network=found.network,
        service_account=found.service_account,
    )
