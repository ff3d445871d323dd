"""Reads what the bridge, Envoy and istiod answer about themselves into the views of a history."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from meshbridge.testing.history import Endpoint, View

Bytes = bytes | str


class _Address(msgspec.Struct):
    address: str
    ports: dict[str, int] = {}


class _Service(msgspec.Struct):
    host: str
    version: str
    endpoints: list[_Address]


def bridge_view(answer: Bytes) -> View:
    """Read ``/api/services`` of the bridge."""
    services = msgspec.json.decode(answer, type=list[_Service])
    return View(
        frozenset(
            Endpoint.of(service.host, each.address, port)
            for service in services
            for each in service.endpoints
            for port in each.ports.values()
        ),
        versions={service.host: service.version for service in services},
    )


class _Socket(msgspec.Struct):
    address: str
    port_value: int


class _HostAddress(msgspec.Struct):
    socket_address: _Socket


class _Health(msgspec.Struct):
    """Envoy leaves out what is false."""

    eds_health_status: Literal["UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED"]
    failed_active_health_check: bool = False
    failed_outlier_check: bool = False
    excluded_via_immediate_hc_fail: bool = False
    pending_active_hc: bool = False
    active_hc_timeout: bool = False
    pending_dynamic_removal: bool = False

    @property
    def rests(self) -> bool:
        """Whether Envoy sends it no requests."""
        return self.eds_health_status in {"UNHEALTHY", "DRAINING", "TIMEOUT"} or any(
            (
                self.failed_active_health_check,
                self.failed_outlier_check,
                self.excluded_via_immediate_hc_fail,
                self.pending_active_hc,
                self.active_hc_timeout,
                self.pending_dynamic_removal,
            )
        )


class _Host(msgspec.Struct):
    address: _HostAddress
    health_status: _Health


class _Cluster(msgspec.Struct):
    name: str
    host_statuses: list[_Host] = []


class _Clusters(msgspec.Struct):
    cluster_statuses: list[_Cluster] = []


def envoy_view(answer: Bytes) -> View:
    """Read ``/clusters?format=json`` of Envoy: the clusters ``outbound|port|subset|host``."""
    endpoints, resting = set[Endpoint](), set[Endpoint]()
    for cluster in msgspec.json.decode(answer, type=_Clusters).cluster_statuses:
        if not cluster.name.startswith("outbound|"):
            continue
        host = cluster.name.rpartition("|")[2]
        for each in cluster.host_statuses:
            at = each.address.socket_address
            endpoint = Endpoint.of(host, at.address, at.port_value)
            endpoints.add(endpoint)
            if each.health_status.rests:
                resting.add(endpoint)
    return View(frozenset(endpoints), frozenset(resting))


class _Metadata(msgspec.Struct):
    name: str
    resourceVersion: str = ""  # noqa: N815 - Kubernetes' word


class _Port(msgspec.Struct):
    name: str
    number: int


class _Spec(msgspec.Struct):
    hosts: list[str] = []
    ports: list[_Port] = []
    endpoints: list[_Address] = []


class _Config(msgspec.Struct):
    kind: str
    metadata: _Metadata
    spec: msgspec.Raw = msgspec.Raw()


def configz_view(answer: Bytes) -> View:
    """Read ``/debug/configz`` of istiod: its ServiceEntries, as it stored them.

    A host's version is that of all its ServiceEntries together.
    """
    endpoints = set[Endpoint]()
    versions: dict[str, list[str]] = {}
    for config in msgspec.json.decode(answer, type=list[_Config]):
        if config.kind != "ServiceEntry":
            continue
        spec = msgspec.json.decode(config.spec, type=_Spec)
        for host in spec.hosts:
            versions.setdefault(host, []).append(config.metadata.resourceVersion)
            for each in spec.endpoints:
                # The service port's own number is what istiod takes for one not given.
                for port in spec.ports:
                    number = each.ports.get(port.name, port.number)
                    endpoints.add(Endpoint.of(host, each.address, number))
    together = {host: "+".join(sorted(each)) for host, each in versions.items()}
    return View(frozenset(endpoints), versions=together)


class _IstioEndpoint(msgspec.Struct, rename="pascal"):
    addresses: list[str]
    endpoint_port: int
    health_status: int = 0


class _Shards(msgspec.Struct, rename="pascal"):
    shards: dict[str, list[_IstioEndpoint] | None] = {}


def shards_view(answer: Bytes) -> View:
    """Read ``/debug/endpointShardz`` of istiod: what it makes its proxies' endpoints from."""
    by_host = msgspec.json.decode(answer, type=dict[str, dict[str, _Shards]])
    endpoints, resting = set[Endpoint](), set[Endpoint]()
    for host, each in _endpoints(by_host):
        for address in each.addresses:
            endpoint = Endpoint.of(host, address, each.endpoint_port)
            endpoints.add(endpoint)
            if each.health_status:
                resting.add(endpoint)
    return View(frozenset(endpoints), frozenset(resting))


def _endpoints(
    by_host: Mapping[str, Mapping[str, _Shards]],
) -> list[tuple[str, _IstioEndpoint]]:
    return [
        (host, each)
        for host, namespaces in by_host.items()
        for shards in namespaces.values()
        for listed in shards.shards.values()
        for each in listed or ()
    ]
