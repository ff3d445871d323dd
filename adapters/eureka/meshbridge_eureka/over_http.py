"""Asks Eureka servers over HTTP; whatever they answer costs bounded time and memory.

Nothing of an answer is repeated in a reason: a proxy may send back what it was sent, the password
included.
"""

import asyncio
import ssl
import zlib
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge_eureka.options import Server
from meshbridge_eureka.refusals import (
    CONNECT,
    SILENCE,
    TOTAL,
    RefusedError,
    reason,
    refusal,
)

LARGEST_ANSWER: Final = 128 * 1024 * 1024
"""Bytes, inflated: 100,000 instances."""
_PIECE: Final = 256 * 1024
"""Bytes that are inflated before others get their turn."""
_ANY_FORMAT: Final = 32 + zlib.MAX_WBITS
"""zlib's word for: gzip or zlib, whichever the header tells."""
_OK, _UNCHANGED = 200, 304
_NO_HEAD = frozenset({405, 501})
"""Statuses of servers, or proxies, that know GET only."""
_BREAKS = (aiohttp.ClientError, OSError, zlib.error, UnicodeError)
"""What ends a question otherwise than by an answer; a time that is over is an OSError."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server told."""

    body: bytes | bytearray
    etag: str
    """Empty where the server gives none."""
    at_ms: int | None
    """The server's own time, in milliseconds since 1970; ``None`` where it does not tell it."""


@dataclass(frozen=True, slots=True)
class OverHttp:
    """How servers are reached."""

    username: str = ""
    password: str = field(default="", repr=False)
    tls: Callable[[], ssl.SSLContext] | None = None
    """The system's authorities are asked without it."""
    known: set[Server] = field(default_factory=set[Server])
    """Those that have answered as they should."""

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Http"]:
        """Give connections that are kept until this is left. Raises RegistryUnavailable."""
        # The authorities take 30 ms to read.
        tls = True if self.tls is None else await asyncio.to_thread(self.tls)
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if self.username:
            user = b64encode(f"{self.username}:{self.password}".encode()).decode()
            headers["Authorization"] = f"Basic {user}"
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TOTAL, sock_connect=CONNECT, sock_read=SILENCE),
            auto_decompress=False,  # it would inflate as much as a server wants
            headers=headers,
        ) as session:
            yield Http(session, self)


class Http:
    """Connections to some servers. What they raise says the reason, then ``; `` and a remedy."""

    def __init__(self, session: aiohttp.ClientSession, way: OverHttp) -> None:
        self._session = session
        self._way = way

    async def get(
        self, server: Server, path: str, query: Mapping[str, str], etag: str
    ) -> Answer | None:
        """Return what the server answers; ``None`` if that is the same as what had this etag.

        Raises RefusedError, RegistryUnavailable or RegistryRejected.
        """
        headers = {"If-None-Match": etag} if etag else {}
        async with self._asked("GET", server, path, query, headers) as answer:
            if answer.status == _UNCHANGED and etag:
                return None
            if answer.status != _OK:
                raise self._refusal(answer.status, server)
            self._way.known.add(server)
            try:
                async with aclosing(inflated(answer)) as parts:
                    body = await whole(parts, LARGEST_ANSWER)
            except _BREAKS as error:  # it may tell the rest all the same
                raise RefusedError(reason(error, server, known=True)) from None
            return Answer(body, answer.headers.get("ETag", ""), _time(answer.headers.get("Date")))

    async def attempt(self, server: Server, path: str, query: Mapping[str, str]) -> bool:
        """Ask for the status of an answer only; return whether the server knows such a question.

        Raises RegistryUnavailable or RegistryRejected where that is not the one of an answer.
        """
        async with self._asked("HEAD", server, path, query, {"Connection": "close"}) as answer:
            if answer.status in _NO_HEAD:
                return False
            if answer.status != _OK:
                raise self._refusal(answer.status, server)
            if "html" in answer.content_type:
                raise RefusedError(
                    "it answers with a web page, as a proxy or a login does;"
                    " give the URL of Eureka itself, with its path: /eureka, or /eureka/v2"
                )
            self._way.known.add(server)
            return True

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        server: Server,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        try:
            async with self._session.request(
                method,
                f"{server.url}{path}",
                params=query,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                yield answer
        except _BREAKS as error:
            known = server in self._way.known
            raise RegistryUnavailable(reason(error, server, known=known)) from None

    def _refusal(self, status: int, server: Server) -> RefusedError | RegistryRejected:
        way = self._way
        known, has_user = server in way.known, bool(way.username)
        return refusal(status, server, has_user=has_user, known=known)


async def inflated(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Yield the body's parts as they arrive, none of them large; others get turns in between."""
    parts = answer.content.iter_any()
    if answer.headers.get("Content-Encoding", "identity").lower() == "identity":
        async for part in parts:
            yield part
        return
    inflate = zlib.decompressobj(_ANY_FORMAT)
    async for part in parts:
        if inflate.eof:  # zlib would keep, and copy, whatever follows
            raise RefusedError("something follows the end of its compressed answer")
        left = part
        while left:
            yield inflate.decompress(left, _PIECE)
            left = inflate.unconsumed_tail
            await asyncio.sleep(0)
    if not inflate.eof:
        raise aiohttp.ClientPayloadError


async def whole(parts: AsyncIterable[bytes], largest: int) -> bytearray:
    """Return all parts, as they were gathered: to copy them would take long.

    Raises RefusedError when they are more than ``largest`` bytes.
    """
    body = bytearray()
    async for part in parts:
        if len(body) + len(part) > largest:
            body.clear()  # who keeps the error keeps what led to it
            raise RefusedError(f"its answer is longer than {largest} bytes")
        body += part
    return body


def _time(date: str | None) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp() * 1000) if date else None
    except (ValueError, OverflowError):
        return None
