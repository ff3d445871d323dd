"""What a service looks like as JSON: in ``dump --format json``, ``/api/services`` and dumps."""

from typing import TypedDict

from meshbridge.service import Endpoint, Service


class PortObject(TypedDict):
    """A port that callers use."""

    number: int
    protocol: str
    name: str


class EndpointObject(TypedDict):
    """An address that takes traffic."""

    address: str
    ports: dict[str, int]
    weight: int
    health: str
    locality: str
    labels: dict[str, str]
    network: str
    service_account: str


class SourceObject(TypedDict):
    """The registration that a service comes from."""

    registry: str
    name: str


class ServiceObject(TypedDict):
    """One host; the keys are a contract and stand in this order."""

    host: str
    namespace: str
    ports: list[PortObject]
    endpoints: list[EndpointObject]
    labels: dict[str, str]
    version: str
    sources: list[SourceObject]
    aliases: list[str]
    addresses: list[str]
    export_to: list[str]


def service_object(service: Service) -> ServiceObject:
    """Return the service as plain values for JSON."""
    return {
        "host": service.host,
        "namespace": service.namespace,
        "ports": [
            {"number": port.number, "protocol": port.protocol, "name": port.name}
            for port in service.ports
        ],
        "endpoints": [endpoint_object(endpoint) for endpoint in service.endpoints],
        "labels": dict(service.labels),
        "version": service.version,
        "sources": [
            {"registry": source.registry, "name": source.name} for source in service.sources
        ],
        "aliases": list(service.aliases),
        "addresses": list(service.addresses),
        "export_to": list(service.export_to),
    }


def endpoint_object(endpoint: Endpoint) -> EndpointObject:
    """Return the endpoint as plain values for JSON."""
    return {
        "address": endpoint.address,
        "ports": dict(endpoint.ports),
        "weight": endpoint.weight,
        "health": str(endpoint.health),
        "locality": str(endpoint.locality),
        "labels": dict(endpoint.labels),
        "network": endpoint.network,
        "service_account": endpoint.service_account,
    }
