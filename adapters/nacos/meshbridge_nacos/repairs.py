"""The SDK's gRPC client with its faults in transport repaired, for exactly one version of it.

Repaired here, by overriding and not by patching, so that other users of the SDK in this process
keep what they have:

* a message may be as large as configured: the SDK sets an option that gRPC does not know, and a
  push over 4 MiB breaks the stream and is lost;
* a stream that the *server* ends, cleanly or not, ends the connection (:attr:`ended`): the SDK goes
  on as if nothing had happened and receives nothing any more;
* every channel and task is remembered and closed: the SDK leaves a channel behind whenever a
  connection attempt fails half way, and a task for each connection;
* pushes are handed on as decoded JSON: the SDK's models refuse a whole push for one bad record,
  and it renders every push as text for a log that is switched off.

The SDK's further faults (error 301 taken for healthy, subscriptions renewed only by a 30 s timer,
files named by what the registry says, log handlers and tasks left behind) lie in parts that
:mod:`meshbridge_nacos.session` does without.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from importlib.metadata import version

import grpc
from v2.nacos import ClientConfig
from v2.nacos.common.nacos_exception import NacosException
from v2.nacos.naming.model.naming_response import NotifySubscriberResponse
from v2.nacos.transport.grpc_client import GrpcClient
from v2.nacos.transport.grpc_connection import GrpcConnection
from v2.nacos.transport.http_agent import HttpAgent
from v2.nacos.transport.model.internal_request import ServerCheckRequest
from v2.nacos.transport.model.internal_response import ServerCheckResponse
from v2.nacos.transport.model.rpc_request import Request
from v2.nacos.transport.nacos_server_connector import NacosServerConnector

from meshbridge.errors import ConfigurationError
from meshbridge_nacos.decoding import UnreadableError, decode
from meshbridge_nacos.wire import (
    Payload,
    Stream,
    Stub,
    abandon,
    call,
    lost_its_end,
    open_stream,
    outgoing,
    pack,
    pack_answer,
    read,
    send,
    take_leave,
    unpack,
)

REPAIRED = "3.2.0"
"""The version of nacos-sdk-python that was read line by line for this."""
LARGEST_MESSAGE = 64 * 1024 * 1024
"""Bytes; about 150,000 instances of one service in one push."""
PARTING = 0.5
"""Seconds that a server gets to end the stream when asked to."""
PUSH = "NotifySubscriberRequest"

LABELS = {"source": "sdk", "module": "naming"}
"""Without them the server knows no naming client for the connection and refuses to subscribe it."""
_CHANNEL = [
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]

Push = Callable[[dict[str, object]], None]
_QUIET = logging.Logger("nacos-sdk", logging.CRITICAL + 1)  # noqa: LOG001 - in no hierarchy, no file


def check_version() -> None:
    """Raise ConfigurationError when another version of the SDK is installed than the repaired."""
    found = version("nacos-sdk-python")
    if found != REPAIRED:
        raise ConfigurationError(
            f"nacos-sdk-python {found} is installed, but {REPAIRED} is needed; install that one"
        )


class Client(GrpcClient):
    """One connection's worth of the SDK's client: it connects once and is then closed."""

    def __init__(self, config: ClientConfig, on_push: Push) -> None:
        connector = NacosServerConnector(_QUIET, config, HttpAgent(_QUIET, config.tls_config, 10))
        super().__init__(  # pyright: ignore[reportUnknownMemberType] - it does not say what logger is
            _QUIET, "meshbridge", config, connector
        )
        self.put_all_labels(LABELS)
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Resolved with the reason when the server's stream ends."""
        self._on_push = on_push
        self._channels: list[grpc.aio.Channel] = []
        self._watchers: set[asyncio.Task[None]] = set()
        self._streams: list[Stream] = []

    async def close(self) -> None:
        """Leave no task, call or channel behind."""
        await asyncio.sleep(0)  # a watcher says who it is in its first step
        # A stream that is cancelled leaves a task of gRPC's own for a moment; one that the server
        # ends on request leaves none.
        for stream in self._streams:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PARTING):
                    await take_leave(stream)
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=PARTING)
        for watcher in self._watchers:
            watcher.cancel()
        results = await asyncio.gather(*self._watchers, return_exceptions=True)
        for channel in self._channels:
            await channel.close()
        self.ended.cancel()
        for result in results:
            if isinstance(result, Exception):
                raise result  # a bug: what a stream may end with, its watcher maps

    async def _create_new_managed_channel(self, server_ip: str, grpc_port: int) -> grpc.aio.Channel:
        channel = grpc.aio.insecure_channel(f"{server_ip}:{grpc_port}", options=_CHANNEL)
        self._channels.append(channel)
        async with asyncio.timeout(self.grpc_config.grpc_timeout / 1000):
            state = channel.get_state(try_to_connect=True)
            while state is not grpc.ChannelConnectivity.READY:
                if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                    raise ConnectionRefusedError("nothing listens there")
                await channel.wait_for_state_change(state)
                state = channel.get_state()
        return channel

    async def _server_check(
        self,
        server_ip: str,  # noqa: ARG002 - the SDK passes it
        server_port: int,  # noqa: ARG002 - see server_ip
        channel_stub: Stub,
    ) -> ServerCheckResponse | None:
        """Return whom the server takes us for, None if it takes nobody yet.

        The SDK's own leaves a task of gRPC's behind when it is cancelled.
        """
        within = self.grpc_config.grpc_timeout / 1000
        answer = unpack(await call(channel_stub, pack(ServerCheckRequest()), within))
        if not isinstance(answer, ServerCheckResponse) or not answer.is_success():
            return None
        return answer

    async def _server_request_watcher(self, grpc_conn: GrpcConnection) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._watchers.add(task)
        # Written to directly: an iterator of requests is a task of gRPC's own, which stays behind
        # when the server ends the stream.
        stream = open_stream(grpc_conn)
        reason = "the server ended the stream"
        try:
            await stream.write(await outgoing(grpc_conn).get())  # the SDK's set-up request
            self._streams.append(stream)
            while (payload := await read(stream)) is not None:
                await self._take(payload, grpc_conn)
                while not outgoing(grpc_conn).empty():
                    await stream.write(outgoing(grpc_conn).get_nowait())
        except grpc.aio.AioRpcError as error:
            if lost_its_end(error):
                await abandon(stream, PARTING)
            else:
                reason = f"the stream broke: {error.details() or error.code().name}"
        except asyncio.InvalidStateError:
            pass  # it ended before an answer was written
        except UnreadableError as error:
            reason = str(error)
        finally:
            stream.cancel()
            if not self.ended.done():
                self.ended.set_result(reason)
            await stream.code()  # gRPC's own task for the call ends with its status

    async def _take(self, payload: Payload, connection: GrpcConnection) -> None:
        if payload.metadata.type != PUSH:
            try:
                request = unpack(payload)
            except (NacosException, UnreadableError):
                return  # this version of the SDK does not know the request; the server copes
            if isinstance(request, Request):
                await self._handle_server_request(request, connection)
            return
        message = decode(payload.body.value, dict[str, object], "a push")
        self._on_push(message)
        number = message.get("requestId")
        answer = NotifySubscriberResponse(requestId=number if isinstance(number, str) else "")
        await send(connection, pack_answer(answer))
