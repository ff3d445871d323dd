"""A Nacos user's access token: fetched when needed, shared, renewed in time.

The SDK's own login puts the password into the URL, waits 10,000 s for an answer and logs the
token; this one does not.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.settings.secret import Secret
from meshbridge_nacos.decoding import decode
from meshbridge_nacos.options import Server
from meshbridge_nacos.over_http import FAILURES, Http, OverHttp, UselessAnswer, reason

PATHS = ("/v1/auth/users/login", "/v3/auth/user/login")
"""Nacos 2 answers the first, 3 both unless the old interface is switched off."""
LARGEST_ANSWER = 64 * 1024
"""Bytes."""
TAKEN = 200
NOT_THERE = {404, 405, 410, 501}
"""What a server answers that has no such path."""
FAULT = 500
"""What Nacos 2.5 answers to a wrong name or password, and to a right one in its first 15 s."""
GRACE = 20.0
"""Seconds after which that answer is taken for a refusal."""
YOUNG = 10.0
"""Seconds for which a token is not replaced when it is refused."""
RENEW_AGAIN = 30.0
"""Seconds after which a token that lives is to be renewed again where that failed."""
SHARE = 0.8
"""The part of a token's life after which it is renewed."""


class _Token(msgspec.Struct, frozen=True, rename="camel"):
    access_token: str
    token_ttl: int = 18_000
    """Seconds."""


class Login:
    """The token of one user on one cluster."""

    def __init__(
        self,
        servers: Callable[[], Sequence[Server]],
        how: OverHttp,
        username: str,
        password: Secret,
        clock: Callable[[], float],
    ) -> None:
        self._servers = servers
        self._how = how
        self._username = username
        self._password = password
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._young_until = 0.0
        self._faulty_since: float | None = None
        self._served_by: Server | None = None
        """Who gave the last token, and is asked for the next one first."""
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """Return a token that still lives.

        Raises RegistryRejected when a server refuses the user, RegistryUnavailable when none
        answers; but not while there is a token that lives and that no server has refused.
        """
        async with self._fetching:
            if not self._token or self._clock() >= self._renew_at:
                try:
                    self._keep(await self._fetch())
                except (RegistryRejected, RegistryUnavailable):
                    now = self._clock()
                    if not self._token or now >= self._ends_at:
                        raise
                    self._renew_at = min(now + RENEW_AGAIN, self._ends_at)
        return self._token

    def forget(self, token: str) -> bool:
        """Note that a server did not take this one; say whether another one may help.

        One that is young is not replaced: its user has no right to what was asked. Otherwise each
        question about what is forbidden would log in anew.
        """
        if self._token == token:
            if self._clock() < self._young_until:
                return False
            self._token = ""
        return True

    def _keep(self, found: _Token) -> None:
        self._faulty_since = None
        self._token = found.access_token
        now = self._clock()
        self._renew_at = now + SHARE * found.token_ttl
        self._ends_at = now + found.token_ttl
        self._young_until = now + min(YOUNG, SHARE * found.token_ttl / 2)

    async def _fetch(self) -> _Token:
        reasons: list[str] = []
        async with self._how.open() as http:
            for server in sorted(self._servers(), key=lambda each: each != self._served_by):
                try:
                    found = await self._ask(http, server)
                except FAILURES as error:
                    reasons.append(f"{server}: {reason(error)}")
                else:
                    self._served_by = server
                    return found
        raise RegistryUnavailable(f"no server lets {self._username} log in: {'; '.join(reasons)}")

    async def _ask(self, http: Http, server: Server) -> _Token:
        form = {"username": self._username, "password": self._password.reveal()}
        for path in PATHS:
            answer = await http.post(server, path, form, LARGEST_ANSWER)
            if answer.status not in NOT_THERE:
                break
        else:
            raise UselessAnswer(f"it has no login below {self._how.context_path or '/'}")
        if answer.status in {401, 403} or (answer.status == FAULT and self._lasts()):
            raise RegistryRejected(
                f"{server}: user {self._username} is refused ({answer.status});"
                " check username and password"
            )
        if answer.status != TAKEN:
            raise UselessAnswer(f"it answers {answer.status}")
        return decode(answer.body, _Token, "its answer")

    def _lasts(self) -> bool:
        """Note a faulty answer; say whether there was nothing else for long enough."""
        if self._faulty_since is None:
            self._faulty_since = self._clock()
        return self._clock() - self._faulty_since >= GRACE
