"""A session with a server that speaks as Nacos does ends with every fault, and says why."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import pytest
from unit.nacos.sessions import Tokens, at_once, never, session_with

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge_nacos.asking import Page
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.options import DEFAULT_GROUP
from meshbridge_nacos.parse import Record
from meshbridge_nacos.session import Session
from meshbridge_nacos.wire import take_leave
from rig.scripted_nacos import ScriptedNacos, pack, pack_raw
from rig.waiting import until

pytestmark = pytest.mark.asyncio

Body = Callable[[Session, Inbox], Awaitable[None]]


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


UNREADABLE = {
    "malformed": b"{not json",
    "not UTF-8": b'{"serviceInfo": {"name": "\xff"}}',
    "nested too deep": b'{"serviceInfo":' * 100_000,
}
"""By the reason that is given."""


@pytest.mark.parametrize("why", UNREADABLE)
async def test_a_push_that_cannot_be_read_ends_the_session(why: str) -> None:
    """Each decoder has errors of its own for these, and none of them may be lost."""
    async with ScriptedNacos() as nacos:
        spoilt = UNREADABLE[why]
        reason = await fate(nacos, lambda: nacos.push_raw("NotifySubscriberRequest", spoilt))
        assert re.search(f"a push cannot be read: .*{why}", reason)


@pytest.mark.parametrize("why", UNREADABLE)
async def test_an_answer_that_cannot_be_read_is_an_outage(why: str) -> None:
    async with ScriptedNacos() as nacos:
        nacos.answers["ServiceListRequest"] = pack_raw("ServiceListResponse", UNREADABLE[why])

        async def body(session: Session, _: Inbox) -> None:
            reason = f"its answer to ServiceListRequest cannot be read: .*{why}"
            with pytest.raises(RegistryUnavailable, match=reason):
                await session.page(DEFAULT_GROUP, 1, 10)

        await converse(nacos, body)


@pytest.mark.parametrize("field", ["resultCode", "errorCode", "message"])
async def test_an_answer_whose_outcome_is_none_is_an_outage(field: str) -> None:
    async with ScriptedNacos() as nacos:
        nacos.answers["ServiceListRequest"] = pack("ServiceListResponse", {field: [[]]})

        async def body(session: Session, _: Inbox) -> None:
            with pytest.raises(RegistryUnavailable, match=rf"cannot be read: .*\$\.{field}"):
                await session.page(DEFAULT_GROUP, 1, 10)

        await converse(nacos, body)


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


async def test_a_push_of_eight_megabytes_arrives_and_is_acknowledged() -> None:
    """The SDK's own limit of 4 MiB would break the stream and lose it."""
    async with ScriptedNacos() as nacos:

        async def body(session: Session, inbox: Inbox) -> None:
            await session.subscribe(DEFAULT_GROUP, "orders")
            await inbox.take()
            nacos.push("orders", checksum="x" * 8_000_000)
            pushed: Record = (await inbox.take())["orders"]
            assert len(str(pushed["checksum"])) == 8_000_000

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


async def test_a_refusal_of_one_service_is_that_services_only() -> None:
    async with ScriptedNacos() as nacos:

        async def body(session: Session, _: Inbox) -> None:
            nacos.refusal = (403, "access denied")
            with pytest.raises(BadData, match="access denied"):
                await session.subscribe(DEFAULT_GROUP, "orders")
            nacos.refusal = (500, "illegal name")
            with pytest.raises(BadData, match="illegal name"):
                await session.subscribe(DEFAULT_GROUP, "orders")

        await converse(nacos, body)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (403, RegistryRejected),
        (500, RegistryUnavailable),
        (301, RegistryUnavailable),
        (300, RegistryUnavailable),
        (-401, RegistryUnavailable),
    ],
)
async def test_a_list_that_is_refused_is_told_by_what_helps(
    code: int, kind: type[Exception]
) -> None:
    async with ScriptedNacos() as nacos:

        async def body(session: Session, _: Inbox) -> None:
            nacos.refusal = (code, "for a reason")
            with pytest.raises(kind, match="for a reason"):
                await session.page(DEFAULT_GROUP, 1, 10)

        await converse(nacos, body)


@pytest.mark.parametrize(("taken", "logins"), [("t1", 1), ("t2", 2)])
async def test_a_token_that_is_not_taken_is_replaced_once(taken: str, logins: int) -> None:
    async with ScriptedNacos() as nacos:
        nacos.tokens = {taken}
        login = Tokens()
        async with session_with(nacos, login=login) as session:
            assert (await session.page(DEFAULT_GROUP, 1, 10)).count == 0
            assert login.number == logins
            nacos.tokens = set()
            with pytest.raises(RegistryRejected, match="token invalid"):
                await session.page(DEFAULT_GROUP, 1, 10)


async def test_a_server_that_repeats_the_token_makes_nobody_else_repeat_it() -> None:
    async with ScriptedNacos() as nacos, session_with(nacos, login=Tokens()) as session:
        for code, kind in ((403, RegistryRejected), (500, RegistryUnavailable)):
            nacos.refusal = (code, "not with <t1>, not with <t2>!")
            with pytest.raises(kind, match=r"not with <.*\*\*\*>!") as refused:
                await session.page(DEFAULT_GROUP, 1, 10)
            assert "<t2>" not in str(refused.value)


async def test_a_subscription_without_a_description_is_that_services_only() -> None:
    async with ScriptedNacos() as nacos:

        async def body(session: Session, _: Inbox) -> None:
            nacos.answers["SubscribeServiceRequest"] = pack(
                "SubscribeServiceResponse", {"resultCode": 200, "serviceInfo": None}
            )
            with pytest.raises(BadData, match="does not describe it"):
                await session.subscribe(DEFAULT_GROUP, "orders")

        await converse(nacos, body)


async def test_a_server_of_another_kind_is_told_from_nacos() -> None:
    async with ScriptedNacos() as nacos:
        nacos.answers["ServerCheckRequest"] = pack("HealthCheckResponse", {})

        async def body(_session: Session, _inbox: Inbox) -> None:
            pytest.fail("this is not Nacos")

        with pytest.raises(RegistryUnavailable, match="not ready, or not Nacos"):
            await converse(nacos, body)


async def test_an_answer_that_is_no_json_is_an_outage() -> None:
    async with ScriptedNacos() as nacos:

        async def body(session: Session, _: Inbox) -> None:
            nacos.answers["ServiceListRequest"] = b""
            with pytest.raises(RegistryUnavailable):
                await session.page(DEFAULT_GROUP, 1, 10)

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
