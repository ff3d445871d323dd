"""`meshbridge run` as a process, from a file registry to a client that speaks as istiod does."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from rig.bridge import Bridge
from rig.ports import free_port
from rig.scripted_istiod import ScriptedIstiod
from rig.waiting import until

pytestmark = pytest.mark.asyncio


def write_services(file: Path, addresses: Mapping[str, list[str]]) -> None:
    """Write the services in one step, as an editor does; an address is ``host:port``."""
    services = [
        {
            "name": name,
            "instances": [
                {"address": each.partition(":")[0], "port": int(each.partition(":")[2])}
                for each in listed
            ],
        }
        for name, listed in addresses.items()
    ]
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"services": services}))
    new.replace(file)


async def test_services_of_a_file_reach_istiod_and_outlive_the_bridge(tmp_path: Path) -> None:
    """Start, change, kill -9, restart: istiod follows, loses nothing, and is not disturbed."""
    file, port = tmp_path / "services.yaml", free_port()
    write_services(file, {"orders": ["10.1.0.1:8081"], "pay": []})
    configuration = {
        "version": 1,
        "registries": [{"name": "shop", "adapter": "file", "path": str(file)}],
        "outlets": {"mcp": {"listen": f"127.0.0.1:{port}"}},
    }
    istiod = ScriptedIstiod(f"127.0.0.1:{port}")
    async with Bridge(tmp_path, configuration) as bridge:
        await bridge.address("mcp")
        async with istiod.connected():
            await istiod.until(lambda: istiod.is_ready, within=10)
            assert istiod.endpoints("orders.file") == {"http-80": {"10.1.0.1:8081"}}
            assert istiod.hosts() == {"orders.file", "pay.file"}

            write_services(file, {"orders": ["10.1.0.1:8081", "10.1.0.2:8082"], "pay": []})
            both = {"http-80": {"10.1.0.1:8081", "10.1.0.2:8082"}}
            await istiod.until(lambda: istiod.endpoints("orders.file") == both)
        held, events = dict(istiod.store), len(istiod.events)

        await bridge.process.kill()
        bridge.process.start()

        async def starts() -> int:
            return sum(line.get("name") == "mcp" for line in bridge.events("listening"))

        await until(starts, lambda seen: seen == 2, within=20)
        answers = len(istiod.acknowledged)
        async with istiod.connected():
            # MeshConfig beside the types of its store.
            await istiod.until(
                lambda: len(istiod.acknowledged) == answers + len(istiod.types) + 1, within=10
            )
    assert istiod.store == held
    assert istiod.events[events:] == []
    assert istiod.warnings == []
