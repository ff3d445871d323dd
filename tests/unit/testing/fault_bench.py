"""A FaultProxy between ends that a test holds in its hands."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from meshbridge.testing import Fault, FaultProxy
from rig.waiting import until

HERE = "127.0.0.1"
AT_MOST = 5.0
"""Seconds in which anything happens that has to."""
INSTANT = 0.05
"""Seconds in which nothing happens that must not."""


@dataclass(slots=True)
class Peer:
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self, count: int = -1) -> bytes:
        """Return so many bytes, without a number all up to the end."""
        async with asyncio.timeout(AT_MOST):
            if count < 0:
                return await self.reader.read()
            return await self.reader.readexactly(count)

    async def hears_nothing(self) -> bool:
        try:
            async with asyncio.timeout(INSTANT):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False

    async def is_reset(self) -> bool:
        try:
            await self.hear()
        except ConnectionResetError:
            return True
        return False

    async def sends_not_all_of(self, size: int) -> None:
        """Send, and see that someone on the way soon takes no more."""
        self.writer.write(bytes(size))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4 * INSTANT):
                await self.writer.drain()
        sent = size - self.writer.transport.get_write_buffer_size()
        assert sent < size / 2, "the system's own buffers take up to some megabytes"

    def reset(self) -> None:
        opened = self.writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Target:
    """A server whose connections the test holds."""

    def __init__(self) -> None:
        self.port = 0
        self.peers: list[Peer] = []
        self._waiting: asyncio.Queue[Peer] = asyncio.Queue()

    async def peer(self) -> Peer:
        """Return the connection that came next."""
        async with asyncio.timeout(AT_MOST):
            return await self._waiting.get()

    def called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection; this is the server's callback."""
        self.peers.append(Peer(reader, writer))
        self._waiting.put_nowait(self.peers[-1])


@dataclass(slots=True)
class Bench:
    """A proxy before a server."""

    proxy: FaultProxy
    target: Target
    clients: list[Peer]

    async def call(self) -> Peer:
        """Connect to the proxy."""
        reader, writer = await asyncio.open_connection(HERE, self.proxy.port, limit=2**26)
        peer = Peer(reader, writer)
        self.clients.append(peer)
        return peer

    async def connect(self) -> tuple[Peer, Peer]:
        """Return both ends of a new connection."""
        client = await self.call()
        return client, await self.target.peer()

    async def sees(self, look: Callable[[], int], number: int, *, every: float = 0.002) -> None:
        """Wait until a count is that."""

        async def seen() -> int:
            return look()

        await until(seen, lambda found: found == number, within=AT_MOST, every=every)


@asynccontextmanager
async def bench(*faults: Fault) -> AsyncGenerator[Bench]:
    target = Target()
    server = await asyncio.start_server(target.called, HERE, 0, limit=2**26, backlog=4096)
    target.port = server.sockets[0].getsockname()[1]
    proxy = FaultProxy(HERE, target.port)
    await proxy.inject(*faults)
    async with server, proxy:
        made = Bench(proxy, target, [])
        try:
            yield made
        finally:
            await proxy.stop()
            for peer in (*made.clients, *target.peers):
                peer.writer.transport.abort()


@asynccontextmanager
async def unread(made: Bench) -> AsyncGenerator[socket.socket]:
    """Connect a client of which the system reads next to nothing ahead."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(0)
        await asyncio.get_running_loop().sock_connect(client, (HERE, made.proxy.port))
        yield client
