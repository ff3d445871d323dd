"""A market of real Spring Cloud applications in one registry: a page, a shop, who is behind it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import aiohttp

from rig.eureka import Eureka
from rig.nacos import Nacos
from rig.spring import Answer, Member, SpringService
from rig.waiting import until
from rig.zookeeper import ZooKeeper

GROUP, NAMESPACE = "spring-bed", "spring-beds"
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
class Market:
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
        await self.answered_by(*self.running, within=30)

    async def dozen(self) -> list[Answer]:
        """Let the page call a dozen times: each instance that it knows of, more than once."""
        return [await self.page.call("shop") for _ in range(12)]

    async def answered_by(self, *names: str, within: float) -> list[Answer]:
        """Let the page call until a dozen in a row were answered by these and nobody else."""

        def good(answers: list[Answer]) -> bool:
            found = {answer.who.name for answer in answers if answer.status == 200}
            return all(answer.status == 200 for answer in answers) and found == {*names}

        answers, _ = await until(self.dozen, good, within=within)
        return answers

    async def listed(self) -> int:
        """Return how many instances of the shop the registry has."""
        match self.registry:
            case Nacos() as nacos:
                return len(await _shop(nacos))
            case Eureka() as eureka:
                return len((await eureka.applications()).get("SHOP", []))
            case ZooKeeper() as zookeeper:
                return (await zookeeper.ask("dump")).count("/services/shop/")

    async def metadata(self) -> dict[int, Mapping[str, str]]:
        """Return what the registry has of the shop, by port; Nacos' weight and cluster as well."""
        match self.registry:
            case Nacos() as nacos:
                return {
                    cast("int", each["port"]): {
                        **cast("dict[str, str]", each["metadata"]),
                        "zone": str(each["clusterName"]),
                        "weight": str(each["weight"]),
                    }
                    for each in await _shop(nacos)
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
        plain = replace(plain, kind="nacos", group=GROUP, namespace=NAMESPACE, lease=None)
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


def set_up(kind: str, folder: Path, nacos: Nacos | None) -> Market:
    """Return the market, not started; its Nacos is this one that runs, any other registry its own.

    Raises rig.bed.Missing or BuildFailed.
    """
    registry = nacos or (Eureka(folder) if kind == "eureka" else ZooKeeper(folder))
    page, staying, crashing, leaving, *behind = (
        SpringService(folder, member) for member in members(kind, registry.address)
    )
    return Market(registry, page, (staying, crashing, leaving), tuple(behind))


async def _shop(nacos: Nacos) -> list[dict[str, object]]:
    """Return the shop as their namespace has it; `Nacos.instances` asks ``public``."""
    url = f"http://{nacos.address}/nacos/v1/ns/instance/list"
    query = {"serviceName": f"{GROUP}@@shop", "namespaceId": NAMESPACE}
    async with aiohttp.ClientSession() as session, session.get(url, params=query) as answer:
        listed = cast("dict[str, list[dict[str, object]]]", await answer.json(content_type=None))
        return listed["hosts"]
