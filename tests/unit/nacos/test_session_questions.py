"""What a session asks is answered, or refused in a way that says whom that concerns."""

import asyncio

import pytest
from unit.nacos.sessions import MOMENT, UNREADABLE, Tokens, converse, session_with

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge.settings.secret import Secret
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.options import DEFAULT_GROUP
from meshbridge_nacos.session import CHECK_EVERY, Session
from meshbridge_nacos.signing import AccessKey
from rig.scripted_nacos import ScriptedNacos, pack, pack_raw

pytestmark = pytest.mark.asyncio


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


async def test_an_answer_that_is_no_json_is_an_outage() -> None:
    async with ScriptedNacos() as nacos:

        async def body(session: Session, _: Inbox) -> None:
            nacos.answers["ServiceListRequest"] = b""
            with pytest.raises(RegistryUnavailable):
                await session.page(DEFAULT_GROUP, 1, 10)

        await converse(nacos, body)


async def test_any_question_can_be_asked_and_is_signed() -> None:
    key = AccessKey("ak", Secret("sk"))
    async with ScriptedNacos() as nacos, session_with(nacos, key=key) as session:
        assert (await session.ask("FooRequest", {"a": 1}, "g@@s"))["resultCode"] == 200
        assert nacos.headers[-1] == key.sign_naming("g@@s", MOMENT)
        await session.subscribe("g", "s")
        assert nacos.headers[-1] == key.sign_naming("g@@s", MOMENT)
        await session.page("g", 1, 10)
        assert nacos.headers[-1] == key.sign_naming("", MOMENT)
        await session.read_config("g", "d")
        assert nacos.headers[-1] == key.sign_config("", "g", MOMENT)


async def test_a_configuration_is_signed_with_the_tenant_that_is_asked_for() -> None:
    key = AccessKey("ak", Secret("sk"))
    async with ScriptedNacos() as nacos, session_with(nacos, key=key, namespace="prod") as session:
        await session.read_config("g", "d")
        assert nacos.headers[-1] == key.sign_config("prod", "g", MOMENT)


async def test_nobody_who_can_log_in_ends_no_session() -> None:
    """Pushes go on; what is asked meanwhile is refused."""

    class Locked(Tokens):
        async def token(self) -> str:
            raise RegistryUnavailable("no server lets bridge log in")

    async with ScriptedNacos() as nacos:
        checked = asyncio.Event()

        async def now(seconds: float) -> None:
            if seconds != CHECK_EVERY:
                await asyncio.Event().wait()
            if nacos.headers:
                checked.set()
            await asyncio.sleep(0.001)

        async with session_with(nacos, login=Locked(), sleep=now) as session:
            await checked.wait()
            with pytest.raises(RegistryUnavailable, match="log in"):
                await session.page(DEFAULT_GROUP, 1, 10)
            await session.check()


async def test_a_user_who_is_not_let_in_is_no_matter_of_one_service() -> None:
    class Refused(Tokens):
        async def token(self) -> str:
            raise RegistryRejected("user bridge is refused")

    async with ScriptedNacos() as nacos, session_with(nacos, login=Refused()) as session:
        with pytest.raises(RegistryRejected, match="user bridge is refused"):
            await session.subscribe(DEFAULT_GROUP, "orders")
