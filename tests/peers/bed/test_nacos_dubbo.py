"""Real Dubbo providers on a real Nacos, and what real consumers hear from them through Envoy.

The consumers know a URL of the interface's host and no registry. dubbo:// is plain TCP to Envoy,
so who calls by it is started again where a provider joins or is taken out that runs on.
"""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from peers.bed.dubbo_market import BOTH, PATIENT
from peers.bed.dubbo_mesh import CONNECTIONS, DUBBO, GREETER, HERE, SOON, TRI
from peers.conftest import unavailable

from meshbridge.testing import FaultProxy
from rig.application import running
from rig.bed import Missing
from rig.bridge import Bridge
from rig.dubbo import Consumer, Need, Offer, Provider
from rig.envoy import Envoy, bootstrap
from rig.nacos import Nacos
from rig.network import Namespace
from rig.times import timed
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("envoy")]

INTERFACE = "providers:meshbridge.peers.Greeter::"


@dataclass(frozen=True, slots=True)
class Bed:
    """A Nacos, who offers, and the network in which others call."""

    nacos: Nacos
    new: Provider
    """Dubbo 3, both protocols; registered as an interface and as an application."""
    old: Provider
    """Dubbo 2.7."""
    remote: Provider
    """Dubbo 3 by Triple; registered as an application only, its interfaces in the configuration."""
    network: Namespace

    def timed(self, event: str) -> AbstractContextManager[None]:
        """Note the time until what the block changes is followed."""
        return timed(f"Dubbo: {event}", f"Nacos {self.nacos.release}")


@dataclass(frozen=True, slots=True)
class Mesh:
    """Who calls through which Envoy."""

    envoy: Envoy
    static: Consumer
    """Dubbo 2.7, by dubbo."""
    static_tri: Consumer
    """Dubbo 3, by Triple."""

    async def gives_to(self, *urls: str) -> float:
        """Wait until Envoy has these providers and no others; return the seconds that took."""
        line = rf"^outbound\|\d+\|\|{re.escape(GREETER)}::[\d.]+:(\d+)::health_flags::healthy$"

        async def known() -> set[int]:
            listed = await self.envoy.get("/clusters")
            return {int(port) for port in re.findall(line, listed, re.MULTILINE)}

        wanted = {int(url.rpartition(":")[2]) for url in urls}
        _, took = await until(known, wanted.__eq__, within=SOON)
        return took


@pytest.fixture
def bed(each_nacos: Nacos, host: str, tmp_path: Path) -> Bed:
    """Return all of it; only Nacos is started."""
    try:
        network = Namespace()
        network.proxy()
        offer = Offer(name="new", host=host, registry=f"nacos://{each_nacos.address}", mode="all")
        old = replace(offer, name="old", release=2, mode=None)
        remote = replace(offer, name="remote", mode="instance", metadata="remote")
        made = (replace(offer, protocols=BOTH), old, replace(remote, protocols=("tri",)))
        first, second, third = (Provider(tmp_path, each) for each in made)
        return Bed(each_nacos, first, second, third, network)
    except Missing as missing:
        unavailable(missing)


def registered(nacos: Nacos) -> Mapping[str, object]:
    outlet = {
        "listen": f"{HERE}:0",
        "http": [{"listen": f"{HERE}:{TRI}", "ports": [TRI]}],
        "tcp": [{"listen": f"{HERE}:{DUBBO}", "host": GREETER}],
    }
    registry = {
        "name": "market",
        "adapter": "nacos",
        "servers": [nacos.address],
        "discover-every": "1s",
        "guard": {"settle": "0s", "hold-service": "0s", "allow-empty": True},
    }
    return {
        "version": 1,
        "registries": [registry],
        "outlets": {"xds": outlet},
        "status": {"listen": f"{HERE}:0"},
    }


@asynccontextmanager
async def meshed(bed: Bed, directory: Path) -> AsyncGenerator[Mesh]:
    """Let Envoy, in a network of its own, listen for each protocol under the host's name."""
    network = bed.network
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        bridge = await enter(Bridge(directory, registered(bed.nacos)))
        await enter(network)
        port = int((await bridge.address("xds")).rpartition(":")[2])
        way = await enter(FaultProxy(HERE, port, host=network.outside))
        fed = bootstrap(way.address, api="DELTA_GRPC")
        fed["admin"] = {"address": {"socket_address": {"address": network.inside, "port_value": 0}}}
        envoy = await enter(Envoy(directory, fed, before=network.proxy()))
        await until(envoy.is_live, bool, within=SOON)
        network.reach(bed.new.offer.host)
        hosts = directory / "hosts"
        hosts.write_text(f"{HERE} {GREETER}\n")
        need = partial(Need, host=network.inside, timeout=PATIENT, retries=2)
        inside = partial(Consumer, directory, before=network.command(), hosts=hosts)
        dubbo, tri = f"dubbo://{GREETER}:{DUBBO}", f"tri://{GREETER}:{TRI}"
        yield Mesh(
            envoy,
            inside(need(name="static", url=dubbo, params=CONNECTIONS, release=2)),
            inside(need(name="static-tri", url=tri)),
        )


async def hears(consumer: Consumer, *names: str) -> None:
    """Wait until every one of twenty calls is answered, by these providers and nobody else."""

    async def answers() -> tuple[set[str], Sequence[str]]:
        calls = await consumer.call(20)
        answered = {call.answer.name for call in calls if call.answer is not None}
        return answered, [call.error for call in calls if not call.ok]

    await until(answers, lambda seen: seen == ({*names}, []), within=SOON, every=0.2)


async def test_real_consumers_follow_providers_on_nacos_through_an_envoy_that_knows_only_us(
    bed: Bed, tmp_path: Path
) -> None:
    new, old, remote = bed.new, bed.old, bed.remote
    async with running(new, old, remote), meshed(bed, tmp_path) as it:
        by_new, by_old, by_remote = new.url("dubbo"), old.url("dubbo"), remote.url("tri")
        await it.gives_to(by_new, new.url("tri"), by_old, by_remote)
        async with running(it.static, it.static_tri):
            await hears(it.static, "new", "old")
            await hears(it.static_tri, "new", "remote")

            with bed.timed("weight 0"):
                await set_in_nacos(bed.nacos, new, "tri", weight="0")
                await hears(it.static_tri, "remote")
            with bed.timed("weight 1"):
                await set_in_nacos(bed.nacos, new, "tri", weight="1")
                await hears(it.static_tri, "new", "remote")

            with bed.timed("disabled, known to Envoy"):
                await set_in_nacos(bed.nacos, new, "dubbo", enabled="false")
                await it.gives_to(new.url("tri"), by_old, by_remote)
            await it.static.restart()
            await hears(it.static, "old")
            with bed.timed("enabled, known to Envoy"):
                await set_in_nacos(bed.nacos, new, "dubbo", enabled="true")
                await it.gives_to(by_new, new.url("tri"), by_old, by_remote)

            with bed.timed("kill -9"):
                await remote.kill()
                await hears(it.static_tri, "new")
            await old.kill()
            await it.gives_to(by_new, new.url("tri"))
            await it.static.restart()
            await hears(it.static, "new")
            # It would wait for its consumers.
            await new.kill()


async def set_in_nacos(nacos: Nacos, provider: Provider, protocol: str, **fields: str) -> None:
    """Change what the console shows of a provider."""
    host, port = provider.offer.host, provider.ports[protocol]
    await nacos.update(INTERFACE, host, port, ephemeral=True, **fields)
