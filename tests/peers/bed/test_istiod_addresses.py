"""Calls of instances' addresses are calls of their host: real istiod, real Envoys, real traffic."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from meshbridge.service import Direct, Endpoint, Port, Service
from meshbridge.snapshot import EMPTY
from meshbridge.testing import ProcessFailed
from meshbridge_mcp import Mcp
from rig.backends import Backend
from rig.bridge import Bridge
from rig.envoy import Envoy, bootstrap
from rig.istiod import Istiod, Source, istioctl, sidecar
from rig.ports import free_port
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio", "envoy")]

HERE = "127.0.0.1"
SOON = 15.0
Instances = Mapping[str, Backend]
"""Backends by their versions."""


@dataclass
class Mesh:
    """A bridge that reads a file, an Envoy that talks only to istiod, and one without istiod."""

    services: Path
    istiod: Istiod
    status: str
    http: int
    """The service port of http, and the sidecar's listener for it."""
    plain: int
    """The listener of the Envoy without istiod."""
    caller: aiohttp.ClientSession

    def write(self, **services: Instances) -> None:
        """Let the file hold these services."""
        found = [
            {"name": name, "instances": [_instance(*each) for each in backends.items()]}
            for name, backends in services.items()
        ]
        new = self.services.with_suffix(".new")
        new.write_text(json.dumps({"services": found}))
        new.replace(self.services)

    async def call(self, port: int, host: str) -> str:
        """Return who answers a request with this Host at a port, or the status of a failure."""
        try:
            async with self.caller.get(f"http://{HERE}:{port}/", headers={"Host": host}) as answer:
                return await answer.text() if answer.status == 200 else str(answer.status)
        except aiohttp.ClientConnectionError:
            return "no connection"

    async def become(self, port: int, host: str, *names: str) -> None:
        """Wait until requests are answered by all of these and by nobody else."""

        async def answers() -> set[str]:
            return {await self.call(port, host) for _ in range(10)}

        try:
            await until(answers, lambda seen: seen == set(names), within=SOON)
        except AssertionError as error:
            error.add_note(f"asked port {port} for {host}")
            raise

    async def is_let_go(self, port: int, host: str, *names: str) -> None:
        """Wait until none of these answers any more."""

        async def answers() -> set[str]:
            return {await self.call(port, host) for _ in range(10)}

        await until(answers, lambda seen: not seen & set(names), within=SOON)

    async def conflicts(self) -> list[tuple[str, str]]:
        """Return (service, reason) of each conflict that the bridge reports."""
        async with self.caller.get(f"http://{self.status}/api/problems") as answer:
            found = cast("list[dict[str, str]]", await answer.json())
        return [(each["subject"], each["reason"]) for each in found if each["kind"] == "conflict"]

    async def routed(self) -> dict[str, tuple[str, ...]]:
        """Return the hosts of each VirtualService in istiod's store, by the first of them."""
        found = [each.hosts for each in await self.istiod.stored("VirtualService")]
        return {hosts[0]: hosts[1:] for hosts in found}


def _instance(version: str, backend: Backend) -> dict[str, object]:
    return {"address": backend.host, "port": backend.port, "metadata": {"version": version}}


@asynccontextmanager
async def mesh(directory: Path, *sources: Source) -> AsyncGenerator[Mesh]:
    services = directory / "services.yaml"
    services.write_text("services: []")
    http, plain = free_port(), free_port()
    registry = {
        "name": "shop",
        "adapter": "file",
        "path": str(services),
        "publish": {
            "allow-addresses": ["127.0.0.0/8"],
            "ports": {"http": http},
            "addresses": "endpoints",
            "aliases": ["{service}.example"],
        },
    }
    outlets = {
        "mcp": {"listen": f"{HERE}:0"},
        "xds": {
            "listen": f"{HERE}:0",
            "http": [{"listen": f"{HERE}:{plain}", "ports": [http]}],
        },
    }
    status = {"listen": f"{HERE}:0"}
    configuration = {"version": 1, "registries": [registry], "outlets": outlets, "status": status}
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(Bridge(directory, configuration))
        istiod = Istiod(directory, [await bridge.address("mcp"), *sources])
        await stack.enter_async_context(istiod)
        await stack.enter_async_context(Envoy(directory, sidecar(istiod), name="sidecar"))
        without = bootstrap(await bridge.address("xds"), api="DELTA_GRPC")
        await stack.enter_async_context(Envoy(directory, without, name="plain"))
        connector = aiohttp.TCPConnector(force_close=True)
        caller = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        address = await bridge.address("status")
        yield Mesh(services, istiod, address, http, plain, caller)


@asynccontextmanager
async def backends() -> AsyncGenerator[tuple[Backend, Backend]]:
    """Two at addresses of their own: a sidecar listens at 127.0.0.1 on the ports they have."""
    async with Backend("v1", "127.0.0.2") as v1, Backend("v2", "127.0.0.3") as v2:
        yield v1, v2


async def test_a_call_of_an_instance_is_answered_by_any_instance_of_its_host(
    tmp_path: Path,
) -> None:
    """As one by host and by alias: behind istiod at the port that is called, and without it."""
    async with backends() as (v1, v2), mesh(tmp_path) as it:
        it.write(orders={"v1": v1, "v2": v2})
        both = ("v1", "v2")
        await it.become(v1.port, v1.address, *both)
        await it.become(v2.port, v2.address, *both)
        await it.become(v1.port, v1.host, *both)
        await it.become(it.http, "orders.file", *both)
        await it.become(it.http, "orders.example", *both)
        assert await it.routed() == {"orders.file": ("orders.example", v1.host, v2.host)}
        for host in (v1.address, v2.address, v1.host, "orders.file", "orders.example"):
            await it.become(it.plain, host, *both)

        it.write(orders={"v1": v1})
        await it.become(v1.port, v1.address, "v1")
        await it.is_let_go(v2.port, v2.address, *both)
        await it.become(it.plain, v1.address, "v1")
        await it.become(it.plain, v2.address, "404")
        assert await it.conflicts() == []
        assert it.istiod.warnings() == []


async def test_an_address_that_two_hosts_claim_leads_to_neither_and_both_are_told(
    tmp_path: Path,
) -> None:
    """Until one of them lets it go; the hosts' other addresses and names are as they were."""
    async with backends() as (v1, v2), mesh(tmp_path) as it:
        orders = {"v1": v1, "v2": v2}
        it.write(orders=orders)
        await it.become(v1.port, v1.address, "v1", "v2")

        it.write(orders=orders, pay={"v1": v1})
        await it.is_let_go(v1.port, v1.address, "v1", "v2")
        await it.become(it.plain, v1.address, "404")
        await it.become(v2.port, v2.address, "v1", "v2")
        await it.become(it.plain, v2.address, "v1", "v2")
        await it.become(it.http, "pay.file", "v1")
        conflicts = await it.conflicts()
        assert [subject for subject, _ in conflicts] == ["orders", "pay"]
        assert all(v1.address in reason for _, reason in conflicts)
        assert await it.routed() == {"orders.file": ("orders.example", v2.host)}

        it.write(orders=orders)
        await it.become(v1.port, v1.address, "v1", "v2")
        await it.become(it.plain, v1.address, "v1", "v2")
        assert await it.conflicts() == []
        assert it.istiod.warnings() == []


async def test_two_hosts_on_one_machine_are_told_apart_by_ports_where_ports_are_looked_at(
    tmp_path: Path,
) -> None:
    """Which istiod does not do: it is told of neither, and the operator of both."""
    async with (
        Backend("v1", "127.0.0.2") as v1,
        Backend("v2", "127.0.0.2") as v2,
        mesh(tmp_path) as it,
    ):
        it.write(orders={"v1": v1}, pay={"v2": v2})
        await it.become(it.plain, v1.address, "v1")
        await it.become(it.plain, v2.address, "v2")
        await it.become(it.http, "orders.file", "v1")
        await it.become(it.http, "pay.file", "v2")
        assert await it.routed() == {}
        assert [subject for subject, _ in await it.conflicts()] == ["orders", "pay"]


async def test_a_users_own_routes_hold_for_the_addresses_that_they_name(tmp_path: Path) -> None:
    """They are older than the bridge's, and at the other addresses the bridge's hold."""
    folder = tmp_path / "own"
    folder.mkdir()
    async with backends() as (v1, v2), mesh(tmp_path, Source(f"fs://{folder}")) as it:
        it.write(orders={"v1": v1, "v2": v2})
        await it.become(v1.port, v1.address, "v1", "v2")
        (folder / "routes.yaml").write_text(_own(v1.host))
        await it.become(v1.port, v1.address, "v2")
        await it.become(it.http, "orders.file", "v2")
        await it.become(v2.port, v2.address, "v1", "v2")


def _own(address: str) -> str:
    header = {
        "apiVersion": "networking.istio.io/v1",
        "metadata": {"name": "o", "namespace": "shop"},
    }
    to_v2 = {"destination": {"host": "orders.file", "subset": "v2"}}
    rules = {"hosts": ["orders.file", address], "http": [{"route": [to_v2]}]}
    subsets = {"host": "orders.file", "subsets": [{"name": "v2", "labels": {"version": "v2"}}]}
    documents = (
        {**header, "kind": "DestinationRule", "spec": subsets},
        {**header, "kind": "VirtualService", "spec": rules},
    )
    return "\n---\n".join(json.dumps(each) for each in documents)


async def test_istioctl_takes_what_a_dump_shows_of_addresses(tmp_path: Path) -> None:
    """With an address of each family."""
    service = Service(
        host="orders.file",
        namespace="shop",
        ports=(Port(80, "http", "http-80"),),
        endpoints=(Endpoint("10.1.0.1", (("http-80", 8080),)),),
        aliases=("orders.example",),
        direct=(Direct("10.1.0.1", (8080,), alone=True), Direct("2001:db8::1", (80,), alone=True)),
    )
    text = Mcp(Mcp.Options()).render(EMPTY.with_changes({service.host: service}), "istio")
    file = tmp_path / "dump.yaml"
    file.write_text(text)
    assert "2001:db8::1" in text
    assert "valid" in await istioctl("validate", "-f", file)
    file.write_text(text.replace("2001:db8::1", "[2001:db8::1]"))
    with pytest.raises(ProcessFailed, match="invalid"):
        await istioctl("validate", "-f", file)
