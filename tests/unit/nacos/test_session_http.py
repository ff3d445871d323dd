"""A session asks the same server over HTTP, as the same user, and repeats nothing of an answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from unit.nacos.sessions import MOMENT, Tokens, session_with

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge.settings.secret import Secret
from meshbridge_nacos import over_http
from meshbridge_nacos.over_http import OverHttp
from meshbridge_nacos.session import Session
from meshbridge_nacos.signing import AccessKey
from rig.scripted_nacos import ScriptedNacos

pytestmark = pytest.mark.asyncio

ECHO = "you said token=t1"


@dataclass
class Door:
    """The HTTP side of the scripted server."""

    status: int = 200
    body: bytes = b'{"data": []}'
    tokens: tuple[str, ...] | None = None
    """Those that are let in; None lets everybody in."""
    asked: list[str] = field(default_factory=list[str])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        self.headers.append(dict(request.headers))
        if self.tokens is not None and request.headers.get("accessToken") not in self.tokens:
            return web.Response(status=403, text=ECHO, reason=ECHO)
        return web.Response(status=self.status, body=self.body, reason=ECHO)


@asynccontextmanager
async def door(nacos: ScriptedNacos) -> AsyncGenerator[Door]:
    made = Door()
    application = web.Application()
    application.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", nacos.port).start()
    try:
        yield made
    finally:
        await runner.cleanup()


async def fetch(session: Session) -> object:
    return await session.fetch("/v3/x", {"a": "b c"})


async def test_an_object_is_fetched_from_below_the_context_path() -> None:
    http = OverHttp("/registry")
    async with (
        ScriptedNacos() as nacos,
        door(nacos) as opened,
        session_with(nacos, http=http) as session,
    ):
        assert await fetch(session) == {"data": []}
        assert opened.asked == ["/registry/v3/x?a=b+c"]
        assert "accessToken" not in opened.headers[0]


async def test_a_question_over_http_is_signed_too() -> None:
    key = AccessKey("ak", Secret("sk"))
    async with (
        ScriptedNacos() as nacos,
        door(nacos) as opened,
        session_with(nacos, key=key) as session,
    ):
        await fetch(session)
        assert opened.headers[0].items() >= key.sign_naming("", MOMENT).items()


@pytest.mark.parametrize(("taken", "logins"), [("t1", 1), ("t2", 2)])
async def test_a_token_that_is_not_taken_is_replaced_once(taken: str, logins: int) -> None:
    login = Tokens()
    async with (
        ScriptedNacos() as nacos,
        door(nacos) as opened,
        session_with(nacos, login=login) as session,
    ):
        opened.tokens = (taken,)
        assert await fetch(session) == {"data": []}
        assert login.number == logins
        opened.tokens = ()
        with pytest.raises(RegistryRejected, match=r"no right to /v3/x \(403\); check user") as no:
            await fetch(session)
        assert len(opened.asked) == logins + 2
        assert ECHO not in str(no.value)


@pytest.mark.parametrize("status", [401, 403])
async def test_nobody_without_a_right_is_let_in(status: int) -> None:
    async with ScriptedNacos() as nacos, door(nacos) as opened, session_with(nacos) as session:
        opened.status = status
        with pytest.raises(RegistryRejected):
            await fetch(session)
        assert len(opened.asked) == 1, "there is no other token to try"


@pytest.mark.parametrize("status", [302, 404, 500, 501])
async def test_any_other_answer_refuses_this_question(status: int) -> None:
    async with ScriptedNacos() as nacos, door(nacos) as opened, session_with(nacos) as session:
        opened.status = status
        with pytest.raises(BadData, match=f"it answers {status} to /v3/x") as refused:
            await fetch(session)
        assert ECHO not in str(refused.value)
        assert len(opened.asked) == 1, "a redirect is not followed"


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"a": ', b"\xff"])
async def test_what_is_no_object_is_an_outage(body: bytes) -> None:
    async with ScriptedNacos() as nacos, door(nacos) as opened, session_with(nacos) as session:
        opened.body = body
        with pytest.raises(RegistryUnavailable, match="its answer to /v3/x cannot be read"):
            await fetch(session)


async def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_http, "LARGEST_ANSWER", 100)
    async with ScriptedNacos() as nacos, door(nacos) as opened, session_with(nacos) as session:
        opened.body = b" " * 200
        with pytest.raises(RegistryUnavailable, match="longer than 100 bytes"):
            await fetch(session)


async def test_a_server_without_http_is_an_outage() -> None:
    async with ScriptedNacos() as nacos, session_with(nacos) as session:
        with pytest.raises(RegistryUnavailable, match=str(nacos.port)):
            await fetch(session)


async def test_many_questions_go_side_by_side() -> None:
    async with ScriptedNacos() as nacos, door(nacos) as opened, session_with(nacos) as session:
        await asyncio.gather(*(fetch(session) for _ in range(50)))
        assert len(opened.asked) == 50
