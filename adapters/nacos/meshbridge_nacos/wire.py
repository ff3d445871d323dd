"""The SDK's untyped corners, with the types that they have at run time; nothing else."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Protocol, cast

import grpc
import grpc.aio
from v2.nacos.transport.grpc_connection import GrpcConnection
from v2.nacos.transport.grpc_util import GrpcUtils
from v2.nacos.transport.model.rpc_request import Request
from v2.nacos.transport.model.rpc_response import Response

from meshbridge_nacos.decoding import UnreadableError


class _Metadata(Protocol):
    type: str
    """The Java class of the message."""


class _Body(Protocol):
    value: bytes
    """The message as JSON."""


class Payload(Protocol):
    """One message of Nacos' gRPC."""

    metadata: _Metadata
    body: _Body


class Stream(Protocol):
    """The two-way stream: requests of the server, answers of the client."""

    async def write(self, request: Payload) -> None:
        """Send a message. Raises AioRpcError or InvalidStateError once the stream is over."""

    async def read(self) -> object:
        """Return a payload, or gRPC's sign for the end."""

    async def done_writing(self) -> None:
        """Say that nothing more comes: Nacos then ends the stream."""

    def cancel(self) -> bool:
        """End it now."""
        ...

    async def code(self) -> object:
        """Return its status once it is over."""


class _Core(Protocol):
    async def receive_serialized_message(self) -> object: ...
    def cancel(self, details: str) -> None: ...


class _Utils(Protocol):
    def convert_request_to_payload(self, request: Request) -> Payload: ...
    def convert_response_to_payload(self, response: Response) -> Payload: ...
    def parse(self, payload: Payload) -> Request | Response: ...


class _Call(Awaitable[Payload], Protocol):
    async def code(self) -> object: ...


class Stub(Protocol):
    """Where single questions are asked."""

    def request(self, payload: Payload, *, timeout: float) -> _Call:
        """Ask one; ``timeout`` is in seconds."""
        ...


class _StreamStub(Protocol):
    def requestBiStream(self) -> Stream: ...  # noqa: N802 - the service's own name


class _Queue(Protocol):
    async def get(self) -> Payload: ...
    def get_nowait(self) -> Payload: ...
    async def put(self, message: Payload) -> None: ...
    def empty(self) -> bool: ...


class _Connection(Protocol):
    client: Stub
    bi_stream_client: _StreamStub
    queue: _Queue


_utils = cast("_Utils", GrpcUtils)
_MOMENT = 0.001
"""Seconds."""
_END: object = vars(grpc.aio)["EOF"]


def pack(request: Request) -> Payload:
    """Return the request as it travels. Raises NacosException without an IPv4 interface."""
    return _utils.convert_request_to_payload(request)


def pack_answer(response: Response) -> Payload:
    """Return the answer to a server's request as it travels."""
    return _utils.convert_response_to_payload(response)


def unpack(payload: Payload) -> Request | Response:
    """Return the SDK's model of a message.

    Raises NacosException when it has none, UnreadableError when the message does not fit it.
    """
    try:
        return _utils.parse(payload)
    except (ValueError, RecursionError) as error:  # of bytes, json and pydantic; of deep nesting
        what = f"a message of type {payload.metadata.type}"
        raise UnreadableError(f"{what} cannot be read: {type(error).__name__}") from None


async def ask(connection: GrpcConnection, request: Payload, within: float) -> bytes:
    """Return the JSON of the answer. Raises grpc.aio.AioRpcError."""
    reply = await call(cast("_Connection", connection).client, request, within)
    return reply.body.value


async def call(stub: Stub, request: Payload, within: float) -> Payload:
    """Return the answer. Raises grpc.aio.AioRpcError."""
    calling = stub.request(request, timeout=within)
    try:
        return await calling
    finally:
        # A cancelled call goes on as a task of gRPC's until its status is there.
        await calling.code()


def open_stream(connection: GrpcConnection) -> Stream:
    """Open the two-way stream."""
    return cast("_Connection", connection).bi_stream_client.requestBiStream()


async def read(stream: Stream) -> Payload | None:
    """Return the next message, None at the end. Raises grpc.aio.AioRpcError when it breaks."""
    message = await stream.read()
    return None if message is _END else cast("Payload", message)


def lost_its_end(error: grpc.aio.AioRpcError) -> bool:
    """Say whether this is what a write raises that met a stream which had just ended.

    GRPC's core refuses the write before the stream's own status is there, and that is then all
    there is to know (grpc: aio/call.pyx.pxi, set_internal_error).
    """
    return (error.code(), error.details()) == (
        grpc.StatusCode.INTERNAL,
        "Internal error from Core",
    )


async def abandon(stream: Stream, within: float) -> None:
    """End a stream that has :func:`lost_its_end`, at the latest after so many seconds.

    GRPC takes it for done and cancels it no more; while messages on it are unread its core would
    keep the call, and a task that waits for its status, for ever. Read to the end, the status
    takes the place of the made-up one, and that task ends.
    """
    core = cast("_Core", vars(stream)["_cython_call"])
    try:
        async with asyncio.timeout(within):
            while await core.receive_serialized_message() is not _END:
                pass
            while await stream.code() is grpc.StatusCode.INTERNAL:  # noqa: ASYNC110 - no event
                await asyncio.sleep(_MOMENT)
    except TimeoutError:
        core.cancel("its end was lost")


async def take_leave(stream: Stream) -> None:
    """Ask the server to end the stream, unless it is over already."""
    # InternalError is what is raised while the core knows of the end and the stream does not yet.
    over = (grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError)
    with contextlib.suppress(*over):
        await stream.done_writing()


async def send(connection: GrpcConnection, message: Payload) -> None:
    """Hand a message to :func:`outgoing`, as the SDK's own answers are."""
    await cast("_Connection", connection).queue.put(message)


def outgoing(connection: GrpcConnection) -> _Queue:
    """Return what the SDK wants written to the stream."""
    return cast("_Connection", connection).queue
