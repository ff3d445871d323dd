"""Between a client and ZooKeeper: some of what the client's watches tell never arrives.

No network does that to a connection, but a server may; so does whoever must say more than he can.
"""

import asyncio
import random
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

NOTIFICATION = -1
"""The number in the place of a request's, in what the server says unasked (ClientCnxn.java)."""


@dataclass
class Swallowing:
    """Forwards to the server at ``port``, but for a share of the notifications."""

    port: int
    share: float
    chance: random.Random
    address: str = ""
    """Where it listens."""
    told: int = 0
    swallowed: int = 0

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Take connections until the block ends."""
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self.port)
        with suppress(ConnectionError):
            try:
                async with asyncio.TaskGroup() as tasks:
                    answers = tasks.create_task(self._answer(back, writer))
                    while heard := await reader.read(65536):
                        forth.write(heard)
                        await forth.drain()
                    answers.cancel()
            finally:
                for each in (writer, forth):
                    each.close()

    async def _answer(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward packet by packet; the first one, which opens the session, has no number."""
        first = True
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = await back.readexactly(4)
                packet = await back.readexactly(*struct.unpack(">i", head))
                if first or not self._swallows(packet):
                    writer.write(head + packet)
                    await writer.drain()
                first = False
        writer.close()

    def _swallows(self, packet: bytes) -> bool:
        if struct.unpack_from(">i", packet) != (NOTIFICATION,):
            return False
        self.told += 1
        swallowed = self.chance.random() < self.share
        self.swallowed += swallowed
        return swallowed
