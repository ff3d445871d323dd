"""A Nacos user's access token: fetched when needed, shared, renewed in time.

The SDK's own login puts the password into the URL, waits 10,000 s for an answer and logs the
token; this one does not. It repeats nothing of an answer either, be it the body, the reason beside
the status or a line that is not HTTP: a proxy that sends the form back would have the password
shown.
"""

import asyncio
from collections.abc import Callable

import aiohttp
import msgspec

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.settings.secret import Secret
from meshbridge_nacos.decoding import UnreadableError, decode
from meshbridge_nacos.options import Server

PATH = "/nacos/v1/auth/users/login"
"""Answered by Nacos 2 and 3 alike."""
PATIENCE = aiohttp.ClientTimeout(total=10)
LARGEST_ANSWER = 64 * 1024
"""Bytes."""
TAKEN = 200
FAULT = 500
"""What Nacos 2.5 answers to a wrong name or password, and to a right one in its first 15 s."""
GRACE = 20.0
"""Seconds after which that answer is taken for a refusal."""
SHARE = 0.8
"""The part of a token's life after which it is renewed."""


class _Token(msgspec.Struct, frozen=True, rename="camel"):
    access_token: str
    token_ttl: int = 18_000
    """Seconds."""


class _UselessAnswer(aiohttp.ClientError):
    """Its text is the reason, and holds nothing of the answer."""


class Login:
    """The token of one user on one cluster."""

    def __init__(
        self,
        servers: tuple[Server, ...],
        username: str,
        password: Secret,
        clock: Callable[[], float],
    ) -> None:
        self._servers = servers
        self._username = username
        self._password = password
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0
        self._faulty_since: float | None = None
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """Return a token that still lives.

        Raises RegistryRejected when a server refuses the user, RegistryUnavailable when none
        answers.
        """
        async with self._fetching:
            if not self._token or self._clock() >= self._renew_at:
                found = await self._fetch()
                self._faulty_since = None
                self._token = found.access_token
                self._renew_at = self._clock() + SHARE * found.token_ttl
        return self._token

    def forget(self, token: str) -> None:
        """Fetch another token next time, unless that was done: a server did not take this one."""
        if self._token == token:
            self._token = ""

    async def _fetch(self) -> _Token:
        reasons: list[str] = []
        async with aiohttp.ClientSession(timeout=PATIENCE) as session:
            for server in self._servers:
                try:
                    return await self._ask(session, server)
                except (aiohttp.ClientError, TimeoutError, UnreadableError) as error:
                    reasons.append(f"{server}: {_reason(error)}")
        raise RegistryUnavailable(f"no server lets {self._username} log in: {'; '.join(reasons)}")

    async def _ask(self, session: aiohttp.ClientSession, server: Server) -> _Token:
        form = {"username": self._username, "password": self._password.reveal()}
        async with session.post(
            f"http://{server}{PATH}", data=form, allow_redirects=False
        ) as answer:
            body = await _whole(answer.content)
            if answer.status in {401, 403} or (answer.status == FAULT and self._lasts()):
                raise RegistryRejected(
                    f"{server}: user {self._username} is refused ({answer.status});"
                    " check username and password"
                )
            if answer.status != TAKEN:
                raise _UselessAnswer(f"it answers {answer.status}")
        return decode(body, _Token, "its answer")

    def _lasts(self) -> bool:
        """Note a faulty answer; say whether there was nothing else for long enough."""
        if self._faulty_since is None:
            self._faulty_since = self._clock()
        return self._clock() - self._faulty_since >= GRACE


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """Return the body: a single read gives what has arrived of it.

    Raises _UselessAnswer when it is too long, and aiohttp.ClientError.
    """
    body = bytearray()
    async for part in content.iter_any():
        body += part
        if len(body) > LARGEST_ANSWER:
            raise _UselessAnswer(f"its answer is longer than {LARGEST_ANSWER} bytes")
    return bytes(body)


def _reason(error: Exception) -> str:
    """Return what went wrong, in no words of the server's."""
    match error:
        case TimeoutError():
            return f"no answer within {PATIENCE.total:g} s"
        case aiohttp.ClientResponseError():
            return "its answer is not HTTP"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "it broke off its answer"
        case _UselessAnswer() | OSError() | aiohttp.InvalidURL() | UnreadableError():
            return str(error)
        case _:
            return type(error).__name__
