"""One of the two sockets of a connection through a FaultProxy."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import cast

from meshbridge.testing.fault_proxy_stream import Stream

MOST_WAITING = 256 * 1024
"""Bytes that wait for one receiver before no more are read from the sender."""


class End(asyncio.Protocol):
    """What it says goes into a stream, and each event wakes the connection."""

    def __init__(self, said: Stream, wake: asyncio.Event) -> None:
        """Belong to a connection; it is connected later."""
        self.said = said
        self.transport: asyncio.Transport | None = None
        self.gone = asyncio.Event()
        """Set once its socket is closed, by whomever."""
        self._wake = wake
        self._clock = asyncio.get_running_loop().time

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket over."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=0)  # so that a byte counted has left
        self._wake.set()

    def data_received(self, data: bytes) -> None:
        """Let it wait for the other end, and read no more once there is much."""
        self.said.take(data, self._clock())
        if self.said.waiting >= MOST_WAITING and self.transport is not None:
            self.transport.pause_reading()
        self._wake.set()

    def eof_received(self) -> bool:
        """Keep the socket: the other direction may go on."""
        self.said.end(self._clock())
        self._wake.set()
        return True

    def resume_writing(self) -> None:
        """Go on: what was handed on has left."""
        self._wake.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Note that it is gone."""
        self.gone.set()
        self.said.fail(self._clock())
        self._wake.set()

    @property
    def open(self) -> bool:
        """Whether it is connected."""
        return self.transport is not None and not self.transport.is_closing()

    @property
    def unsent(self) -> int:
        """Bytes handed on that have not left."""
        return self.transport.get_write_buffer_size() if self.transport and self.open else 0

    def read_on(self) -> None:
        """Read again if no longer too much waits."""
        if self.transport and self.open and self.said.waiting < MOST_WAITING:
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Hand on."""
        if self.transport is not None:
            self.transport.write(data)

    def finish(self) -> None:
        """Say that nothing more comes."""
        if self.transport and self.open:
            with suppress(OSError):  # it is gone already, as connection_lost will say
                self.transport.write_eof()

    def reset(self) -> None:
        """Close it by a RST."""
        if self.transport and self.open:
            opened = cast("socket.socket", self.transport.get_extra_info("socket"))
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    async def close(self) -> None:
        """Close it now, and wait until it is; nothing if it was never connected."""
        if self.transport is not None:
            self.transport.abort()
            await self.gone.wait()
