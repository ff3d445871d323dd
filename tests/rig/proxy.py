"""A TCP proxy that can be cut, for an outage of the network in front of a server that goes on."""

import asyncio
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards a port on loopback to another until it is cut."""

    def __init__(self, port: int, target: int) -> None:
        """Describe it; both are ports on 127.0.0.1."""
        self.port = port
        self._target = target
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Forward."""
        await self.mend()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the port and every connection."""
        await self.cut()

    async def mend(self) -> None:
        """Take connections again."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Refuse new connections and break those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for each in self._connections:
            each.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._connections.add(task)
        try:
            await self._forward(reader, writer)
        except* (OSError, asyncio.CancelledError):
            pass  # either end has gone, or the proxy is cut: both are an end
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, there_writer))
                tasks.create_task(_copy(there_reader, writer))
        finally:
            there_writer.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while part := await source.read(65536):
        target.write(part)
        await target.drain()
    raise ConnectionResetError("one end has closed")
