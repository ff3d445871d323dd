"""Servers are tried in turn; an address server is asked when that is due, and may fail."""

import pytest

from meshbridge import RegistryUnavailable
from meshbridge.testing import Clock
from meshbridge_nacos.options import Server
from meshbridge_nacos.servers import EVERY, Servers, read_list

A, B, C = Server("10.0.0.1"), Server("10.0.0.2"), Server("10.0.0.2", 9000)

pytestmark = pytest.mark.asyncio


def fixed(*servers: Server) -> Servers:
    return Servers(servers, None, Clock(), pytest.fail)


async def test_the_one_after_the_last_comes_first() -> None:
    servers = fixed(A, B, C)
    assert await servers.order() == (A, B, C)
    servers.tried(A)
    assert await servers.order() == (B, C, A)
    servers.tried(C)
    assert await servers.order() == (A, B, C)
    servers.tried(Server("10.9.9.9"))
    assert await servers.order() == (A, B, C)


@pytest.mark.parametrize(
    ("place", "order"),
    [
        ("10.0.0.2:9000", (C, B, A)),
        ("10.0.0.2:7777", (B, C, A)),
        ("10.0.0.1:None", (A, B, C)),
        ("10.9.9.9:8848", (B, C, A)),
    ],
)
async def test_where_we_were_sent_comes_first_once(place: str, order: tuple[Server, ...]) -> None:
    servers = fixed(A, B, C)
    servers.tried(A)
    servers.send_to(place)
    assert await servers.order() == order
    assert await servers.order() == (B, C, A)


class Told:
    """An address server that says what the test wants."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.fails = False
        self.asked = 0
        self.warned: list[str] = []
        self.clock = Clock()
        self.servers = Servers((), self.answer, self.clock, self.warned.append)

    async def answer(self) -> str:
        self.asked += 1
        if self.fails:
            raise RegistryUnavailable("nobody answers")
        return self.text


async def test_an_address_server_is_asked_when_that_is_due() -> None:
    told = Told("10.0.0.1")
    assert told.servers.may_change
    assert told.servers.known() == ()
    assert await told.servers.order() == (A,)
    told.text = "10.0.0.2"
    told.clock.advance(EVERY - 1)
    assert await told.servers.order() == (A,)
    told.clock.advance(1)
    assert await told.servers.order() == (B,)
    assert told.asked == 2


async def test_what_an_address_server_said_holds_while_it_fails() -> None:
    told = Told("10.0.0.1")
    await told.servers.order()
    told.fails = True
    told.clock.advance(EVERY)
    assert await told.servers.order() == (A,)
    assert told.warned == ["nobody answers"]
    assert await told.servers.order() == (A,), "it is not asked again at once"
    assert told.asked == 2
    told.fails, told.text = False, "# none"
    told.clock.advance(EVERY)
    assert await told.servers.order() == (A,), "an empty list is no word on the servers"


async def test_an_address_server_that_never_said_anything_is_an_outage() -> None:
    told = Told()
    with pytest.raises(RegistryUnavailable, match="names no server of Nacos"):
        await told.servers.order()
    told.fails = True
    with pytest.raises(RegistryUnavailable, match="nobody answers"):
        await told.servers.order()
    told.fails, told.text = False, "10.0.0.1"
    assert await told.servers.order() == (A,), "an outage is no reason to wait"


async def test_known_servers_are_asked_about_nowhere() -> None:
    servers = fixed(A)
    assert not servers.may_change
    await servers.refresh()
    assert servers.known() == (A,)


async def test_a_list_is_one_server_a_line() -> None:
    text = (
        "10.0.0.1\r\n http://10.0.0.2:9000 \n\n# 10.0.0.3\n10.0.0.4:port\n10.0.0.1:8848\n[::1]:80"
    )
    assert read_list(text) == (A, C, Server("[::1]", 80))
