"""Callers of Spring Cloud services in a Eureka, whose calls Envoy takes as it is told to.

One is a Spring Cloud application in a network of its own, which chooses an instance by its own list
and calls its address; that is redirected. The other one names a host. Envoy is told by the bridge
itself, or by an istiod that the bridge tells.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from peers.bed.heard import SOON
from peers.bed.pod import PLAIN, sidecar_in

from meshbridge.testing import FaultProxy
from rig.bridge import Bridge
from rig.envoy import Envoy, bootstrap
from rig.eureka import Eureka
from rig.istiod import Istiod, sidecar
from rig.network import Namespace
from rig.ports import free_port
from rig.spring import Member, SpringService, Who
from rig.waiting import until

HERE = "127.0.0.1"
REDIRECTED, NAMED = 15001, 15002
"""Ports of the bridge's Envoy in the network: for calls of addresses, and of hosts."""
SERVICE, HOST = "goods", "goods.eureka"
INTERVAL = 1
"""Seconds between two questions of the bridge, and of a Spring Cloud application."""
SERVING = {"serving": "yes"}
"""The metadata without which the bridge is told to leave an instance out."""
BY_ENVOY = "x-request-id"
"""A header that Envoy adds to requests that it routes, and to nothing that it lets pass."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Two callers, and where Envoy takes their calls."""

    page: SpringService
    """Unmodified: it finds instances in Eureka by itself."""
    plain: aiohttp.ClientSession
    door: str
    """Where calls are taken that name a host."""

    async def by_name(self) -> str:
        """Call the host."""
        async with self.plain.get(f"{self.door}/who", headers={"Host": HOST}) as answer:
            if answer.status != 200:
                return str(answer.status)
            return Who.model_validate(await answer.json()).name

    async def by_address(self) -> str:
        """Let the Spring Cloud application call one of the instances that it knows."""
        answer = await self.page.call(SERVICE)
        return answer.who.name if answer.status == 200 else str(answer.status)

    async def routed(self) -> tuple[str, str] | None:
        """Return which address the Spring Cloud application called, and who answered.

        None where Envoy only let the call pass: a sidecar does so until it has heard of an address,
        and for as long as the connection is kept.
        """
        who = (await self.page.call(SERVICE)).who
        return (who.headers["host"], who.name) if BY_ENVOY in who.headers else None


def _configured(server: Eureka, port: int, inside: str) -> Mapping[str, object]:
    """Return the configuration of the bridge; its Envoy is in the network with that address."""
    registry = {
        "name": "shop",
        "adapter": "eureka",
        "servers": [f"http://{server.address}/eureka"],
        "interval": f"{INTERVAL}s",
        "publish": {
            "include": [SERVICE],
            "instances": {"match": SERVING},
            "ports": {"http": port},
            "addresses": "endpoints",
        },
        # Clients that renew every second are back soon where Eureka has forgotten them.
        "guard": {"settle": "5s", "hold-service": "0s", "allow-empty": True},
    }
    listeners = ((HERE, REDIRECTED), (inside, NAMED))
    http = [{"listen": f"{host}:{at}", "ports": [port]} for host, at in listeners]
    outlets = {"xds": {"listen": f"{HERE}:0", "http": http}, "mcp": {"listen": f"{HERE}:0"}}
    return {"version": 1, "registries": [registry], "outlets": outlets}


@asynccontextmanager
async def meshed(
    server: Eureka,
    network: Namespace,
    instances: Sequence[SpringService],
    folder: Path,
    *,
    by_istiod: bool,
) -> AsyncGenerator[Mesh]:
    """Let Envoy take what is opened to these instances; neither they nor the page are started."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(network)
        port = free_port()
        bridge = await enter(Bridge(folder, _configured(server, port, network.inside)))
        for address in {each.member.host for each in instances}:
            network.reach(address)
        if by_istiod:
            door = await enter(_told_by_istiod(bridge, port, network, folder))
        else:
            door = await enter(_told_by_the_bridge(bridge, network, folder))
            for each in {each.port for each in instances}:
                network.redirect(each, REDIRECTED)
        host, _, at = server.address.rpartition(":")
        way = await enter(FaultProxy(host, int(at), host=network.outside))
        page = Member(
            kind="eureka",
            registry=way.address,
            name="page",
            service="page",
            host=network.inside,
            fetch=INTERVAL,
        )
        plain = await enter(aiohttp.ClientSession())
        yield Mesh(SpringService(folder, page, before=network.command()), plain, door)


@asynccontextmanager
async def _told_by_the_bridge(
    bridge: Bridge, network: Namespace, folder: Path
) -> AsyncGenerator[str]:
    port = int((await bridge.address("xds")).rpartition(":")[2])
    async with FaultProxy(HERE, port, host=network.outside) as way:
        fed = bootstrap(way.address, api="DELTA_GRPC")
        fed["admin"] = {"address": {"socket_address": {"address": network.inside, "port_value": 0}}}
        async with Envoy(folder, fed, before=network.proxy()) as envoy:
            await until(envoy.is_live, bool, within=SOON)
            yield f"http://{network.inside}:{NAMED}"


@asynccontextmanager
async def _told_by_istiod(
    bridge: Bridge, port: int, network: Namespace, folder: Path
) -> AsyncGenerator[str]:
    """Run one Envoy in the network, to which calls are redirected, and one that hosts are asked of.

    The latter listens at the service port.
    """
    rules = folder / "rules"
    rules.mkdir()
    (rules / "plain.yaml").write_text(json.dumps(PLAIN))
    async with (
        Istiod(folder, [await bridge.address("mcp"), f"fs://{rules}"]) as istiod,
        sidecar_in(network, istiod, folder),
        Envoy(folder, sidecar(istiod), name="named") as named,
    ):
        await until(named.is_live, bool, within=SOON)
        yield f"http://{HERE}:{port}"
        assert istiod.warnings() == []
