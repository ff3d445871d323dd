"""Whatever a Eureka answers, the adapter keeps what it said, says why, and recovers by itself."""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from contract.eureka_registry import FASTER, ScriptedRegistry

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.testing.stage import Stage
from meshbridge_eureka import over_http
from rig import scripted_eureka_faults as faults
from rig.scripted_eureka import DELTA, FULL, ScriptedEureka
from rig.scripted_eureka_exchange import Fault

pytestmark = pytest.mark.asyncio
A, B = ("10.1.0.1", 8080), ("10.1.0.2", 8080)
USER = "shop", "s:cret"
LOGIN = dict(zip(("username", "password"), USER, strict=True))
SILENCE, TOTAL = 0.8, 1.6
"""Seconds for which an answer is waited for here."""
MOMENT = 0.3
"""Seconds in which something that must not happen would have happened: six questions."""


@dataclass
class Broken:
    """One way to answer, and what is to be said of it."""

    fault: Fault
    reason: str
    """A regular expression of it."""


FAULTS: Mapping[str, Broken] = {
    "hung": Broken(faults.hang, "nothing for"),
    "an error": Broken(faults.fails, "HTTP 500"),
    "an error that says it is none": Broken(
        faults.says_its_error_was_fine, "nothing of applications"
    ),
    "closed": Broken(faults.is_closed, "closed .HTTP 403"),
    "not there": Broken(faults.knows_no_such_thing, "HTTP 404"),
    "half a body": Broken(faults.half, "broke off"),
    "half a body in chunks": Broken(faults.half_in_chunks, "broke off"),
    "half a body as a whole": Broken(faults.half_as_whole, "ends|JSON|breaks off"),
    "a page": Broken(faults.page, "JSON"),
    "an empty body": Broken(faults.answers(200, b""), "JSON"),
    "an empty object": Broken(faults.answers(200, b"{}"), "nothing of applications"),
    "a list": Broken(faults.answers(200, b"[]"), "JSON"),
    "no applications": Broken(faults.answers(200, b'{"applications":null}'), "applications"),
    "nested": Broken(faults.deep, ""),
    "a byte now and then": Broken(faults.drips(0.05), "no whole answer within"),
    "no gzip": Broken(faults.not_gzip, "compressed"),
    "half a gzip": Broken(faults.half_gzip, "broke off"),
    "another coding": Broken(
        faults.answers(200, b"\x0b\x02\x80", Content_Encoding="br"), "compressed"
    ),
    "no HTTP": Broken(faults.no_http, "not HTTP"),
    "broken off": Broken(faults.breaks_off, "broke off|reset"),
    "closed amid the headers": Broken(faults.closes_amid_the_headers, "broke off"),
    "nothing new, unasked": Broken(faults.answers(304, b""), "HTTP 304"),
    "no content": Broken(faults.answers(204, b""), "HTTP 204"),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_http, "SILENCE", SILENCE)
    monkeypatch.setattr(over_http, "TOTAL", TOTAL)


@asynccontextmanager
async def watched(server: ScriptedEureka, **options: object) -> AsyncGenerator[Stage]:
    """Run the server, with an instance of orders, and the adapter."""
    registry = ScriptedRegistry(server, options, faster=FASTER)
    server.registry.register("orders", *A)
    async with server, Stage(registry) as stage:
        yield stage


async def recovers(stage: Stage, server: ScriptedEureka) -> None:
    """See that what happened meanwhile is said once the server behaves."""
    server.registry.register("orders", *B)
    server.behave()
    await stage.until(lambda: stage.addresses("orders") == {A, B}, "what happened meanwhile")
    assert stage.recorder.faults == []
    failures = stage.failures
    await asyncio.sleep(MOMENT)
    assert stage.failures == failures, "it behaves again"


def says(stage: Stage, server: ScriptedEureka, reason: str) -> None:
    """See that the outage is said, in words that name the server and why."""
    assert {type(each) for each in stage.raised} == {RegistryUnavailable}
    said = str(stage.raised[0])
    assert said.startswith(f"{server.url}: ")
    assert re.search(reason, said), said
    assert len(said) < 500


@pytest.mark.parametrize("name", FAULTS)
async def test_what_was_said_is_kept_until_the_server_behaves(name: str) -> None:
    broken, server = FAULTS[name], ScriptedEureka()
    async with watched(server) as stage:
        await stage.listed()
        server.misbehave(broken.fault)
        await stage.until(lambda: stage.failures > 0, "the outage")
        says(stage, server, broken.reason)
        await asyncio.sleep(MOMENT)
        assert stage.addresses("orders") == {A}
        assert len(stage.listings()) == 1
        await recovers(stage, server)


@pytest.mark.parametrize("name", FAULTS)
async def test_a_start_amid_a_fault_lists_nothing_and_recovers(name: str) -> None:
    broken, server = FAULTS[name], ScriptedEureka()
    server.misbehave(broken.fault)
    async with watched(server) as stage:
        await stage.until(lambda: stage.failures > 0, "the outage")
        says(stage, server, broken.reason)
        assert stage.recorder.updates == []
        await recovers(stage, server)


async def test_a_server_that_refuses_connections_is_an_outage_also_at_a_start() -> None:
    server = ScriptedEureka()
    async with watched(server) as stage:
        await stage.listed()
        await server.stop()
        await stage.until(lambda: stage.failures > 0, "the outage")
        says(stage, server, "refused|connect")
        assert stage.addresses("orders") == {A}
        async with Stage(stage.registry) as late:
            await late.until(lambda: late.failures > 0, "the outage")
            says(late, server, "refused|connect")
            assert late.recorder.updates == []
            await server.start()
            await late.listed()
        await recovers(stage, server)


async def test_a_redirect_is_not_followed_to_another_origin_nor_to_its_own() -> None:
    server, elsewhere = ScriptedEureka(credentials=USER), ScriptedEureka()
    elsewhere.registry.register("orders", "10.9.9.9", 9)
    async with elsewhere, watched(server, **LOGIN) as stage:
        await stage.listed()
        for status in (301, 302, 303, 307, 308):
            server.misbehave(faults.redirects(f"{elsewhere.url}{FULL}", status))
            seen = stage.failures
            await stage.until(lambda: stage.failures > seen, "the outage")  # noqa: B023
            says(stage, server, "sends us elsewhere|HTTP 30")
        server.misbehave(faults.redirects(f"{server.url}/vips/orders"))
        await asyncio.sleep(MOMENT)
        assert "/vips/orders" not in server.paths
        assert stage.addresses("orders") == {A}
        assert elsewhere.connections == 0
        await recovers(stage, server)


DELTALESS: Mapping[str, Fault] = {
    "closed": faults.is_closed,
    "not there": faults.knows_no_such_thing,
    "an error": faults.fails,
    "an error that says it is none": faults.says_its_error_was_fine,
    "a page": faults.page,
    "half a body": faults.half,
    "half a body in chunks": faults.half_in_chunks,
    "half a body as a whole": faults.half_as_whole,
    "half a gzip": faults.half_gzip,
    "no gzip": faults.not_gzip,
    "a byte now and then": faults.drips(0.05),
    "a redirect": faults.redirects("http://127.0.0.1:1/"),
}


@pytest.mark.parametrize("name", DELTALESS)
async def test_a_server_that_tells_no_deltas_is_read_as_a_whole(name: str) -> None:
    """It is no outage, nor are its deltas when it tells them again."""
    server = ScriptedEureka()
    server.misbehave(DELTALESS[name], DELTA)
    async with watched(server) as stage:
        await stage.listed()
        server.registry.register("orders", *B)
        await stage.until(lambda: stage.addresses("orders") == {A, B}, "the second instance")
        server.registry.cancel("orders", *A)
        await stage.until(lambda: stage.addresses("orders") == {B}, "the first one to go")
        assert stage.failures == 0
        assert server.paths.count(FULL) >= 3
        assert DELTA in server.paths
        assert stage.recorder.faults == []


KEPT: Mapping[str, Fault] = {
    "closed when it is used again": faults.closes_when_used_again,
    "closed without a word": faults.closes_without_a_word,
    "slow": faults.slow(0.1),
}


@pytest.mark.parametrize("name", KEPT)
async def test_connections_that_end_between_questions_are_no_outage(name: str) -> None:
    server = ScriptedEureka()
    server.misbehave(KEPT[name])
    async with watched(server) as stage:
        await stage.listed()
        server.registry.register("orders", *B)
        await stage.until(lambda: stage.addresses("orders") == {A, B}, "the second instance")
        await server.hears(5)
        assert stage.failures == 0


async def test_connections_are_kept() -> None:
    server = ScriptedEureka()
    async with watched(server) as stage:
        await stage.listed()
        await server.hears(5)
        assert server.connections == 1


async def test_a_wrong_password_is_told_from_an_outage_and_may_be_mended() -> None:
    server = ScriptedEureka(credentials=("shop", "other"))
    async with watched(server, **LOGIN) as stage:
        await stage.until(lambda: stage.failures > 0, "the refusal")
        assert {type(each) for each in stage.raised} == {RegistryRejected}
        assert "cret" not in str(stage.raised[0])
        server.credentials = USER
        await stage.listed()
        server.registry.register("orders", *B)
        await stage.until(lambda: stage.addresses("orders") == {A, B}, "the second instance")


async def test_a_fresh_server_is_an_outage_until_it_is_open_and_then_what_it_lists() -> None:
    """It forgot everything, is closed, and then lists those who have renewed since."""
    server = ScriptedEureka()
    async with watched(server) as stage:
        server.registry.register("orders", *B)
        await stage.until(lambda: stage.addresses("orders") == {A, B}, "both instances")
        await server.stop()
        server.registry.restart()
        server.misbehave(faults.is_closed)
        await server.start()
        await stage.until(
            lambda: any("403" in str(each) for each in stage.raised), "that it is closed"
        )
        await asyncio.sleep(MOMENT)
        assert stage.addresses("orders") == {A, B}
        server.registry.register("orders", *A)
        server.behave()
        await stage.until(lambda: stage.addresses("orders") == {A}, "what it lists now")
        server.registry.register("orders", *B)
        await stage.until(lambda: stage.addresses("orders") == {A, B}, "who came back later")


async def test_what_a_server_forgot_between_two_questions_is_said_in_one_word() -> None:
    """Nobody saw it away; a listing is what the guard judges as a whole."""
    server = ScriptedEureka()
    many = {(f"10.2.0.{number}", 8080) for number in range(20)}
    async with watched(server) as stage:
        for each in many:
            server.registry.register("orders", *each)
        await stage.until(lambda: stage.addresses("orders") == {A, *many}, "all instances")
        listings = len(stage.listings())
        server.registry.restart()
        server.registry.register("orders", *A)
        await stage.until(lambda: stage.addresses("orders") == {A}, "what it lists now")
        assert len(stage.listings()) == listings + 1
        assert stage.failures == 0
        assert stage.recorder.faults == []
