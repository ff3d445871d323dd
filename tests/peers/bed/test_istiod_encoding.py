"""What a real istiod makes of each thing that can be said of a host and of its endpoints."""

import json
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from rig.bridge import Bridge
from rig.commands import output
from rig.envoy import Envoy
from rig.istiod import Istiod, Stored, istioctl, sidecar
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio", "envoy")]

WITHIN = 10.0
Record = Mapping[str, object]
CALLER = "caller-1.default"
"""The proxy's id at istiod."""
PLAIN: Record = {"address": "10.1.0.1", "port": 8081, "metadata": {"version": "v1"}}
MESHED: Record = {"address": "10.1.0.2", "port": 8082, "metadata": {"sidecar": "true", "sa": "pay"}}
BOTH: Record = {
    "address": "10.1.0.3",
    "ports": [{"port": 8083, "protocol": "http"}, {"port": 9083, "protocol": "grpc"}],
}
NAMED: Record = {"address": "db.example.com", "port": 8084}
HTTP = {"number": 80, "protocol": "HTTP", "name": "http-80"}
GRPC = {"number": 50051, "protocol": "GRPC", "name": "grpc-50051"}
NAME = "service.istio.io/canonical-name"
TLS = "security.istio.io/tlsMode"
MARK = "meshbridge.io/host"

Endpoints = dict[str, tuple[int, str, str]]
"""(port, tlsMode, name in telemetry) by address."""


@dataclass
class Mesh:
    """A bridge that reads a file, the istiod that it serves, and a proxy of that."""

    services: Path
    bridge: Bridge
    istiod: Istiod

    def write(self, **services: list[Record]) -> None:
        """Let the file hold these."""
        listed = [{"name": name, "instances": each} for name, each in services.items()]
        new = self.services.with_suffix(".new")
        new.write_text(json.dumps({"services": listed}))
        new.replace(self.services)

    async def stored(self, kind: str, count: int) -> tuple[Stored, ...]:
        """Return what istiod holds of a kind, once it is so many."""

        async def held() -> tuple[Stored, ...]:
            return await self.istiod.stored(kind)

        await until(held, lambda seen: len(seen) == count, within=WITHIN)
        return await held()

    async def endpoints(self, cluster: str) -> Endpoints:
        """Return what the proxy is told of a cluster by EDS."""
        for each in await self._dump("dynamicEndpointConfigs"):
            if each["endpointConfig"]["clusterName"] == cluster:
                return _told(each["endpointConfig"])
        return {}

    async def told(self, cluster: str, wanted: Endpoints) -> None:
        """Wait until the proxy is told exactly this of a cluster."""
        await until(partial(self.endpoints, cluster), lambda seen: seen == wanted, within=WITHIN)

    async def cluster(self, name: str) -> dict[str, object]:
        """Return a cluster as the proxy is told of it; empty if it is not."""
        for each in await self._dump("dynamicActiveClusters"):
            if each["cluster"]["name"] == name:
                return each["cluster"]
        return {}

    async def _dump(self, section: str) -> list[dict[str, dict[str, object]]]:
        dump = cast(
            "dict[str, list[dict[str, list[dict[str, dict[str, object]]]]]]",
            await self.istiod.get(f"/debug/config_dump?include_eds=true&proxyID={CALLER}"),
        )
        return [each for found in dump.get("configs", []) for each in found.get(section, [])]

    async def dumped(self, directory: Path) -> Path:
        """Return a file that holds what `dump --format istio` prints."""
        command = (sys.executable, "-m", "meshbridge", "dump", "--format", "istio", "-c")
        file = directory / "dump.yaml"
        file.write_text(await output([*command, self.bridge.configuration]))
        return file


def _told(assignment: Mapping[str, object]) -> Endpoints:
    found: Endpoints = {}
    localities = cast("list[dict[str, list[dict[str, object]]]]", assignment.get("endpoints", []))
    for each in (one for locality in localities for one in locality.get("lbEndpoints", [])):
        endpoint = cast("dict[str, dict[str, dict[str, object]]]", each["endpoint"])
        address = endpoint["address"]["socketAddress"]
        metadata = cast("dict[str, dict[str, dict[str, str]]]", each.get("metadata", {}))
        filters = metadata.get("filterMetadata", {})
        workload = filters.get("istio", {}).get("workload", "")
        found[str(address["address"])] = (
            cast("int", address["portValue"]),
            filters.get("envoy.transport_socket_match", {}).get("tlsMode", ""),
            ";".join(workload.split(";")[2:4]),
        )
    return found


@asynccontextmanager
async def mesh(
    directory: Path,
    publish: Mapping[str, object] | None = None,
    outlet: Mapping[str, object] | None = None,
) -> AsyncGenerator[Mesh]:
    services = directory / "services.yaml"
    services.write_text("services: []")
    registry = {
        "name": "shop",
        "adapter": "file",
        "path": str(services),
        "publish": {"domain": "mesh", **(publish or {})},
    }
    outlets = {"mcp": {"listen": "127.0.0.1:0", **(outlet or {})}}
    configuration = {"registries": [registry], "outlets": outlets, "status": "none"}
    bridge = Bridge(directory, {"version": 1, **configuration})
    async with bridge:
        istiod = Istiod(directory, [await bridge.address("mcp")])
        async with istiod:
            async with Envoy(directory, sidecar(istiod)) as envoy:
                await until(envoy.is_live, bool, within=WITHIN)  # istiod knows it from then on
                yield Mesh(services, bridge, istiod)
            assert istiod.warnings() == []


async def test_all_that_is_said_of_an_endpoint_and_of_its_host_is_stored(tmp_path: Path) -> None:
    """Field by field; and the tools of Istio take what `dump` prints of it."""
    publish = {
        "mesh": {"match": {"sidecar": "true"}, "service-account": "pay"},
        "export-to": [".", "shop", "default"],
        "network": "dc-2",
        "labels": {"keep": ["sa"]},
    }
    async with mesh(tmp_path, publish) as it:
        it.write(pay=[PLAIN, MESHED, BOTH])
        parts = await it.stored("ServiceEntry", 2)
        said = {
            "hosts": ["pay.mesh"],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "exportTo": [".", "default"],
        }
        revision = "service.istio.io/canonical-revision"
        both, plain, meshed = (
            {"network": "dc-2", "weight": 100, **each}
            for each in (
                {
                    "address": "10.1.0.3",
                    "ports": {"http-80": 8083, "grpc-50051": 9083},
                    "labels": {NAME: "pay"},
                },
                {
                    "address": "10.1.0.1",
                    "ports": {"http-80": 8081},
                    "labels": {NAME: "pay", revision: "v1"},
                },
                {
                    "address": "10.1.0.2",
                    "ports": {"http-80": 8082},
                    "labels": {NAME: "pay", TLS: "istio", "sa": "pay"},
                    "serviceAccount": "pay",
                },
            )
        )
        assert [dict(part.spec) for part in parts] == [
            {**said, "ports": [HTTP, GRPC], "endpoints": [both]},
            {**said, "ports": [HTTP], "endpoints": [plain, meshed]},
        ]
        assert "valid" in await istioctl("validate", "-f", await it.dumped(tmp_path))


async def test_each_endpoint_of_a_host_is_met_as_its_sidecar_asks(tmp_path: Path) -> None:
    """Mutual TLS for those that have one and plain text for the others, behind one name."""
    publish = {"mesh": {"match": {"sidecar": "true"}, "service-account": {"from": "sa"}}}
    async with mesh(tmp_path, publish) as it:
        it.write(pay=[PLAIN, MESHED])
        told = {"10.1.0.1": (8081, "", "pay;v1"), "10.1.0.2": (8082, "istio", "pay;")}
        await it.told("outbound|80||pay.mesh", told)
        shards = cast(
            "dict[str, dict[str, dict[str, object]]]",
            await it.istiod.get("/debug/endpointShardz"),
        )
        assert shards["pay.mesh"]["shop"]["ServiceAccounts"] == {
            "spiffe://cluster.local/ns/shop/sa/pay": {}
        }


async def test_a_sidecar_may_be_there_and_not_be_asked_for_tls(tmp_path: Path) -> None:
    """A service account alone would mean mutual TLS."""
    async with mesh(
        tmp_path, {"mesh": {"match": {}, "service-account": "pay", "tls-mode": "disabled"}}
    ) as it:
        it.write(pay=[MESHED])
        told = {"10.1.0.2": (8082, "", "pay;")}
        await it.told("outbound|80||pay.mesh", told)


async def test_who_is_not_meant_to_see_a_host_does_not(tmp_path: Path) -> None:
    """The proxy is in another namespace than the resources."""
    async with mesh(tmp_path, {"export-to": ["."]}) as it:
        it.write(pay=[PLAIN])
        await it.stored("ServiceEntry", 1)
        assert await it.cluster("outbound|80||pay.mesh") == {}


async def test_endpoints_that_are_resources_are_endpoints_of_their_host_alone(
    tmp_path: Path,
) -> None:
    """Two hosts of one namespace with the same instances, changed one by one."""
    publish = {"mesh": {"match": {"sidecar": "true"}, "service-account": "pay"}}
    async with mesh(tmp_path, publish, {"endpoints": "workload-entries"}) as it:
        it.write(pay=[PLAIN, MESHED], stock=[PLAIN])
        stored = await it.stored("WorkloadEntry", 3)
        entries = await it.stored("ServiceEntry", 2)
        marks = [
            cast("dict[str, dict[str, str]]", each.spec["workloadSelector"])["labels"][MARK]
            for each in entries
        ]
        assert all("endpoints" not in each.spec for each in entries)
        (meshed,) = [each.spec for each in stored if each.spec["address"] == "10.1.0.2"]
        assert dict(meshed) == {
            "address": "10.1.0.2",
            "ports": {"http-80": 8082},
            "labels": {"sidecar": "true", "sa": "pay", NAME: "pay", TLS: "istio", MARK: marks[0]},
            "weight": 100,
            "serviceAccount": "pay",
        }
        both = {"10.1.0.1": (8081, "", "pay;v1"), "10.1.0.2": (8082, "istio", "pay;")}
        pay, stock = "outbound|80||pay.mesh", "outbound|80||stock.mesh"
        await it.told(pay, both)
        alone = {"10.1.0.1": (8081, "", "stock;v1")}
        await it.told(stock, alone)
        assert "valid" in await istioctl("validate", "-f", await it.dumped(tmp_path))

        it.write(pay=[MESHED], stock=[PLAIN])
        await it.told(pay, {"10.1.0.2": (8082, "istio", "pay;")})
        it.write(pay=[], stock=[PLAIN])
        await it.told(pay, {})
        assert await it.endpoints(stock) == alone


async def test_endpoints_that_differ_in_their_ports_keep_to_their_ports(tmp_path: Path) -> None:
    """Asked for as resources they are inline all the same: one that is selected has all ports."""
    async with mesh(tmp_path, outlet={"endpoints": "workload-entries"}) as it:
        it.write(pay=[PLAIN, BOTH])
        await it.stored("ServiceEntry", 2)
        http = {"10.1.0.1": (8081, "", "pay;v1"), "10.1.0.3": (8083, "", "pay;")}
        grpc = {"10.1.0.3": (9083, "", "pay;")}
        for number, wanted in ((80, http), (50051, grpc)):
            await it.told(f"outbound|{number}||pay.mesh", wanted)
        assert await it.istiod.stored("WorkloadEntry") == ()


@pytest.mark.parametrize("endpoints", ["inline", "workload-entries"])
async def test_a_host_with_a_name_is_resolved_by_each_proxy(tmp_path: Path, endpoints: str) -> None:
    """Its clusters have exactly the registered endpoints, names and addresses."""
    outlet = {"names": "resolve", "endpoints": endpoints}
    async with mesh(tmp_path, outlet=outlet) as it:
        it.write(pay=[PLAIN, NAMED], stock=[PLAIN])
        await it.stored("ServiceEntry", 2)
        cluster = "outbound|80||pay.mesh"
        await until(
            partial(it.cluster, cluster),
            lambda seen: seen.get("type") == "STRICT_DNS",
            within=WITHIN,
        )
        found = await it.cluster(cluster)
        told = _told(cast("dict[str, object]", found["loadAssignment"]))
        assert {address: port for address, (port, *_) in told.items()} == {
            "10.1.0.1": 8081,
            "db.example.com": 8084,
        }
        assert (await it.cluster("outbound|80||stock.mesh"))["type"] == "EDS"
        assert "valid" in await istioctl("validate", "-f", await it.dumped(tmp_path))


async def test_a_resolved_host_has_no_endpoint_that_nobody_registered(tmp_path: Path) -> None:
    """Istiod would resolve the host itself for a part that has none, as one with all ports."""
    async with mesh(tmp_path, outlet={"names": "resolve"}) as it:
        it.write(pay=[NAMED, {"address": "two.example.com", "port": 9083, "protocol": "grpc"}])
        await it.stored("ServiceEntry", 2)
        for number, wanted in ((80, {"db.example.com": 8084}), (50051, {"two.example.com": 9083})):
            cluster = f"outbound|{number}||pay.mesh"
            await until(partial(it.cluster, cluster), bool, within=WITHIN)
            found = (await it.cluster(cluster))["loadAssignment"]
            told = _told(cast("dict[str, object]", found))
            assert {address: port for address, (port, *_) in told.items()} == wanted
