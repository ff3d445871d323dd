"""What docs/istio.md says of callers by Dubbo's own protocol, with real ones on one machine.

Two interfaces with a group and a version, each at an address of its own and all on one port, and
consumers whose references stay as they are but for a URL.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from peers.bed.dubbo_market import PATIENT
from peers.conftest import unavailable

from rig.application import running
from rig.bed import Missing
from rig.bridge import Bridge
from rig.dubbo import Consumer, Need, Offer, Provider
from rig.envoy import Envoy, bootstrap
from rig.ports import free_port
from rig.waiting import until
from rig.zookeeper import ZooKeeper

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("envoy")]

GREETER = "meshbridge.peers.greeter.v-1-0-0.g-blue.dubbo"
STOCK = "meshbridge.peers.stock.v-1-0-0.g-blue.dubbo"
PLACES = {GREETER: "127.0.0.2", STOCK: "127.0.0.3"}
SOON = 30.0
"""Seconds, on a machine that is busy."""
_REFUSED = {
    2: "Not found exported service: meshbridge.peers.Greeter",
    3: "Fail to decode request due to: RpcInvocation",
}
"""What providers of Dubbo 2.7 and 3 say to a call without the group that they offer."""


def configuration(zookeeper: str, port: int) -> dict[str, object]:
    registry = {
        "name": "estate",
        "adapter": "zookeeper-dubbo",
        "servers": [zookeeper],
        "guard": {"settle": "0s", "allow-empty": True},
    }
    tcp = [{"listen": f"{place}:{port}", "host": host} for host, place in PLACES.items()]
    return {
        "version": 1,
        "registries": [registry],
        "outlets": {"xds": {"listen": "127.0.0.1:0", "tcp": tcp}},
        "status": {"listen": "127.0.0.1:0"},
    }


@pytest.mark.parametrize("release", [2, 3])
async def test_each_interface_has_an_address_and_the_reference_keeps_group_and_version(
    release: Literal[2, 3], host: str, tmp_path: Path
) -> None:
    port, names = free_port(), tmp_path / "hosts"
    names.write_text("".join(f"{place} {each}\n" for each, place in PLACES.items()))
    need = partial(Need, host=host, timeout=PATIENT, group="blue", version="1.0.0")
    try:
        zookeeper = ZooKeeper(tmp_path)
        offer = Offer(name="one", host=host, release=release, group="blue", version="1.0.0")
        provider = Provider(tmp_path, replace(offer, registry=f"zookeeper://{zookeeper.address}"))
        caller: Callable[[Need], Consumer] = partial(Consumer, tmp_path, hosts=names)
        greeter = need(name="greeter", url=f"dubbo://{GREETER}:{port}")
        stock = need(name="stock", url=f"dubbo://{STOCK}:{port}", service="stock", release=2)
        well: Sequence[Consumer] = (caller(greeter), caller(stock))
        without = caller(replace(greeter, name="without", group="", version=""))
    except Missing as missing:
        unavailable(missing)

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(zookeeper)
        await enter(running(provider))
        bridge = await enter(Bridge(tmp_path, configuration(zookeeper.address, port)))
        envoy = await enter(
            Envoy(tmp_path, bootstrap(await bridge.address("xds"), api="DELTA_GRPC"))
        )

        async def listening() -> str:
            return await envoy.get("/listeners")

        await until(listening, lambda text: len(text.splitlines()) == len(PLACES), within=SOON)
        await enter(running(*well, without))
        for each in well:
            (call,) = await each.call()
            assert call.answer is not None, call.error
            assert (call.answer.group, call.answer.version) == ("blue", "1.0.0")
        (call,) = await without.call()
        assert not call.ok
        assert _REFUSED[release] in call.error
