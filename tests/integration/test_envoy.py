"""The outlet ``xds`` and a real Envoy, in both variants of the protocol: what callers get."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from meshbridge.registration import Health
from meshbridge.service import Port
from meshbridge.settings import Address
from meshbridge_xds import XdsOptions
from meshbridge_xds.options import HttpListenerOptions, TcpListenerOptions
from rig.backends import Backend
from rig.control_plane import (
    GRPC,
    HTTP,
    LOOPBACK,
    TCP,
    ControlPlane,
    control_plane,
    endpoint,
    service,
)
from rig.envoy import Api, Envoy, bootstrap
from rig.ports import free_port
from rig.waiting import until

pytestmark = pytest.mark.asyncio
both = pytest.mark.parametrize("api", ["GRPC", "DELTA_GRPC"])
SOON = 20.0


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

    async def nothing_is_wrong(self) -> None:
        """Assert that Envoy refused nothing, waits for nothing and has answered everything."""
        stats = await self.envoy.stats(
            r"^(cluster_manager\.(warming_clusters|cds\.update_rejected)"
            r"|listener_manager\.(total_listeners_warming|lds\.update_rejected)"
            r"|http\..*\.update_rejected|cluster\.outbound.*\.update_rejected)$"
        )
        assert "cluster_manager.warming_clusters" in stats
        assert {name: value for name, value in stats.items() if value} == {}
        unopened = f"tcp 127.0.0.1:{self.tcp_port}"  # its service is in some of the tests only
        assert {each.subject for each in self.plane.problems} <= {unopened}

    async def updates(self) -> dict[str, int]:
        """Return what counts every change that Envoy applied."""
        return await self.envoy.stats(
            r"^(cluster_manager\.cluster_(added|modified|removed|updated)"
            r"|listener_manager\.listener_(added|modified|removed)"
            r"|http\..*\.config_reload|cluster\.outbound.*\.membership_change)$"
        )


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
        await it.nothing_is_wrong()


@both
async def test_requests_follow_the_weights_whatever_the_locality(api: Api, tmp_path: Path) -> None:
    """Three localities with weights 1, 2 and 5 share 80 requests as 10, 20 and 50."""
    async with backends("a", "b", "c") as (a, b, c), mesh(tmp_path, api) as it:
        it.plane.publish(
            service(
                "orders.test",
                endpoint(a.port, weight=100, locality="r/z1"),
                endpoint(b.port, weight=200, locality="r/z2"),
                endpoint(c.port, weight=500),
            )
        )
        await until(lambda: it.call("orders.test"), lambda got: got[0] == 200, within=SOON)
        seen = await it.calls("orders.test", 80)
        assert seen.total() == 80
        assert abs(seen[200, "a"] - 10) <= 2
        assert abs(seen[200, "b"] - 20) <= 2
        assert abs(seen[200, "c"] - 50) <= 2


@both
async def test_a_degraded_endpoint_rests_while_the_healthy_ones_suffice(
    api: Api, tmp_path: Path
) -> None:
    """One of four is degraded: Envoy's overprovisioning (1.4) needs only the other three."""
    async with backends("a", "b", "c", "d") as four, mesh(tmp_path, api) as it:
        states = (Health.HEALTHY, Health.HEALTHY, Health.HEALTHY, Health.DEGRADED)
        pairs = zip(four, states, strict=True)
        it.plane.publish(
            service("orders.test", *(endpoint(each.port, health=state) for each, state in pairs))
        )
        await until(lambda: it.call("orders.test"), lambda got: got[0] == 200, within=SOON)
        assert set(await it.calls("orders.test", 30)) == {(200, "a"), (200, "b"), (200, "c")}


@both
async def test_a_service_without_endpoints_answers_503_and_one_removed_404(
    api: Api, tmp_path: Path
) -> None:
    """And when it comes back, as the same or another, it serves: no cluster warms for ever."""
    async with backends("a", "b") as (a, b), mesh(tmp_path, api) as it:
        it.plane.publish(service("orders.test"), service("users.test", endpoint(b.port)))
        await it.becomes("users.test", (200, "b"))
        assert (await it.call("orders.test"))[0] == 503
        for _ in range(3):
            it.plane.publish(service("orders.test", endpoint(a.port)))
            await it.becomes("orders.test", (200, "a"))
            it.plane.publish(without=("orders.test",))
            await until(lambda: it.call("orders.test"), lambda got: got[0] == 404, within=SOON)
        it.plane.publish(service("orders.test", endpoint(b.port), ports=(HTTP, GRPC)))
        await it.becomes("orders.test", (200, "b"))
        assert await it.call("users.test") == (200, "b")
        await it.nothing_is_wrong()


@both
async def test_a_cluster_that_changes_keeps_its_endpoints(api: Api, tmp_path: Path) -> None:
    """Envoy waits for the endpoints of a changed cluster; they are told again."""
    async with backends("a") as (a,), mesh(tmp_path, api) as it:
        it.plane.publish(service("orders.test", endpoint(a.port)))
        await it.becomes("orders.test", (200, "a"))
        # The same port in HTTP/2: the cluster differs, its endpoints do not.
        h2 = Port(80, "grpc", "http-80")
        it.plane.publish(service("orders.test", endpoint(a.port), ports=(h2,)))
        await until(
            it.updates,
            lambda got: bool(got["cluster_manager.cluster_modified"]),
            within=SOON,
        )
        it.plane.publish(service("orders.test", endpoint(a.port)))
        await until(
            it.updates,
            lambda got: got["cluster_manager.cluster_modified"] == 2,
            within=SOON,
        )
        await it.becomes("orders.test", (200, "a"))
        await it.nothing_is_wrong()


@both
async def test_connections_reach_the_service_of_a_tcp_listener(api: Api, tmp_path: Path) -> None:
    """The listener appears with its service and forwards whatever comes."""
    async with backends("a") as (a,), mesh(tmp_path, api) as it:
        it.plane.publish(service("orders.test", endpoint(a.port)))
        await it.becomes("orders.test", (200, "a"))
        it.plane.publish(service("db.test", endpoint(a.port, of=TCP), ports=(HTTP, TCP)))
        await until(
            lambda: it.call("any.name", port=it.tcp_port),
            lambda got: got == (200, "a"),
            within=SOON,
        )
        await it.nothing_is_wrong()


@both
async def test_nothing_is_updated_when_the_server_restarts_with_the_same_content(
    api: Api, tmp_path: Path
) -> None:
    """What Envoy holds is compared by content, so a restart of the bridge changes nothing."""
    options = XdsOptions(
        listen=Address("127.0.0.1", free_port()),
        http=(HttpListenerOptions(listen=Address("127.0.0.1", free_port()), ports=(80,)),),
    )
    names = [f"s{index}.test" for index in range(20)]
    async with AsyncExitStack() as stack:
        (a,) = await stack.enter_async_context(backends("a"))
        envoy = Envoy(tmp_path, bootstrap(str(options.listen), api=api))
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        caller = await stack.enter_async_context(session)
        async with control_plane(options) as first:
            first.publish(*(service(name, endpoint(a.port)) for name in names))
            await stack.enter_async_context(envoy)
            it = Mesh(first, envoy, options.http[0].listen.port, 0, caller)
            await it.becomes("s7.test", (200, "a"))
            before = await it.updates()
        assert await it.call("s7.test") == (200, "a")
        async with control_plane(options) as second:
            it.plane = second
            # In another order, and by another way to the same content.
            second.publish(*(service(name, endpoint(1)) for name in reversed(names)))
            second.publish(*(service(name, endpoint(a.port)) for name in reversed(names)))
            await until(
                lambda: envoy.stats("^control_plane.connected_state$"),
                lambda got: got == {"control_plane.connected_state": 1},
                within=15,
            )
            second.publish(service("new.test", endpoint(a.port)))
            await it.becomes("new.test", (200, "a"))
            after = await it.updates()
            grown = {name: after[name] - before.get(name, 0) for name in after}
            changed = {name: by for name, by in grown.items() if by}
            routes = f"http|127.0.0.1_{it.port}"  # Envoy's own spelling in its statistics
            assert set(changed) == {
                "cluster_manager.cluster_added",
                "cluster.outbound|80||new.test.membership_change",
                f"http.{routes}.rds.{routes}.config_reload",
            }
            await it.nothing_is_wrong()


@both
async def test_a_service_that_vanished_while_envoy_was_away_goes(api: Api, tmp_path: Path) -> None:
    """Envoy says on its return what it holds, and is told what of it is gone."""
    options = XdsOptions(
        listen=Address("127.0.0.1", free_port()),
        http=(HttpListenerOptions(listen=Address("127.0.0.1", free_port()), ports=(80,)),),
    )
    async with AsyncExitStack() as stack:
        (a,) = await stack.enter_async_context(backends("a"))
        envoy = Envoy(tmp_path, bootstrap(str(options.listen), api=api))
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        caller = await stack.enter_async_context(session)
        kept, lost = service("kept.test", endpoint(a.port)), service("lost.test", endpoint(a.port))
        async with control_plane(options) as first:
            first.publish(kept, lost)
            await stack.enter_async_context(envoy)
            it = Mesh(first, envoy, options.http[0].listen.port, 0, caller)
            await it.becomes("lost.test", (200, "a"))
        async with control_plane(options) as it.plane:
            it.plane.publish(kept)
            await until(lambda: it.call("lost.test"), lambda got: got[0] == 404, within=15)
            await until(
                lambda: envoy.stats("^cluster_manager.active_clusters$"),
                lambda got: got == {"cluster_manager.active_clusters": 2},
                within=SOON,
            )
            assert await it.call("kept.test") == (200, "a")
            await it.nothing_is_wrong()
