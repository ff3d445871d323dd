"""A request to a scripted Eureka, the true answer to it, and ways to send that or another one."""

import asyncio
import gzip
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    """Below the base path, without a slash at its end."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    connection: int
    """Which connection it came over, counted from 1."""
    first: bool
    """Whether it is the first one of its connection."""

    def accepts(self, coding: str) -> bool:
        """Whether an answer may be in that content coding."""
        return coding in self.headers.get("accept-encoding", "")


@dataclass
class Exchange:
    """A request, the true answer to it, and the way back."""

    asked: Asked
    status: int
    body: bytes
    """Of the true answer, not compressed."""
    headers: dict[str, str]
    """Of the true answer."""
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _count: Callable[[int], None]
    over: bool = False
    """Whether the connection is to be closed after it."""

    async def send(self, data: bytes) -> None:
        """Send anything. Raises OSError when nobody takes it."""
        self._count(len(data))
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: int, **headers: str) -> None:
        """Send a status line and headers; ``_`` in a name is a hyphen."""
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def reply(self, status: int, body: bytes, content: str = JSON, **headers: str) -> None:
        """Send a whole answer."""
        await self.head(status, content_type=content, content_length=str(len(body)), **headers)
        if self.asked.method != "HEAD":
            await self.send(body)

    async def truth(self) -> None:
        """Send the true answer."""
        body, headers = self.body, {"Date": formatdate(usegmt=True), **self.headers}
        if body and self.asked.accepts("gzip"):
            body, headers = gzip.compress(body, 1), {**headers, "Content-Encoding": "gzip"}
        await self.reply(self.status, body, **headers)

    async def left(self) -> None:
        """Wait until the other side has hung up."""
        self.over = True
        while await self._reader.read(1024):
            pass

    def reset(self) -> None:
        """Break the connection off; what was sent last may never arrive."""
        self.over = True
        opened: socket.socket = self._writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Fault = Callable[[Exchange], Awaitable[None]]
"""Answers a request in another way than with the truth."""
