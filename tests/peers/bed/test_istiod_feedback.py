"""The real istiod: how quickly it answers, and what it holds of that which it acknowledged."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Never, cast

import aiohttp
import pytest
import structlog
from prometheus_client import CollectorRegistry

from meshbridge.outlet import OutletContext
from meshbridge.problems import Problems
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from meshbridge.settings import Address, Listener
from meshbridge_mcp import feedback
from meshbridge_mcp.kinds import SERVICE_ENTRY, resource_type
from meshbridge_mcp.resource import Document, encode
from meshbridge_xds.offers import Offer, Offers
from meshbridge_xds.resources import Resource, ResourceSet
from meshbridge_xds.server import DiscoveryServer
from rig.bridge import Bridge
from rig.istiod import Istiod, Stored
from rig.ports import free_port
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio")]

HERE = "127.0.0.1"
Problem = Mapping[str, str]


class WithFolder(Istiod):
    """An istiod that reads a folder before the bridge: of two of one name the first counts."""

    def __init__(self, directory: Path, source: str) -> None:
        """Make the folder."""
        super().__init__(directory, [source])
        self.folder = directory / "manifests"
        self.folder.mkdir()

    def configure(self) -> None:
        """Put the folder first."""
        super().configure()
        mesh = json.loads(self._mesh.read_text())
        mesh["configSources"].insert(0, {"address": f"fs://{self.folder}"})
        self._mesh.write_text(json.dumps(mesh))

    def shadow(self, entry: Stored) -> Path:
        """Let the folder hold another resource of this name; returns its file."""
        manifest = {
            "apiVersion": "networking.istio.io/v1",
            "kind": entry.kind,
            "metadata": {"name": entry.name, "namespace": entry.namespace},
            "spec": {
                "hosts": ["elsewhere.test"],
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
                "resolution": "STATIC",
            },
        }
        file = self.folder / "entry.yaml"
        file.write_text(json.dumps(manifest))
        return file


@dataclass
class Mesh:
    """A bridge that reads a file, and the istiod that it serves."""

    services: Path
    istiod: WithFolder
    status: str
    """Where the bridge's status server answers."""

    def write(self, *names: str) -> None:
        """Let the file hold these services, each with one instance."""
        instances = [{"address": "10.1.0.1", "port": 8080}]
        new = self.services.with_suffix(".new")
        services = [{"name": name, "instances": instances} for name in names]
        new.write_text(json.dumps({"services": services}))
        new.replace(self.services)

    async def get(self, path: str) -> str:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"http://{self.status}{path}") as answer,
        ):
            return await answer.text()

    async def entries(self) -> Mapping[str, object]:
        """Return what the bridge says of the ServiceEntries of its only subscriber."""
        for each in json.loads(await self.get("/api/subscribers")):
            for found in each["types"]:
                if found["type"].endswith("/ServiceEntry"):
                    return cast("Mapping[str, object]", found)
        return {}

    async def lag(self) -> float:
        """Return for how long it has owed an answer about them, in seconds."""
        return float(cast("float | None", (await self.entries()).get("unanswered_seconds")) or 0.0)

    async def stored(self) -> tuple[Stored, ...]:
        return await self.istiod.stored("ServiceEntry")

    async def not_taken_over(self) -> list[Problem]:
        found = cast("list[Problem]", json.loads(await self.get("/api/problems")))
        return [each for each in found if each["kind"] == "not-taken-over"]

    async def metric(self, beginning: str) -> list[str]:
        lines = (await self.get("/metrics")).splitlines()
        return [line for line in lines if line.startswith(beginning)]


@asynccontextmanager
async def mesh(directory: Path) -> AsyncGenerator[Mesh]:
    services, source = directory / "services.yaml", f"{HERE}:{free_port()}"
    istiod = WithFolder(directory, source)
    registry = {"name": "shop", "adapter": "file", "path": str(services)}
    configuration = {
        "version": 1,
        "registries": [registry],
        "outlets": {"mcp": {"listen": source, "debug": [f"http://{istiod.monitoring}"]}},
        "status": {"listen": f"{HERE}:0"},
    }
    bridge = Bridge(directory, configuration)
    services.write_text("services: []")
    async with bridge:
        await bridge.address("mcp")
        it = Mesh(services, istiod, await bridge.address("status"))
        async with istiod:
            yield it


async def test_one_that_is_paused_shows_a_lag_and_one_that_goes_on_what_its_answer_took(
    tmp_path: Path,
) -> None:
    async with mesh(tmp_path) as it:
        it.write("orders")
        await until(it.stored, lambda seen: len(seen) == 1, within=10)
        await until(it.lag, lambda lag: lag == 0.0, within=10)
        before = await it.entries()
        assert 0 < cast("float", before["ack_seconds"]) < 5
        assert before["sent"] == before["accepted"]
        it.istiod.pause()
        begun = time.monotonic()
        it.write("orders", "stock")
        await until(it.lag, lambda lag: lag > 1.0, within=10)
        assert time.monotonic() - begun > 1.0
        lag = await it.lag()
        (told,) = await it.metric('meshbridge_mcp_unanswered_seconds{type="ServiceEntry"}')
        assert float(told.split()[-1]) >= lag
        paused = await it.entries()
        assert paused["responses"] == cast("int", before["responses"]) + 1
        assert before["accepted"] == paused["accepted"] != paused["sent"]
        it.istiod.resume()
        await until(it.lag, lambda lag: lag == 0.0, within=10)
        after = await it.entries()
        assert cast("float", after["ack_seconds"]) >= lag
        assert after["accepted"] == after["sent"] == paused["sent"]


async def test_what_another_config_source_has_under_the_same_name_is_listed_until_it_is_gone(
    tmp_path: Path,
) -> None:
    """Acknowledged it is all the same: nothing else shows that istiod uses another one."""
    async with mesh(tmp_path) as it:
        it.write("orders")
        (ours,), _ = await until(it.stored, lambda seen: len(seen) == 1, within=10)
        file = it.istiod.shadow(ours)
        await until(it.stored, lambda seen: seen[0].hosts == ("elsewhere.test",), within=10)
        it.write("orders", "stock")
        (problem,), _ = await until(it.not_taken_over, lambda seen: len(seen) == 1, within=75)
        assert problem["subject"] == f"ServiceEntry {ours.namespace}/{ours.name}"
        assert problem["registry"] == "mcp"
        assert "holds another one of this name, which no bridge has sent" in problem["reason"]
        (counted,) = [
            line for line in await it.metric("meshbridge_mcp_not_taken_over") if "foreign" in line
        ]
        assert counted.endswith(" 1.0")
        assert (await it.entries())["accepted"] == (await it.entries())["sent"]
        file.unlink()
        await until(
            it.stored,
            lambda seen: ours.version in {each.version for each in seen},
            within=10,
        )
        it.write("orders", "stock", "pay")
        await until(it.not_taken_over, lambda seen: seen == [], within=40)


async def test_what_istiod_refuses_is_listed_as_missing_where_a_scripted_bridge_sends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bridge's own rules leave out whatever istiod would refuse; here nobody does."""
    for name, seconds in (("EVERY", 2.0), ("AFTER", 0.1), ("APART", 1.0)):
        monkeypatch.setattr(feedback, name, seconds)
    offers, problems, listening = Offers(), Problems(), asyncio.Event()
    good, bad = a_document("good.test"), a_document("*")
    offers.publish(Offer({SERVICE_ENTRY: ResourceSet({each.name: each for each in (good, bad)})}))

    def fast() -> float:
        """Let the half minute that istiod is given be a second."""
        return 30 * time.monotonic()

    source = Address(HERE, free_port())
    context = OutletContext(
        clock=fast,
        logger=structlog.get_logger(),
        metrics=CollectorRegistry(),
        listening=lambda _what, _where: listening.set(),
        problems=problems.put,
    )
    istiod = Istiod(tmp_path, [str(source)])
    counted = feedback.FeedbackMetrics("mcp", context.metrics)
    looking = feedback.Feedback(f"http://{istiod.debug}", offers, context, counted).follow()
    server = DiscoveryServer("mcp", offers, resource_type, context)

    async def subjects() -> list[str]:
        return [each.subject for each in problems if each.kind == "not-taken-over"]

    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(
            server.serve_beside(nothing_new(), Listener(listen=source), looking)
        )
        try:
            await listening.wait()
            async with istiod:
                await until(subjects, lambda seen: seen == ["ServiceEntry shop/bad"], within=20)
                (held,) = await istiod.stored("ServiceEntry")
                assert (held.name, held.version) == ("good", good.version)
                (warning,) = istiod.warnings()
                assert warning.endswith("invalid host *"), "it says why, and not of what"
        finally:
            serving.cancel()


async def nothing_new() -> Never:
    await asyncio.Event().wait()
    raise AssertionError


def a_document(host: str) -> Resource:
    spec = ServiceEntry(hosts=[host], resolution=ServiceEntry.STATIC)
    spec.ports.add(number=80, name="http", protocol="HTTP")
    name = "bad" if host == "*" else "good"
    encoded = encode(Document("shop", name, 0, (), (), spec))
    return Resource(encoded.name, encoded.version, encoded.resource)
