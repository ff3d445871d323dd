"""`meshbridge diff` as people run it: real bridges, real files, and what differs between them."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from rig.bridge import Bridge
from rig.waiting import until

pytestmark = pytest.mark.asyncio

FIRST = {"address": "10.1.0.1", "port": 8081, "zone": "h", "metadata": {"version": "v1"}}
SECOND = {"address": "10.1.0.2", "port": 8081}


def write(folder: Path, orders: list[Mapping[str, object]]) -> None:
    """Let the folder's registry hold two services."""
    services = [
        {"name": "orders", "instances": orders},
        {"name": "billing", "instances": [SECOND]},
    ]
    folder.mkdir(exist_ok=True)
    new = folder / "new"
    new.write_text(json.dumps({"services": services}))
    new.replace(folder / "services.yaml")


def bridge_of(folder: Path) -> Bridge:
    """Return a bridge that reads the folder's registry."""
    registry = {
        "name": "shop",
        "adapter": "file",
        "path": "services.yaml",
        "publish": {"aliases": ["{service}"]},
    }
    return Bridge(
        folder,
        {
            "version": 1,
            "registries": [registry],
            "outlets": {"mcp": {"listen": "127.0.0.1:0"}},
            "status": {"listen": "127.0.0.1:0"},
        },
    )


async def diff(*arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
    """Run the command to its end; return its code, stdout and stderr."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "meshbridge", "diff"),
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(child.communicate(stdin.encode()), 60)
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


async def is_the_same(a: str | Path, b: str | Path) -> None:
    """Wait until both hold the same, e.g. because one of them only starts."""

    async def look() -> tuple[int, str, str]:
        return await diff(a, b)

    same = (0, "no differences: 2 hosts in both\n", "")
    await until(look, lambda seen: seen == same, within=15)


async def test_one_endpoint_that_changed_at_one_of_two_bridges_is_what_is_named(
    tmp_path: Path,
) -> None:
    east, west = tmp_path / "east", tmp_path / "west"
    write(east, [FIRST, SECOND])
    write(west, [SECOND, FIRST])
    async with bridge_of(east) as one, bridge_of(west) as other:
        a = f"http://{await one.address('status')}"
        b = f"http://{await other.address('status')}"
        await is_the_same(a, b)
        await is_the_same(one.configuration, b)

        write(west, [{**FIRST, "weight": 3}, SECOND])

        async def look() -> tuple[int, str, str]:
            return await diff(a, b)

        (code, said, complaints), _ = await until(look, lambda seen: seen[0] != 0, within=15)
        assert (code, complaints) == (1, "")
        assert said.splitlines() == [
            "1 host differs: 1 changed; 1 alike",
            f"--- {a}",
            f"+++ {b}",
            "  orders.file",
            "    endpoint 10.1.0.1 http-80=8081: weight 100 -> 300",
        ]
        code, said, _ = await diff(b, one.configuration, "-f", "json")
        assert code == 1
        (change,) = json.loads(said)["changed"]
        assert set(change) == {"host", "changed_endpoints"}


async def test_a_bridge_that_is_not_ready_is_not_compared(tmp_path: Path) -> None:
    """Its reasons are given, and the code is not that of a difference."""
    async with bridge_of(tmp_path) as bridge:
        url = f"http://{await bridge.address('status')}"

        async def look() -> tuple[int, str, str]:
            return await diff(url, url)

        (code, said, complaints), _ = await until(
            look, lambda seen: "required" in seen[2], within=15
        )
    assert (code, said) == (2, "")
    (line,) = complaints.splitlines()
    assert line.startswith(f"error: {url}: it is not ready: nothing is served yet; ")
    assert "waiting: registry shop" in line


async def test_what_is_piped_in_is_compared_with_a_file(tmp_path: Path) -> None:
    write(tmp_path, [FIRST])
    async with bridge_of(tmp_path) as bridge:
        dump = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "meshbridge", "dump", "-f", "json"),
            *("-c", str(bridge.configuration)),
            stdout=asyncio.subprocess.PIPE,
        )
        dumped, _ = await dump.communicate()
        code, said, _ = await diff(bridge.configuration, "-", stdin=dumped.decode())
        assert (code, said) == (0, "no differences: 2 hosts in both\n")
        write(tmp_path, [])
        code, said, _ = await diff("-", bridge.configuration, stdin=dumped.decode())
        assert code == 1
        assert said.splitlines()[-1] == (
            "    - endpoint 10.1.0.1 http-80=8081: weight 100, healthy, /h, "
            "service.istio.io/canonical-name=orders, version=v1"
        )
