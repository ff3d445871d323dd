"""Asks Nacos' HTTP interface; repeats nothing of an answer in a reason.

A proxy that sends back what it was sent would have a password or a token shown, be it in the body,
in the reason beside the status or in a line that is not HTTP.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from meshbridge_nacos.decoding import UnreadableError
from meshbridge_nacos.options import Server

PATIENCE = aiohttp.ClientTimeout(total=10)
LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes."""
FAILURES = (aiohttp.ClientError, TimeoutError, UnreadableError)
"""What may be raised; :func:`reason` tells it."""


class UselessAnswer(aiohttp.ClientError):
    """Its text is the reason, and holds nothing of the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class OverHttp:
    """How Nacos' HTTP interface is reached."""

    context_path: str = "/nacos"
    tls: Callable[[], ssl.SSLContext] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Http"]:
        """Give connections that are kept until this is left. Raises RegistryUnavailable."""
        # The system's authorities take 30 ms to read.
        tls = True if self.tls is None else await asyncio.to_thread(self.tls)
        connector = aiohttp.TCPConnector(ssl=tls)
        async with aiohttp.ClientSession(connector=connector, timeout=PATIENCE) as session:
            yield Http(self, session)

    def url(self, server: Server, path: str) -> str:
        """Return where a server has a path, which begins after the context path."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{server}{self.context_path}{path}"


class Http:
    """Connections to some servers; every method raises what is in FAILURES."""

    def __init__(self, how: OverHttp, session: aiohttp.ClientSession) -> None:
        self._how = how
        self._session = session

    async def get(
        self, server: Server, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Answer:
        """Ask for something."""
        url = self._how.url(server, path)
        return await self._ask("GET", url, LARGEST_ANSWER, params=query, headers=headers)

    async def post(
        self, server: Server, path: str, form: Mapping[str, str], largest: int
    ) -> Answer:
        """Send a form; the answer may have ``largest`` bytes."""
        return await self._ask("POST", self._how.url(server, path), largest, data=form)

    async def get_url(self, url: str, largest: int) -> Answer:
        """Ask for something that is not Nacos'."""
        return await self._ask("GET", url, largest)

    async def _ask(
        self,
        method: str,
        url: str,
        largest: int,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> Answer:
        async with self._session.request(
            method, url, params=params, headers=headers, data=data, allow_redirects=False
        ) as answer:
            body = bytearray()
            # A single read gives what has arrived of it.
            async for part in answer.content.iter_any():
                body += part
                if len(body) > largest:
                    raise UselessAnswer(f"its answer is longer than {largest} bytes")
            return Answer(answer.status, bytes(body))


def reason(error: Exception) -> str:
    """Return what went wrong, in no words of the server's."""
    match error:
        case TimeoutError():
            return f"no answer within {PATIENCE.total:g} s"
        case aiohttp.ClientResponseError():
            return "its answer is not HTTP"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "it broke off its answer"
        case UselessAnswer() | OSError() | aiohttp.InvalidURL() | UnreadableError():
            return str(error)
        case _:
            return type(error).__name__
