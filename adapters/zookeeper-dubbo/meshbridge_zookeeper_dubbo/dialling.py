"""Asks an application's instance for the interfaces that it keeps to itself, over plain gRPC.

Triple is gRPC on the wire. Only who configures ``dial-instances`` lets the bridge call an address
that stands in registry data; one instance is asked for all of its revision.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol, cast

import grpc

from meshbridge import BadData
from meshbridge_dubbo import ApplicationInstance, ApplicationMetadata
from meshbridge_zookeeper_dubbo.metadata_service import METHOD, read_reply, request

WITHIN: Final = 3.0
"""Seconds that an answer may take, connecting included."""
TRIES: Final = 3
"""Instances that are asked before the question is given up for a while."""
LARGEST: Final = 8 * 1024 * 1024
"""Bytes of an answer; the metadata of 1,000 interfaces are a tenth of it."""

_CHANNEL: Final = [
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.max_receive_metadata_size", 16 * 1024),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
]


class _Call(Awaitable[bytes], Protocol):
    async def code(self) -> object: ...


class _Method(Protocol):
    def __call__(self, request: bytes, /, *, timeout: float) -> _Call: ...


class _Channel(Protocol):
    def unary_unary(self, method: str) -> _Method: ...


class NotAnsweredError(Exception):
    """Nobody who was asked has answered, and what came of each."""


async def ask_any(instances: Sequence[ApplicationInstance], revision: str) -> ApplicationMetadata:
    """Return what an instance of the revision exports, of the first that tells.

    Raises NotAnsweredError.
    """
    reasons: list[str] = []
    for instance in instances[:TRIES]:
        service = instance.metadata_service
        if service is None:
            continue
        address = instance.instance.address
        host = f"[{address}]" if ":" in address else address
        endpoint = f"{host}:{service.port}"
        try:
            answer = await _ask(endpoint, revision)
            # Of a thousand interfaces it takes longer than others can wait.
            metadata = await asyncio.to_thread(read_reply, answer)
            if metadata.revision == revision:
                return metadata
            reasons.append(f"{endpoint}: it knows nothing of revision {revision}")
        except grpc.aio.AioRpcError as error:
            reasons.append(f"{endpoint}: {_reason(error)}")
        except BadData as bad:
            reasons.append(f"{endpoint}: {bad}")
    raise NotAnsweredError("; ".join(reasons))


async def _ask(endpoint: str, revision: str) -> bytes:
    """Return the answer of one instance. Raises grpc.aio.AioRpcError."""
    # Without the scheme, gRPC takes an address like unix:1 for a file.
    async with grpc.aio.insecure_channel(f"dns:///{endpoint}", options=_CHANNEL) as channel:
        method = cast("_Channel", channel).unary_unary(METHOD)
        calling = method(request(revision), timeout=WITHIN)
        try:
            return await calling
        finally:
            # A cancelled call goes on as a task of gRPC's until its status is there.
            await calling.code()


def _reason(error: grpc.aio.AioRpcError) -> str:
    """Return what went wrong, short and on one line."""
    said = " ".join((error.details() or error.code().name).split())
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        said = said.rpartition(": ")[2]  # before it stands the address, once or more often
    return said[:200]
