"""The real istiod: takes what the bridge sends, survives its own end, and serves a real Envoy."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from meshbridge.testing import ProcessFailed
from rig.backends import Backend
from rig.bed import versions
from rig.bridge import Bridge
from rig.envoy import Envoy
from rig.istiod import Istiod, istioctl, sidecar
from rig.ports import free_port
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio")]

HERE = "127.0.0.1"


@dataclass
class Mesh:
    """A bridge that reads a file, and the istiod that it serves."""

    services: Path
    bridge: Bridge
    istiod: Istiod
    port: int
    """The service port of http."""

    def write(self, **instances: Mapping[str, int]) -> None:
        """Let the file hold these services, each a map of versions to ports on loopback."""
        services = [
            {"name": name, "instances": [_instance(*each) for each in ports.items()]}
            for name, ports in instances.items()
        ]
        new = self.services.with_suffix(".new")
        new.write_text(json.dumps({"services": services}))
        new.replace(self.services)

    async def hosts(self) -> dict[str, int]:
        """Return how many endpoints istiod's store has for each host."""
        found: dict[str, int] = {}
        for entry in await self.istiod.stored("ServiceEntry"):
            for host in entry.hosts:
                found[host] = found.get(host, 0) + len(entry.endpoints)
        return found


def _instance(version: str, port: int) -> dict[str, object]:
    return {"address": HERE, "port": port, "metadata": {"version": version}}


@asynccontextmanager
async def mesh(directory: Path) -> AsyncGenerator[Mesh]:
    services = directory / "services.yaml"
    port = free_port()
    registry = {
        "name": "shop",
        "adapter": "file",
        "path": str(services),
        "publish": {"allow-addresses": ["127.0.0.0/8"], "ports": {"http": port}},
    }
    mcp = {"mcp": {"listen": f"{HERE}:0"}}
    bridge = Bridge(directory, {"version": 1, "registries": [registry], "outlets": mcp})
    services.write_text("services: []")
    async with bridge:
        istiod = Istiod(directory, [await bridge.address("mcp")])
        it = Mesh(services, bridge, istiod, port)
        async with istiod:
            yield it


async def test_it_starts_answers_and_says_which_one_it_is(tmp_path: Path) -> None:
    async with mesh(tmp_path) as it:
        it.write(orders={"v1": 9})
        await until(it.hosts, lambda seen: seen == {"orders.file": 1}, within=10)
        (entry,) = await it.istiod.stored("ServiceEntry")
        assert entry.version, "it keeps our version"
        assert await it.istiod.version() == versions("istio")["istio"]
        assert it.istiod.warnings() == []
    assert it.istiod.process.exit_code == 0


async def test_a_frozen_one_is_silent_and_a_killed_one_takes_everything_again(
    tmp_path: Path,
) -> None:
    async with mesh(tmp_path) as it:
        it.write(orders={"v1": 9})
        await until(it.hosts, lambda seen: seen == {"orders.file": 1}, within=10)
        it.istiod.pause()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(it.hosts(), 0.5)
        it.istiod.resume()
        assert await it.hosts() == {"orders.file": 1}
        await it.istiod.kill()
        assert not await it.istiod.is_up()
        it.write(orders={"v1": 9, "v2": 10}, stock={"v1": 9})
        await it.istiod.start()
        both = {"orders.file": 2, "stock.file": 1}
        await until(it.hosts, lambda seen: seen == both, within=10)


async def test_without_a_config_source_it_ends_and_its_log_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match="ended with 1 before it was ready") as failed:
        async with Istiod(tmp_path, [f"{HERE}:{free_port()}"]):
            pass
    assert "MCP: failed running" in str(failed.value)


@pytest.mark.usefixtures("envoy")
async def test_an_envoy_behind_it_serves_what_the_bridge_sends(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        it = await stack.enter_async_context(mesh(tmp_path))
        v1 = await stack.enter_async_context(Backend("v1"))
        v2 = await stack.enter_async_context(Backend("v2"))
        await stack.enter_async_context(Envoy(tmp_path, sidecar(it.istiod)))
        caller = await stack.enter_async_context(aiohttp.ClientSession())

        async def answers() -> set[str]:
            return {await _call(caller, it.port) for _ in range(10)}

        it.write(orders={"v1": v1.port})
        await until(answers, lambda seen: seen == {"v1"}, within=10)
        it.write(orders={"v1": v1.port, "v2": v2.port})
        await until(answers, lambda seen: seen == {"v1", "v2"}, within=10)
        it.write(orders={"v2": v2.port})
        await until(answers, lambda seen: seen == {"v2"}, within=10)
        assert it.istiod.warnings() == []


async def _call(caller: aiohttp.ClientSession, port: int) -> str:
    try:
        url = f"http://{HERE}:{port}/"
        async with caller.get(url, headers={"Host": "orders.file"}) as answer:
            return await answer.text() if answer.status == 200 else str(answer.status)
    except aiohttp.ClientConnectionError:
        return "no connection"


async def test_istioctl_of_the_same_version_tells_a_good_resource_from_a_bad_one(
    tmp_path: Path,
) -> None:
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {
            "hosts": ["orders.file"],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
        },
    }
    file = tmp_path / "entry.yaml"
    file.write_text(json.dumps(entry))
    assert "valid" in await istioctl("validate", "-f", file)
    file.write_text(json.dumps(entry).replace("orders.file", "*"))
    with pytest.raises(ProcessFailed, match="invalid"):
        await istioctl("validate", "-f", file)
