"""Reads a whole tree of ZooKeeper's in its own protocol: nothing is lost, and nothing is added.

The protocol is jute's: numbers big-endian, text and data behind their length, -1 for none
(zookeeper: zookeeper.jute, ClientCnxn.java).
"""

import asyncio
import base64
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rig.corpus.scrub import Json

SESSION = 10_000
"""Milliseconds until the server forgets a client that went without a word."""
GET_DATA, GET_CHILDREN, CLOSE = 4, 8, -11
NO_NODE = -101
STAT = struct.Struct(">qqqqiiiqiiq")
"""Of a node: czxid mzxid ctime mtime version cversion aversion ephemeralOwner dataLength …"""
EPHEMERAL_OWNER = 7


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the tree."""

    path: str
    data: bytes | None
    ephemeral: bool

    def told(self) -> Json:
        """Return it as the corpus tells it: ``base64`` only where the data is no text."""
        try:
            data: dict[str, Json] = {"text": None if self.data is None else self.data.decode()}
        except UnicodeDecodeError:
            data = {"base64": base64.b64encode(self.data or b"").decode()}
        return {"path": self.path, "ephemeral": self.ephemeral, **data}


class Client:
    """A session with one server; reads only. Raises OSError or EOFError when it is lost."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take over a connection on which nothing was said yet."""
        self._reader = reader
        self._writer = writer

    async def greet(self) -> None:
        """Open the session."""
        hello = struct.pack(">iqiq", 0, 0, SESSION, 0) + _buffer(bytes(16)) + b"\0"
        await self._exchange(hello)

    async def tree(self, root: str) -> list[Node]:
        """Return a node and all below it, in the order of their paths; nothing if it is not there.

        What goes while it is read is left out.
        """
        found: list[Node] = []
        waiting = [root]
        while waiting:
            path = waiting.pop()
            node, children = await self._node(path), await self._children(path)
            if node is not None and children is not None:
                found.append(node)
                waiting += [f"{path.rstrip('/')}/{child}" for child in children]
        return sorted(found, key=lambda node: node.path)

    async def leave(self) -> None:
        """Close the session."""
        await self._exchange(struct.pack(">ii", 0, CLOSE))

    async def _node(self, path: str) -> Node | None:
        answer = await self._ask(GET_DATA, path)
        if answer is None:
            return None
        (length,) = struct.unpack_from(">i", answer)
        data = None if length < 0 else answer[4 : 4 + length]
        stat = STAT.unpack_from(answer, 4 + max(length, 0))
        return Node(path, data, ephemeral=stat[EPHEMERAL_OWNER] != 0)

    async def _children(self, path: str) -> list[str] | None:
        answer = await self._ask(GET_CHILDREN, path)
        if answer is None:
            return None
        (count,) = struct.unpack_from(">i", answer)
        names: list[str] = []
        at = 4
        for _ in range(count):
            (length,) = struct.unpack_from(">i", answer, at)
            names.append(answer[at + 4 : at + 4 + length].decode())
            at += 4 + length
        return names

    async def _ask(self, kind: int, path: str) -> bytes | None:
        """Return what follows the answer's head; None for a node that is not there."""
        question = struct.pack(">ii", 1, kind) + _buffer(path.encode()) + b"\0"
        answer = await self._exchange(question)
        _, _, error = struct.unpack_from(">iqi", answer)
        if error == NO_NODE:
            return None
        if error != 0:
            raise OSError(f"ZooKeeper answered error {error} for {path}")
        return answer[16:]

    async def _exchange(self, question: bytes) -> bytes:
        self._writer.write(_buffer(question))
        (length,) = struct.unpack(">i", await self._reader.readexactly(4))
        return await self._reader.readexactly(length)


@asynccontextmanager
async def connected(host: str, port: int) -> AsyncGenerator[Client]:
    """Give a session, and close it in the end."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        client = Client(reader, writer)
        await client.greet()
        yield client
        await client.leave()
    finally:
        writer.close()
        await writer.wait_closed()


def _buffer(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data
