"""Servers that are not read are tried, so that one that would not answer is known in time."""

import asyncio

import pytest
from unit.eureka.reader import Reader, addresses, filled, play

from meshbridge import Listing
from meshbridge_eureka.over_http import Http
from meshbridge_eureka.trials import PATIENCE
from rig import scripted_eureka_faults as faults
from rig.scripted_eureka import FULL, ScriptedEureka
from rig.scripted_eureka_exchange import Exchange

OFTEN = {"full-interval": "10s"}


def said(reader: Reader, server: ScriptedEureka) -> str:
    """Return what is said of a server now, and see that nothing is said of others."""
    (subject,) = reader.recorder.troubles
    assert subject == f"server {server.url}"
    return reader.recorder.troubles[subject]


async def hears(reader: Reader, server: ScriptedEureka, begin: str) -> str:
    """Return what is said of a server when it begins so; a busy machine may need longer for it."""
    for _ in range(10):
        if said(reader, server).startswith(begin):
            break
        await reader.polls(0.5)
    return said(reader, server)


def test_a_server_with_a_mistyped_path_is_told_with_the_first_listing_until_it_is_right() -> None:
    good, mistyped = filled(), filled()

    async def scenario(reader: Reader) -> None:
        assert len(reader.said) == 1
        told = await hears(reader, mistyped, "it has no such path (HTTP 404); ")
        assert told.endswith("; is that of the URL right? /eureka, or /eureka/v2")
        assert reader.troubled == [{f"server {mistyped.url}"}]
        await reader.polls(5)
        mistyped.behave()
        await reader.polls(8)
        assert reader.recorder.troubles == {}
        assert mistyped.asked == []
        assert reader.failures == []

    mistyped.misbehave(faults.knows_no_such_thing)
    play(scenario, good, mistyped, **OFTEN)


def test_a_dead_server_is_told_until_it_listens() -> None:
    good, dead = filled(), filled()

    async def scenario(reader: Reader) -> None:
        await dead.stop()
        await reader.polls(11)
        assert said(reader, dead).startswith("it cannot be reached: Connection refused; ")
        assert "take it out of servers" in said(reader, dead)
        await dead.start()
        await reader.polls(11)
        assert reader.recorder.troubles == {}
        assert reader.failures == []
        assert reader.events("warning") == []

    play(scenario, good, dead, **OFTEN)


def test_a_server_that_refuses_the_user_is_told() -> None:
    good, strict = filled(), filled()
    strict.credentials = ("bridge", "secret")

    async def scenario(reader: Reader) -> None:
        told = "it wants to know a user (HTTP 401); give username and password"
        assert await hears(reader, strict, told) == told

    play(scenario, good, strict)


def test_a_server_that_knows_get_only_is_read_and_a_web_page_is_none() -> None:
    good, proxied, page = filled(), filled(), filled()
    proxied.misbehave(faults.knows_get_only)
    page.misbehave(faults.page)

    async def scenario(reader: Reader) -> None:
        await reader.polls(3)
        told = await hears(reader, page, "it answers with a web page")
        assert told.endswith("with its path: /eureka, or /eureka/v2")
        assert len(proxied.asked) == 1

    play(scenario, good, proxied, page)


def test_who_failed_when_it_was_read_is_read_and_not_asked_for_a_status_until_it_is_right() -> None:
    broken, good = filled(), filled()
    broken.misbehave(faults.half)

    async def scenario(reader: Reader) -> None:
        await reader.polls(25)
        assert said(reader, broken).startswith("it broke off its answer; ")
        assert broken.tried == []
        assert 3 <= len(broken.asked) <= 4
        broken.behave()
        await reader.polls(22)
        assert reader.recorder.troubles == {}
        assert len(broken.tried) == 1, "a status tells enough again"
        assert reader.failures == []

    play(scenario, broken, good, **OFTEN)


def test_two_that_know_get_only_are_read_one_after_the_other() -> None:
    """Who waits for its turn is not one that does not answer."""
    good, one, other = filled(), filled(), filled()
    now, most = 0, 0

    async def reads(exchange: Exchange) -> None:
        nonlocal now, most
        if exchange.asked.method == "HEAD":
            await exchange.reply(405, b"")
            return
        now += 1
        most = max(most, now)
        await asyncio.sleep(PATIENCE + 1)
        now -= 1
        await exchange.truth()

    one.misbehave(reads)
    other.misbehave(reads)

    async def scenario(reader: Reader) -> None:
        await reader.polls(PATIENCE)
        (told,) = reader.recorder.troubles.values()
        assert told.startswith("no answer within 1 s so far; ")
        await reader.polls(6)
        assert reader.recorder.troubles == {}
        assert len(one.asked) == len(other.asked) == 1
        assert most == 1

    play(scenario, good, one, other)


def test_an_error_of_ours_in_trying_a_server_is_told_as_ours_and_the_other_is_read_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, odd = filled(), filled()
    wrong = True

    async def attempt(*_: object) -> bool:
        if wrong:
            raise KeyError("x; y")
        return True

    monkeypatch.setattr(Http, "attempt", attempt)

    async def scenario(reader: Reader) -> None:
        nonlocal wrong
        await reader.polls(25)
        assert said(reader, odd) == (
            "it could not be tried: KeyError: 'x; y';"
            " report it as a fault of meshbridge, with the lines of the log"
        )
        assert reader.events("error") == ["server not tried"], "once while it lasts"
        assert reader.failures == []
        assert len(good.asked) >= 25
        wrong = False
        await reader.polls(11)
        assert reader.recorder.troubles == {}
        wrong = True
        await reader.polls(11)
        assert reader.events("error") == ["server not tried"] * 2

    play(scenario, good, odd, **OFTEN)


def test_an_error_of_ours_is_logged_also_of_a_server_that_is_read_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, odd = filled(), filled()

    async def attempt(*_: object) -> bool:
        await asyncio.sleep(4)
        raise KeyError("x")

    monkeypatch.setattr(Http, "attempt", attempt)

    async def scenario(reader: Reader) -> None:
        await reader.polls()
        good.misbehave(faults.fails)
        await reader.polls(4)
        assert len(odd.asked) > 1
        assert said(reader, good).startswith("it answered HTTP 500; ")
        assert reader.events("error") == ["server not tried"]

    play(scenario, good, odd)


def test_others_are_asked_for_a_status_once_in_each_full_interval() -> None:
    """However often everything is read."""
    good, other = filled(), filled(50)
    good.misbehave(faults.knows_no_such_thing, "/apps/delta")

    async def scenario(reader: Reader) -> None:
        await reader.polls(34)
        assert good.paths.count(FULL) > 30
        assert [each.path for each in other.tried] == [FULL] * 4
        assert other.asked == []
        assert other.sent < 1_000
        assert other.open == 0
        assert reader.recorder.troubles == {}

    play(scenario, good, other, **OFTEN)


def test_a_server_that_does_not_answer_holds_the_first_listing_up_for_a_second() -> None:
    good, hanging = filled(), filled()
    hanging.misbehave(faults.hang)

    async def scenario(reader: Reader) -> None:
        assert reader.said == []
        await reader.polls(PATIENCE)
        assert reader.troubled == [{f"server {hanging.url}"}]
        assert said(reader, hanging).startswith("no answer within 1 s so far; ")
        await reader.polls(10)
        assert said(reader, hanging).startswith("nothing for 10 s; ")
        assert len(good.asked) > 5

    play(scenario, good, hanging)


def test_a_server_that_needs_long_is_fine_when_it_has_answered() -> None:
    good, slow = filled(), filled()
    slow.misbehave(faults.slow(PATIENCE + 1))

    async def scenario(reader: Reader) -> None:
        await reader.polls(PATIENCE)
        assert said(reader, slow).startswith("no answer within 1 s so far; ")
        await reader.polls(2)
        assert reader.recorder.troubles == {}

    play(scenario, good, slow)


def test_who_failed_in_a_reading_is_told_and_taken_back_when_it_is_read_again() -> None:
    first, second = filled(), filled()

    async def scenario(reader: Reader) -> None:
        first.misbehave(faults.fails)
        await reader.polls()
        assert said(reader, first).startswith("it answered HTTP 500; ")
        second.misbehave(faults.is_closed)
        first.behave()
        await reader.polls()
        assert said(reader, second).startswith("it is closed (HTTP 403)")
        assert reader.failures == []
        second.behave()
        await reader.polls(11)
        assert reader.recorder.troubles == {}

    play(scenario, first, second, **OFTEN)


def test_after_an_outage_of_all_who_answers_again_is_taken_back_at_once() -> None:
    first, second = filled(), filled()

    async def scenario(reader: Reader) -> None:
        await asyncio.gather(first.stop(), second.stop())
        await reader.polls(3)
        assert len(reader.recorder.troubles) == 2
        assert reader.failures
        asked = len(second.asked)
        await asyncio.gather(first.start(), second.start())
        await reader.polls(3)
        assert reader.recorder.troubles == {}
        assert isinstance(reader.said[-1], Listing)
        assert addresses(reader.said[-1]) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        assert len(second.asked) == asked + 1

    play(scenario, first, second)


def test_of_a_single_server_its_outage_tells_everything() -> None:
    only = filled()

    async def scenario(reader: Reader) -> None:
        only.misbehave(faults.fails)
        await reader.polls()
        assert reader.failures
        assert reader.recorder.troubles == {}
        assert only.tried == []

    play(scenario, only)
