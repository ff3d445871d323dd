"""Real Spring Cloud applications find each other in each of three real registries."""

import asyncio
import time
from collections.abc import Iterator
from typing import cast

import pytest
from peers.bed.spring_market import BUSY, FORGOTTEN, GROUP, TIMEOUT, Market, set_up
from peers.conftest import unavailable

from rig.application import start_all, stop_all
from rig.bed import Missing, versions
from rig.nacos import Nacos
from rig.waiting import until

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module", params=["nacos", "eureka", "zookeeper"])
def bed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Market]:
    """Return a bed that runs; only one test may end ``crashing``, and only one ``leaving``."""
    kind = cast("str", request.param)
    nacos = cast("Nacos", request.getfixturevalue("nacos")) if kind == "nacos" else None
    try:
        bed = set_up(kind, tmp_path_factory.mktemp(f"spring-{kind}"), nacos)
    except Missing as missing:
        unavailable(missing)
    own = () if nacos else (bed.registry,)
    try:
        asyncio.run(start_all(*own))
        asyncio.run(start_all(*bed.everyone))
        yield bed
    finally:
        asyncio.run(stop_all(*bed.everyone))
        asyncio.run(stop_all(*own))


async def test_a_caller_is_answered_by_every_instance_that_its_registry_has(bed: Market) -> None:
    await bed.open()
    assert len(bed.running) > 1

    answers = await bed.answered_by(*bed.running, within=BUSY)

    for who in (answer.who for answer in answers):
        application = bed.running[who.name]
        member = application.member
        assert (who.service, who.version, who.zone) == ("shop", member.version, member.zone)
        assert (who.port, who.registry) == (application.port, bed.kind)
        assert who.headers["host"] == application.address
        assert await application.version() == versions("maven")["boot"]


async def test_a_registry_has_what_an_application_says_of_itself(bed: Market) -> None:
    await bed.open()

    found = await bed.metadata()

    assert set(found) == {application.port for application in bed.running.values()}
    for application in bed.running.values():
        said, member = found[application.port], application.member
        assert (said["version"], said["zone"]) == (member.version, member.zone)
        assert said["team_Name"] == "red"
        if bed.kind == "nacos":
            assert said["weight"] == "2.5"
    if isinstance(bed.registry, Nacos):
        assert await bed.registry.instances(f"{GROUP}@@shop") == [], "not in their namespace only"


async def test_an_instance_that_crashed_is_called_until_its_registry_forgets_it(
    bed: Market,
) -> None:
    await bed.open()
    others = bed.running.keys() - {"crashing"}

    await bed.running["crashing"].kill()

    if bed.kind != "nacos":  # which may have told the page before this first call
        refused = [answer.error for answer in await bed.dozen() if answer.status == 502]
        assert refused
        assert all("Connection refused" in error for error in refused), refused
    await bed.answered_by(*others, within=FORGOTTEN[bed.kind] + BUSY)
    await until(bed.listed, lambda left: left == len(others), within=BUSY)


@pytest.mark.parametrize("bed", ["eureka", "zookeeper"], indirect=True)
async def test_an_instance_that_is_stopped_takes_itself_out_of_its_registry(bed: Market) -> None:
    """Before it ends: for seconds after a crash, these two would list it.

    Nacos forgets who ends and who crashes alike, with the connection: nothing tells them apart.
    """
    await bed.open()
    leaving = bed.running["leaving"]
    others = bed.running.keys() - {"leaving"}

    await leaving.stop()

    assert await bed.listed() == len(others)
    assert leaving.process.exit_code == 143
    await bed.answered_by(*others, within=FORGOTTEN[bed.kind] + BUSY)


@pytest.mark.parametrize("bed", ["nacos"], indirect=True)
async def test_an_instance_that_is_started_again_is_called_again(bed: Market) -> None:
    await bed.open()
    everybody = bed.running
    leaving = everybody["leaving"]

    await leaving.kill()
    async with leaving:
        await bed.answered_by(*everybody, within=BUSY)
        await leaving.restart()
        await bed.answered_by(*everybody, within=BUSY)


async def test_a_call_to_a_service_that_nobody_offers_is_an_error(bed: Market) -> None:
    answer = await bed.page.call("nobody")

    assert answer.status == 502
    assert "No instances available for nobody" in answer.error


@pytest.mark.parametrize("bed", ["nacos"], indirect=True)
async def test_every_link_of_a_chain_sees_the_header_that_is_forwarded(bed: Market) -> None:
    await bed.open()

    answer = await bed.page.chain({"x-lane": "gray", "x-other": "not forwarded"})

    assert [who.service for who in answer.links] == ["page", "shop", "stock", "depot"]
    assert [who.headers["x-lane"] for who in answer.links] == ["gray"] * 4
    assert ["x-other" in who.headers for who in answer.links] == [True, False, False, False]
    assert ["x-lane" in who.headers for who in (await bed.page.chain()).links] == [False] * 4


@pytest.mark.parametrize("bed", ["nacos"], indirect=True)
async def test_an_application_is_slow_and_fails_when_it_is_told_to(bed: Market) -> None:
    await bed.open()
    stock, depot = bed.behind

    async with depot.slow(0.5):
        begun = time.monotonic()
        assert (await bed.page.call("depot")).who.name == "depot"
        assert time.monotonic() - begun >= 0.5
        begun = time.monotonic()
        assert len((await stock.chain()).links) == 2
        assert time.monotonic() - begun >= 0.5

    async with depot.slow(TIMEOUT + 2):
        late = await bed.page.call("depot")
        assert late.status == 502
        assert "timed out" in late.error

    async with depot.failing():
        assert (await depot.who()).status == 500
        failed = await bed.page.call("depot")
        assert failed.status == 502
        assert "told to fail" in failed.error
        assert (await bed.page.chain()).status == 502

    assert (await bed.page.call("depot")).status == 200
