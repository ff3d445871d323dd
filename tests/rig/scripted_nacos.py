"""A gRPC server that speaks as Nacos does, and misbehaves on request; no Java, no waiting.

It holds one namespace. What it says and how was seen on Nacos 2.5.0: pushes leave the request's own
names null, a subscription is followed by a push of what it answered, and an evicted connection is
answered with error 301 while its stream stays open.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol, cast

import grpc.aio
from v2.nacos.transport.grpcauto import nacos_grpc_service_pb2

from meshbridge.testing.startable import Startable
from rig.ports import free_port

OFFSET = 1000
DEFAULT_GROUP = "DEFAULT_GROUP"
Host = dict[str, object]
Message = dict[str, object]


class Payload(Protocol):
    """The one message of Nacos' gRPC; its protobuf module is untyped."""

    class _Metadata(Protocol):
        type: str
        clientIp: str  # noqa: N815 - the protocol's own name
        headers: dict[str, str]

    class _Body(Protocol):
        value: bytes

    metadata: _Metadata
    body: _Body

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's own name
        """Return it as it travels."""
        ...


_payload = cast("Callable[[], Payload]", vars(nacos_grpc_service_pb2)["Payload"])
_read = cast("Callable[[bytes], Payload]", vars(nacos_grpc_service_pb2)["Payload"].FromString)


def pack(kind: str, message: Message) -> bytes:
    """Return a message as it travels."""
    return pack_raw(kind, json.dumps(message).encode())


def pack_raw(kind: str, body: bytes) -> bytes:
    """Return anything as a message that travels."""
    payload = _payload()
    payload.metadata.type = kind
    payload.body.value = body
    return payload.SerializeToString()


@dataclass
class _Client:
    """A connection: what it subscribed to, and what waits to be pushed to it."""

    subscribed: set[str] = field(default_factory=set[str])
    outgoing: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue[bytes | None])
    """None ends the stream."""


class ScriptedNacos(Startable):
    """Holds services of one group and answers about them."""

    def __init__(self, tls: grpc.ServerCredentials | None = None) -> None:
        """Choose a port; nothing listens yet. With ``tls`` it speaks nothing else."""
        self._tls = tls
        self.port = free_port(OFFSET)
        self.address = f"127.0.0.1:{self.port}"
        self.services: dict[str, dict[tuple[str, object], Host]] = {}
        self.refusal: tuple[int, str] | None = None
        """Error code and message with which every question is answered."""
        self.count_offset = 0
        """Added to the number of services that lists state."""
        self.answers: dict[str, bytes] = {}
        """By the type of a request: a payload that is sent instead of the answer."""
        self.tokens: set[str] | None = None
        """The access tokens that are taken; None asks for none."""
        self.negotiates = False
        """Whether it tells what it can do before it talks, as Nacos 3 does."""
        self.acknowledged = 0
        self.configs: dict[tuple[str, str, str], str] = {}
        """Texts by tenant, group and data id."""
        self.writing = 0
        """How many more times a configuration is said to be being written."""
        self.headers: list[dict[str, str]] = []
        """Of each question."""
        self.addresses: list[str] = []
        """What each question said of the client's address."""
        self.answered: list[tuple[str, object]] = []
        """Type and request number of each answer to something pushed, but to services."""
        self.takes_after = 0
        """How many questions are answered as from a stranger before a connection is taken."""
        self.ends_streams = False
        """Whether each stream is ended as soon as it begins."""
        self.compared: list[int] = []
        """How many configurations were in each question that compares them."""
        self._clients: dict[str, _Client] = {}
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen, on the same port each time."""
        server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
        server.add_generic_rpc_handlers(self._handlers())
        address = f"127.0.0.1:{self.port + OFFSET}"
        if self._tls is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, self._tls)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Break every connection."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
            # stop does not wait for the calls that it cancels.
            calls = [task for task in asyncio.all_tasks() if task.get_name() == "rpc_task"]
            if calls:
                await asyncio.wait(calls, timeout=5)
        self._clients.clear()

    def put(self, service: str, ip: str, port: object, **fields: object) -> None:
        """Hold an instance, or change it, and push its service."""
        host: Host = {"ip": ip, "port": port, "weight": 1.0, "healthy": True, "enabled": True}
        self.services.setdefault(service, {})[ip, port] = host | fields
        self.push(service)

    def drop(self, service: str, ip: str, port: object) -> None:
        """Hold an instance no more."""
        del self.services[service][ip, port]
        self.push(service)

    def push(self, service: str, **changed: object) -> None:
        """Push a service to its subscribers, with fields of the record changed."""
        for client in self._clients.values():
            if service in client.subscribed:
                self._push_to(client, service, **changed)

    def push_raw(self, kind: str, body: bytes) -> None:
        """Push anything to everybody."""
        for client in self._clients.values():
            client.outgoing.put_nowait(pack_raw(kind, body))

    def push_bytes(self, message: bytes) -> None:
        """Push what may be no message at all to everybody."""
        for client in self._clients.values():
            client.outgoing.put_nowait(message)

    def publish(
        self, group: str, data_id: str, text: str | None, *, tenant: str = "", told: bool = True
    ) -> None:
        """Hold a configuration's text, or none; tell all clients, unless that gets lost."""
        if text is None:
            self.configs.pop((tenant, group, data_id), None)
        else:
            self.configs[tenant, group, data_id] = text
        if told:
            named = {"tenant": tenant, "group": group, "dataId": data_id}
            self.push_raw("ConfigChangeNotifyRequest", json.dumps(named).encode())

    def evict(self) -> None:
        """Forget every client; their streams stay open, as seen."""
        self._clients.clear()

    def end_streams(self) -> None:
        """End every stream as if all was well."""
        for client in self._clients.values():
            client.outgoing.put_nowait(None)

    @property
    def connections(self) -> int:
        """How many clients there are."""
        return len(self._clients)

    def _push_to(self, client: _Client, service: str, **changed: object) -> None:
        message: Message = {
            "requestId": "1",
            "serviceName": None,
            "groupName": None,
            "serviceInfo": self._info(service) | changed,
        }
        client.outgoing.put_nowait(pack("NotifySubscriberRequest", message))

    def _info(self, service: str) -> Message:
        hosts = list(self.services.get(service, {}).values())
        return {"name": service, "groupName": DEFAULT_GROUP, "hosts": hosts}

    def _config(self, asked: Message) -> Message:
        text = self.configs.get((str(asked["tenant"]), str(asked["group"]), str(asked["dataId"])))
        if self.writing and "md5" not in asked:
            self.writing -= 1
            return {
                "resultCode": 500,
                "errorCode": 400,
                "message": "requested file is being modified",
            }
        if text is None:
            return {"resultCode": 500, "errorCode": 300, "message": "config data not exist"}
        digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        return {"content": text, "md5": digest}

    def _handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        return (
            grpc.method_handlers_generic_handler(
                "Request", {"request": grpc.unary_unary_rpc_method_handler(self._answer)}
            ),
            grpc.method_handlers_generic_handler(
                "BiRequestStream",
                {"requestBiStream": grpc.stream_stream_rpc_method_handler(self._stream)},
            ),
        )

    async def _answer(
        self, request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]"
    ) -> bytes:
        payload = _read(request)
        kind = payload.metadata.type
        if kind in self.answers:
            return self.answers[kind]
        if kind == "ServerCheckRequest":
            address, _, port = context.peer().removeprefix("ipv4:").rpartition(":")
            known_as = f"1700000000000_{address}_{port}"
            check: Message = {"resultCode": 200, "connectionId": known_as}
            return pack(
                "ServerCheckResponse", check | {"supportAbilityNegotiation": self.negotiates}
            )
        self.headers.append(dict(payload.metadata.headers))
        self.addresses.append(payload.metadata.clientIp)
        client = self._clients.get(context.peer())
        if self.takes_after > 0:
            self.takes_after -= 1
            client = None
        if client is None:
            return _error(301, "Connection is unregistered.")
        if self.refusal:
            return _error(*self.refusal)
        if self.tokens is not None and payload.metadata.headers["accessToken"] not in self.tokens:
            return _error(403, "token invalid!")
        message: Message = json.loads(payload.body.value)
        return pack(kind.replace("Request", "Response"), self._about(kind, message, client))

    def _about(self, kind: str, message: Message, client: _Client) -> Message:
        answer: Message = {"resultCode": 200, "errorCode": 0}
        if kind == "ServiceListRequest":
            names = list(self.services) if message["groupName"] == DEFAULT_GROUP else []
            answer |= {"count": len(names) + self.count_offset, "serviceNames": names}
        if kind == "ConfigQueryRequest":
            answer |= self._config(message)
        if kind == "ConfigBatchListenRequest":
            asked = cast("list[Message]", message["configListenContexts"])
            self.compared.append(len(asked))
            answer["changedConfigs"] = [
                {key: each[key] for key in ("tenant", "group", "dataId")}
                for each in asked
                if self._config(each).get("md5", "") != each["md5"]
            ]
        if kind == "SubscribeServiceRequest":
            service = str(message["serviceName"])
            if message["subscribe"]:
                client.subscribed.add(service)
                self._push_to(client, service)
            else:
                client.subscribed.discard(service)
            answer["serviceInfo"] = self._info(service)
        return answer

    async def _stream(
        self,
        requests: AsyncIterator[bytes],
        context: "grpc.aio.ServicerContext[bytes, bytes]",
    ) -> None:
        client, peer = _Client(), context.peer()  # asked for later, gRPC would crash
        self._clients[peer] = client
        if self.ends_streams:
            client.outgoing.put_nowait(None)
        elif self.negotiates and not self.takes_after:
            await context.write(pack("SetupAckRequest", {"abilityTable": {"fuzzyWatch": True}}))

        async def listen() -> None:
            async for request in requests:
                payload = _read(request)
                kind = payload.metadata.type
                if kind == "NotifySubscriberResponse":
                    self.acknowledged += 1
                elif kind.endswith("Response"):
                    self.answered.append((kind, json.loads(payload.body.value)["requestId"]))
            client.outgoing.put_nowait(None)

        listening = asyncio.create_task(listen())
        try:
            while (message := await client.outgoing.get()) is not None:
                await context.write(message)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            self._clients.pop(peer, None)


def _error(code: int, message: str) -> bytes:
    return pack("ErrorResponse", {"resultCode": 500, "errorCode": code, "message": message})
