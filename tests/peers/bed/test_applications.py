"""One application of each kind, in one ZooKeeper: it answers, crashes, and comes back."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from peers.conftest import make_zookeeper

from rig.application import running
from rig.dubbo import Consumer, Need, Offer, Provider
from rig.spring import Member, SpringService
from rig.waiting import until
from rig.zookeeper import ZooKeeper

pytestmark = pytest.mark.asyncio


@pytest.fixture
def zookeeper(tmp_path: Path) -> ZooKeeper:
    """Return a ZooKeeper of the test's own, not started."""
    return make_zookeeper(tmp_path)


@pytest.mark.parametrize("release", [2, 3])
async def test_a_dubbo_consumer_calls_a_provider_that_comes_back_after_a_crash(
    zookeeper: ZooKeeper, host: str, tmp_path: Path, release: Literal[2, 3]
) -> None:
    where = f"zookeeper://{zookeeper.address}"
    offer = Offer(name="provider", host=host, registry=where, release=release)
    need = Need(
        name="consumer", host=host, registry=where, mode="interface", timeout=5, release=release
    )
    provider, consumer = Provider(tmp_path, offer), Consumer(tmp_path, need)

    async def answered() -> str:
        (call,) = await consumer.call()
        return call.answer.name if call.answer else call.error

    async with zookeeper, running(provider):
        await provider.kill()
        await provider.start()
        async with consumer:
            await until(answered, "provider".__eq__, within=30)
            await provider.kill()
            assert await answered() != "provider"


async def test_a_spring_cloud_caller_calls_a_service_that_comes_back_after_a_crash(
    zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    member = Member(kind="zookeeper", registry=zookeeper.address, name="page", service="page")
    shop = SpringService(tmp_path, replace(member, name="shop", service="shop"))
    page = SpringService(tmp_path, replace(member, timeout=5))

    async def answered() -> int:
        return (await page.call("shop")).status

    async with zookeeper, running(shop, page):
        await until(answered, (200).__eq__, within=30)
        await shop.kill()
        assert await answered() == 502
        await shop.start()
        await until(answered, (200).__eq__, within=30)
