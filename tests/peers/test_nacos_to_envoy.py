"""Each real Nacos, `meshbridge run`, a real Envoy, real backends: what callers are answered."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
from peers.conftest import make_nacos

from meshbridge import Instance
from meshbridge_nacos import Nacos as NacosAdapter
from meshbridge_nacos import Options
from rig.backends import Backend
from rig.bridge import Bridge
from rig.envoy import Envoy, bootstrap
from rig.nacos import Nacos
from rig.ports import free_port
from rig.registrant import Registrant
from rig.times import timed
from rig.waiting import until
from rig.watching import Watched, watching

pytestmark = pytest.mark.asyncio

HERE = "127.0.0.1"
SOON = 5.0
"""Seconds for a change to reach callers; Nacos itself takes 0.6 s."""
RETURN = 40.0
"""Seconds for a registrant to be back after a restart of Nacos, at its client's own pace."""


@dataclass
class Mesh:
    """Two backends that are registered in Nacos, and a caller in front of Envoy."""

    envoy: Envoy
    port: int
    caller: aiohttp.ClientSession
    v1: Backend
    v2: Backend
    registrant_v1: Registrant
    registrant_v2: Registrant

    async def call(self, host: str) -> str:
        """Return who answered, or the status of a failure."""
        try:
            url = f"http://{HERE}:{self.port}/"
            async with self.caller.get(url, headers={"Host": host}) as answer:
                return await answer.text() if answer.status == 200 else str(answer.status)
        except aiohttp.ClientConnectionError:
            return "no connection"

    async def calls(self, host: str, number: int = 40) -> Counter[str]:
        """Return who answered how often."""
        return Counter([await self.call(host) for _ in range(number)])

    async def become(
        self, host: str, holds: Callable[[Counter[str]], bool], *, within: float = SOON
    ) -> None:
        """Wait until 40 requests are answered so."""
        await until(lambda: self.calls(host), holds, within=within)


def only(*names: str) -> Callable[[Counter[str]], bool]:
    return lambda answers: set(answers) == set(names)


@asynccontextmanager
async def mesh(nacos: Nacos, directory: Path) -> AsyncGenerator[Mesh]:
    port = free_port()
    registry = {
        "name": "shop",
        "adapter": "nacos",
        "servers": [nacos.address],
        "discover-every": "1s",
        "publish": {"allow-addresses": ["127.0.0.0/8"]},
        # The first answer need not wait: nothing refills here, and the registry may be empty.
        "guard": {"settle": "0s", "allow-empty": True},
    }
    outlet = {"listen": f"{HERE}:0", "http": [{"listen": f"{HERE}:{port}", "ports": [80]}]}
    configuration = {"version": 1, "registries": [registry], "outlets": {"xds": outlet}}
    async with AsyncExitStack() as stack:
        v1 = await stack.enter_async_context(Backend("v1"))
        v2 = await stack.enter_async_context(Backend("v2"))
        one = await stack.enter_async_context(Registrant("one", nacos.address, directory))
        two = await stack.enter_async_context(Registrant("two", nacos.address, directory))
        bridge = await stack.enter_async_context(Bridge(directory, configuration))
        control_plane = bootstrap(await bridge.address("xds"), api="DELTA_GRPC")
        envoy = await stack.enter_async_context(Envoy(directory, control_plane))
        connector = aiohttp.TCPConnector(force_close=True)
        caller = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        yield Mesh(envoy, port, caller, v1, v2, one, two)


@pytest.mark.usefixtures("envoy")
async def test_traffic_follows_nacos(each_nacos: Nacos, tmp_path: Path) -> None:
    """Appear, weigh, leave, come back, be disabled, die: asserted on answered requests."""
    async with mesh(each_nacos, tmp_path) as it:
        host, where = "traffic.nacos", f"Nacos {each_nacos.release}"
        with timed("plain HTTP: a new service", where):
            await it.registrant_v1.register("traffic", HERE, it.v1.port)
            await it.become(host, only("v1"))
        with timed("plain HTTP: a further instance", where):
            await it.registrant_v2.register("traffic", HERE, it.v2.port)
            await it.become(host, only("v1", "v2"))

        with timed("plain HTTP: weight", where):
            await it.registrant_v2.register("traffic", HERE, it.v2.port, weight=3)
            await it.become(host, lambda answers: answers["v2"] > 2.5 * answers["v1"] > 0)
        answers = await it.calls(host, 400)
        assert answers.total() == answers["v1"] + answers["v2"]
        assert 270 <= answers["v2"] <= 330, "three of four requests, by weight"

        with timed("plain HTTP: deregistered", where):
            await it.registrant_v2.deregister("traffic", HERE, it.v2.port)
            await it.become(host, only("v1"))
        await it.registrant_v2.register("traffic", HERE, it.v2.port)
        await it.become(host, only("v1", "v2"))

        with timed("plain HTTP: disabled", where):
            await each_nacos.update("traffic", HERE, it.v1.port, ephemeral=True, enabled="false")
            await it.become(host, only("v2"))
        answered = it.v1.answered
        assert await it.calls(host, 100) == {"v2": 100}
        assert it.v1.answered == answered
        await each_nacos.update("traffic", HERE, it.v1.port, ephemeral=True, enabled="true")
        await it.become(host, only("v1", "v2"))

        with timed("plain HTTP: kill -9", where):
            await it.registrant_v2.kill()
            await it.become(host, only("v1"))
        assert await it.calls(host, 100) == {"v1": 100}, "the survivor answers everything"


@pytest.mark.usefixtures("envoy")
@pytest.mark.parametrize("release", [2, 3])
async def test_traffic_outlives_nacos(release: Literal[2, 3], tmp_path: Path) -> None:
    """While Nacos is away everything is answered; when it is back, changes take effect again.

    It has nothing but persistent instances then, and says so as if that were all.
    """
    spaces, groups = ["public", "prod"], ["DEFAULT_GROUP", "blue"]
    scopes = [f"{space}/{group}" for space in spaces for group in groups]
    async with (
        make_nacos(tmp_path, release=release) as server,
        mesh(server, tmp_path) as it,
        watch(server, namespaces=spaces, groups=groups) as watched,
    ):
        host, where = "outlives.nacos", f"Nacos {release}"
        await server.register("lasting", "10.4.3.1", 8080, namespace="prod")
        await it.registrant_v1.register("outlives", HERE, it.v1.port)
        await it.become(host, only("v1"))
        for name in ("prod/lasting", "outlives"):
            await watched.has(name, bool)
        for scope in scopes:
            assert not (await watched.listed(scope)).after_gap

        await server.kill()
        assert await it.calls(host, 100) == {"v1": 100}
        await server.start()
        with timed("Nacos is ready again: all is listed", where):
            for scope in scopes:
                assert (await watched.listed(scope, times=2, within=SOON)).after_gap
        assert "connection lost" in str(watched.failures[0])
        for name in ("prod/lasting", "outlives"):
            await watched.has(name, bool, within=RETURN)
        await it.registrant_v1.register("outlives", HERE, it.v1.port, weight=4)
        await watched.has("outlives", weighs_four, within=SOON)
        with timed("Nacos is ready again: a further instance is called", where):
            await it.registrant_v2.register("outlives", HERE, it.v2.port)
            await it.become(host, only("v1", "v2"), within=RETURN)


@pytest.mark.parametrize("release", [2, 3])
async def test_a_group_that_vanishes_while_nacos_is_away_goes_in_its_time(
    release: Literal[2, 3], tmp_path: Path
) -> None:
    """Nobody lists it ever again: the list of groups says so, and the guard lets it go."""
    async with make_nacos(tmp_path, release=release) as server:
        registry = {
            "name": "shop",
            "adapter": "nacos",
            "servers": [server.address],
            "groups": ["*"],
            "discover-every": "1s",
            "guard": {"settle": "1s", "window": "3s"},
        }
        outlets = {"xds": {"listen": f"{HERE}:0"}}
        await server.register("lasting", "10.4.4.1", 8080)
        await server.register("brief", "10.4.4.2", 8080, group="blue", ephemeral=True)
        configuration = {"version": 1, "registries": [registry], "outlets": outlets}
        async with Bridge(tmp_path, configuration) as bridge:
            url = f"http://{await bridge.address('status')}/api/services"

            async def services() -> set[str]:
                async with aiohttp.ClientSession() as session, session.get(url) as answer:
                    told = await answer.json() if answer.status == 200 else ()
                return {each["host"].split(".")[0] for each in told}

            await until(services, {"lasting", "brief"}.__eq__, within=RETURN)
            await server.kill()
            await server.start()
            with timed("a group is there no more", f"Nacos {release}"):
                await until(services, {"lasting"}.__eq__, within=RETURN)


def watch(server: Nacos, **options: object) -> AbstractAsyncContextManager[Watched]:
    """Watch as the bridge does."""
    fields = {"servers": [server.address], "discover-every": "1s"} | options
    return watching(lambda context: NacosAdapter("shop", Options.model_validate(fields), context))


def weighs_four(found: tuple[Instance, ...] | None) -> bool:
    return [each.weight for each in found or ()] == [4]
