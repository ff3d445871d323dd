"""Consumers of Dubbo in a network where Envoy takes their calls, and knows only what we tell.

Two consumers know a URL of one host. The other two ask ZooKeeper by themselves, and what they open
to a provider is redirected: Envoy gives it to whichever provider it chooses.
"""

import json
import re
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from peers.bed.dubbo_market import PATIENT
from peers.bed.pod import PLAIN, in_turns, sidecar_in

from meshbridge.testing import FaultProxy, Process
from rig.bridge import Bridge
from rig.dubbo import Consumer, Need, Provider
from rig.envoy import Envoy, bootstrap
from rig.istiod import Istiod
from rig.network import Namespace
from rig.ports import free_port
from rig.waiting import until
from rig.zookeeper import ZooKeeper

HERE = "127.0.0.1"
RELAY = Path(__file__).parents[2] / "rig" / "relay_main.py"
GREETER = "meshbridge.peers.greeter.dubbo"
TRIPLE = "meshbridge.peers.greeter.g-tri.dubbo"
"""The hosts of the interface that all offer, without a group and with the group ``tri``."""
DUBBO, TRI = 20880, 50051
"""The service ports, which Envoy also listens on where it redirects nothing."""
CONNECTIONS = {"connections": "8"}
"""Of a consumer: enough that each of two providers gets some where they take turns."""
SOON = 30.0
"""Seconds for a change to reach a caller on a machine that is busy."""


@dataclass
class Mesh:
    """Who calls through which Envoy."""

    envoy: Envoy
    static: Consumer
    """Calls the host without a group by dubbo; it is of Dubbo 2.7, the others are of Dubbo 3."""
    static_tri: Consumer
    """Calls the same host by Triple."""
    redirected: Consumer
    """Finds those without a group in ZooKeeper, and calls them by dubbo."""
    redirected_tri: Consumer
    """Finds the applications of those with a group in ZooKeeper."""

    @property
    def callers(self) -> Sequence[Consumer]:
        """All consumers."""
        return (self.static, self.static_tri, self.redirected, self.redirected_tri)

    async def gives_to(self, host: str, *providers: Provider) -> None:
        """Wait until Envoy knows these providers of a host and no others."""
        line = rf"^outbound\|\d+\|\|{re.escape(host)}::[\d.]+:(\d+)::health_flags::healthy$"

        async def known() -> set[int]:
            listed = await self.envoy.get("/clusters")
            return {int(port) for port in re.findall(line, listed, re.MULTILINE)}

        wanted = {port for each in providers for port in each.ports.values()}
        await until(known, wanted.__eq__, within=SOON)

    async def carried(self) -> int:
        """Return how many connections Envoy has opened to providers."""
        counts = await self.envoy.stats(r"^cluster\.outbound.*greeter.*upstream_cx_total$")
        return sum(counts.values())


def _registered(zookeeper: ZooKeeper, outlets: Mapping[str, object]) -> Mapping[str, object]:
    registry = {
        "name": "market",
        "adapter": "zookeeper-dubbo",
        "servers": [zookeeper.address],
        "publish": {"include": ["*Greeter"], "addresses": "endpoints"},
        # The first answer need not wait: nothing refills here, and the registry may be empty.
        "guard": {"settle": "0s", "allow-empty": True},
    }
    return {
        "version": 1,
        "registries": [registry],
        "outlets": outlets,
        "status": {"listen": f"{HERE}:0"},
    }


@asynccontextmanager
async def by_xds(
    network: Namespace, zookeeper: ZooKeeper, providers: Sequence[Provider], directory: Path
) -> AsyncGenerator[Mesh]:
    """Let Envoy listen for each protocol; whoever knows a URL calls the host by its name."""
    http = [{"listen": f"{HERE}:{TRI}", "ports": [TRI]}]
    tcp = [{"listen": f"{HERE}:{DUBBO}", "host": GREETER}]
    outlet = {"listen": f"{HERE}:0", "http": http, "tcp": tcp}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        bridge = await enter(Bridge(directory, _registered(zookeeper, {"xds": outlet})))
        await enter(network)
        port = int((await bridge.address("xds")).rpartition(":")[2])
        way = await enter(FaultProxy(HERE, port, host=network.outside))
        fed = bootstrap(way.address, api="DELTA_GRPC")
        fed["admin"] = {"address": _socket(network.inside)}
        envoy = await enter(Envoy(directory, fed, before=network.proxy()))
        await until(envoy.is_live, bool, within=SOON)
        for port in _ports(providers, "dubbo"):
            network.redirect(port, DUBBO)
        for port in _ports(providers, "tri"):
            network.redirect(port, TRI)
        yield await _with_callers(stack, envoy, network, zookeeper, GREETER)


@asynccontextmanager
async def by_istiod(
    network: Namespace, zookeeper: ZooKeeper, providers: Sequence[Provider], directory: Path
) -> AsyncGenerator[Mesh]:
    """Let Envoy take all that goes out; whoever knows a URL calls the host's virtual address.

    To istiod a connection by dubbo belongs to the address that was called, so what is redirected
    goes out again, to the virtual address. A call by Triple says itself whom it is for.
    """
    rules = directory / "rules"
    rules.mkdir()
    for name, rule in (("plain", PLAIN), ("in-turns", in_turns(GREETER))):
        (rules / f"{name}.yaml").write_text(json.dumps(rule))
    relay = free_port()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        outlet = {"mcp": {"listen": f"{HERE}:0"}}
        bridge = await enter(Bridge(directory, _registered(zookeeper, outlet)))
        sources = [await bridge.address("mcp"), f"fs://{rules}"]
        istiod = await enter(Istiod(directory, sources))
        await enter(network)
        for port in _ports(providers, "dubbo"):
            network.redirect(port, relay)
        envoy = await enter(sidecar_in(network, istiod, directory))
        greeter = await _virtual_address(istiod, GREETER)
        words = (sys.executable, RELAY, str(relay), greeter, str(DUBBO))
        await enter(Process("relay", network.command(*words), directory=directory))
        yield await _with_callers(stack, envoy, network, zookeeper, greeter)
        assert istiod.warnings() == []


def _ports(providers: Sequence[Provider], protocol: str) -> Sequence[int]:
    """Return what consumers may open who ask ZooKeeper: by Triple they look for the group only."""
    return [
        each.ports[protocol]
        for each in providers
        if bool(each.offer.group) == (protocol == "tri") and protocol in each.ports
    ]


async def _virtual_address(istiod: Istiod, host: str) -> str:
    async def found() -> list[str]:
        entries = await istiod.stored("ServiceEntry")
        specs = [each.spec for each in entries if host in each.hosts]
        return [str(address) for each in specs for address in _list(each.get("addresses"))]

    addresses, _ = await until(found, bool, within=SOON)
    return addresses[0]


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()  # pyright: ignore[reportUnknownVariableType]


def _socket(host: str) -> Mapping[str, object]:
    return {"socket_address": {"address": host, "port_value": 0}}


async def _with_callers(
    stack: AsyncExitStack,
    envoy: Envoy,
    network: Namespace,
    zookeeper: ZooKeeper,
    greeter: str,
) -> Mesh:
    """Describe the consumers, which live in the network and reach ZooKeeper from there.

    Nobody in there answers who asks for names: ZooKeeper's client would wait for that, too.
    """
    hosts = envoy.home.parent / "hosts"
    hosts.write_text(f"{HERE} {GREETER}\n")
    port = zookeeper.port
    way = await stack.enter_async_context(FaultProxy(HERE, port, host=network.outside))
    registry = f"zookeeper://{way.address}"
    need = partial(Need, host=network.inside, timeout=PATIENT, retries=2)
    inside = partial(Consumer, envoy.home.parent, before=network.command(), hosts=hosts)
    dubbo, tri = f"dubbo://{greeter}:{DUBBO}", f"tri://{greeter}:{TRI}"
    by_dubbo = {"protocol": "dubbo", **CONNECTIONS}
    return Mesh(
        envoy,
        inside(need(name="static", url=dubbo, params=CONNECTIONS, release=2)),
        inside(need(name="static-tri", url=tri)),
        inside(need(name="redirected", registry=registry, mode="interface", params=by_dubbo)),
        inside(need(name="redirected-tri", registry=registry, mode="instance", group="tri")),
    )
