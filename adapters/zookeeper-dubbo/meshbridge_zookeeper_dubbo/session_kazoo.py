"""kazoo's untyped parts, with the types that they have at run time; nothing else."""
# ruff: noqa: D102 - what they mean is kazoo's to say

from typing import TYPE_CHECKING

from kazoo.exceptions import (
    AuthFailedError,
    ConnectionDropped,
    ConnectionLoss,
    SessionExpiredError,
    ZookeeperError,
)
from kazoo.handlers.threading import KazooTimeoutError

if TYPE_CHECKING:
    import logging
    import socket
    import threading
    from collections import deque
    from contextlib import AbstractContextManager
    from typing import ClassVar, Protocol

    class Request(Protocol):
        """A request; ``type`` is its opcode."""

        def serialize(self) -> bytes:
            """Return its body."""
            ...

    class Reply(Protocol):
        """Takes what came of a request, on kazoo's thread."""

        def set(self, value: object) -> None:
            """Take what the request made of the answer."""

        def set_exception(self, exception: Exception) -> None:
            """Take why there is none."""

    class Retry:
        """When to connect again."""

    class Handler:
        """``kazoo.handlers.threading.SequentialThreadingHandler``."""

        _running: bool

        def start(self) -> None: ...
        def stop(self) -> None: ...

    class Client:
        """``kazoo.client.KazooClient``."""

        client_state: str
        handler: Handler
        _conn_retry: Retry
        _connection: "ConnectionHandler"
        _stopped: threading.Event
        _queue: deque[tuple[object, None]]

        def __init__(
            self,
            *,
            hosts: str,
            timeout: float,
            handler: Handler,
            auth_data: list[tuple[str, str]],
            logger: logging.Logger,
        ) -> None: ...
        def start_async(self) -> threading.Event: ...
        def close(self) -> None: ...
        def _call(self, request: Request, async_object: Reply) -> None: ...
        def _session_callback(self, state: str) -> None: ...

    class Header:
        """``kazoo.protocol.serialization.ReplyHeader``."""

        err: int

    class ConnectionHandler:
        """``kazoo.protocol.connection.ConnectionHandler``."""

        client: Client
        retry_sleeper: Retry
        connection_stopped: threading.Event
        _write_sock: socket.socket | None

        def __init__(
            self,
            client: Client,
            retry_sleeper: Retry,
            *,
            logger: logging.Logger,
            sasl_options: dict[str, str] | None,
        ) -> None: ...
        def stop(self) -> bool: ...
        def zk_loop(self) -> None: ...
        def _connect_attempt(self, host: str, hostip: str, port: int, retry: Retry) -> object: ...
        def _connect(self, host: str, hostip: str, port: int) -> tuple[float, float]: ...
        def _socket_error_handling(self) -> AbstractContextManager[None]: ...
        def _read(self, length: int, timeout: float) -> bytes: ...
        def _read_header(self, timeout: float) -> tuple[Header, bytes, int]: ...
        def _read_watch_event(self, buffer: bytes, offset: int) -> None: ...
        def _submit(self, request: Request, timeout: float, xid: int) -> None: ...
        def _authenticate_with_sasl(self, host: str, timeout: float) -> None: ...

    class Sasl:
        """``kazoo.protocol.serialization.SASL``."""

        type: ClassVar[int]

        def __init__(self, challenge: bytes) -> None: ...
        def serialize(self) -> bytes: ...
        @classmethod
        def deserialize(cls, buffer: bytes, offset: int) -> tuple[bytes | None, int]: ...

    CLOSE: object
    CLOSED: str
    AUTH_FAILED: str
else:
    from kazoo.client import KazooClient as Client
    from kazoo.handlers.threading import SequentialThreadingHandler as Handler
    from kazoo.protocol import serialization
    from kazoo.protocol.connection import ConnectionHandler
    from kazoo.protocol.states import KeeperState
    from kazoo.retry import KazooRetry as Retry

    Request = Reply = object
    Sasl, CLOSE = serialization.SASL, serialization.CloseInstance
    CLOSED, AUTH_FAILED = KeeperState.CLOSED, KeeperState.AUTH_FAILED

__all__ = [
    "AUTH_FAILED",
    "CLOSE",
    "CLOSED",
    "AuthFailedError",
    "Client",
    "ConnectionDropped",
    "ConnectionHandler",
    "ConnectionLoss",
    "Handler",
    "KazooTimeoutError",
    "Reply",
    "Request",
    "Retry",
    "Sasl",
    "SessionExpiredError",
    "ZookeeperError",
]
