"""A scripted client that speaks MCP-over-xDS as istiod does, with a store to look into.

What it does was read in istio's pkg/adsc and pilot/pkg/config/memory and seen on a real istiod: it
never refuses aloud, forgets what a response does not hold, looks at no body whose version it
knows, and keeps its store when the stream breaks.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from meshbridge.protos.gen.envoy.config.core.v3.base_pb2 import Node
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DiscoveryRequest,
    DiscoveryResponse,
)
from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge.protos.gen.istio.mcp.v1alpha1.resource_pb2 import Resource
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from rig.istio_rules import broken_rules

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
MESH_CONFIG = "core/v1alpha1/MeshConfig"
BOGUS_NONCE = "2026-11-23 01:31:45.725827273 +0000 UTC m=+0.212122906"
"""What Go prints of the time: istiod's first requests carry it as their nonce."""

_NETWORKING = "networking.istio.io"
_SECURITY = "security.istio.io"
_EXTENSIONS = "extensions.istio.io"

KINDS = (
    # group, kind, version since istio 1.24, version before
    (_SECURITY, "AuthorizationPolicy", "v1", "v1beta1"),
    (_NETWORKING, "DestinationRule", "v1", "v1alpha3"),
    (_NETWORKING, "EnvoyFilter", "v1alpha3", "v1alpha3"),
    (_NETWORKING, "Gateway", "v1", "v1alpha3"),
    (_SECURITY, "PeerAuthentication", "v1", "v1beta1"),
    (_NETWORKING, "ProxyConfig", "v1beta1", "v1beta1"),
    (_SECURITY, "RequestAuthentication", "v1", "v1beta1"),
    (_NETWORKING, "ServiceEntry", "v1", "v1alpha3"),
    (_NETWORKING, "Sidecar", "v1", "v1alpha3"),
    ("telemetry.istio.io", "Telemetry", "v1", "v1alpha1"),
    (_EXTENSIONS, "TrafficExtension", "v1alpha1", ""),
    (_NETWORKING, "VirtualService", "v1", "v1alpha3"),
    (_EXTENSIONS, "WasmPlugin", "v1alpha1", "v1alpha1"),
    (_NETWORKING, "WorkloadEntry", "v1", "v1alpha3"),
    (_NETWORKING, "WorkloadGroup", "v1", "v1alpha3"),
)

NOW = tuple(f"{group}/{version}/{kind}" for group, kind, version, _ in KINDS)
"""What istio 1.31 asks for, in its order."""
BEFORE_1_24 = tuple(f"{group}/{old}/{kind}" for group, kind, _, old in KINDS if old)
"""What istio 1.23 and older ask for."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A resource as istiod's store holds it."""

    version: str
    created_at: int
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: ServiceEntry


@dataclass(frozen=True, slots=True)
class Event:
    """A change of the store: what costs istiod work and its proxies a push."""

    action: Literal["create", "update", "delete"]
    name: str


@dataclass
class ScriptedIstiod:
    """One istiod process: it may be connected several times and keeps its store."""

    target: str
    types: tuple[str, ...] = NOW
    credentials: grpc.ChannelCredentials | None = None
    server_name: str = ""
    """What the server's certificate must say, if it is not the target."""
    revision: str = ""
    store: dict[str, Stored] = field(default_factory=dict[str, Stored])
    """The ServiceEntries by ``namespace/name``."""
    events: list[Event] = field(default_factory=list[Event])
    warnings: list[str] = field(default_factory=list[str])
    """What a real one writes into its log."""
    responses: list[DiscoveryResponse] = field(default_factory=list[DiscoveryResponse])
    acknowledged: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(type URL, version) of each ACK."""
    synced: set[str] = field(default_factory=set[str])
    """The types that were answered at least once, by any process this one was connected to."""
    _at_work: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_ready(self) -> bool:
        """Whether it would open its port to proxies: every type was answered."""
        return self.synced >= set(self.types)

    def hosts(self) -> set[str]:
        """Return the hosts it knows."""
        return {host for stored in self.store.values() for host in stored.spec.hosts}

    def endpoints(self, host: str) -> dict[str, set[str]]:
        """Return ``address:port`` of a host by the name of the port, merged as istiod does."""
        found: dict[str, set[str]] = {}
        for stored in self.store.values():
            if host in stored.spec.hosts:
                for port in stored.spec.ports:
                    into = found.setdefault(port.name, set())
                    for each in stored.spec.endpoints:
                        # The service port's own number is what istiod takes for one not given.
                        into.add(f"{each.address}:{each.ports.get(port.name, port.number)}")
        return found

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[None]:
        """Hold a stream to the server and apply what comes, until the block ends."""
        options: list[tuple[str, str | int]] = [
            ("grpc.max_receive_message_length", -1),
            # Otherwise channels share their pauses before they dial again, which grow to minutes.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if self.server_name:
            options.append(("grpc.ssl_target_name_override", self.server_name))
        channel = (
            grpc.aio.secure_channel(self.target, self.credentials, options)
            if self.credentials
            else grpc.aio.insecure_channel(self.target, options)
        )
        async with channel, asyncio.TaskGroup() as tasks:
            call = channel.stream_stream(
                METHOD,
                request_serializer=_serialized,
                response_deserializer=DiscoveryResponse.FromString,
            )()
            for number, request in enumerate(self._initial_requests()):
                if number == 0:
                    request.node.CopyFrom(self._node())
                await call.write(request)
            receiving = tasks.create_task(self._receive(call), name="scripted istiod")
            try:
                yield
            finally:
                receiving.cancel()
                call.cancel()

    @asynccontextmanager
    async def busy(self) -> AsyncGenerator[None]:
        """Apply and acknowledge nothing until the block ends."""
        async with self._at_work:
            yield

    async def until(self, holds: Callable[[], bool], *, within: float = 20.0) -> None:
        """Wait until something holds; raises AssertionError with what is there if it never does."""
        begun = time.monotonic()
        while not holds():
            if time.monotonic() - begun > within:
                raise AssertionError(
                    f"not within {within:g} s; hosts {sorted(self.hosts())}, answered"
                    f" {sorted(self.synced)}, warnings {self.warnings}"
                )
            await asyncio.sleep(0.005)

    def _initial_requests(self) -> Iterable[DiscoveryRequest]:
        for type_url in (MESH_CONFIG, *self.types):
            yield DiscoveryRequest(type_url=type_url, response_nonce=BOGUS_NONCE)

    def _node(self) -> Node:
        node = Node(id="sidecar~10.9.9.9~istiod-1.istio-system~istio-system.svc.cluster.local")
        node.metadata.update({"GENERATOR": "api", "ISTIO_VERSION": "65536.65536.65536"})
        if self.revision:
            node.metadata.update({"ISTIO_REVISION": self.revision})
        return node

    def _acknowledgement(self, response: DiscoveryResponse) -> DiscoveryRequest:
        return DiscoveryRequest(
            type_url=response.type_url,
            response_nonce=response.nonce,
            version_info=response.version_info,
            node=self._node(),
        )

    async def _receive(
        self, call: "grpc.aio.StreamStreamCall[DiscoveryRequest, DiscoveryResponse]"
    ) -> None:
        async for response in call:
            self.responses.append(response)
            async with self._at_work:
                if self._take(response):
                    await call.write(self._acknowledgement(response))
                    self.acknowledged.append((response.type_url, response.version_info))

    def _take(self, response: DiscoveryResponse) -> bool:
        """Apply a response; return whether a real one acknowledges it."""
        if response.type_url == MESH_CONFIG:
            return not response.resources
        if response.type_url not in self.types:
            self.warnings.append(f"unknown type {response.type_url}")
            return True
        self.synced.add(response.type_url)
        if response.type_url.endswith("/ServiceEntry"):
            self._apply(response.resources)
        elif response.resources:
            self.warnings.append(f"resources of a type this rig has no store for: {response}")
        return True

    def _apply(self, resources: Iterable[AnyMessage]) -> None:
        existing = set(self.store)
        received: set[str] = set()
        for wrapped in resources:
            resource = self._convert(wrapped)
            if resource is not None:
                received.add(resource.metadata.name)
                self._keep(resource)
        for name in sorted(existing - received):
            del self.store[name]
            self.events.append(Event("delete", name))

    def _convert(self, wrapped: AnyMessage) -> Resource | None:
        """Return what counts as received: anything else is deleted if it was there."""
        resource = Resource()
        try:
            # Go takes a type's bare name as well as one behind a slash; Python's Any does not.
            if wrapped.type_url.rpartition("/")[2] != Resource.DESCRIPTOR.full_name:
                self.warnings.append(f"not a Resource: {wrapped.type_url}")
                return None
            resource.ParseFromString(wrapped.value)
        except DecodeError as error:
            self.warnings.append(f"unreadable: {error}")
            return None
        name = resource.metadata.name
        if len(name.split("/")) != 2 or not resource.body.type_url:
            self.warnings.append(f"no name or no body: {name}")
            return None
        revision = resource.metadata.labels.get("istio.io/rev")
        if revision is not None and self.revision and revision != self.revision:
            return None
        return resource

    def _keep(self, resource: Resource) -> None:
        metadata = resource.metadata
        held = self.store.get(metadata.name)
        if held is not None and metadata.version and metadata.version == held.version:
            return
        spec = ServiceEntry()
        if not resource.body.Unpack(spec):
            self.warnings.append(f"{metadata.name} cannot be cast to a service entry")
            return
        if broken := broken_rules(spec):
            self.warnings.append(f"{metadata.name} breaks: {', '.join(broken)}")
            return
        self.store[metadata.name] = Stored(
            version=metadata.version,
            created_at=metadata.create_time.seconds,
            labels=dict(metadata.labels),
            annotations=dict(metadata.annotations),
            spec=spec,
        )
        self.events.append(Event("update" if held else "create", metadata.name))


def _serialized(request: DiscoveryRequest) -> bytes:
    return request.SerializeToString()
