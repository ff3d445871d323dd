"""Where one cluster's servers are, who we are to them, and sessions with them."""

import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from time import time_ns

import grpc

from meshbridge import Context, RegistryUnavailable
from meshbridge.client_tls import make_context
from meshbridge_nacos import tls
from meshbridge_nacos.asking import OnPush
from meshbridge_nacos.identity import Identity
from meshbridge_nacos.login import Login
from meshbridge_nacos.options import Options, Tls
from meshbridge_nacos.over_http import FAILURES, OverHttp, UselessAnswer, reason
from meshbridge_nacos.servers import Servers
from meshbridge_nacos.session import Means, Session, connected
from meshbridge_nacos.signing import AccessKey

LONGEST_LIST = 1024 * 1024
"""Bytes that an address server may answer."""


class Access:
    """One registry's way to its servers; it lasts as long as the registry."""

    def __init__(self, options: Options, context: Context) -> None:
        self._context = context
        credentials: Callable[[], grpc.ChannelCredentials] | None = None
        tls_context: Callable[[], ssl.SSLContext] | None = None
        if isinstance(options.tls, Tls):
            credentials = partial(tls.channel_credentials, options.tls)
            tls_context = partial(make_context, options.tls)
        clear = isinstance(options.tls, Tls) and options.tls.http == "clear"
        over_http = OverHttp(options.context_path, None if clear else tls_context)
        self._address_server = OverHttp("", tls_context)
        self._endpoint = options.endpoint
        ask = self._ask_address_server if options.endpoint else None
        self._servers = Servers(options.servers, ask, context.clock, self._warn)
        login = (
            Login(self._servers.known, over_http, options.username, options.password, context.clock)
            if options.username
            else None
        )
        key = AccessKey(options.access_key, options.secret_key) if options.access_key else None
        identity = Identity(login, key, lambda: time_ns() // 1_000_000)
        self._means = Means(self._servers, identity, over_http, credentials, context.sleep)

    @asynccontextmanager
    async def session(self, namespace: str, on_push: OnPush) -> AsyncGenerator[Session]:
        """Give a session with the first server that answers.

        It begins after the one used last, or with the one that a server sent us to. The body is
        cancelled, and RegistryUnavailable raised, when the connection ends, the server has
        forgotten it, or an address server names that server no more. Raises RegistryUnavailable
        also when no server answers.
        """
        reasons: list[str] = []
        for server in await self._servers.order():
            async with AsyncExitStack() as stack:
                opening = connected(server, namespace, self._means, on_push)
                try:
                    session = await stack.enter_async_context(opening)
                except RegistryUnavailable as unavailable:
                    reasons.append(str(unavailable))
                    continue
                self._servers.tried(server)
                yield session
                return
        raise RegistryUnavailable("; ".join(reasons))

    async def _ask_address_server(self) -> str:
        try:
            async with self._address_server.open() as http:
                answer = await http.get_url(self._endpoint, LONGEST_LIST)
                if answer.status != 200:  # noqa: PLR2004 - HTTP's word for yes
                    raise UselessAnswer(f"it answers {answer.status}")
        except FAILURES as error:
            said = f"address server {self._endpoint}: {reason(error)}"
            raise RegistryUnavailable(f"{said}; check endpoint") from None
        return answer.body.decode(errors="replace")

    def _warn(self, reason: str) -> None:
        self._context.logger.warning("servers kept", reason=reason)
