"""The subscribers of the fan-out, in a process of their own: ``python -m benchmarks.fan_out_load``.

Each subscribes as Envoy does (all clusters, the endpoints of some, everything acknowledged) and
says nothing else. Orders come as lines on standard input, answers go out as lines of JSON.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterable

import grpc
import grpc.aio

from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
METHODS = {False: "StreamAggregatedResources", True: "DeltaAggregatedResources"}
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own for each channel
    ("grpc.enable_http_proxy", 0),
)
_WITHIN = 120.0

Call = grpc.aio.StreamStreamCall[bytes, bytes]
"""A stream on which both sides are bytes."""


class Load:
    """All subscribers: what they were sent since the last order."""

    def __init__(self, target: str, names: Iterable[str], *, delta: bool) -> None:
        """Subscribe at ``target`` to all clusters and to the endpoints of ``names``."""
        self._target = target
        self._names = tuple(names)
        self._delta = delta
        self._arrived = asyncio.Condition()
        self.forget()

    def forget(self) -> None:
        """Count anew."""
        self.served = self.endpoints = self.bytes = 0
        self.last = 0.0

    async def until_served(self, streams: int) -> None:
        """Wait until so many subscribers have acknowledged an answer of each type."""
        async with asyncio.timeout(_WITHIN), self._arrived:
            await self._arrived.wait_for(lambda: self.served >= streams)

    async def until_pushed(self, streams: int) -> None:
        """Wait until so many responses with endpoints were acknowledged."""
        async with asyncio.timeout(_WITHIN), self._arrived:
            await self._arrived.wait_for(lambda: self.endpoints >= streams)

    async def subscribe(self, channel: grpc.aio.Channel, number: int) -> None:
        """Be one subscriber until cancelled."""
        call = opened(channel, delta=self._delta)
        answered: set[str] = set()
        for url, names in ((CDS, ()), (EDS, self._names)):
            await call.write(self._first(url, names, number))
        while isinstance(raw := await call.read(), bytes):
            url, acknowledgement = self._answer(raw)
            await call.write(acknowledgement)
            self.served += len(answered) == 1 and url not in answered
            answered.add(url)
            await self._count(len(raw) if url == EDS else 0)
        raise EOFError(f"the server has ended stream {number}")

    async def _count(self, size: int) -> None:
        self.last = time.monotonic()
        self.endpoints += size > 0
        self.bytes += size
        async with self._arrived:
            self._arrived.notify_all()

    def _first(self, url: str, names: Iterable[str], number: int) -> bytes:
        request: DiscoveryRequest | DeltaDiscoveryRequest
        if self._delta:
            request = DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=names)
        else:
            request = DiscoveryRequest(type_url=url, resource_names=names)
        request.node.id = f"load-{number}"
        return request.SerializeToString()

    def _answer(self, raw: bytes) -> tuple[str, bytes]:
        """Return the type of a response and its acknowledgement."""
        if self._delta:
            news = DeltaDiscoveryResponse.FromString(raw)
            ack = DeltaDiscoveryRequest(type_url=news.type_url, response_nonce=news.nonce)
            return news.type_url, ack.SerializeToString()
        said = DiscoveryResponse.FromString(raw)
        again = DiscoveryRequest(
            type_url=said.type_url,
            response_nonce=said.nonce,
            version_info=said.version_info,
            resource_names=self._names if said.type_url == EDS else (),
        )
        return said.type_url, again.SerializeToString()


def opened(channel: grpc.aio.Channel, *, delta: bool) -> Call:
    """Begin a stream; it waits for the server."""
    method = f"/{SERVICE}/{METHODS[delta]}"
    begin = channel.stream_stream(method, request_serializer=_bare, response_deserializer=_bare)
    return begin(wait_for_ready=True)


async def main() -> None:
    """Connect, and obey until standard input ends: ``round`` waits for one change at all."""
    options = _arguments()
    load = Load(options.target, options.names.split(","), delta=options.delta)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(options.target, _OPTIONS))
            for _ in range(options.connections or options.streams)
        ]
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        begun = time.monotonic()
        running = [
            tasks.create_task(load.subscribe(channels[number % len(channels)], number))
            for number in range(options.streams)
        ]
        await load.until_served(options.streams)
        _tell(served=load.last - begun)
        while await orders.readline():
            load.forget()
            _tell(waiting=options.streams)
            await load.until_pushed(options.streams)
            _tell(last=load.last, bytes=load.bytes, responses=load.endpoints)
        for task in running:
            task.cancel()


def _bare(message: bytes) -> bytes:
    """Return the message; grpc knows the type of what it carries from here."""
    return message


def _tell(**found: float) -> None:
    print(json.dumps(found), flush=True)  # noqa: T201 - read by the benchmark


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--names", required=True, help="clusters, separated by commas")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--connections", type=int, default=0, help="0: one for each stream")
    parser.add_argument("--delta", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
