"""The table of metrics in docs/operations.md is true: their names are a contract."""

import asyncio
import re
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from unit.runtime.examples import Log, Scripted, service

from meshbridge import Adapter, Context, Emit, Listing
from meshbridge.bridge import Bridge, RegistryRuntime
from meshbridge.outlet import Outlet, OutletContext
from meshbridge.publish import Registry
from meshbridge.settings import Address, Tls
from meshbridge.status import StatusServer
from meshbridge.watchdog import watchdog
from meshbridge_mcp import Mcp
from meshbridge_xds import Xds
from meshbridge_xds.server import DiscoveryServer

PAGE = Path(__file__).resolve().parents[3] / "docs" / "operations.md"
ROW = re.compile(r"^\| `(meshbridge_\w+)` \| (\w+) \|", re.MULTILINE)
Told = set[tuple[str, str]]


def told() -> Told:
    """Return (name, type) of each metric in the table."""
    return {
        (name.replace("OUTLET", outlet), kind)
        for name, kind in ROW.findall(PAGE.read_text())
        for outlet in ("xds", "mcp")
    }


def exposed(metrics: CollectorRegistry) -> Told:
    """Return (name, type) of each metric as a scrape shows it."""
    return {
        (f"{each.name}_total" if each.type == "counter" else each.name, each.type)
        for each in metrics.collect()
    }


def say(emit: Emit) -> None:
    """Say one service."""
    emit(Listing("all", (service("orders", 8081),)))


async def running() -> CollectorRegistry:
    """Return the metrics of a bridge that serves one service through both outlets."""

    def make(context: Context) -> Adapter:
        return Scripted(context, say)

    log, metrics, opened = Log(), CollectorRegistry(), asyncio.Queue[str]()
    runtime = RegistryRuntime(Registry("shop", 0), make)
    bridge = Bridge([runtime], time.monotonic, asyncio.sleep, log.logger())
    listen = {"listen": Address("127.0.0.1", 0)}
    outlets: dict[str, Outlet] = {
        "xds": Xds(Xds.Options.model_validate(listen)),
        # Some metrics are about istiods that are looked at; at this port there is none.
        "mcp": Mcp(Mcp.Options.model_validate({**listen, "debug": ("http://127.0.0.1:1",)})),
    }
    server = StatusServer(bridge, outlets, metrics)

    def listening(name: str, _: str) -> None:
        opened.put_nowait(name)

    context = OutletContext(time.monotonic, log.logger(), metrics, listening, bridge.problems.put)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(bridge.run()),
            group.create_task(server.serve(Address("127.0.0.1", 0), listening)),
            *(
                group.create_task(each.serve(bridge.snapshots, context))
                for each in outlets.values()
            ),
        ]
        await bridge.snapshots.after(None)
        assert {await opened.get() for _ in range(3)} == {"status", "served"}
        for task in tasks:
            task.cancel()
    with watchdog(asyncio.get_running_loop(), log.logger(), metrics):
        return metrics


async def serve(self: DiscoveryServer, address: Address, tls: Tls | None = None) -> None:
    """Stand in for the gRPC server: nobody connects here, and its metrics are made before."""
    del address, tls
    self._context.listening("served", "")  # pyright: ignore[reportPrivateUsage]
    await asyncio.Event().wait()


def test_the_table_names_every_metric_with_its_type_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DiscoveryServer, "serve", serve)
    assert told() == exposed(asyncio.run(running()))
