"""Real Spring Cloud applications in a real ZooKeeper, called by their name in the mesh."""

from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from peers.conftest import unavailable

from rig.application import running
from rig.bed import Missing
from rig.bridge import Bridge
from rig.envoy import Envoy, bootstrap
from rig.ports import free_port
from rig.spring import Member, SpringService, Who
from rig.waiting import until
from rig.zookeeper import ZooKeeper

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("envoy")]

HERE = "127.0.0.1"
HOST = "shop.zookeeper"
LEASE = 2
"""Seconds for which ZooKeeper keeps what was registered by one that was killed."""
SOON = 20.0


async def calls(port: int) -> Counter[str]:
    """Return who answered forty calls through Envoy, or the status instead."""
    found = Counter[str]()
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(40):
            url = f"http://{HERE}:{port}/who"
            async with session.get(url, headers={"Host": HOST}) as answer:
                body = await answer.read()
                name = Who.model_validate_json(body).name if answer.status == 200 else ""
                found[name or str(answer.status)] += 1
    return found


async def test_calls_of_a_spring_cloud_service_follow_what_is_registered(tmp_path: Path) -> None:
    """Of two, one is killed with -9 and the other starts again on another port."""
    try:
        server = ZooKeeper(tmp_path)
        v1 = Member(
            kind="zookeeper",
            registry=server.address,
            name="v1",
            service="shop",
            version="v1",
            lease=LEASE,
        )
        one, two = (SpringService(tmp_path, each) for each in (v1, replace(v1, name="v2")))
        again = SpringService(tmp_path, replace(v1, name="v1-again"))
    except Missing as missing:
        unavailable(missing)
    port = free_port()
    registry = {
        "name": "shop",
        "adapter": "zookeeper-dubbo",
        "servers": [server.address],
        "publish": {"allow-addresses": ["127.0.0.0/8"]},
        # The first answer need not wait: nothing refills here, and the registry may be empty.
        "guard": {"settle": "0s", "allow-empty": True},
    }
    outlet = {"listen": f"{HERE}:0", "http": [{"listen": f"{HERE}:{port}", "ports": [80]}]}
    configuration = {"version": 1, "registries": [registry], "outlets": {"xds": outlet}}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(server)
        bridge = await enter(Bridge(tmp_path, configuration))
        await enter(Envoy(tmp_path, bootstrap(await bridge.address("xds"), api="DELTA_GRPC")))
        await enter(running(one, two))
        await until(lambda: calls(port), lambda seen: {*seen} == {"v1", "v2"}, within=SOON)
        await two.kill()
        await until(lambda: calls(port), {"v1": 40}.__eq__, within=SOON)
        await enter(again)
        await until(lambda: calls(port), lambda seen: {*seen} == {"v1", "v1-again"}, within=SOON)
        await one.stop()
        await until(lambda: calls(port), {"v1-again": 40}.__eq__, within=SOON)
