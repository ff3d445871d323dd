"""Configurations are read and followed; what gets lost on the way is found by comparing."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from unit.nacos.sessions import session_with

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge_nacos import config
from meshbridge_nacos.config import AT_ONCE, COMPARE_EVERY, TRIES, tenant_of
from rig.scripted_nacos import ScriptedNacos, pack
from rig.waiting import until

pytestmark = pytest.mark.asyncio


class Sleeps:
    """Lets time pass only when told."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        """Wait for the next :meth:`pass_over`, if it is the time between comparisons."""
        await (self._over.wait() if seconds == COMPARE_EVERY else asyncio.Event().wait())
        self._over.clear()

    def pass_over(self) -> None:
        self._over.set()


async def following(texts: AsyncGenerator[str | None]) -> str | None:
    async with asyncio.timeout(5):
        return await anext(texts)


async def compared(nacos: ScriptedNacos, number: int) -> None:
    """Wait until the server was told of so many that are followed."""

    async def told() -> int:
        return sum(nacos.compared)

    await until(told, lambda so_many: so_many >= number, within=10)


async def nothing_more(texts: AsyncGenerator[str | None]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await anext(texts)


async def test_the_default_namespace_has_the_tenant_without_a_name() -> None:
    assert (tenant_of("public"), tenant_of("prod")) == ("", "prod")


async def test_a_text_is_given_now_and_after_each_change() -> None:
    async with (
        ScriptedNacos() as nacos,
        session_with(nacos) as session,
        aclosing(session.watch_config("g", "d")) as texts,
    ):
        for text in (None, "one", "", "two", None):
            if text is not None or nacos.configs:
                nacos.publish("g", "d", text)
            assert await following(texts) == text
            assert await session.read_config("g", "d") == text


async def test_a_change_that_changes_nothing_is_not_told() -> None:
    async with ScriptedNacos() as nacos, session_with(nacos) as session:
        nacos.publish("g", "d", "text")
        async with aclosing(session.watch_config("g", "d")) as texts:
            assert await following(texts) == "text"
            nacos.publish("g", "d", "text")
            nacos.publish("g", "d", "other", tenant="prod")
            nacos.publish("g", "e", "other")
            await nothing_more(texts)


async def test_a_change_between_the_answer_and_the_next_question_is_told() -> None:
    async with (
        ScriptedNacos() as nacos,
        session_with(nacos) as session,
        aclosing(session.watch_config("g", "d")) as texts,
    ):
        assert await following(texts) is None
        nacos.publish("g", "d", "text", told=False)
        assert await following(texts) == "text"


async def test_a_change_whose_notice_got_lost_is_found_by_comparing() -> None:
    sleeps = Sleeps()
    async with (
        ScriptedNacos() as nacos,
        session_with(nacos, sleep=sleeps) as session,
        aclosing(session.watch_config("g", "d")) as texts,
    ):
        assert await following(texts) is None
        waiting = asyncio.create_task(following(texts))
        await compared(nacos, 1)
        nacos.publish("g", "d", "text", told=False)
        sleeps.pass_over()
        assert await waiting == "text"


async def test_a_comparison_that_is_refused_is_told_to_who_follows() -> None:
    sleeps = Sleeps()
    async with ScriptedNacos() as nacos, session_with(nacos, sleep=sleeps) as session:
        async with aclosing(session.watch_config("g", "d")) as texts:
            assert await following(texts) is None
            waiting = asyncio.create_task(following(texts))
            await compared(nacos, 1)
            nacos.refusal = (403, "no more")
            sleeps.pass_over()
            with pytest.raises(RegistryRejected, match="no more"):
                await waiting
            nacos.refusal = None
        assert await session.read_config("g", "d") is None, "the session goes on"


async def test_many_who_begin_together_are_told_of_in_few_questions() -> None:
    async with (
        ScriptedNacos() as nacos,
        session_with(nacos) as session,
        asyncio.TaskGroup() as all_,
    ):
        told: set[int] = set()

        async def follow(number: int) -> None:
            async with aclosing(session.watch_config("g", f"d{number}")) as texts:
                async for text in texts:
                    if text is not None:
                        told.add(number)
                        return

        number = AT_ONCE + 10
        for each in range(number):
            all_.create_task(follow(each))
        await compared(nacos, number)
        assert len(nacos.compared) < number / 10
        assert max(nacos.compared) <= AT_ONCE
        for each in range(number):
            nacos.publish("g", f"d{each}", "text")
    assert len(told) == number


async def test_one_that_begins_goes_on_when_another_could_not_be_told_of() -> None:
    async with (
        ScriptedNacos() as nacos,
        session_with(nacos) as session,
        aclosing(session.watch_config("g", "d")) as one,
        aclosing(session.watch_config("g", "e")) as other,
    ):
        assert await following(one) is None
        nacos.answers["ConfigBatchListenRequest"] = pack("ConfigResponse", {"resultCode": 500})
        with pytest.raises(BadData):
            await following(one)
        del nacos.answers["ConfigBatchListenRequest"]
        assert await following(other) is None
        nacos.publish("g", "e", "text")
        assert await following(other) == "text"


async def test_one_that_is_being_written_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "PAUSE", 0.001)
    async with ScriptedNacos() as nacos, session_with(nacos) as session:
        nacos.publish("g", "d", "text")
        nacos.writing = TRIES - 1
        assert await session.read_config("g", "d") == "text"
        nacos.writing = TRIES
        with pytest.raises(BadData, match="d of g is being written all the time"):
            await session.read_config("g", "d")


@pytest.mark.parametrize(
    ("code", "kind"), [(403, RegistryRejected), (500, BadData), (301, RegistryUnavailable)]
)
async def test_a_question_that_is_refused_is_told_by_what_helps(
    code: int, kind: type[Exception]
) -> None:
    async with ScriptedNacos() as nacos, session_with(nacos) as session:
        nacos.refusal = (code, "for a reason")
        with pytest.raises(kind, match="for a reason"):
            await session.read_config("g", "d")


@pytest.mark.parametrize("field", ["content", "md5"])
async def test_an_answer_that_cannot_be_read_is_an_outage(field: str) -> None:
    async with ScriptedNacos() as nacos, session_with(nacos) as session:
        answer: dict[str, object] = {"resultCode": 200, field: ["text"]}
        nacos.answers["ConfigQueryRequest"] = pack("ConfigQueryResponse", answer)
        with pytest.raises(RegistryUnavailable, match=f"configuration d cannot be read: .*{field}"):
            await session.read_config("g", "d")


async def test_a_notice_that_names_nothing_is_passed_over() -> None:
    async with (
        ScriptedNacos() as nacos,
        session_with(nacos) as session,
        aclosing(session.watch_config("g", "d")) as texts,
    ):
        assert await following(texts) is None
        for body in (b"{}", b'{"tenant": [], "group": {}, "dataId": 1}', b'{"tenant": null}'):
            nacos.push_raw("ConfigChangeNotifyRequest", body)
        nacos.publish("g", "d", "text")
        assert await following(texts) == "text"
