"""A small HTTP/1.1 server that answers every request with its own name.

Run by its path: ``python -I backend.py NAME VERSION``; it prints the port it listens on. It knows
nothing of meshbridge, as the services behind a mesh know nothing of it.
"""

import asyncio
import sys

_END = b"\r\n\r\n"


class _Answering(asyncio.Protocol):
    """Answers each request head; the demo sends no bodies."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._unread = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer as many requests as have arrived whole."""
        *whole, self._unread = (self._unread + data).split(_END)
        if self._transport is not None:
            self._transport.write(self._answer * len(whole))


async def _serve(name: str, version: str) -> None:
    body = f"{name} {version}\n"
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nx-instance: {name}\r\n\r\n"
    answer = (head + body).encode()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answering(answer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the starter reads it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2]))
