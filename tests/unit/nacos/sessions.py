"""Sessions with a scripted server, whose time and tokens are the tests' own."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from meshbridge import RegistryUnavailable
from meshbridge.settings.secret import Secret
from meshbridge_nacos.asking import OnPush
from meshbridge_nacos.identity import Identity
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.login import Login
from meshbridge_nacos.options import DEFAULT_GROUP, PUBLIC, Server
from meshbridge_nacos.over_http import OverHttp
from meshbridge_nacos.parse import Record
from meshbridge_nacos.servers import Servers
from meshbridge_nacos.session import Means, Session, connected
from meshbridge_nacos.signing import AccessKey
from rig.scripted_nacos import ScriptedNacos

Body = Callable[[Session, Inbox], Awaitable[None]]
UNREADABLE = {
    "malformed": b"{not json",
    "not UTF-8": b'{"serviceInfo": {"name": "\xff"}}',
    "nested too deep": b'{"serviceInfo":' * 100_000,
}
"""By the reason that is given."""
MOMENT = 1_700_000_000_000
"""What the time is, in milliseconds since 1970."""


class Tokens(Login):
    """Logs in without a server: the tokens are t1, t2 and so on."""

    def __init__(self) -> None:
        super().__init__(tuple, OverHttp(), "bridge", Secret(""), lambda: 0.0)
        self.number = 1

    async def token(self) -> str:
        return f"t{self.number}"

    def forget(self, token: str) -> bool:
        assert token == f"t{self.number}"
        self.number += 1
        return True


async def never(_: float) -> None:
    """Make no checks."""
    await asyncio.Event().wait()


async def at_once(_: float) -> None:
    """Let no time pass between the checks of a connection."""
    await asyncio.sleep(0.001)


def ignore(group: str, name: str, info: Record) -> None:
    """Take no push."""


def session_with(
    nacos: ScriptedNacos,
    *,
    login: Login | None = None,
    key: AccessKey | None = None,
    servers: Servers | None = None,
    http: OverHttp | None = None,
    sleep: Callable[[float], Awaitable[None]] = never,
    on_push: OnPush = ignore,
    namespace: str = PUBLIC,
) -> AbstractAsyncContextManager[Session]:
    server = Server("127.0.0.1", nacos.port)
    servers = servers or Servers([server], None, lambda: 0.0, pytest.fail)
    identity = Identity(login, key, lambda: MOMENT)
    means = Means(servers, identity, http or OverHttp(), None, sleep)
    return connected(server, namespace, means, on_push)


async def converse(
    nacos: ScriptedNacos,
    body: Body,
    sleep: Callable[[float], Awaitable[None]] = never,
    inbox: Inbox | None = None,
) -> None:
    inbox = inbox or Inbox()

    def put(group: str, name: str, info: Record) -> None:
        if group == DEFAULT_GROUP:
            inbox.put(name, info)

    async with session_with(nacos, sleep=sleep, on_push=put) as session:
        await body(session, inbox)


async def fate(
    nacos: ScriptedNacos,
    happens: Callable[[], None],
    sleep: Callable[[float], Awaitable[None]] = never,
) -> str:
    """Return why a session ended after something happened to it."""

    async def wait_for_it(session: Session, _: Inbox) -> None:
        await session.subscribe(DEFAULT_GROUP, "orders")
        happens()
        await asyncio.sleep(10)

    with pytest.raises(ExceptionGroup) as failed:
        await converse(nacos, wait_for_it, sleep)
    lost, rest = failed.value.split(RegistryUnavailable)
    assert lost is not None
    assert rest is None
    return repr(lost)
