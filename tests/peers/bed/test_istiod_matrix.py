"""The real istiod and each registry: what is registered arrives, what is not touched stays."""

import ipaddress
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from peers.bed.matrix import (
    Instance,
    NacosRegistry,
    Registry,
    Source,
    all_in_step,
    at_rest,
    entries,
    hosts,
    told,
)
from robustness.bed import Bed

from rig.istiod import Istiod, Stored
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio")]

WITHIN = 10.0
SNAPSHOTS = "^meshbridge_snapshots_total$"
NAMED = "service.istio.io/canonical-name"
"""What Istio's telemetry calls an endpoint: the registry's name of its service."""
NEAR = {"region": "cn", "zone": "h", "subzone": "a"}
V1 = Instance("10.1.0.1", 8081, {"lane": "v1", **NEAR}, weight=2)
V2 = Instance("10.1.0.2", 50052, {"lane": "v2", "protocol": "grpc"})
PAY = Instance("10.1.0.3", 20881, {"protocol": "dubbo"})


@dataclass
class Matrix:
    """A registry, the bridge that reads it, and the istiod that it serves."""

    registry: Registry
    bed: Bed
    istiod: Istiod

    def host(self, service: str) -> str:
        return f"{service}.{self.registry.domain}"

    async def hold(self, **services: tuple[Instance, ...]) -> None:
        """Let the registry hold these and wait until istiod has as many endpoints of each."""
        await self.registry.hold(services)
        wanted = {self.host(name): len(each) for name, each in services.items()}
        await until(partial(hosts, self.istiod), lambda seen: seen == wanted, within=WITHIN)

    async def stored(self, service: str) -> tuple[Stored, ...]:
        """Return istiod's ServiceEntries of a service."""
        return tuple(
            each for each in await entries(self.istiod) if self.host(service) in each.hosts
        )


@asynccontextmanager
async def matrix(source: Source, directory: Path) -> AsyncGenerator[Matrix]:
    async with source as held:
        bed = Bed(directory, registry=held.options)
        async with bed.bridge:
            await bed.ready()
            istiod = Istiod(directory, [bed.mcp])
            async with istiod:
                yield Matrix(held, bed, istiod)
            assert istiod.warnings() == []
        assert bed.complaints() == []


async def test_every_field_arrives_as_it_was_registered(source: Source, tmp_path: Path) -> None:
    """In the store to the last label, and in what istiod makes endpoints of for its proxies."""
    async with matrix(source, tmp_path) as it:
        await it.hold(orders=(V1, V2), pay=(PAY,))
        assert await entries(it.istiod) == await told(it.bed), "to the version and the create time"

        http = {"number": 80, "protocol": "HTTP", "name": "http-80"}
        grpc = {"number": 50051, "protocol": "GRPC", "name": "grpc-50051"}
        weight = 200 if it.registry.weighs else 100
        common = {"hosts": [it.host("orders")], "location": "MESH_INTERNAL", "resolution": "STATIC"}
        of_v1 = {
            "address": "10.1.0.1",
            "ports": {"http-80": 8081},
            "labels": {**it.registry.labels(V1), NAMED: "orders"},
            "locality": "cn/h/a",
            "weight": weight,
        }
        of_v2 = {
            "address": "10.1.0.2",
            "ports": {"grpc-50051": 50052},
            "labels": {**it.registry.labels(V2), NAMED: "orders"},
            "weight": 100,
        }
        orders = await it.stored("orders")
        assert _by_ports(orders) == {
            ("grpc-50051", "http-80"): {**common, "ports": [http, grpc]},
            ("http-80",): {**common, "ports": [http], "endpoints": [of_v1]},
            ("grpc-50051",): {**common, "ports": [grpc], "endpoints": [of_v2]},
        }
        for each in orders:
            assert each.namespace == "shop"
            assert each.labels == {"meshbridge.io/registry": "shop"}
            (of,) = json.loads(each.annotations["meshbridge.io/sources"])
            assert of["registry"] == "shop"
            assert "orders" in of["name"]
            assert each.created > "2100", "a user's own resource is older and wins"
        assert len({each.created for each in orders}) == 3, "nothing is left to chance"

        (pay,) = await it.stored("pay")
        assert pay.spec["ports"] == [{"number": 20880, "protocol": "TCP", "name": "dubbo-20880"}]
        (address,) = cast("list[str]", pay.spec["addresses"])
        assert ipaddress.ip_address(address) in ipaddress.ip_network("240.0.0.0/4")

        assert await _endpoints(it, "orders") == [
            ("10.1.0.1", "http-80", 8081, weight, "cn/h/a", "v1"),
            ("10.1.0.2", "grpc-50051", 50052, 100, "", "v2"),
        ]
        assert await _endpoints(it, "pay") == [("10.1.0.3", "dubbo-20880", 20881, 100, "", "")]


def _by_ports(stored: tuple[Stored, ...]) -> dict[tuple[str, ...], Mapping[str, object]]:
    return {
        tuple(sorted(port["name"] for port in cast("list[dict[str, str]]", each.spec["ports"]))): (
            each.spec
        )
        for each in stored
    }


async def _endpoints(it: Matrix, service: str) -> list[tuple[object, ...]]:
    """Return what istiod makes its proxies' endpoints of, each field that comes from us."""
    found = cast(
        "dict[str, dict[str, dict[str, object]]]", await it.istiod.get("/debug/endpointShardz")
    )
    shards = cast("dict[str, list[dict[str, object]]]", found[it.host(service)]["shop"]["Shards"])
    return sorted(
        (
            *cast("list[str]", each["Addresses"]),
            each["ServicePortName"],
            each["EndpointPort"],
            each["LbWeight"],
            cast("dict[str, str]", each["Locality"])["Label"],
            cast("dict[str, str]", each["Labels"]).get("lane", ""),
        )
        for listed in shards.values()
        for each in listed
    )


async def test_each_change_arrives_and_touches_nothing_else(source: Source, tmp_path: Path) -> None:
    """Created, updated, deleted, all gone; and what is registered again as it was is no event."""
    async with matrix(source, tmp_path) as it:
        light = Instance(V1.address, V1.port, V1.metadata)
        await it.hold(orders=(light,))
        (orders,) = await it.stored("orders")
        before, made_before = await at_rest(it.istiod), await it.bed.metric(SNAPSHOTS)

        await it.hold(orders=(light,), stock=(V2,))
        assert await it.stored("orders") == (orders,)
        created = _difference(before, await at_rest(it.istiod))
        made = await it.bed.metric(SNAPSHOTS) - made_before
        # Nacos may list a service a moment before it tells its instance.
        most = min(made, 2 if isinstance(it.registry, NacosRegistry) else 1)
        assert 1 <= created['pilot_inbound_updates{type="svc"}'] <= most, "of stock only"
        assert 1 <= created['pilot_inbound_updates{type="eds"}'] <= most

        stock = await it.stored("stock")
        await it.registry.hold({"orders": (V1,), "stock": (V2,)})
        await until(partial(it.stored, "orders"), lambda seen: seen != (orders,), within=WITHIN)
        (updated,) = await it.stored("orders")
        assert (updated.name, updated.created) == (orders.name, orders.created)
        assert updated.version != orders.version
        assert await it.stored("stock") == stock

        await it.hold(orders=(V1,))
        assert await it.stored("orders") == (updated,)

        await it.hold()
        assert await it.istiod.stored() == ()
        await all_in_step(it.bed)


def _difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


async def test_a_bad_record_spoils_nothing_beside_it(source: Source, tmp_path: Path) -> None:
    """It is repaired or left out, and said with its own name; istiod finds nothing to refuse."""
    async with matrix(source, tmp_path) as it:
        await it.hold(orders=(V1,))
        good = await it.stored("orders")
        fair = Instance("10.1.0.4", 8081, {"owner": "not legal", "lane": "v1"})
        await it.registry.hold(
            {
                "orders": (V1,),
                "Bad_Name": (V1,),
                "label": (fair,),
                "port": (Instance("10.1.0.5", 0), Instance("10.1.0.6", 8081)),
                "---": (V1,),
            }
        )
        wanted = {it.host(name): 1 for name in ("orders", "bad-name", "label", "port")}
        await until(partial(hosts, it.istiod), lambda seen: seen == wanted, within=WITHIN)

        async def problems() -> list[dict[str, str]]:
            return cast("list[dict[str, str]]", json.loads(await it.bed.get("/api/problems")))

        # A list of Nacos' may be older than the last of these: the next one has it.
        said, _ = await until(problems, lambda seen: bool(_kinds(seen, "---")), within=WITHIN)
        assert await it.stored("orders") == good
        (label,) = await it.stored("label")
        (endpoint,) = cast("list[dict[str, object]]", label.spec["endpoints"])
        legal = {**it.registry.labels(fair), NAMED: "label"}
        assert legal.pop("owner") == "not legal"
        assert endpoint["labels"] == legal
        (port,) = await it.stored("port")
        assert port.endpoints == ("10.1.0.6",)

        kinds = {word: _kinds(said, word) for word in ("label", "---", "orders")}
        assert kinds == {"label": {"invalid-label"}, "---": {"invalid-name"}, "orders": set()}
        # What is no provider without a port cannot be read; in other registries it is one.
        assert _kinds(said, "port") in ({"invalid-instance"}, {"unreadable"})


def _kinds(problems: list[dict[str, str]], word: str) -> set[str]:
    return {each["kind"] for each in problems if word in each["subject"]}
