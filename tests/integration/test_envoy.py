"""The outlet ``xds`` and a real Envoy, in both variants of the protocol: what callers get."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from meshbridge.settings import Address
from meshbridge_xds import XdsOptions
from meshbridge_xds.options import HttpListenerOptions, TcpListenerOptions
from rig.backends import Backend
from rig.control_plane import LOOPBACK, TCP, ControlPlane, control_plane, endpoint, service
from rig.envoy import Api, Envoy, bootstrap
from rig.ports import free_port
from rig.waiting import until

pytestmark = pytest.mark.asyncio
both = pytest.mark.parametrize("api", ["GRPC", "DELTA_GRPC"])
SOON = 5.0


@dataclass
class Mesh:
    """A control plane, an Envoy that it feeds, and a caller."""

    plane: ControlPlane
    envoy: Envoy
    port: int
    tcp_port: int
    caller: aiohttp.ClientSession

    async def call(self, host: str, *, port: int | None = None) -> tuple[int, str]:
        """Return status and body of one request through Envoy; status 0 means no answer."""
        try:
            url = f"http://127.0.0.1:{port or self.port}/"
            async with self.caller.get(url, headers={"Host": host}) as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientConnectionError:
            return 0, ""

    async def calls(self, host: str, number: int) -> Counter[tuple[int, str]]:
        """Return how often each answer came."""
        return Counter([await self.call(host) for _ in range(number)])

    async def becomes(self, host: str, answer: tuple[int, str]) -> float:
        """Wait until the answer comes; return the seconds."""
        _, took = await until(lambda: self.call(host), lambda got: got == answer, within=SOON)
        return took


@asynccontextmanager
async def mesh(directory: Path, api: Api, *, host_of_tcp: str = "db.test") -> AsyncGenerator[Mesh]:
    port, tcp_port = free_port(), free_port()
    options = XdsOptions(
        listen=LOOPBACK,
        http=(HttpListenerOptions(listen=Address("127.0.0.1", port), ports=(80, 8080)),),
        tcp=(TcpListenerOptions(listen=Address("127.0.0.1", tcp_port), host=host_of_tcp),),
    )
    async with AsyncExitStack() as stack:
        plane = await stack.enter_async_context(control_plane(options))
        envoy = Envoy(directory, bootstrap(plane.address, api=api))
        await stack.enter_async_context(envoy)
        connector = aiohttp.TCPConnector(force_close=True)
        session = aiohttp.ClientSession(connector=connector)
        caller = await stack.enter_async_context(session)
        yield Mesh(plane, envoy, port, tcp_port, caller)


@asynccontextmanager
async def backends(*names: str) -> AsyncGenerator[list[Backend]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Backend(name)) for name in names]


@both
async def test_a_request_reaches_the_service_that_its_host_names(api: Api, tmp_path: Path) -> None:
    """By host, host and port, and alias; a host that is not served answers 404."""
    async with backends("a", "b") as (a, b), mesh(tmp_path, api) as it:
        it.plane.publish(
            service("orders.test", endpoint(a.port), aliases=("orders",)),
            service("users.test", endpoint(b.port)),
        )
        await it.becomes("orders.test", (200, "a"))
        assert await it.call("orders.test:80") == (200, "a")
        assert await it.call("orders") == (200, "a")
        assert await it.call("users.test") == (200, "b")
        assert (await it.call("stranger.test"))[0] == 404
        assert await it.envoy.is_live()


@both
async def test_an_endpoint_that_comes_or_goes_takes_effect(api: Api, tmp_path: Path) -> None:
    """The next requests go to the endpoints of now, and none fails on the way."""
    async with backends("a", "b") as (a, b), mesh(tmp_path, api) as it:
        it.plane.publish(service("orders.test", endpoint(a.port)))
        await it.becomes("orders.test", (200, "a"))
        it.plane.publish(service("orders.test", endpoint(a.port), endpoint(b.port)))
        await it.becomes("orders.test", (200, "b"))
        it.plane.publish(service("orders.test", endpoint(b.port)))
        await it.becomes("orders.test", (200, "b"))
        assert set(await it.calls("orders.test", 40)) <= {(200, "a"), (200, "b")}
        await until(
            lambda: it.calls("orders.test", 10), lambda got: set(got) == {(200, "b")}, within=SOON
        )
        assert await it.envoy.stats("cluster_manager.warming_clusters|update_rejected") != {}
        assert not any((await it.envoy.stats("warming_clusters|update_rejected")).values())
