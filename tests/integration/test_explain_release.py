"""Commands ask a bridge that really runs: what is held, why it is served, and to let it go."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from robustness.bed import document, replace

from rig.bridge import Bridge
from rig.waiting import until

pytestmark = pytest.mark.asyncio


def configuration() -> dict[str, object]:
    return {
        "version": 1,
        "registries": [
            {
                "name": "shop",
                "adapter": "file",
                "path": "services.yaml",
                "guard": {"min-size": 2},
            }
        ],
        "outlets": {"xds": {"listen": "127.0.0.1:0"}, "mcp": {"listen": "127.0.0.1:0"}},
        "status": {"listen": "127.0.0.1:0"},
        "admin": "a.sock",
    }


async def said(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command as a person would; return its exit code and all it said."""
    command = ["-m", "meshbridge", *arguments, "--admin", str(folder / "a.sock")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def seen(bridge: Bridge, event: str) -> None:
    """Wait until the bridge has logged it."""

    async def look() -> int:
        return len(bridge.events(event))

    await until(look, bool, within=20)


async def test_what_is_held_is_listed_explained_and_let_go(tmp_path: Path) -> None:
    """From the loss of all instances of a file, through the socket, to their end."""
    file = tmp_path / "services.yaml"
    places = [(f"10.1.0.{number}", 80) for number in (1, 2, 3)]
    replace(file, document({"orders": places, "bills": [("10.1.0.9", 80)]}))
    async with Bridge(tmp_path, configuration()) as bridge:
        await bridge.address("xds")
        await seen(bridge, "first snapshot")
        assert await said(tmp_path, "release") == (
            0,
            "nothing is held, planned or waited for\n",
        )
        replace(file, document({"bills": [("10.1.0.9", 80)]}))
        await seen(bridge, "loss held")
        code, text = await said(tmp_path, "release")
        assert (code, text.splitlines()[0].startswith("shop, services: in loss since")) == (0, True)
        code, text = await said(tmp_path, "explain", "10.1.0.2:80")
        assert (code, text.splitlines()[0]) == (0, "10.1.0.2:80 is served: orders.file")
        assert f"`meshbridge release shop services orders --admin {tmp_path}/a.sock`" in text
        code, text = await said(tmp_path, "release", "shop", "services", "order")
        assert (code, text.count("\n")) == (2, 1)
        code, text = await said(tmp_path, "release", "shop", "--format", "json")
        (answer,) = json.loads(text)
        assert (code, answer["answer"]["released"]["instances"]) == (0, 3)
        code, text = await said(tmp_path, "explain", "orders.file")
        assert (code, text.splitlines()[0]) == (
            1,
            "orders.file is not known: no registry lists it",
        )
