"""The status server tells everything, changes nothing, and is there before the services are."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from unit.runtime.examples import Log, Scripted, service, sid

from meshbridge import Adapter, Context, Emit, Listing
from meshbridge.bridge import Bridge, RegistryRuntime
from meshbridge.errors import ConfigurationError
from meshbridge.outlet import Outlet
from meshbridge.publish import Registry
from meshbridge.settings.listen import Address
from meshbridge.status import StatusServer

Scenario = Callable[[aiohttp.ClientSession, Bridge], Awaitable[None]]


def listing(emit: Emit) -> None:
    """Say one service, and one record that cannot be read."""
    emit(Listing("all", (service("orders", 8081, 8082),), (sid("broken"),)))


def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take no calls."""
    writer.close()


def nobody(_: str, __: str) -> None:
    """Hear of an opened port and do nothing."""


def silent(_: Emit) -> None:
    """Say nothing."""


def serve(script: Callable[[Emit], None], scenario: Scenario) -> None:
    """Run a bridge with its status server on a free port."""

    def make(context: Context) -> Adapter:
        return Scripted(context, script)

    async def main() -> None:
        bridge = Bridge(
            [RegistryRuntime(Registry("shop", 0), make)],
            time.monotonic,
            asyncio.sleep,
            Log().logger(),
        )
        outlets: dict[str, Outlet] = {}
        server = StatusServer(bridge, outlets, CollectorRegistry())
        opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def listening(name: str, address: str) -> None:
            assert name == "status"
            opened.set_result(address)

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(bridge.run()),
                group.create_task(server.serve(Address("127.0.0.1", 0), listening)),
            ]
            async with aiohttp.ClientSession(f"http://{await opened}") as session:
                await scenario(session, bridge)
            for task in tasks:
                task.cancel()

    asyncio.run(main())


async def get(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    """Return status and body."""
    async with session.get(path) as response:
        return response.status, await response.text()


def test_readyz_tells_what_the_first_answer_waits_for() -> None:
    """503 with the registry and its scope, while livez is well."""

    async def scenario(session: aiohttp.ClientSession, _: Bridge) -> None:
        status, text = await get(session, "/readyz")
        assert status == 503
        assert "waiting: registry shop, all was not read yet" in text
        assert (await get(session, "/livez"))[0] == 200
        assert (await get(session, "/api/services"))[0] == 503

    serve(silent, scenario)


def test_services_have_the_shape_of_the_contract() -> None:
    """All keys, in a list and alone by host."""

    async def scenario(session: aiohttp.ClientSession, bridge: Bridge) -> None:
        snapshot = await bridge.snapshots.after(None)
        assert (await get(session, "/readyz"))[0] == 200
        (found,) = json.loads((await get(session, "/api/services"))[1])
        assert found == {
            "host": "orders.shop",
            "namespace": "shop",
            "ports": [{"number": 80, "protocol": "http", "name": "http-80"}],
            "endpoints": [
                {
                    "address": "10.0.0.1",
                    "ports": {"http-80": port},
                    "weight": 100,
                    "health": "healthy",
                    "locality": "",
                    "labels": {"service.istio.io/canonical-name": "orders"},
                    "network": "",
                    "service_account": "",
                }
                for port in (8081, 8082)
            ],
            "labels": {},
            "version": snapshot.services["orders.shop"].version,
            "sources": [{"registry": "shop", "name": "orders"}],
            "aliases": [],
            "addresses": [],
            "export_to": [],
        }
        assert json.loads((await get(session, "/api/services/orders.shop"))[1]) == found
        status, text = await get(session, "/api/services/orders")
        assert status == 404
        assert "no service has the host" in text

    serve(listing, scenario)


def test_registries_and_problems_are_told() -> None:
    """With the scope's state, and the unreadable record by the registry's own name."""

    async def scenario(session: aiohttp.ClientSession, bridge: Bridge) -> None:
        await bridge.snapshots.after(None)
        (registry,) = json.loads((await get(session, "/api/registries"))[1])
        (scope,) = registry["scopes"]
        assert (registry["name"], registry["state"]) == ("shop", "watching")
        assert (scope["scope"], scope["listed"], scope["stale"]) == ("all", True, None)
        assert (scope["services"], scope["instances"]) == (1, 2)
        (problem,) = json.loads((await get(session, "/api/problems"))[1])
        assert (problem["registry"], problem["subject"]) == ("shop", "broken")
        assert problem["kind"] == "unreadable"
        assert json.loads((await get(session, "/api/subscribers"))[1]) == []

    serve(listing, scenario)


def test_metrics_count_what_is_there() -> None:
    """In base units, under the bridge's own prefix only."""

    async def scenario(session: aiohttp.ClientSession, bridge: Bridge) -> None:
        await bridge.snapshots.after(None)
        status, text = await get(session, "/metrics")
        assert status == 200
        lines = text.splitlines()
        assert "meshbridge_services 1.0" in lines
        assert "meshbridge_endpoints 2.0" in lines
        assert 'meshbridge_registry_up{registry="shop"} 1.0' in lines
        assert 'meshbridge_registry_updates_total{registry="shop"} 1.0' in lines
        assert 'meshbridge_registry_stale_seconds{registry="shop",scope="all"} 0.0' in lines
        assert 'meshbridge_problems{kind="unreadable",registry="shop"} 1.0' in lines
        names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
        assert {name for name in names if not name.startswith("meshbridge_")} == set()

    serve(listing, scenario)


def test_who_leaves_in_the_middle_of_a_long_list_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is logged; the next one gets all of it."""

    def many(emit: Emit) -> None:
        emit(Listing("all", tuple(service(f"service-{n}", 8081) for n in range(5000))))

    async def scenario(session: aiohttp.ClientSession, bridge: Bridge) -> None:
        await bridge.snapshots.after(None)
        async with session.get("/livez") as alive:
            url = alive.url
        for _ in range(3):
            reader, writer = await asyncio.open_connection(url.host, url.port)
            writer.write(b"GET /api/services HTTP/1.1\r\nHost: bridge\r\n\r\n")
            await reader.readexactly(1)
            writer.transport.abort()
            assert len(json.loads((await get(session, "/api/services"))[1])) == 5000

    serve(many, scenario)
    assert [each.getMessage() for each in caplog.records if each.name == "aiohttp.server"] == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/readyz", "/api/services", "/api/nothing"])
def test_nothing_can_be_changed(method: str, path: str) -> None:
    """Every method but GET and HEAD is refused, wherever it goes."""

    async def scenario(session: aiohttp.ClientSession, _: Bridge) -> None:
        async with session.request(method, path) as response:
            assert response.status == 405

    serve(silent, scenario)


def test_a_port_in_use_is_a_mistake_of_the_configuration() -> None:
    """Named with the key, what was found and what to do."""

    async def main() -> None:
        holder = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with holder:
            port = int(holder.sockets[0].getsockname()[1])
            bridge = Bridge([], time.monotonic, asyncio.sleep, Log().logger())
            server = StatusServer(bridge, {}, CollectorRegistry())
            await server.serve(Address("127.0.0.1", port), nobody)

    with pytest.raises(ConfigurationError, match=r"status\.listen: found 127\.0\.0\.1:\d+; cannot"):
        asyncio.run(main())


@pytest.mark.parametrize("turns", range(12))
def test_a_server_that_is_cancelled_while_it_opens_leaves_nothing(turns: int) -> None:
    """At each await of its start; an open socket would fail the test."""

    async def main() -> None:
        bridge = Bridge([], time.monotonic, asyncio.sleep, Log().logger())
        server = StatusServer(bridge, {}, CollectorRegistry())
        task = asyncio.create_task(server.serve(Address("127.0.0.1", 0), nobody))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_readyz_turns_away_who_comes_during_a_drain() -> None:
    """At once, also when everything is served; the loop still turns, and that is said too."""

    async def main() -> None:
        runtime = RegistryRuntime(Registry("shop", 0), lambda each: Scripted(each, listing))
        bridge = Bridge([runtime], time.monotonic, asyncio.sleep, Log().logger())
        server = StatusServer(bridge, {}, CollectorRegistry())
        opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(bridge.run()),
                group.create_task(
                    server.serve(
                        Address("127.0.0.1", 0), lambda _, address: opened.set_result(address)
                    )
                ),
            ]
            await bridge.snapshots.after(None)
            async with aiohttp.ClientSession(f"http://{await opened}") as session:
                assert (await get(session, "/readyz"))[0] == 200
                server.drain()
                status, text = await get(session, "/readyz")
                assert status == 503
                assert text.splitlines()[0].startswith("draining: ")
                assert text.splitlines()[1].startswith("ready: ")
                assert (await get(session, "/livez"))[0] == 200
            for task in tasks:
                task.cancel()

    asyncio.run(main())
