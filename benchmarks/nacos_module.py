"""Hears Nacos' own istio module, as istiod does: what is compared with the bridge.

It sends its whole list of ServiceEntries (MCP over xDS, state of the world) when something has
changed, looking every 3 s unless told otherwise. An instance's metadata are labels of its endpoint,
so that a text in them is found in what was sent, which spares reading a megabyte.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import grpc.aio

from benchmarks.fan_out_load import opened
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DiscoveryRequest,
    DiscoveryResponse,
)

_ENTRIES: Final = "networking.istio.io/v1alpha3/ServiceEntry"
_NODE: Final = "sidecar~10.0.0.1~istiod.istio-system~istio-system.svc.cluster.local"
_LARGEST: Final = 256 * 1024 * 1024
_WITHIN: Final = 30.0


def settings(port: int) -> Mapping[str, str]:
    """Return what a Nacos 2.5 must be told for the module to listen; the interval stays 3 s."""
    return {
        "nacos.istio.mcp.server.enabled": "true",
        "nacos.istio.mcp.server.port": str(port),
    }


class Module:
    """What the module has sent."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self.size = 0
        """Bytes of the last response."""
        self._awaited: dict[bytes, asyncio.Future[float]] = {}
        self._first = asyncio.Event()

    def awaits(self, text: str) -> "asyncio.Future[float]":
        """Return what will be the monotonic seconds at which a response had the text."""
        return self._awaited.setdefault(text.encode(), asyncio.get_running_loop().create_future())

    async def answers(self) -> None:
        """Wait for the first response."""
        async with asyncio.timeout(_WITHIN):
            await self._first.wait()

    async def listen(self, port: int) -> None:
        """Ask for all ServiceEntries, and acknowledge them, until cancelled."""
        options = (("grpc.max_receive_message_length", _LARGEST), ("grpc.enable_http_proxy", 0))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            call = opened(channel, delta=False)
            await call.write(_request())
            while isinstance(raw := await call.read(), bytes):
                self._take(raw, time.monotonic())
                said = DiscoveryResponse.FromString(raw)
                await call.write(_request(said.version_info, said.nonce))
        raise EOFError("Nacos' istio module has ended the stream")

    def _take(self, raw: bytes, now: float) -> None:
        self.size = len(raw)
        self._first.set()
        for text in [each for each in self._awaited if each in raw]:
            self._awaited.pop(text).set_result(now)


def _request(version: str = "", nonce: str = "") -> bytes:
    asked = DiscoveryRequest(type_url=_ENTRIES, version_info=version, response_nonce=nonce)
    asked.node.id = _NODE
    return asked.SerializeToString()


@asynccontextmanager
async def module(port: int) -> AsyncGenerator[Module]:
    """Hear the module that listens at a port."""
    heard = Module()
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(heard.listen(port))
        yield heard
        listening.cancel()
