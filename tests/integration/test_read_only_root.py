"""The bridge runs as its image and its manifests run it: nothing to write to but its state."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from meshbridge.testing import Process
from rig.bridge import Bridge
from rig.waiting import until

pytestmark = pytest.mark.asyncio

CONFINE = r"""
mount --make-rprivate /
mount --bind "$1" "$1"
cut -d ' ' -f 2 /proc/self/mounts | while read -r place; do
  [ "$place" = "$1" ] || mount -o remount,bind,ro "$place" 2>/dev/null || true
done
if touch "$2" 2>/dev/null; then echo "$2 can be written to"; exit 3; fi
cd "$1"
shift 2
exec env --ignore-environment setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""
"""Makes all mounts read-only but the folder $1; $2 is a file elsewhere. No environment, no
capabilities; as root, because nobody else may reach where Python and the checkout may lie."""


@pytest.fixture
def confined() -> list[str]:
    """Return how a command is begun there, or skip."""
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or shutil.which("setpriv") is None
        or subprocess.run([unshare, "--mount", "true"], check=False).returncode
    ):
        pytest.skip("needs root, unshare and setpriv for a mount namespace of its own")
    return [unshare, "--mount", "sh", "-ec", CONFINE, "sh"]


async def test_it_serves_and_keeps_state_without_rights_on_a_read_only_root(
    confined: list[str], tmp_path: Path
) -> None:
    state, services = tmp_path / "state", tmp_path / "services.yaml"
    state.mkdir()
    instance = {"address": "10.1.0.1", "port": 8080}
    services.write_text(json.dumps({"services": [{"name": "orders", "instances": [instance]}]}))
    unreachable = {"name": "other", "adapter": "nacos", "servers": ["127.0.0.1:1"]}
    bridge = Bridge(
        tmp_path,
        {
            "version": 1,
            "registries": [
                {"name": "shop", "adapter": "file", "path": str(services)},
                {**unreachable, "required": False},
            ],
            "outlets": {"mcp": {"listen": "127.0.0.1:0"}},
            "status": {"listen": "127.0.0.1:0"},
            "state": str(state),
            "admin": str(state / "admin.sock"),
        },
    )
    elsewhere = str(tmp_path / "elsewhere")
    bridge.process = Process(
        "bridge", [*confined, str(state), elsewhere, *bridge.command], directory=tmp_path
    )

    async def answers() -> bool:
        return all(map(bridge.events, ("first snapshot", "registry unavailable")))

    async with bridge:
        await bridge.address("mcp")
        await until(answers, bool, within=20)

    assert bridge.process.exit_code == 0
    assert (state / "state.sqlite").stat().st_size > 0
    assert bridge.events("state not written") == []
