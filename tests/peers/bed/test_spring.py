"""Real Spring Cloud applications find each other in each of three real registries."""

import asyncio
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from peers.conftest import unavailable

from rig.application import start_all, stop_all
from rig.bed import Missing, versions
from rig.eureka import Eureka
from rig.nacos import Nacos
from rig.spring import Answer, Member, SpringService
from rig.waiting import until
from rig.zookeeper import ZooKeeper

pytestmark = pytest.mark.asyncio

GROUP = "spring-bed"
LEASE = 3
TIMEOUT = 3.0

FORGOTTEN = {"nacos": 0.6, "eureka": 2.0 * LEASE + 1 + 1, "zookeeper": LEASE + 0.5}
"""Seconds after a crash by which nobody is sent there any more.

Nacos sees the connection end and tells its subscribers after 0.6 s. Eureka keeps an instance for
twice its lease, looks for such ones every second, and is asked every second. ZooKeeper keeps the
session, looks every half second, and is asked for each call.
"""
BUSY = 6.0
"""Seconds more that this may take where the processor is busy."""


@dataclass(frozen=True, slots=True)
class Bed:
    """A registry, a shop that is registered there several times, and a page that calls it."""

    registry: Nacos | Eureka | ZooKeeper
    page: SpringService
    shop: tuple[SpringService, ...]
    """One that stays, and one for each test that ends one."""
    behind: tuple[SpringService, ...]
    """What the shop calls for a chain, one after the other."""

    @property
    def everyone(self) -> tuple[SpringService, ...]:
        """All applications."""
        return (self.page, *self.shop, *self.behind)

    @property
    def kind(self) -> str:
        """Of its registry."""
        return self.page.member.kind

    @property
    def running(self) -> dict[str, SpringService]:
        """Those of the shop that no test has ended, by name."""
        return {each.member.name: each for each in self.shop if each.process.running}

    async def open(self) -> None:
        """Wait until the page knows those of the shop that run."""
        await self.answered_by(*self.running, within=FORGOTTEN[self.kind] + BUSY)

    async def answered_by(self, *names: str, within: float) -> list[Answer]:
        """Let the page call until a dozen in a row were answered by these and nobody else."""

        async def dozen() -> list[Answer]:
            return [await self.page.call("shop") for _ in range(12)]

        def good(answers: list[Answer]) -> bool:
            found = {answer.who.name for answer in answers if answer.status == 200}
            return all(answer.status == 200 for answer in answers) and found == {*names}

        answers, _ = await until(dozen, good, within=within)
        return answers

    async def listed(self) -> int:
        """Return how many instances of the shop the registry has."""
        match self.registry:
            case Nacos() as nacos:
                return len(await nacos.instances(f"{GROUP}@@shop"))
            case Eureka() as eureka:
                return len((await eureka.applications()).get("SHOP", []))
            case ZooKeeper() as zookeeper:
                return (await zookeeper.ask("dump")).count("/services/shop/")

    async def metadata(self) -> dict[int, Mapping[str, str]]:
        """Return what the registry has of the shop, by port; Nacos' weight and cluster as well."""
        match self.registry:
            case Nacos() as nacos:
                found = cast("list[dict[str, object]]", await nacos.instances(f"{GROUP}@@shop"))
                return {
                    cast("int", each["port"]): {
                        **cast("dict[str, str]", each["metadata"]),
                        "zone": str(each["clusterName"]),
                        "weight": str(each["weight"]),
                    }
                    for each in found
                }
            case Eureka() as eureka:
                instances = (await eureka.applications())["SHOP"]
                return {
                    int(each["instanceId"].split(":")[2]): each["metadata"] for each in instances
                }
            case ZooKeeper() as zookeeper:
                paths = re.findall(r"/services/shop/\S+", await zookeeper.ask("dump"))
                nodes = [
                    next(
                        json.loads(line)
                        for line in (await zookeeper.shell("get", path)).splitlines()
                        if line.startswith("{")
                    )
                    for path in paths
                ]
                return {each["port"]: each["payload"]["metadata"] for each in nodes}


def members(kind: str, address: str) -> list[Member]:
    """Return the applications of one registry: page, three of the shop, and who is behind it."""
    plain = Member(kind="zookeeper", registry=address, name="page", service="page", lease=LEASE)
    if kind == "nacos":
        plain = replace(plain, kind="nacos", group=GROUP, lease=None)
    if kind == "eureka":
        plain = replace(plain, kind="eureka", heartbeat=1, fetch=1)
    shop = replace(
        plain,
        service="shop",
        next="stock",
        weight=2.5 if kind == "nacos" else None,
        metadata={"team_Name": "red"},
    )
    behind = [
        replace(plain, name="stock", service="stock", next="depot"),
        replace(plain, name="depot", service="depot"),
    ]
    return [
        replace(plain, next="shop", timeout=TIMEOUT),
        replace(shop, name="staying", version="v1", zone="z1"),
        replace(shop, name="crashing", version="v2", zone="z2"),
        replace(shop, name="leaving", version="v2", zone="z2"),
        *(behind if kind == "nacos" else []),
    ]


def make(kind: str, request: pytest.FixtureRequest, folder: Path) -> Bed:
    """Return a bed whose Nacos is the shared one, and any other registry its own."""
    registry: Nacos | Eureka | ZooKeeper
    match kind:
        case "nacos":
            registry = request.getfixturevalue("nacos")
        case "eureka":
            registry = Eureka(folder)
        case _:
            registry = ZooKeeper(folder)
    page, staying, crashing, leaving, *behind = (
        SpringService(folder, member) for member in members(kind, registry.address)
    )
    return Bed(registry, page, (staying, crashing, leaving), tuple(behind))


@pytest.fixture(scope="module", params=["nacos", "eureka", "zookeeper"])
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed that runs; only one test may end ``crashing``, and only one ``leaving``."""
    kind = cast("str", request.param)
    try:
        bed = make(kind, request, tmp_path_factory.mktemp(f"spring-{kind}"))
    except Missing as missing:
        unavailable(missing)
    own = () if isinstance(bed.registry, Nacos) else (bed.registry,)
    try:
        asyncio.run(start_all(*own))
        asyncio.run(start_all(*bed.everyone))
        yield bed
    finally:
        asyncio.run(stop_all(*bed.everyone))
        asyncio.run(stop_all(*own))


async def test_a_caller_is_answered_by_every_instance_that_its_registry_has(bed: Bed) -> None:
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


async def test_a_registry_has_what_an_application_says_of_itself(bed: Bed) -> None:
    await bed.open()

    found = await bed.metadata()

    assert set(found) == {application.port for application in bed.running.values()}
    for application in bed.running.values():
        said, member = found[application.port], application.member
        assert (said["version"], said["zone"]) == (member.version, member.zone)
        assert said["team_Name"] == "red"
        if bed.kind == "nacos":
            assert said["weight"] == "2.5"


async def test_an_instance_that_crashed_is_called_until_its_registry_forgets_it(bed: Bed) -> None:
    await bed.open()
    others = bed.running.keys() - {"crashing"}

    await bed.running["crashing"].kill()

    await bed.answered_by(*others, within=FORGOTTEN[bed.kind] + BUSY)
    await until(bed.listed, lambda left: left == len(others), within=BUSY)


async def test_an_instance_that_is_stopped_takes_itself_out_of_its_registry(bed: Bed) -> None:
    """Sooner than its lease would end; Nacos has none, a crash would look the same there."""
    await bed.open()
    leaving = bed.running["leaving"]
    others = bed.running.keys() - {"leaving"}

    await leaving.stop()

    assert leaving.process.exit_code == 143
    await until(bed.listed, lambda left: left == len(others), within=LEASE - 1)
    await bed.answered_by(*others, within=BUSY)


async def test_a_call_to_a_service_that_nobody_offers_is_an_error(bed: Bed) -> None:
    answer = await bed.page.call("nobody")

    assert answer.status == 502
    assert "No instances available for nobody" in answer.error


@pytest.mark.parametrize("bed", ["nacos"], indirect=True)
async def test_every_link_of_a_chain_sees_the_header_that_is_forwarded(bed: Bed) -> None:
    await bed.open()

    answer = await bed.page.chain({"x-lane": "gray", "x-other": "not forwarded"})

    assert [who.service for who in answer.links] == ["page", "shop", "stock", "depot"]
    assert [who.headers["x-lane"] for who in answer.links] == ["gray"] * 4
    assert ["x-other" in who.headers for who in answer.links] == [True, False, False, False]
    assert ["x-lane" in who.headers for who in (await bed.page.chain()).links] == [False] * 4


@pytest.mark.parametrize("bed", ["nacos"], indirect=True)
async def test_an_application_is_slow_and_fails_when_it_is_told_to(bed: Bed) -> None:
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
