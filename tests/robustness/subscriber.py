"""A subscriber that says what the test tells it to, also what no honest one would."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import grpc
import grpc.aio

from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)

SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService"
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own for each
)
WITHIN = 10.0


@asynccontextmanager
async def channel(target: str) -> AsyncGenerator[grpc.aio.Channel]:
    """Hold a connection."""
    async with grpc.aio.insecure_channel(target, OPTIONS) as connected:
        yield connected


def open_stream(
    connected: grpc.aio.Channel, *, delta: bool
) -> "grpc.aio.StreamStreamCall[bytes, bytes]":
    """Begin a stream that takes and gives bytes."""
    method = "DeltaAggregatedResources" if delta else "StreamAggregatedResources"
    path = f"{SERVICE}/{method}"
    return cast("grpc.aio.StreamStreamCall[bytes, bytes]", connected.stream_stream(path)())


@dataclass
class StateClient:
    """Holds what state-of-the-world responses say: names with the bytes of each resource."""

    call: "grpc.aio.StreamStreamCall[bytes, bytes]"
    received: list[DiscoveryResponse] = field(default_factory=list[DiscoveryResponse])

    async def ask(
        self, url: str, names: Iterable[str] = (), *, after: DiscoveryResponse | None = None
    ) -> None:
        """Subscribe, or acknowledge ``after``."""
        request = DiscoveryRequest(type_url=url, resource_names=names)
        request.node.id = "scripted"
        if after is not None:
            request.response_nonce, request.version_info = after.nonce, after.version_info
        await self.call.write(request.SerializeToString())

    async def refuse(self, response: DiscoveryResponse, words: str, version: str = "") -> None:
        """Answer with a NACK."""
        request = DiscoveryRequest(
            type_url=response.type_url, response_nonce=response.nonce, version_info=version
        )
        request.error_detail.code, request.error_detail.message = 3, words
        await self.call.write(request.SerializeToString())

    async def read(self, within: float = WITHIN) -> DiscoveryResponse:
        """Return the next response. Raises TimeoutError, or EOFError at the stream's end."""
        response = DiscoveryResponse.FromString(await _read(self.call, within))
        self.received.append(response)
        return response


@dataclass
class DeltaClient:
    """Holds what incremental responses say."""

    call: "grpc.aio.StreamStreamCall[bytes, bytes]"
    held: dict[str, dict[str, tuple[str, bytes]]] = field(
        default_factory=dict[str, dict[str, tuple[str, bytes]]]
    )
    """(version, bytes) by type and name."""
    received: list[DeltaDiscoveryResponse] = field(default_factory=list[DeltaDiscoveryResponse])

    async def ask(
        self,
        url: str,
        names: Iterable[str] = (),
        *,
        known: Mapping[str, str] | None = None,
        drop: Iterable[str] = (),
    ) -> None:
        """Subscribe; ``known`` are the versions held from an earlier stream."""
        request = DeltaDiscoveryRequest(
            type_url=url,
            resource_names_subscribe=names,
            resource_names_unsubscribe=drop,
            initial_resource_versions=known or {},
        )
        request.node.id = "scripted"
        await self.call.write(request.SerializeToString())

    async def answer(self, response: DeltaDiscoveryResponse, refusal: str = "") -> None:
        """Acknowledge, or refuse in these words."""
        request = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        if refusal:
            request.error_detail.code, request.error_detail.message = 3, refusal
        await self.call.write(request.SerializeToString())

    async def read(self, within: float = WITHIN) -> DeltaDiscoveryResponse:
        """Return the next response. Raises TimeoutError, or EOFError at the stream's end."""
        response = DeltaDiscoveryResponse.FromString(await _read(self.call, within))
        self.received.append(response)
        return response

    def apply(self, response: DeltaDiscoveryResponse) -> None:
        """Hold what it says."""
        held = self.held.setdefault(response.type_url, {})
        for name in response.removed_resources:
            held.pop(name, None)
        for each in response.resources:
            held[each.name] = each.version, each.resource.value

    async def take(self, within: float = WITHIN) -> DeltaDiscoveryResponse:
        """Read, hold and acknowledge the next response."""
        response = await self.read(within)
        self.apply(response)
        await self.answer(response)
        return response


async def _read(call: "grpc.aio.StreamStreamCall[bytes, bytes]", within: float) -> bytes:
    async with asyncio.timeout(within):
        message = await call.read()
    if not isinstance(message, bytes):
        raise EOFError("the stream has ended")  # noqa: TRY004 - grpc's sign of the end
    return message
