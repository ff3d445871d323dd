"""A token is fetched once, shared and renewed; a refusal is told from a fault."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.settings.secret import Secret
from meshbridge.testing import Clock
from meshbridge_nacos.login import GRACE, LARGEST_ANSWER, YOUNG, Login
from meshbridge_nacos.options import Server
from meshbridge_nacos.over_http import OverHttp
from rig.ports import free_port

pytestmark = pytest.mark.asyncio

PASSWORD = Secret("hunter2")
NOWHERE = Server("127.0.0.1", 0)


@dataclass
class Door:
    """A server's login; answers with the token of that number."""

    server: Server = NOWHERE
    status: int = 200
    encoding: str = "utf-8"
    reason: str | None = None
    pieces: int = 1
    """How many parts the body comes in, each sent after the one before it had arrived."""
    body: str = '{"accessToken": "token-%d", "tokenTtl": 100, "globalAdmin": false}'
    asked: list[dict[str, list[str]]] = field(default_factory=list[dict[str, list[str]]])
    urls: list[str] = field(default_factory=list[str])

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.urls.append(str(request.url))
        self.asked.append(parse_qs(await request.text()))
        body = self.body.replace("%d", str(len(self.asked))).encode(self.encoding)
        response = web.StreamResponse(
            status=self.status, reason=self.reason, headers={"Location": "/elsewhere"}
        )
        await response.prepare(request)
        for start in range(0, len(body), size := -(-len(body) // self.pieces) or 1):
            await response.write(body[start : start + size])
            for _turn in range(20):  # of the loop, in which the other side reads it
                await asyncio.sleep(0)
        return response


@asynccontextmanager
async def door(path: str = "/nacos/v1/auth/users/login") -> AsyncGenerator[Door]:
    made = Door()
    application = web.Application()
    application.router.add_post(path, made.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.server = Server("127.0.0.1", int(runner.addresses[0][1]))
    try:
        yield made
    finally:
        await runner.cleanup()


def login(*servers: Server, clock: Clock | None = None) -> Login:
    return Login(lambda: servers, OverHttp(), "bridge", PASSWORD, clock or Clock())


async def test_many_who_need_a_token_fetch_it_once() -> None:
    async with door() as opened:
        one = login(opened.server)
        tokens = await asyncio.gather(*(one.token() for _ in range(50)))
    assert set(tokens) == {"token-1"}
    assert len(opened.asked) == 1


async def test_the_password_travels_in_the_body_and_not_in_the_url() -> None:
    async with door() as opened:
        await login(opened.server).token()
    assert opened.asked == [{"username": ["bridge"], "password": ["hunter2"]}]
    assert not any("hunter2" in url for url in opened.urls)


async def test_a_token_is_renewed_before_it_ends() -> None:
    async with door() as opened:
        clock = Clock()
        one = login(opened.server, clock=clock)
        await one.token()
        clock.advance(79)
        assert await one.token() == "token-1"
        clock.advance(2)
        assert await one.token() == "token-2"


@pytest.mark.parametrize("status", [403, 503])
async def test_a_token_that_cannot_be_renewed_is_used_until_it_ends(status: int) -> None:
    """It is renewed long before: that servers take no logins for a while is to harm nobody."""
    async with door() as opened:
        clock = Clock()
        one = login(opened.server, clock=clock)
        await one.token()
        opened.status = status
        clock.advance(85)
        assert await one.token() == "token-1"
        assert await one.token() == "token-1"
        assert len(opened.asked) == 2, "not tried again at each question"
        clock.advance(15)
        with pytest.raises(RegistryRejected if status == 403 else RegistryUnavailable):
            await one.token()
        opened.status = 200
        assert await one.token() == "token-4"


async def test_a_token_that_was_refused_is_not_used_for_want_of_another() -> None:
    async with door() as opened:
        clock = Clock()
        one = login(opened.server, clock=clock)
        refused = await one.token()
        clock.advance(YOUNG)
        assert one.forget(refused)
        opened.status = 503
        with pytest.raises(RegistryUnavailable):
            await one.token()


async def test_a_token_that_was_refused_is_forgotten_once() -> None:
    """Fifty that hold the same refused token make one new login."""
    async with door() as opened:
        clock = Clock()
        one = login(opened.server, clock=clock)
        refused = await one.token()
        clock.advance(YOUNG)
        assert one.forget(refused)
        assert await one.token() == "token-2"
        assert one.forget(refused)
        assert await one.token() == "token-2"


async def test_a_young_token_that_is_refused_is_kept() -> None:
    """Its user has no right to what was asked, however often that is asked."""
    async with door() as opened:
        clock = Clock()
        one = login(opened.server, clock=clock)
        token = await one.token()
        clock.advance(YOUNG - 1)
        assert not one.forget(token)
        assert await one.token() == token


async def test_a_token_that_lives_shortly_is_young_for_less() -> None:
    async with door() as opened:
        opened.body = opened.body.replace("100", "5")
        clock = Clock()
        one = login(opened.server, clock=clock)
        token = await one.token()
        clock.advance(2)
        assert one.forget(token)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_user_is_a_rejection(status: int) -> None:
    async with door() as opened:
        opened.status, opened.body = status, "unknown user!\n"
        with pytest.raises(RegistryRejected, match=rf"bridge is refused \({status}\); check user"):
            await login(opened.server).token()


@pytest.mark.parametrize(
    "echo", ["password=h%u&nter2", "password=h%25u%26nter2", "h%u&amp;nter2", "aCV1Jm50ZXIy"]
)
@pytest.mark.parametrize("status", [200, 401, 403, 500, 503])
async def test_a_server_that_repeats_the_password_makes_nobody_else_repeat_it(
    status: int, echo: str
) -> None:
    """As it is, in a form, in HTML or in base64: what such an answer says is not passed on."""
    async with door() as opened:
        clock = Clock()
        one = Login(lambda: (opened.server,), OverHttp(), "bridge", Secret("h%u&nter2"), clock)
        opened.status, opened.body, opened.reason = status, echo, echo
        for _ in range(2):  # a fault is taken for a refusal the second time
            with pytest.raises((RegistryRejected, RegistryUnavailable)) as failed:
                await one.token()
            assert echo not in str(failed.value)
            clock.advance(GRACE)


async def test_a_server_that_speaks_no_http_is_not_quoted() -> None:
    """It may send back every line of what it was sent, and aiohttp quotes the line it stops at."""

    async def send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readuntil(b"hunter2")).splitlines()[-1] + b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    mirror = await asyncio.start_server(send_back, "127.0.0.1", 0)
    async with mirror:
        server = Server("127.0.0.1", int(mirror.sockets[0].getsockname()[1]))
        with pytest.raises(RegistryUnavailable, match="its answer is not HTTP") as failed:
            await login(server).token()
    assert "hunter2" not in str(failed.value)


async def test_a_fault_becomes_a_refusal_when_it_lasts() -> None:
    """Nacos 2.5 answers 500 to a wrong password, and to a right one in its first 15 s."""
    async with door() as opened:
        clock = Clock()
        one = login(opened.server, clock=clock)
        opened.status = 500
        for _ in range(2):
            with pytest.raises(RegistryUnavailable, match="500"):
                await one.token()
            clock.advance(GRACE / 2 - 1)
        opened.status = 200
        refused = await one.token()
        clock.advance(GRACE)
        assert one.forget(refused)
        opened.status = 500
        with pytest.raises(RegistryUnavailable):
            await one.token()
        clock.advance(GRACE)
        with pytest.raises(RegistryRejected):
            await one.token()


@pytest.mark.parametrize(("status", "body"), [(302, ""), (503, ""), (200, "{}"), (200, "<html>")])
async def test_any_other_answer_is_an_outage(status: int, body: str) -> None:
    async with door() as opened:
        opened.status, opened.body = status, body
        with pytest.raises(RegistryUnavailable, match="no server lets bridge log in"):
            await login(opened.server).token()
    assert len(opened.asked) == 1, "a redirect is not followed"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"accessToken": "\xff"}', "its answer cannot be read: it is not UTF-8"),
        (b'{"global": ' + b"[" * 50_000, "its answer cannot be read: it is nested too deep"),
        (b'{"accessToken": 1}', "its answer cannot be read: Expected"),
    ],
    ids=["bytes", "depth", "type"],
)
async def test_an_answer_that_cannot_be_read_is_an_outage_and_says_so(
    body: bytes, why: str
) -> None:
    async with door() as opened:
        opened.body = body.decode("latin-1")
        opened.encoding = "latin-1"
        with pytest.raises(RegistryUnavailable, match=why):
            await login(opened.server).token()


async def test_the_next_server_is_asked_when_one_does_not_answer() -> None:
    async with door() as opened:
        closed = Server("127.0.0.1", free_port())
        assert await login(closed, opened.server).token() == "token-1"
        with pytest.raises(RegistryUnavailable, match=str(closed)):
            await login(closed).token()


async def test_who_gave_the_last_token_is_asked_for_the_next_one() -> None:
    """Not the first server, which may be frozen: each login would wait for it."""
    async with door() as first, door() as second:
        first.status, clock = 503, Clock()
        one = login(first.server, second.server, clock=clock)
        await one.token()
        clock.advance(90)
        assert await one.token() == "token-2"
        assert (len(first.asked), len(second.asked)) == (1, 2)


async def test_a_token_that_comes_in_pieces_is_read_whole() -> None:
    """A read gives what is there, and TCP cuts where it likes."""
    async with door() as opened:
        opened.pieces = 3
        assert await login(opened.server).token() == "token-1"


async def test_an_answer_without_end_is_given_up() -> None:
    async with door() as opened:
        opened.body = " " * LARGEST_ANSWER + opened.body
        with pytest.raises(RegistryUnavailable, match=f"longer than {LARGEST_ANSWER} bytes"):
            await login(opened.server).token()


async def test_a_server_without_the_old_interface_has_the_new_one() -> None:
    """Nacos 3 may have the one of release 2 switched off."""
    async with door("/nacos/v3/auth/user/login") as opened:
        assert await login(opened.server).token() == "token-1"


async def test_a_login_is_below_the_context_path() -> None:
    async with door("/registry/v1/auth/users/login") as opened:
        servers = (opened.server,)
        below = Login(lambda: servers, OverHttp("/registry"), "bridge", PASSWORD, Clock())
        assert await below.token() == "token-1"
        with pytest.raises(RegistryUnavailable, match="it has no login below /nacos"):
            await login(opened.server).token()
        above = Login(lambda: servers, OverHttp(""), "bridge", PASSWORD, Clock())
        with pytest.raises(RegistryUnavailable, match=r"it has no login below /$"):
            await above.token()


async def test_servers_that_become_known_later_are_asked() -> None:
    known: list[Server] = []
    async with door() as opened:
        one = Login(lambda: known, OverHttp(), "bridge", PASSWORD, Clock())
        with pytest.raises(RegistryUnavailable):
            await one.token()
        known.append(opened.server)
        assert await one.token() == "token-1"
