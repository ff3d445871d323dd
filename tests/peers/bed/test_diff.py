"""`meshbridge diff` with the real istiod: what the bridge serves, and what istiod has of it."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from rig.bridge import Bridge
from rig.istiod import Istiod
from rig.ports import free_port
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio")]

HERE = "127.0.0.1"
V1 = {"address": "10.1.0.1", "port": 8081, "zone": "cn/h/a", "metadata": {"version": "v1"}}
BOTH = {
    "address": "10.1.0.2",
    "weight": 2,
    "ports": [{"port": 20880, "protocol": "dubbo"}, {"port": 8080, "protocol": "http"}],
    "metadata": {"owner": "not a legal value"},
}
SICK = {"address": "10.1.0.3", "port": 8081, "healthy": False}


def write(path: Path, *orders: Mapping[str, object]) -> None:
    """Let the file hold services of every shape: two parts, an empty one, one with an alias."""
    services = [
        {"name": "orders", "instances": orders},
        {"name": "pay", "instances": [BOTH, V1]},
        {"name": "empty"},
    ]
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"services": services}))
    new.replace(path)


async def diff(*arguments: str | Path) -> tuple[int, str, str]:
    """Run the command to its end; return its code, stdout and stderr."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "meshbridge", "diff"),
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


async def test_istiod_holds_what_was_told_and_each_difference_is_named(tmp_path: Path) -> None:
    """Of a running bridge, of its configuration, and of what was saved of istiod before."""
    services = tmp_path / "services.yaml"
    registry = {
        "name": "shop",
        "adapter": "file",
        "path": str(services),
        "publish": {"aliases": ["{service}", "{service}.old"]},
    }
    write(services, V1, SICK)
    configuration = {
        "version": 1,
        "registries": [registry],
        "outlets": {"mcp": {"listen": f"{HERE}:0"}},
        "status": {"listen": f"{HERE}:0"},
    }
    async with Bridge(tmp_path, configuration) as bridge:
        status = f"http://{await bridge.address('status')}"
        async with Istiod(tmp_path, [await bridge.address("mcp")]) as istiod:
            debug = f"istiod+http://{istiod.debug}"

            async def look() -> tuple[int, str, str]:
                return await diff(status, debug)

            (_, said, note), _ = await until(look, lambda seen: seen[0] == 0, within=20)
            assert said == "no differences: 3 hosts in both\n"
            assert note == (
                "note: not compared: health and endpoints that are not healthy, dubbo apart from "
                f"tcp, what istiod would refuse ({debug} is never told)\n"
            )
            code, said, _ = await diff(f"http://{istiod.debug}/debug/configz", bridge.configuration)
            assert (code, said) == (0, "no differences: 3 hosts in both\n")

            saved = tmp_path / "configz.json"
            saved.write_bytes(await _get(f"http://{istiod.debug}/debug/configz"))
            write(services, {**V1, "weight": 3})
            (_, said, _), _ = await until(
                lambda: diff(saved, debug), lambda seen: seen[0] == 1, within=20
            )
            assert said.splitlines() == [
                "1 host differs: 1 changed; 2 alike",
                f"--- {saved}",
                f"+++ {debug}",
                "  orders.file",
                "    endpoint 10.1.0.1 http-80=8081: weight 100 -> 300",
            ]

            istiod.pause()  # it takes nothing more, and answers nothing
            code, said, complaint = await diff(status, debug, "--wait", "3s")
            istiod.resume()
            assert (code, said) == (2, "")
            assert complaint == (
                f"error: {debug}: it did not answer whole in 3s; try a longer --wait\n"
            )


async def test_an_istiod_without_services_holds_nothing(tmp_path: Path) -> None:
    """And one that is named like a bridge, or is not there, is not compared."""
    services = tmp_path / "services.yaml"
    services.write_text("services: []")
    registry = {"name": "shop", "adapter": "file", "path": str(services)}
    outlets = {"mcp": {"listen": f"{HERE}:0"}}
    content = {"version": 1, "registries": [registry], "outlets": outlets}
    async with (
        Bridge(tmp_path, content) as bridge,
        Istiod(tmp_path, [await bridge.address("mcp")]) as istiod,
    ):
        code, said, _ = await diff(bridge.configuration, f"istiod+http://{istiod.debug}")
        assert (code, said) == (0, "no differences: 0 hosts in both\n")
        code, said, complaint = await diff(bridge.configuration, f"http://{istiod.debug}")
        assert (code, said) == (2, "")
        assert "it answers with 404; is it a bridge's status server? An istiod is" in complaint
        nobody = f"istiod+http://{HERE}:{free_port()}"
        code, _, complaint = await diff(nobody, bridge.configuration)
        assert (code, complaint) == (
            2,
            f"error: {nobody}: it cannot be reached: Connection refused\n",
        )


async def _get(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.read()
