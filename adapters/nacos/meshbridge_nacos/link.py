"""One gRPC connection to one Nacos server: how it begins, what the server sends, how it ends.

It connects once and is then closed; nothing is repeated here. The SDK's own transport, which this
stands for, cannot be kept correct from outside: it needs an IPv4 address, TLS only with a client's
certificate, has one table of abilities for the whole process (fuzzy watch is not in it), drops a
server's wish that we go elsewhere, cannot take pushes over 4 MiB, and goes on as if nothing had
happened when a server ends the stream.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import NamedTuple

import grpc
import grpc.aio
import msgspec

from meshbridge import RegistryUnavailable
from meshbridge.steps import after_reading
from meshbridge_nacos.asking import OnRequest
from meshbridge_nacos.decoding import PUSH, UnreadableError, decode, decode_message
from meshbridge_nacos.options import Server
from meshbridge_nacos.outcome import UNREGISTERED, Outcome
from meshbridge_nacos.parse import Record
from meshbridge_nacos.reasons import why_not
from meshbridge_nacos.wire import (
    Message,
    Stream,
    abandon,
    asking,
    call,
    lost_its_end,
    open_stream,
    pack,
    read,
    take_leave,
    unpack,
)

LARGEST_MESSAGE = 64 * 1024 * 1024
"""Bytes; about 150,000 instances of one service in one push."""
OPENING = 3.0
"""Seconds for each step of opening, as Nacos' own clients give."""
PARTING = 0.5
"""Seconds that a server gets to end the stream when asked to."""
REGISTERING = 0.1
"""Seconds between two looks whether a 2.x server has taken the connection; it does not say so."""

_OWN = {"SetupAckRequest", "ClientDetectionRequest", "ConnectResetRequest"}
"""Those that are about the connection itself."""
CLIENT = "Meshbridge-Client:v1"
LABELS = {"source": "sdk", "module": "naming"}
"""Without them the server knows no naming client for the connection and refuses to subscribe it."""
ABILITIES = {"fuzzyWatch": True}
"""What we tell a 3.x server that we can do."""
_CHANNEL = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
)


class Ended(NamedTuple):
    """Why a connection is over."""

    reason: str
    elsewhere: str = ""
    """The ``host:port`` of the server that we are sent to, if any."""


class _Check(Outcome, frozen=True):
    connection: str | None = msgspec.field(name="connectionId", default=None)
    negotiates: bool = msgspec.field(name="supportAbilityNegotiation", default=False)


class _Request(msgspec.Struct, frozen=True):
    number: str | None = msgspec.field(name="requestId", default=None)


class _Reset(msgspec.Struct, frozen=True):
    host: str | None = msgspec.field(name="serverIp", default=None)
    port: str | int | None = msgspec.field(name="serverPort", default=None)


class _Acknowledged(msgspec.Struct, frozen=True):
    abilities: dict[str, bool] | None = msgspec.field(name="abilityTable", default=None)


@dataclass(frozen=True, slots=True)
class _Heard:
    answer: str
    on_request: OnRequest


class Link:
    """A connection that is open."""

    def __init__(self, server: Server, channel: grpc.aio.Channel) -> None:
        self.abilities: frozenset[str] = frozenset()
        """What a 3.x server says that it can do."""
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        """Resolved when the server's stream ends, or the server wants us elsewhere."""
        self._server = server
        self._channel = channel
        self._ask = asking(channel)
        self._ours = ""
        self._heard: dict[str, _Heard] = {}
        self._stream: Stream | None = None
        self._listening: asyncio.Task[None] | None = None
        self._acknowledged = asyncio.Event()

    def hear(self, kind: str, answer: str, on_request: OnRequest) -> None:
        """Hand on the bodies of a type of request that the server sends."""
        self._heard[kind] = _Heard(answer, on_request)

    async def ask(self, message: bytes, within: float) -> Message:
        """Return the answer to a packed request. Raises AioRpcError and UnreadableError."""
        return unpack(await call(self._ask, message, within))

    def pack(self, kind: str, fields: Record, headers: dict[str, str]) -> bytes:
        """Return a request as it travels from here."""
        return pack(kind, fields, headers, self._ours)

    async def open(self, namespace: str) -> None:
        """Introduce ourselves. Raises RegistryUnavailable."""
        check = await self._check()
        self._ours = _our_address(check.connection or "")
        self._stream = open_stream(self._channel)
        self._listening = asyncio.create_task(self._listen(self._stream))
        setup = {
            "clientVersion": CLIENT,
            "tenant": namespace,
            "labels": LABELS,
            "abilityTable": ABILITIES,
        }
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # Suppressed here: what is wrong with the stream, the one who listens to it says.
            await self._stream.write(self.pack("ConnectionSetupRequest", setup, {}))
        taken = self._acknowledged.wait() if check.negotiates else self._registered()
        waiting = asyncio.ensure_future(taken)
        try:
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait((waiting, self.ended), timeout=OPENING, return_when=first)
            if self.ended.done():
                raise RegistryUnavailable(f"{self._server}: {self.ended.result().reason}")
            if not waiting.done():
                late = f"it does not take the connection within {OPENING:g} s"
                raise RegistryUnavailable(f"{self._server}: {late}")
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        waiting.result()

    async def close(self) -> None:
        """Leave no task or call behind, and nobody who hears."""
        # Those who hear hold what they ask by, which holds this: nothing but the garbage collector
        # would free them, and they may be out of its sight.
        self._heard.clear()
        # A stream that is cancelled leaves a task of gRPC's own for a moment; one that the server
        # ends on request leaves none.
        if self._stream is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PARTING):
                    await take_leave(self._stream)
        self.ended.cancel()
        if self._listening is None:
            return
        await asyncio.wait([self._listening], timeout=PARTING)
        self._listening.cancel()
        (result,) = await asyncio.gather(self._listening, return_exceptions=True)
        if isinstance(result, Exception):
            raise result  # a bug: what a stream may end with, the listener maps

    async def _check(self) -> _Check:
        """Return whom the server takes us for. Raises RegistryUnavailable."""
        try:
            answer = await self.ask(pack("ServerCheckRequest", {}), OPENING)
            if answer.kind == "ServerCheckResponse":
                check = decode(answer.body, _Check, f"a message of type {answer.kind}")
                if check.is_success:
                    return check
        except grpc.aio.AioRpcError as error:
            raise RegistryUnavailable(f"{self._server}: {why_not(error)}") from None
        except UnreadableError as error:
            raise RegistryUnavailable(f"{self._server}: {error}") from None
        raise RegistryUnavailable(f"{self._server}: it is not ready, or not Nacos 2 or 3")

    async def _registered(self) -> None:
        """Wait until a server that does not negotiate has taken the connection."""
        while True:
            await asyncio.sleep(REGISTERING)
            try:
                answer = await self.ask(self.pack("HealthCheckRequest", {}, {}), OPENING)
                outcome = decode(answer.body, Outcome, "its answer to HealthCheckRequest")
            except (grpc.aio.AioRpcError, UnreadableError) as error:
                said = why_not(error) if isinstance(error, grpc.aio.AioRpcError) else str(error)
                raise RegistryUnavailable(f"{self._server}: {said}") from None
            if outcome.code != UNREGISTERED:
                return

    async def _listen(self, stream: Stream) -> None:
        reason = Ended("the server ended the stream")
        try:
            while (data := await read(stream)) is not None:
                await after_reading(len(data))  # gRPC has put it together in this turn
                await self._take(stream, unpack(data))
        except grpc.aio.AioRpcError as error:
            if lost_its_end(error):
                await abandon(stream, PARTING)
            else:
                reason = Ended(f"the stream broke: {error.details() or error.code().name}")
        except asyncio.InvalidStateError:
            pass  # it ended before an answer was written
        except UnreadableError as error:
            reason = Ended(str(error))
        finally:
            stream.cancel()
            self._end(reason)
            await stream.code()  # gRPC's own task for the call ends with its status

    def _end(self, ended: Ended) -> None:
        if not self.ended.done():
            self.ended.set_result(ended)

    async def _take(self, stream: Stream, message: Message) -> None:
        """Act on a request of the server and answer it."""
        if heard := self._heard.get(message.kind):
            what = "a push" if message.kind == PUSH else f"a message of type {message.kind}"
            body = decode_message(message.kind, message.body, what)
            heard.on_request(body)
            number = body.get("requestId")
            await self._answer(stream, heard.answer, number if isinstance(number, str) else "")
            return
        if message.kind not in _OWN:
            return  # the server copes
        with contextlib.suppress(UnreadableError):
            await self._take_own(stream, message)

    async def _take_own(self, stream: Stream, message: Message) -> None:
        number = decode(message.body, _Request, "").number or ""
        match message.kind:
            case "SetupAckRequest":  # not to be answered
                table = decode(message.body, _Acknowledged, "").abilities or {}
                self.abilities = frozenset(name for name, can in table.items() if can)
                self._acknowledged.set()
            case "ClientDetectionRequest":
                await self._answer(stream, "ClientDetectionResponse", number)
            case _:
                reset = decode(message.body, _Reset, "")
                await self._answer(stream, "ConnectResetResponse", number)
                elsewhere = f"{reset.host}:{reset.port}" if reset.host else ""
                whom = elsewhere or "another server"
                self._end(Ended(f"the server asks us to go to {whom}", elsewhere))

    async def _answer(self, stream: Stream, kind: str, number: str) -> None:
        fields = {"resultCode": 200, "errorCode": 0, "requestId": number}
        await stream.write(self.pack(kind, fields, {}))


def _our_address(connection: str) -> str:
    """Return our address as the server sees it, of ``<milliseconds>_<address>_<port>``."""
    parts = connection.split("_")
    return parts[1] if len(parts) == 3 else ""  # noqa: PLR2004 - as many parts


@contextlib.asynccontextmanager
async def linked(
    server: Server,
    credentials: Callable[[], grpc.ChannelCredentials] | None,
    namespace: str,
) -> AsyncGenerator[Link]:
    """Give an open connection. Raises RegistryUnavailable while it is opened."""
    target, options = f"{server.host}:{server.grpc_port}", list(_CHANNEL)
    if credentials is None:
        channel = grpc.aio.insecure_channel(target, options=options)
    else:
        # The system's authorities take 30 ms to read.
        ready = await asyncio.to_thread(credentials)
        channel = grpc.aio.secure_channel(target, ready, options=options)
    try:
        link = Link(server, channel)
        try:
            await link.open(namespace)
            yield link
        finally:
            await link.close()
    finally:
        await channel.close()
