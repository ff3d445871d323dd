"""A Eureka for faults that a real one cannot be made to show; no Java, no waiting.

It speaks HTTP over sockets of its own, so that an answer may break off, never end or be no HTTP.
What it says while nothing is wrong it says as a real server does: see
:mod:`rig.scripted_eureka_registry`. Faults are in :mod:`rig.scripted_eureka_faults`.
"""

import asyncio
import base64
import json
import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

from meshbridge.testing.startable import Startable
from rig.ports import free_port
from rig.scripted_eureka_exchange import Asked, Exchange, Fault
from rig.scripted_eureka_registry import EurekaRegistry, delta, everything

FULL: Final = "/apps"
DELTA: Final = "/apps/delta"
_LEAVE: Final = 0.2
"""Seconds in which who speaks TLS may take its leave."""


@dataclass
class _Misbehaviour:
    fault: Fault
    paths: tuple[str, ...]
    times: float

    def hits(self, path: str) -> bool:
        return self.times > 0 and path in self.paths


@dataclass
class ScriptedEureka(Startable):
    """One server of a Eureka; it keeps what it holds while it is stopped."""

    tls: ssl.SSLContext | None = None
    """With it, the server speaks nothing else."""
    path: str = "/eureka"
    """Where its interface is."""
    host: str = "127.0.0.1"
    """What its URL calls it."""
    listens: str = "127.0.0.1"
    """Where it is to be found."""
    registry: EurekaRegistry = field(default_factory=EurekaRegistry)
    """What it holds."""
    regions: dict[str, EurekaRegistry] = field(default_factory=dict[str, EurekaRegistry])
    """What it knows of other regions, for who asks for them."""
    credentials: tuple[str, str] | None = None
    """Name and password without which it answers 401."""
    etags: bool = False
    """Whether it tells one, and answers 304 to who has it. A real server does not."""
    asked: list[Asked] = field(default_factory=list[Asked])
    """Every request for an answer."""
    tried: list[Asked] = field(default_factory=list[Asked])
    """Every request for the status of one only (HEAD)."""
    connections: int = 0
    """How many there have been."""
    sent: int = 0
    """Bytes that it has handed to the system."""
    port: int = field(default_factory=free_port)
    _misbehaviours: list[_Misbehaviour] = field(default_factory=list[_Misbehaviour])
    _open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(
        default_factory=dict["asyncio.Task[None]", asyncio.StreamWriter]
    )
    _server: asyncio.Server | None = None
    _encoded: tuple[int, bytes] = (-1, b"")
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where its interface is."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{self.host}:{self.port}{self.path}"

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    @property
    def paths(self) -> list[str]:
        """The path of each request."""
        return [each.path for each in self.asked]

    async def start(self) -> None:
        """Listen, on the same port each time."""
        leave = None if self.tls is None else _LEAVE
        self._server = await asyncio.start_server(
            self._take, self.listens, self.port, ssl=self.tls, ssl_shutdown_timeout=leave
        )

    async def stop(self) -> None:
        """Break every connection."""
        if self._server is None:
            return
        self._server.close()
        tasks = list(self._open)
        for task, writer in list(self._open.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def misbehave(self, fault: Fault, *paths: str, times: float = float("inf")) -> None:
        """Answer so from now on, instead of as before; by default whatever is asked."""
        self._misbehaviours = [_Misbehaviour(fault, paths or (FULL, DELTA), times)]

    def also(self, fault: Fault, *paths: str, times: float = float("inf")) -> None:
        """Answer so where what was said before says nothing."""
        self._misbehaviours.append(_Misbehaviour(fault, paths, times))

    def behave(self) -> None:
        """Tell the truth again."""
        self._misbehaviours.clear()

    async def hears(self, count: int, *, within: float = 10.0) -> None:
        """Wait until it was asked so many times more. Raises TimeoutError after those seconds."""
        wanted = len(self.asked) + count
        async with asyncio.timeout(within):
            while len(self.asked) < wanted:
                self._heard.clear()
                await self._heard.wait()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio complains when one of its own is cancelled.
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer, self.connections))
        self._open[task] = writer
        task.add_done_callback(self._open.pop)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        first = True
        try:
            while asked := await self._read(reader, number, first=first):
                first = False
                exchange = self._exchange(asked, reader, writer)
                await self._answer(exchange)
                if exchange.over or asked.headers.get("connection") == "close":
                    break
        except OSError:
            pass  # who asked has gone
        finally:
            writer.close()

    async def _read(
        self, reader: asyncio.StreamReader, connection: int, *, first: bool
    ) -> Asked | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        request, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = request.split(" ")
        url = urlsplit(target)
        pairs = [line.split(":", 1) for line in lines if line]
        asked = Asked(
            method,
            url.path.removeprefix(self.path).rstrip("/"),
            {name: values[-1] for name, values in parse_qs(url.query).items()},
            {name.lower(): value.strip() for name, value in pairs},
            connection,
            first,
        )
        (self.tried if method == "HEAD" else self.asked).append(asked)
        self._heard.set()
        return asked

    def _exchange(
        self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Exchange:
        status, body, headers = self._truth(asked)
        return Exchange(asked, status, body, headers, reader, writer, self._sent)

    def _sent(self, size: int) -> None:
        self.sent += size

    def _truth(self, asked: Asked) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of the true answer."""
        if self.credentials is not None and asked.headers.get("authorization") != _basic(
            *self.credentials
        ):
            return 401, b"", {"WWW-Authenticate": 'Basic realm="Realm"'}
        if asked.path not in {FULL, DELTA} or asked.method not in {"GET", "HEAD"}:
            return 404, b"", {}
        body = self._body(asked)
        if not self.etags:
            return 200, body, {}
        tag = f'"{hash(body):x}"'
        same = asked.headers.get("if-none-match") == tag
        return (304, b"", {"ETag": tag}) if same else (200, body, {"ETag": tag})

    def _body(self, asked: Asked) -> bytes:
        names = asked.query.get("regions", "").split(",")
        every = [self.registry, *(self.regions[name] for name in names if name in self.regions)]
        if asked.path == DELTA:
            return json.dumps(delta(every)).encode()
        if len(every) > 1:
            return json.dumps(everything(every)).encode()
        if self._encoded[0] != self.registry.changes:
            self._encoded = self.registry.changes, json.dumps(everything(every)).encode()
        return self._encoded[1]

    async def _answer(self, exchange: Exchange) -> None:
        for each in self._misbehaviours:
            if each.hits(exchange.asked.path):
                each.times -= 1
                await each.fault(exchange)
                return
        await exchange.truth()


def _basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
