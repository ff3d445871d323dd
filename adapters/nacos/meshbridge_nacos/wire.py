"""Nacos' one gRPC message, as bytes, and the corners of gRPC that need care.

The message is defined here and not taken from the SDK, whose import costs 0.5 s and 80 MB, and
which sends none where the machine has no IPv4 address beyond loopback.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import grpc
import grpc.aio
import msgspec
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from google.protobuf.descriptor_pb2 import FileDescriptorProto as File
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from meshbridge.steps import LARGE
from meshbridge_nacos.decoding import UnreadableError

ASK = "/Request/request"
STREAM = "/BiRequestStream/requestBiStream"
_END: object = vars(grpc.aio)["EOF"]
_LENGTH = 2
"""Protobuf's sign for a field that tells its length."""
_MOMENT = 0.001
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Message:
    """What travels one way."""

    kind: str
    """The Java class of it."""
    body: bytes
    """JSON."""


class _Metadata(Protocol):
    type: str
    clientIp: str  # noqa: N815 - the protocol's own name
    headers: MutableMapping[str, str]


class _Body(Protocol):
    value: bytes


class _Payload(Protocol):
    metadata: _Metadata
    body: _Body

    def SerializeToString(self) -> bytes: ...  # noqa: N802 - protobuf's own name


class _PayloadClass(Protocol):
    def __call__(self) -> _Payload: ...

    def FromString(self, s: bytes) -> _Payload: ...  # noqa: N802 - protobuf's own name


def _define() -> _PayloadClass:
    """Return the class of ``Payload`` (nacos: api/src/main/proto/nacos_grpc_service.proto).

    Its body is an ``Any`` without a type URL. A pool of its own: the SDK, where it is loaded too,
    defines the same names in the common one.
    """
    field, text = FieldDescriptorProto, FieldDescriptorProto.TYPE_STRING
    entry = DescriptorProto(name="HeadersEntry", field=[_field("key", 1), _field("value", 2)])
    entry.options.map_entry = True
    metadata = DescriptorProto(
        name="Metadata",
        field=[
            _field("type", 3),
            _field("clientIp", 8),
            _field("headers", 7, of=".Metadata.HeadersEntry", label=field.LABEL_REPEATED),
        ],
        nested_type=[entry],
    )
    body = DescriptorProto(
        name="Any", field=[_field("type_url", 1, text), _field("value", 2, field.TYPE_BYTES)]
    )
    payload = DescriptorProto(
        name="Payload", field=[_field("metadata", 2, of=".Metadata"), _field("body", 3, of=".Any")]
    )
    file = File(name="nacos.proto", syntax="proto3", message_type=[metadata, body, payload])
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return cast("_PayloadClass", GetMessageClass(pool.FindMessageTypeByName("Payload")))


def _field(
    name: str,
    number: int,
    kind: "FieldDescriptorProto.Type.ValueType" = FieldDescriptorProto.TYPE_STRING,
    of: str = "",
    label: "FieldDescriptorProto.Label.ValueType" = FieldDescriptorProto.LABEL_OPTIONAL,
) -> FieldDescriptorProto:
    made = FieldDescriptorProto(name=name, number=number, type=kind, label=label)
    if of:
        made.type, made.type_name = FieldDescriptorProto.TYPE_MESSAGE, of
    return made


_payload = _define()


def pack(
    kind: str,
    fields: Mapping[str, object],
    headers: Mapping[str, str] | None = None,
    ours: str = "",
) -> bytes:
    """Return a message as it travels; ``ours`` is our address, shown in Nacos' console."""
    payload = _payload()
    payload.metadata.type = kind
    payload.metadata.clientIp = ours
    payload.metadata.headers.update(headers or {})
    payload.body.value = msgspec.json.encode(fields)
    return payload.SerializeToString()


def unpack(data: bytes) -> Message:
    """Return a message that arrived. Raises UnreadableError."""
    body = _large_body(data)
    try:
        payload = _payload.FromString(data if body is None else data[: body.tag] + data[body.end :])
    except DecodeError:
        raise UnreadableError("a message cannot be read: it is not Nacos' protobuf") from None
    if body is None:
        return Message(payload.metadata.type, payload.body.value)
    return Message(payload.metadata.type, data[body.begin : body.end])


class _Field(NamedTuple):
    """Where a field is in a message."""

    tag: int
    begin: int
    end: int


def _large_body(data: bytes) -> _Field | None:
    """Return where the one thing is that makes a message large, None where it is not so simple.

    Protobuf would copy 10 MB twice, which takes a third of what a turn of the loop may.
    """
    if len(data) < LARGE:
        return None
    try:
        body = _fields(data, 0, len(data)).get(3)
        inner = {} if body is None else _fields(data, body.begin, body.end)
    except (IndexError, ValueError):
        return None
    if body is None or inner.keys() != {2}:
        return None
    return inner[2]._replace(tag=body.tag)


def _fields(data: bytes, begin: int, end: int) -> dict[int, _Field]:
    """Return the fields of a message by their numbers.

    Raises IndexError or ValueError unless each is there once and tells its length.
    """
    found: dict[int, _Field] = {}
    while begin < end:
        tag, place = _varint(data, begin)
        size, place = _varint(data, place)
        if tag % 8 != _LENGTH or tag // 8 in found:
            raise ValueError
        found[tag // 8] = _Field(begin, place, place + size)
        begin = place + size
    if begin != end:
        raise ValueError
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return a number and where it ends. Raises IndexError or ValueError."""
    number = 0
    for shift in range(0, 35, 7):
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - its last byte
            return number, place
    raise ValueError


class Stream(Protocol):
    """The two-way stream: requests of the server, answers of the client."""

    async def write(self, request: bytes) -> None:
        """Send a message. Raises AioRpcError or InvalidStateError once the stream is over."""

    async def read(self) -> object:
        """Return a message, or gRPC's sign for the end."""

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


class _Call(Awaitable[bytes], Protocol):
    async def code(self) -> object: ...


class Asking(Protocol):
    """Asks single questions over one channel."""

    def __call__(self, request: bytes, *, timeout: float) -> _Call:
        """Ask one; ``timeout`` is in seconds."""
        ...


def asking(channel: grpc.aio.Channel) -> Asking:
    """Return what asks single questions."""
    return cast("Asking", channel.unary_unary(ASK))


async def call(ask: Asking, request: bytes, within: float) -> bytes:
    """Return the answer to a question. Raises AioRpcError."""
    calling = ask(request, timeout=within)
    try:
        return await calling
    finally:
        # A cancelled call goes on as a task of gRPC's until its status is there.
        await calling.code()


def open_stream(channel: grpc.aio.Channel) -> Stream:
    """Open the two-way stream."""
    return cast("Callable[[], Stream]", channel.stream_stream(STREAM))()


async def read(stream: Stream) -> bytes | None:
    """Return the next message, None at the end. Raises AioRpcError when it breaks."""
    message = await stream.read()
    return None if message is _END else cast("bytes", message)


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
