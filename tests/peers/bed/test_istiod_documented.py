"""A real istiod takes what docs/istio.md and deploy/ hand out, and does with it what they say."""

import json
import re
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import aiohttp
import pytest
import yaml
from peers.conftest import unavailable
from unit.deploy.shipped import DEPLOY, ROOT, at, document, each, text

from rig.backends import Backend
from rig.bed import Missing
from rig.bridge import Bridge
from rig.commands import output
from rig.envoy import Envoy
from rig.istiod import Istiod, Source, sidecar
from rig.ports import free_port
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio", "envoy")]

HERE = "127.0.0.1"
SOON = 15.0
"""Seconds for a change to reach an Envoy on a machine that is busy."""


def shown(file: Path, language: str, first: str) -> list[str]:
    """Return the blocks of a document in a language that begin like this."""
    pattern = rf"^```{language}\n({re.escape(first)}.*?)^```$"
    return re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@dataclass
class Mesh:
    """A bridge with the certificate of deploy/README.md, and the istiod that it serves."""

    bridge: Bridge
    istiod: Istiod
    services: Path
    rules: Path
    """The folder that stands in the place of Kubernetes: istiod's first config source."""
    port: int
    """The service port of http."""

    def write(self, *services: Mapping[str, object]) -> None:
        """Let the registry hold these."""
        replace(self.services, json.dumps({"services": services}))

    async def held(self) -> dict[str, tuple[str, ...]]:
        """Return the endpoints of each ServiceEntry that istiod holds."""
        return {found.name: found.endpoints for found in await self.istiod.stored("ServiceEntry")}


def replace(file: Path, content: str) -> None:
    """Write a file in one step."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(content)
    new.replace(file)


@asynccontextmanager
async def mesh(directory: Path) -> AsyncGenerator[Mesh]:
    """Run both; istiod's config sources are those of deploy/istio/values.yaml."""
    if shutil.which("openssl") is None:
        unavailable(Missing("openssl is not there; the documented certificate cannot be made"))
    (commands,) = shown(DEPLOY / "README.md", "sh", "openssl ")
    await output(["/bin/sh", "-ec", f"cd '{directory}'\n{commands}"])
    services, rules, port = directory / "services.yaml", directory / "rules", free_port()
    services.write_text("services: []")
    rules.mkdir()
    registry = {
        "name": "shop",
        "adapter": "file",
        "path": str(services),
        "publish": {"allow-addresses": ["127.0.0.0/8"], "ports": {"http": port}},
    }
    tls = {"certificate": str(directory / "tls.crt"), "key": str(directory / "tls.key")}
    outlets = {"mcp": {"listen": f"{HERE}:0", "tls": tls}}
    bridge = Bridge(directory, {"version": 1, "registries": [registry], "outlets": outlets})
    async with bridge:
        address = await bridge.address("mcp")
        _, ours = each(document(DEPLOY / "istio" / "values.yaml"), "meshConfig", "configSources")
        authority = (directory / "ca.crt").read_text()
        settings = cast("dict[str, object]", at(ours, "tlsSettings")) | {
            "caCertificates": authority
        }
        sources = [Source(f"fs://{rules}"), Source(address, settings)]
        async with Istiod(directory, sources) as istiod:
            yield Mesh(bridge, istiod, services, rules, port)


def service(name: str, **instances: int) -> Mapping[str, object]:
    """Return one with an instance of each version on loopback."""
    return {
        "name": name,
        "instances": [
            {"address": HERE, "port": port, "metadata": {"version": version}}
            for version, port in instances.items()
        ],
    }


async def test_routing_of_ones_own_works_on_the_hosts_of_the_bridge(tmp_path: Path) -> None:
    """TLS, the DestinationRule and the VirtualService as they are documented."""
    blocks = shown(ROOT / "docs" / "istio.md", "yaml", "apiVersion: networking.istio.io/v1\n")
    kinds = [text(document, "kind") for document in map(yaml.safe_load, blocks)]
    assert kinds == ["DestinationRule", "VirtualService"]
    async with AsyncExitStack() as stack:
        it = await stack.enter_async_context(mesh(tmp_path))
        v1 = await stack.enter_async_context(Backend("v1"))
        v2 = await stack.enter_async_context(Backend("v2"))
        it.write(service("orders", v1=v1.port, v2=v2.port))
        replace(it.rules / "routing.yaml", "---\n".join(blocks))
        await stack.enter_async_context(Envoy(tmp_path, sidecar(it.istiod)))
        caller = await stack.enter_async_context(aiohttp.ClientSession())

        async def answers() -> tuple[set[str], set[str]]:
            plain = {await call(caller, it.port, {}) for _ in range(10)}
            return plain, {await call(caller, it.port, {"x-lane": "v2"}) for _ in range(10)}

        await until(answers, lambda seen: seen == ({"v1"}, {"v2"}), within=SOON)
        assert it.istiod.warnings() == []


async def call(caller: aiohttp.ClientSession, port: int, headers: Mapping[str, str]) -> str:
    """Return who answers a call of orders.file, or why nobody does."""
    try:
        url = f"http://{HERE}:{port}/"
        async with caller.get(url, headers={"Host": "orders.file", **headers}) as answer:
            return await answer.text() if answer.status == 200 else str(answer.status)
    except aiohttp.ClientConnectionError:
        return "no connection"


async def test_hosts_that_were_dumped_and_applied_outlive_the_bridge(tmp_path: Path) -> None:
    """The way back: they have its names, the first config source wins, and nothing changes."""
    async with mesh(tmp_path) as it:
        it.write(service("orders", v1=9), service("stock", v1=10))
        before, _ = await until(it.held, lambda held: len(held) == 2, within=SOON)
        command = (*it.bridge.command[:3], "dump", "-c", it.bridge.configuration)
        dump = await output([*command, "--format", "istio"])
        replace(it.rules / "services.yaml", dump)

        async def sources() -> set[str]:
            # A file's resources have no version of ours.
            return {found.version for found in await it.istiod.stored("ServiceEntry")}

        await until(sources, lambda versions: versions == {""}, within=SOON)
        assert await it.held() == before
        it.write(service("orders", v1=9))
        await it.bridge.process.kill()
        assert await it.held() == before
        assert it.istiod.warnings() == []
