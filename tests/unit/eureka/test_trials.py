"""Servers that are not read are tried, so that one that would not answer is known in time."""

import asyncio

from unit.eureka.reader import Reader, addresses, filled, play

from meshbridge import Listing
from meshbridge_eureka.trials import PATIENCE
from rig import scripted_eureka_faults as faults
from rig.scripted_eureka import FULL, ScriptedEureka

OFTEN = {"full-interval": "10s"}


def said(reader: Reader, server: ScriptedEureka) -> str:
    """Return what is said of a server now, and see that nothing is said of others."""
    (subject,) = reader.recorder.troubles
    assert subject == f"server {server.url}"
    return reader.recorder.troubles[subject]


def test_a_server_with_a_mistyped_path_is_told_with_the_first_listing_until_it_is_right() -> None:
    good, mistyped = filled(), filled()

    async def scenario(reader: Reader) -> None:
        assert len(reader.said) == 1
        assert said(reader, mistyped) == (
            "it has no such path (HTTP 404); is that of the URL right? /eureka, or /eureka/v2"
        )
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
        assert said(reader, strict) == told

    play(scenario, good, strict)


def test_a_server_that_is_only_closed_to_the_method_is_fine_and_a_web_page_is_none() -> None:
    good, proxied, page = filled(), filled(), filled()
    proxied.misbehave(faults.answers(405, b""))
    page.misbehave(faults.page)

    async def scenario(reader: Reader) -> None:
        assert said(reader, page).startswith("it answers with a web page")

    play(scenario, good, proxied, page)


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
        tried = len(second.tried)
        await asyncio.gather(first.start(), second.start())
        await reader.polls(3)
        assert reader.recorder.troubles == {}
        assert isinstance(reader.said[-1], Listing)
        assert addresses(reader.said[-1]) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        assert len(second.tried) == tried + 1

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
