"""A session with a server that speaks as Nacos does ends with every fault, and says why."""

import asyncio
import json
import re
from typing import cast

import grpc
import grpc.aio
import msgspec
import pytest
from unit.nacos.sessions import UNREADABLE, at_once, converse, fate, session_with

from meshbridge import RegistryUnavailable
from meshbridge.testing import Clock
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.options import DEFAULT_GROUP, Server
from meshbridge_nacos.parse import Record
from meshbridge_nacos.servers import EVERY, Servers
from meshbridge_nacos.session import Session
from meshbridge_nacos.wire import take_leave
from rig.scripted_nacos import ScriptedNacos
from rig.waiting import until

pytestmark = pytest.mark.asyncio


async def test_a_stream_that_ends_well_ends_the_session() -> None:
    """The SDK goes on as if nothing had happened, and hears nothing any more."""
    async with ScriptedNacos() as nacos:
        assert "the server ended the stream" in await fate(nacos, nacos.end_streams)


async def test_a_stream_that_ends_while_pushes_are_answered_ends_the_session_as_well() -> None:
    """GRPC then says "Internal error from Core", and keeps the call for its unread pushes."""
    async with ScriptedNacos() as nacos:

        def push_and_end() -> None:
            for _push in range(50):
                nacos.push("orders")
            nacos.end_streams()

        for _turn in range(5):
            assert "the server ended the stream" in await fate(nacos, push_and_end)
        calls = [task for task in asyncio.all_tasks() if "_handle_status" in repr(task)]
        if calls:  # gRPC's thread may be about to end one; a leaked one never ends
            await asyncio.wait(calls, timeout=5)
        assert [call for call in calls if not call.done()] == []


class Over:
    """A stream that its server has ended, as it answers the wish to end it."""

    def __init__(self, answer: Exception) -> None:
        self._answer = answer

    async def done_writing(self) -> None:
        raise self._answer

    async def write(self, request: bytes) -> None:
        pytest.fail(f"{request!r} comes too late")

    async def read(self) -> object:
        pytest.fail("there is nothing")

    def cancel(self) -> bool:
        return False

    async def code(self) -> object:
        return grpc.StatusCode.OK


@pytest.mark.parametrize(
    "answer",
    [
        grpc.aio.InternalError("Failed"),
        grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()),
        asyncio.InvalidStateError(),
    ],
    ids=repr,
)
async def test_to_take_leave_of_a_stream_that_is_over_is_no_fault(answer: Exception) -> None:
    """GRPC has an error for each moment of the race; about one in fifty sessions met the first."""
    await take_leave(Over(answer))


async def test_a_fault_of_our_own_is_not_taken_for_the_servers() -> None:
    """It would be lost with the task that reads the stream."""

    class Faulty(Inbox):
        def put(self, service: str, info: Record) -> None:
            raise ZeroDivisionError(f"{service}: {info}")

    async def wait_for_it(session: Session, _: Inbox) -> None:
        await session.subscribe(DEFAULT_GROUP, "orders")
        await asyncio.sleep(10)

    async with ScriptedNacos() as nacos:
        with pytest.raises(ZeroDivisionError, match="orders"):
            await converse(nacos, wait_for_it, inbox=Faulty())


async def test_a_connection_that_the_server_has_forgotten_ends_the_session() -> None:
    """Error 301 on a stream that stays open; the SDK takes it for healthy."""
    async with ScriptedNacos() as nacos:
        assert "unregistered" in await fate(nacos, nacos.evict, at_once)


async def test_a_known_connection_stays_through_its_checks() -> None:
    async with ScriptedNacos() as nacos:

        async def body(session: Session, _: Inbox) -> None:
            for _turn in range(20):
                await session.check()

        await converse(nacos, body, at_once)


@pytest.mark.parametrize("why", UNREADABLE)
async def test_a_push_that_cannot_be_read_ends_the_session(why: str) -> None:
    """Each decoder has errors of its own for these, and none of them may be lost."""
    async with ScriptedNacos() as nacos:
        spoilt = UNREADABLE[why]
        reason = await fate(nacos, lambda: nacos.push_raw("NotifySubscriberRequest", spoilt))
        assert re.search(f"a push cannot be read: .*{why}", reason)


@pytest.mark.parametrize("why", UNREADABLE)
async def test_a_request_of_the_server_that_cannot_be_read_is_passed_over(why: str) -> None:
    async with ScriptedNacos() as nacos:

        async def body(session: Session, inbox: Inbox) -> None:
            await session.subscribe(DEFAULT_GROUP, "orders")
            await inbox.take()
            nacos.push_raw("ClientDetectionRequest", UNREADABLE[why])
            nacos.put("orders", "10.0.0.1", 80)
            assert set(await inbox.take()) == {"orders"}

        await converse(nacos, body)


async def test_a_push_of_eight_megabytes_arrives_and_is_acknowledged() -> None:
    """The SDK's own limit of 4 MiB would break the stream and lose it."""
    async with ScriptedNacos() as nacos:

        async def body(session: Session, inbox: Inbox) -> None:
            await session.subscribe(DEFAULT_GROUP, "orders")
            await inbox.take()
            nacos.push("orders", hosts=["x" * 8_000_000])
            pushed: Record = (await inbox.take())["orders"]
            assert len(memoryview(cast("msgspec.Raw", pushed["hosts"]))) > 8_000_000

            async def acknowledged() -> int:
                return nacos.acknowledged

            await until(acknowledged, lambda number: number == 2, within=5)

        await converse(nacos, body)


async def test_a_request_that_is_not_known_is_passed_over() -> None:
    async with ScriptedNacos() as nacos:

        async def body(session: Session, inbox: Inbox) -> None:
            await session.subscribe(DEFAULT_GROUP, "orders")
            await inbox.take()
            nacos.push_raw("NewsRequest", b"{}")
            nacos.push_raw("NotifySubscriberRequest", b"{}")
            for group in ("stranger", None, 1):
                info = {"serviceInfo": {"name": "orders", "groupName": group}}
                nacos.push_raw("NotifySubscriberRequest", json.dumps(info).encode())
            nacos.put("orders", "10.0.0.1", 80)
            assert set(await inbox.take()) == {"orders"}

        await converse(nacos, body)


async def test_a_service_is_pushed_no_more_once_it_was_let_go() -> None:
    async with ScriptedNacos() as nacos:

        async def body(session: Session, inbox: Inbox) -> None:
            for service in ("orders", "users"):
                await session.subscribe(DEFAULT_GROUP, service)
            heard: set[str] = set()
            while heard != {"orders", "users"}:
                heard |= set(await inbox.take())
            await session.unsubscribe(DEFAULT_GROUP, "orders")
            nacos.put("orders", "10.0.0.1", 80)
            nacos.put("users", "10.0.0.1", 80)
            assert set(await inbox.take()) == {"users"}

        await converse(nacos, body)


async def test_a_server_may_send_us_elsewhere() -> None:
    """The session ends, and the next one begins with that server."""
    async with ScriptedNacos() as nacos:
        here, there, another = (
            Server("127.0.0.1", nacos.port),
            Server("10.0.0.1"),
            Server("10.0.0.2"),
        )
        servers = Servers([here, another, there], None, lambda: 0.0, pytest.fail)
        servers.tried(here)
        body = b'{"requestId": "7", "serverIp": "10.0.0.1", "serverPort": "8848"}'

        async def stay() -> None:
            async with session_with(nacos, servers=servers):
                nacos.push_raw("ConnectResetRequest", body)
                await asyncio.sleep(10)

        with pytest.raises(ExceptionGroup) as ended:
            await stay()
        assert ended.group_contains(RegistryUnavailable, match=r"asks us to go to 10\.0\.0\.1:8848")
        assert await servers.order() == (there, another, here)


@pytest.mark.parametrize("body", [b"{}", b'{"serverIp": null, "serverPort": ""}'])
async def test_a_server_may_send_us_away_without_saying_where(body: bytes) -> None:
    async with ScriptedNacos() as nacos:
        sent = await fate(nacos, lambda: nacos.push_raw("ConnectResetRequest", body))
        assert "asks us to go to another server" in sent


async def test_a_server_that_an_address_server_names_no_more_is_left() -> None:
    async with ScriptedNacos() as nacos:
        said = [nacos.address, "10.0.0.1"]
        clock = Clock()

        async def named() -> str:
            return said[0]

        async def passing(_: float) -> None:
            clock.advance(EVERY)
            await asyncio.sleep(0.001)

        servers = Servers((), named, clock, pytest.fail)
        await servers.refresh()

        async def stay() -> None:
            async with session_with(nacos, servers=servers, sleep=passing):
                await asyncio.sleep(0.05)
                del said[0]
                await asyncio.sleep(10)

        with pytest.raises(ExceptionGroup) as ended:
            await stay()
        assert ended.group_contains(RegistryUnavailable, match="does not name it any more")


async def test_requests_of_a_type_that_is_heard_are_handed_on_and_answered() -> None:
    async with ScriptedNacos() as nacos, session_with(nacos) as session:
        heard: asyncio.Queue[Record] = asyncio.Queue()
        session.hear("NewsRequest", "NewsResponse", heard.put_nowait)
        for number in ("7", None, 8):
            nacos.push_raw("NewsRequest", json.dumps({"requestId": number, "news": 1}).encode())
            assert await heard.get() == {"requestId": number, "news": 1}

        async def answered() -> list[tuple[str, object]]:
            return nacos.answered

        await until(
            answered,
            lambda seen: (
                seen == [("NewsResponse", "7"), ("NewsResponse", ""), ("NewsResponse", "")]
            ),
            within=5,
        )


@pytest.mark.parametrize("why", UNREADABLE)
async def test_a_heard_request_that_cannot_be_read_ends_the_session(why: str) -> None:
    """What it said is lost otherwise."""
    async with ScriptedNacos() as nacos:

        async def stay() -> None:
            async with session_with(nacos) as session:
                session.hear("NewsRequest", "NewsResponse", lambda _: None)
                nacos.push_raw("NewsRequest", UNREADABLE[why])
                await asyncio.sleep(10)

        with pytest.raises(ExceptionGroup) as ended:
            await stay()
        assert ended.group_contains(RegistryUnavailable, match="type NewsRequest cannot be read")


async def test_a_message_that_is_no_protobuf_ends_the_session() -> None:
    async with ScriptedNacos() as nacos:
        reason = await fate(nacos, lambda: nacos.push_bytes(b"\xff\xff\xff"))
        assert "it is not Nacos' protobuf" in reason
