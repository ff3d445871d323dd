"""Callers of Spring Cloud services in Nacos, whose calls Envoy takes: it knows only what we tell.

One is a Spring Cloud application in a network of its own, which chooses an instance by its own list
and calls its address; that is redirected. The other one calls Envoy by the name of a host.
"""

import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from peers.bed.heard import CALLS, SOON, heard
from peers.bed.pod import reached

from meshbridge.testing import FaultProxy
from rig.bridge import Bridge
from rig.envoy import Envoy, bootstrap
from rig.nacos import Nacos
from rig.network import Namespace
from rig.spring import Member, SpringService, Who
from rig.waiting import until

HERE = "127.0.0.1"
REDIRECTED, NAMED = 15001, 15002
"""Ports of Envoy in the network: for calls that are redirected, and for those that name a host."""
TWO = 2


@dataclass(frozen=True, slots=True)
class Names:
    """What one test calls its services, in a Nacos that others use too."""

    goods: str
    stock: str
    group: str
    namespace: str

    @property
    def hosts(self) -> tuple[str, str, str]:
        """Those of the goods: by default, in the group, in the namespace."""
        group, namespace = f"{self.goods}.{self.group}", f"{self.goods}.{self.namespace}"
        return f"{self.goods}.nacos", f"{group}.nacos", f"{namespace}.nacos"


def names() -> Names:
    """Return names that nobody else has."""
    own = secrets.token_hex(4)
    return Names(f"goods-{own}", f"stock-{own}", f"blue-{own}", f"prod-{own}")


@dataclass(frozen=True, slots=True)
class Mesh:
    """Two callers and their Envoy."""

    envoy: Envoy
    page: SpringService
    """Unmodified: it finds instances in Nacos by itself."""
    plain: aiohttp.ClientSession
    door: str
    """Where Envoy takes calls that name a host."""

    async def ask(self, host: str) -> str:
        """Return who answered the plain caller, or the status of a failure."""
        async with self.plain.get(f"{self.door}/who", headers={"Host": host}) as answer:
            if answer.status != 200:
                return str(answer.status)
            return Who.model_validate(await answer.json()).name

    async def call(self, service: str) -> str:
        """Return who answered the Spring Cloud application, or the status of a failure."""
        answer = await self.page.call(service)
        return answer.who.name if answer.status == 200 else str(answer.status)

    async def routed(self, service: str, calls: int) -> list[Who]:
        """Return who answered the Spring Cloud application; it is Envoy that chose each of them."""
        before = await self._taken()
        answers = [await self.page.call(service) for _ in range(calls)]
        assert await self._taken() - before == calls, "each call went through Envoy"
        return [answer.who for answer in answers]

    async def hear(self, host: str, *wanted: str) -> None:
        """Wait until the plain caller is answered by these, by each of them, and by nobody else."""
        await heard(lambda: self.ask(host), *wanted)

    async def mostly(self, host: str, wanted: str) -> None:
        """Wait until one of the two who answer the plain caller does so for most of its calls."""

        async def look() -> Counter[str]:
            return Counter([await self.ask(host) for _ in range(2 * CALLS)])

        def mostly(seen: Counter[str]) -> bool:
            return len(seen) == TWO and seen[wanted] > 0.7 * seen.total()

        await until(look, mostly, within=SOON)

    async def both_hear(self, service: str, *wanted: str) -> None:
        """Wait for that, also where the Spring Cloud application calls, in the default group."""
        await self.hear(f"{service}.nacos", *wanted)
        await heard(lambda: self.call(service), *wanted)

    async def knows(self, host: str) -> bool:
        """Whether Envoy has that host."""
        return f"||{host}::" in await self.envoy.get("/clusters")

    async def _taken(self) -> int:
        """Return how many requests of callers Envoy has taken."""
        counts = await self.envoy.stats(r"^http\..*\.downstream_rq_total$")
        return sum(count for name, count in counts.items() if not name.startswith("http.admin."))


def registered(nacos: Nacos, named: Names, inside: str) -> Mapping[str, object]:
    """Return the configuration of the bridge; Envoy is in the network with that address."""
    registry = {
        "name": "shop",
        "adapter": "nacos",
        "servers": [nacos.address],
        "namespaces": ["public", named.namespace],
        "groups": ["DEFAULT_GROUP", named.group],
        "discover-every": "1s",
        "publish": {"include": [named.goods, named.stock], "addresses": "endpoints"},
        "guard": {"settle": "0s", "hold-service": "0s", "allow-empty": True},
    }
    listeners = ((HERE, REDIRECTED), (inside, NAMED))
    http = [{"listen": f"{host}:{port}", "ports": [80]} for host, port in listeners]
    return {
        "version": 1,
        "registries": [registry],
        "outlets": {"xds": {"listen": f"{HERE}:0", "http": http}},
    }


@asynccontextmanager
async def meshed(
    nacos: Nacos, named: Names, network: Namespace, instances: Sequence[SpringService], folder: Path
) -> AsyncGenerator[Mesh]:
    """Let Envoy take what is opened to these instances; neither they nor the page are started."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(network)
        bridge = await enter(Bridge(folder, registered(nacos, named, network.inside)))
        port = int((await bridge.address("xds")).rpartition(":")[2])
        way = await enter(FaultProxy(HERE, port, host=network.outside))
        fed = bootstrap(way.address, api="DELTA_GRPC")
        fed["admin"] = {"address": {"socket_address": {"address": network.inside, "port_value": 0}}}
        envoy = await enter(Envoy(folder, fed, before=network.proxy()))
        await until(envoy.is_live, bool, within=SOON)
        for address in {each.member.host for each in instances}:
            network.reach(address)
        for each in {each.port for each in instances}:
            network.redirect(each, REDIRECTED)
        page = Member(
            kind="nacos",
            registry=await enter(reached(nacos, network)),
            name="page",
            service=f"page-{named.goods}",
            host=network.inside,
        )
        plain = await enter(aiohttp.ClientSession())
        caller = SpringService(folder, page, before=network.command())
        yield Mesh(envoy, caller, plain, f"http://{network.inside}:{NAMED}")
