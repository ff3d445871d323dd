"""Calls through gRPC's own xDS client, as an application without a sidecar does.

Takes one target per line (``xds:///orders.test``), calls ``/Who/Am`` there once over a channel that
it keeps, and prints ``answer: <text>`` or ``failed: <code> <details>``. ``sys.argv[1]`` is ``sync``
or ``aio``; the bootstrap comes with GRPC_XDS_BOOTSTRAP.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable
from typing import Protocol, cast

import grpc
import grpc.aio


class Call(Protocol):
    """A method of a service, called and waited for."""

    def __call__(self, request: bytes, timeout: float) -> bytes:
        """Return the answer; raises grpc.RpcError."""
        ...


class AsyncCall(Protocol):
    """A method of a service, to be awaited."""

    def __call__(self, request: bytes, timeout: float) -> Awaitable[bytes]:
        """Return the answer; raises grpc.aio.AioRpcError."""
        ...


METHOD = "/Who/Am"
PATIENCE = 5.0


def say(word: str) -> None:
    """Answer on standard output, on one line."""
    print(" ".join(word.split()), flush=True)  # noqa: T201 - this is how it answers


def with_threads() -> None:
    """Obey with gRPC's blocking interface."""
    calls: dict[str, Call] = {}
    for line in sys.stdin:
        target = line.strip()
        if target not in calls:
            calls[target] = grpc.insecure_channel(target).unary_unary(METHOD)
        try:
            say(f"answer: {calls[target](b'', timeout=PATIENCE).decode()}")
        except grpc.RpcError as failure:
            # Its text begins with the class and names the code somewhere in it.
            code = re.search(r"StatusCode\.(\w+)", str(failure))
            say(f"failed: {code[1] if code else '?'} {failure}")


async def with_asyncio() -> None:
    """Obey with gRPC's asynchronous interface."""
    calls: dict[str, AsyncCall] = {}
    while line := await asyncio.to_thread(sys.stdin.readline):
        target = line.strip()
        if target not in calls:
            calls[target] = cast("AsyncCall", grpc.aio.insecure_channel(target).unary_unary(METHOD))
        try:
            say(f"answer: {(await calls[target](b'', timeout=PATIENCE)).decode()}")
        except grpc.aio.AioRpcError as failure:
            say(f"failed: {failure.code().name} {failure.details()}")


if __name__ == "__main__":
    if sys.argv[1] == "aio":
        asyncio.run(with_asyncio())
    else:
        with_threads()
