"""Real Spring Cloud services in a real Nacos, and who answers those that call them through Envoy.

Envoy knows only what the bridge tells it. Of the two callers one is an unmodified `@LoadBalanced`
application that calls instances' addresses, the other one names hosts.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from peers.bed.heard import SOON
from peers.bed.spring_mesh import REDIRECTED, Mesh, Names, meshed, names

from meshbridge.testing import FaultProxy
from rig.application import running, stop_all
from rig.nacos import Nacos
from rig.nacos_health import put_instance, put_service
from rig.network import Namespace
from rig.ports import free_port
from rig.spring import Member, SpringService
from rig.times import timed
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("envoy")]


@dataclass(frozen=True, slots=True)
class Story:
    """A Nacos, four real services, and who calls them."""

    nacos: Nacos
    named: Names
    mesh: Mesh
    v1: SpringService
    """An instance of the goods, as the next one is."""
    v2: SpringService
    grouped: SpringService
    """Goods of another group; not started."""
    spaced: SpringService
    """Goods of another namespace; not started."""

    def timed(self, event: str) -> AbstractContextManager[None]:
        """Note the time until Envoy's callers have followed what the block changes."""
        return timed(f"Spring Cloud: {event}", f"Nacos {self.nacos.release}")


def services(
    nacos: Nacos, named: Names, addresses: tuple[str, str], folder: Path
) -> list[SpringService]:
    """Return two instances of the goods, and one each in another group and another namespace."""
    first, second = addresses
    one = Member(
        kind="nacos",
        registry=nacos.address,
        name="v1",
        service=named.goods,
        host=first,
        port=free_port(),
    )
    members = (
        one,
        replace(one, name="v2", host=second),
        replace(one, name="grouped", port=0, group=named.group),
        replace(one, name="spaced", port=0, namespace=named.namespace),
    )
    return [SpringService(folder, each) for each in members]


def at(service: SpringService) -> tuple[str, int]:
    return service.member.host, service.port


async def test_traffic_follows_spring_cloud_services_on_nacos(
    each_nacos: Nacos, network: Namespace, addresses: tuple[str, str], tmp_path: Path
) -> None:
    named = names()
    v1, v2, grouped, spaced = services(each_nacos, named, addresses, tmp_path)
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(
            meshed(each_nacos, named, network, (v1, v2), tmp_path)
        )
        await stack.enter_async_context(running(v1, v2, mesh.page))
        stack.push_async_callback(stop_all, grouped, spaced)
        story = Story(each_nacos, named, mesh, v1, v2, grouped, spaced)
        await mesh.both_hear(named.goods, "v1", "v2")
        await weight_counts_for_callers_that_know_of_none(story)
        await who_is_disabled_is_not_called(story)
        async with second_doors(network, v1, v2) as doors:
            await who_is_unhealthy_is_not_called_while_another_one_is_not(story, doors)
        await who_is_killed_is_not_called(story)
        await who_is_new_is_called_by_the_host_of_its_group_and_namespace(story)
        await without_instances_nobody_answers_and_without_the_service_there_is_no_host(story)


async def weight_counts_for_callers_that_know_of_none(it: Story) -> None:
    goods, (host, *_) = it.named.goods, it.named.hosts
    with it.timed("weight"):
        await it.nacos.update(goods, *at(it.v2), ephemeral=True, weight="4")
        await it.mesh.mostly(host, "v2")
    answers = await it.mesh.routed(goods, 100)
    assert 70 <= Counter(who.name for who in answers)["v2"] <= 90
    called = Counter(who.headers["host"] for who in answers)
    assert called.keys() == {it.v1.address, it.v2.address}
    assert 40 <= called[it.v1.address] <= 60, "it chooses without weights, and Envoy with them"


async def who_is_disabled_is_not_called(it: Story) -> None:
    goods = it.named.goods
    with it.timed("disabled"):
        await it.nacos.update(goods, *at(it.v1), ephemeral=True, enabled="false")
        await it.mesh.both_hear(goods, "v2")
    assert {who.name for who in await it.mesh.routed(goods, 20)} == {"v2"}
    with it.timed("enabled"):
        await it.nacos.update(goods, *at(it.v1), ephemeral=True, enabled="true")
        await it.mesh.both_hear(goods, "v1", "v2")


@asynccontextmanager
async def second_doors(
    network: Namespace, *services: SpringService
) -> AsyncGenerator[list[FaultProxy]]:
    """Give each a second port: of one that two hosts have, Envoy would not know whose it is."""
    async with AsyncExitStack() as stack:
        doors: list[FaultProxy] = []
        for each in services:
            host, port = at(each)
            door = await stack.enter_async_context(FaultProxy(host, port, host=host))
            network.redirect(door.port, REDIRECTED)
            doors.append(door)
        yield doors


async def who_is_unhealthy_is_not_called_while_another_one_is_not(
    it: Story, doors: Sequence[FaultProxy]
) -> None:
    """They register under another name by hand: so nobody else says how they are."""
    stock, nacos, mesh = it.named.stock, it.nacos, it.mesh
    first, second = ((each.host, each.port) for each in doors)
    await put_service(nacos, stock, 0, "DEFAULT")
    for each in (first, second):
        await put_instance(nacos, stock, *each, healthy=True)
    await mesh.both_hear(stock, "v1", "v2")
    with it.timed("unhealthy"):
        await put_instance(nacos, stock, *first, healthy=False)
        await mesh.both_hear(stock, "v2")
    assert {who.name for who in await mesh.routed(stock, 20)} == {"v2"}
    with it.timed("healthy"):
        await put_instance(nacos, stock, *first, healthy=True)
        await mesh.both_hear(stock, "v1", "v2")


async def who_is_killed_is_not_called(it: Story) -> None:
    with it.timed("kill -9"):
        await it.v1.kill()
        await it.mesh.both_hear(it.named.goods, "v2")


async def who_is_new_is_called_by_the_host_of_its_group_and_namespace(it: Story) -> None:
    mesh, (_, in_group, in_namespace) = it.mesh, it.named.hosts
    for new in (in_group, in_namespace):
        assert await mesh.ask(new) == "404"
    with it.timed("JVM started again"):
        await it.v1.start()
        await mesh.both_hear(it.named.goods, "v1", "v2")
    with it.timed("JVM started in a new group"):
        await it.grouped.start()
        await mesh.hear(in_group, "grouped")
    with it.timed("JVM started in a new namespace"):
        await it.spaced.start()
        await mesh.hear(in_namespace, "spaced")


async def without_instances_nobody_answers_and_without_the_service_there_is_no_host(
    it: Story,
) -> None:
    goods, mesh, (host, in_group, in_namespace) = it.named.goods, it.mesh, it.named.hosts
    await stop_all(it.v1, it.v2)
    with it.timed("both instances have ended"):
        await mesh.hear(host, "503")
    assert (await mesh.page.call(goods)).status == 502
    await until(lambda: removed(it.nacos, goods), bool, within=SOON)
    with it.timed("service deleted"):
        await mesh.hear(host, "404")
        await until(lambda: mesh.knows(host), lambda known: not known, within=SOON)
    assert await mesh.knows(in_group)
    await mesh.hear(in_group, "grouped")
    await mesh.hear(in_namespace, "spaced")


async def removed(nacos: Nacos, service: str) -> bool:
    """Remove it; Nacos sees a moment later that it has no instances left."""
    try:
        await nacos.remove_service(service)
    except OSError:
        return False
    return True
