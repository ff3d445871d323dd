"""What Nacos pushes to a subscriber over gRPC, as the very bytes of JSON that it sent.

No client library stands between: one would hand on only what it knows.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import grpc.aio
from v2.nacos.transport.grpcauto import nacos_grpc_service_pb2

from rig.corpus.http import OK, SHOWN, Unexpected
from rig.scripted_nacos import Payload, pack
from rig.waiting import until

Message = dict[str, object]
STREAM = "/BiRequestStream/requestBiStream"
OFFSET = 1000
"""From the HTTP port to the one for clients' gRPC."""
WITHIN = 20.0
"""Seconds for an answer, and for a push; Nacos itself waits half a second with one."""

_read = cast("Callable[[bytes], Payload]", vars(nacos_grpc_service_pb2)["Payload"].FromString)


class _Ask(Protocol):
    def __call__(self, request: bytes, *, timeout: float) -> Awaitable[bytes]: ...


class _Stream(Protocol):
    async def write(self, request: bytes) -> None: ...
    async def read(self) -> object: ...
    def cancel(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Heard:
    """What a subscription brought."""

    answer: str
    """The JSON of the SubscribeServiceResponse."""
    push: str
    """The JSON of the NotifySubscriberRequest that followed."""


class Subscriber:
    """A client's connection that has been set up."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Take over a channel; nothing was said on it yet."""
        self._ask = cast("_Ask", channel.unary_unary("/Request/request"))
        opened = cast("Callable[[], object]", channel.stream_stream(STREAM))()
        self._stream = cast("_Stream", opened)
        self._pushes: dict[tuple[str, str], str] = {}

    async def set_up(self) -> None:
        """Say who this is; the server takes subscriptions a moment later."""
        await self.ask("ServerCheckRequest", {})
        labels = {"source": "sdk", "module": "naming"}
        words: Message = {"clientVersion": "Nacos-Python-Client:v3.2.0", "labels": labels}
        await self._stream.write(pack("ConnectionSetupRequest", {**words, "abilityTable": {}}))

        async def known() -> str:
            return await self.ask("HealthCheckRequest", {})

        await until(known, lambda said: json.loads(said).get("resultCode") == OK, within=WITHIN)

    async def listen(self) -> None:
        """Keep what is pushed and answer it, until cancelled."""
        while True:
            message = await self._stream.read()
            if not isinstance(message, bytes):
                raise EOFError("Nacos ended the stream")  # noqa: TRY004 - gRPC's sign for the end
            payload = _read(message)
            body = payload.body.value.decode()
            request = json.loads(body)
            answer = payload.metadata.type.removesuffix("Request") + "Response"
            await self._stream.write(pack(answer, {"requestId": request.get("requestId")}))
            if payload.metadata.type == "NotifySubscriberRequest":
                info = request["serviceInfo"]
                self._pushes[info["groupName"], info["name"].rpartition("@@")[2]] = body

    async def ask(self, kind: str, message: Message) -> str:
        """Return the JSON of the answer to a request."""
        reply = await self._ask(pack(kind, message), timeout=WITHIN)
        return _read(reply).body.value.decode()

    async def subscribe(self, group: str, service: str) -> Heard:
        """Subscribe a service, and return what the server says of it at once and a moment later.

        Raises Unexpected when it refuses.
        """
        names: Message = {"namespace": "public", "groupName": group, "serviceName": service}
        words: Message = {**names, "subscribe": True, "clusters": "", "module": "naming"}
        answer = await self.ask("SubscribeServiceRequest", words)
        if json.loads(answer).get("resultCode") != OK:
            raise Unexpected(f"subscribing {group}@@{service}: {answer[:SHOWN]}")

        async def pushed() -> str | None:
            return self._pushes.get((group, service))

        push, _ = await until(pushed, lambda said: said is not None, within=WITHIN)
        return Heard(answer, push or "")

    def leave(self) -> None:
        """End the stream."""
        self._stream.cancel()


@asynccontextmanager
async def subscriber(host: str, port: int) -> AsyncGenerator[Subscriber]:
    """Give a connection to the Nacos whose HTTP port this is."""
    async with grpc.aio.insecure_channel(f"{host}:{port + OFFSET}") as channel:
        one = Subscriber(channel)
        await one.set_up()
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(one.listen())
            try:
                yield one
            finally:
                listening.cancel()
        one.leave()
