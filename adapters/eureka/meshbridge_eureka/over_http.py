"""Asks Eureka servers over HTTP; whatever they answer costs bounded time and memory.

Nothing of an answer is repeated in a reason: a proxy may send back what it was sent, the password
included.
"""

import asyncio
import ssl
import zlib
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.http_faults import words
from meshbridge_eureka.options import Server

CONNECT: Final = 5.0
"""Seconds that a connection may take."""
SILENCE: Final = 10.0
"""Seconds without a byte of an answer after which it is given up."""
TOTAL: Final = 30.0
"""Seconds after which an answer is given up that arrives slowly."""
LARGEST_ANSWER: Final = 128 * 1024 * 1024
"""Bytes, inflated: 100,000 instances."""
_PIECE: Final = 256 * 1024
"""Bytes that are inflated before others get their turn."""
_ANY_FORMAT: Final = 32 + zlib.MAX_WBITS
"""zlib's word for: gzip or zlib, whichever the header tells."""
_OK, _UNCHANGED = 200, 304
_UNKNOWN_USER, _CLOSED, _NOT_FOUND = 401, 403, 404
_REDIRECTS = range(300, 400)


class RefusedError(RegistryUnavailable):
    """The server answered something else than what it was asked for; it may answer the rest."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server told."""

    body: bytes
    etag: str
    """Empty where the server gives none."""
    at_ms: int | None
    """The server's own time, in milliseconds since 1970; ``None`` where it does not tell it."""


@dataclass(frozen=True, slots=True)
class OverHttp:
    """How servers are reached."""

    username: str = ""
    password: str = ""
    tls: Callable[[], ssl.SSLContext] | None = None
    """The system's authorities are asked without it."""

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
            timeout=aiohttp.ClientTimeout(total=TOTAL, sock_connect=CONNECT, sock_read=SILENCE),
            auto_decompress=False,  # it would inflate as much as a server wants
            headers=headers,
        ) as session:
            yield Http(session)


class Http:
    """Connections to some servers."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(
        self, server: Server, path: str, query: Mapping[str, str], etag: str
    ) -> Answer | None:
        """Return what the server answers; ``None`` if that is the same as what had this etag.

        Raises RefusedError, RegistryUnavailable or RegistryRejected, which name the server.
        """
        try:
            return await self._get(f"{server.url}{path}", query, etag)
        except (RefusedError, RegistryRejected) as error:
            raise type(error)(f"{server}: {error}") from None
        except (aiohttp.ClientError, OSError, zlib.error) as error:
            raise RegistryUnavailable(f"{server}: {reason(error, server)}") from None

    async def _get(self, url: str, query: Mapping[str, str], etag: str) -> Answer | None:
        headers = {"If-None-Match": etag} if etag else {}
        async with self._session.get(
            url, params=query, headers=headers, allow_redirects=False
        ) as answer:
            if answer.status == _UNCHANGED and etag:
                return None
            if answer.status != _OK:
                raise refusal(answer.status)
            body = await whole(inflated(answer), LARGEST_ANSWER)
            return Answer(body, answer.headers.get("ETag", ""), _time(answer.headers.get("Date")))


def refusal(status: int) -> RefusedError | RegistryRejected:
    """Return what an answer with another status than 200 means."""
    match status:
        case 401:
            return RegistryRejected(
                "it does not know the user (HTTP 401); mend username and password"
            )
        case 403:
            return RefusedError(
                "it is closed (HTTP 403): it was just started and got nothing from its peers yet,"
                " or the user may not read it"
            )
        case 404:
            return RefusedError(
                "it has no such path (HTTP 404); is that of the URL right? /eureka, or /eureka/v2"
            )
        case _ if status in _REDIRECTS:
            return RefusedError(
                f"it sends us elsewhere (HTTP {status}), where we do not go;"
                " configure the URL of Eureka itself"
            )
        case _:
            return RefusedError(f"it answered HTTP {status}")


async def inflated(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Yield the body's parts as they arrive, none of them large; others get turns in between."""
    parts = answer.content.iter_any()
    if answer.headers.get("Content-Encoding", "identity").lower() == "identity":
        async for part in parts:
            yield part
        return
    inflate = zlib.decompressobj(_ANY_FORMAT)
    async for part in parts:
        left = part
        while left:
            yield inflate.decompress(left, _PIECE)
            left = inflate.unconsumed_tail
            await asyncio.sleep(0)
    if not inflate.eof:
        raise aiohttp.ClientPayloadError


async def whole(parts: AsyncIterable[bytes], largest: int) -> bytes:
    """Return all parts. Raises RefusedError when they are more than ``largest`` bytes."""
    body = bytearray()
    async for part in parts:
        if len(body) + len(part) > largest:
            body.clear()  # who keeps the error keeps what led to it
            raise RefusedError(f"its answer is longer than {largest} bytes")
        body += part
    return bytes(body)


def _time(date: str | None) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp() * 1000) if date else None
    except ValueError:
        return None


def reason(error: Exception, server: Server) -> str:
    """Return what went wrong, in no words of the server's."""
    match error:
        case TimeoutError():
            return _patience(error)
        case aiohttp.ClientConnectorError():
            return words(error)
        case aiohttp.ServerDisconnectedError() if server.scheme == "https":
            return "it hung up unanswered; does it ask for a certificate? then mend tls"
        case _:
            return _broken(error)


def _patience(error: TimeoutError) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {CONNECT:g} s"
    if isinstance(error, aiohttp.SocketTimeoutError):
        return f"nothing for {SILENCE:g} s"
    return f"no whole answer within {TOTAL:g} s"


def _broken(error: Exception) -> str:
    match error:
        case aiohttp.ClientResponseError():
            return "its answer is not HTTP"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "it broke off its answer"
        case zlib.error():
            return "its answer is compressed in a way that cannot be read"
        case OSError() | aiohttp.InvalidURL():
            return str(error)
        case _:
            return type(error).__name__
