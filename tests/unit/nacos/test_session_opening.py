"""A session begins when the server has taken the connection, or says why it does not."""

import pytest
from unit.nacos.sessions import UNREADABLE, converse, session_with

from meshbridge import RegistryUnavailable
from meshbridge_nacos import link
from meshbridge_nacos.asking import Page
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.options import DEFAULT_GROUP
from meshbridge_nacos.session import Session
from rig.scripted_nacos import ScriptedNacos, pack, pack_raw

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("why", UNREADABLE)
async def test_a_server_whose_first_word_cannot_be_read_is_told_so(why: str) -> None:
    async with ScriptedNacos() as nacos:
        nacos.answers["ServerCheckRequest"] = pack_raw("ServerCheckResponse", UNREADABLE[why])

        async def body(_session: Session, _inbox: Inbox) -> None:
            pytest.fail("this is not Nacos")

        # A field that nobody reads may hold anything.
        told = "type ServerCheckResponse cannot be read|not ready, or not Nacos"
        with pytest.raises(RegistryUnavailable, match=told):
            await converse(nacos, body)


async def test_a_server_of_another_kind_is_told_from_nacos() -> None:
    async with ScriptedNacos() as nacos:
        nacos.answers["ServerCheckRequest"] = pack("HealthCheckResponse", {})

        async def body(_session: Session, _inbox: Inbox) -> None:
            pytest.fail("this is not Nacos")

        with pytest.raises(RegistryUnavailable, match="not ready, or not Nacos"):
            await converse(nacos, body)


async def test_a_server_that_negotiates_first_is_listened_to() -> None:
    async with ScriptedNacos() as nacos:
        nacos.negotiates = True
        nacos.put("orders", "10.0.0.1", 80)

        async def body(session: Session, inbox: Inbox) -> None:
            assert await session.page(DEFAULT_GROUP, 1, 10) == Page(1, ("orders",))
            await session.subscribe(DEFAULT_GROUP, "orders")
            assert set(await inbox.take()) == {"orders"}

        await converse(nacos, body)


async def test_nothing_that_listens_is_an_outage_at_once() -> None:
    nacos = ScriptedNacos()

    async def body(_session: Session, _inbox: Inbox) -> None:
        pytest.fail("there is nobody to talk to")

    with pytest.raises(RegistryUnavailable, match="nothing listens there"):
        await converse(nacos, body)


async def test_what_a_server_can_do_is_what_it_said() -> None:
    async with ScriptedNacos() as nacos:
        async with session_with(nacos) as session:
            assert session.abilities == frozenset()
        nacos.negotiates = True
        async with session_with(nacos) as session:
            assert session.abilities == {"fuzzyWatch"}


async def test_the_server_is_told_our_address_as_it_sees_it() -> None:
    """Nacos shows it beside what is subscribed to."""
    async with ScriptedNacos() as nacos, session_with(nacos) as session:
        await session.page(DEFAULT_GROUP, 1, 10)
        assert nacos.addresses[-1] == "127.0.0.1"


async def test_a_connection_that_is_taken_late_is_waited_for() -> None:
    async with ScriptedNacos() as nacos:
        nacos.takes_after = 3
        async with session_with(nacos) as session:
            assert await session.page(DEFAULT_GROUP, 1, 10) == Page(0, ())


@pytest.mark.parametrize("negotiates", [True, False])
async def test_a_connection_that_is_never_taken_is_an_outage(
    monkeypatch: pytest.MonkeyPatch, *, negotiates: bool
) -> None:
    monkeypatch.setattr(link, "OPENING", 1.0)
    async with ScriptedNacos() as nacos:
        nacos.negotiates, nacos.takes_after = negotiates, 1_000_000
        with pytest.raises(RegistryUnavailable, match="does not take the connection within 1 s"):
            async with session_with(nacos):
                pytest.fail("it was not taken")


async def test_a_stream_that_ends_while_a_session_is_opened_is_an_outage() -> None:
    async with ScriptedNacos() as nacos:
        nacos.ends_streams = True
        with pytest.raises(RegistryUnavailable, match="the server ended the stream"):
            async with session_with(nacos):
                pytest.fail("it was ended")
