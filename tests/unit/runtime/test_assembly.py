"""What is made of a configuration knows of it what its texts need."""

from pathlib import Path

import pytest
import structlog

from meshbridge.cli.assembly import make_bridge, read_settings
from meshbridge.configuration import Configuration


def configured(folder: Path, line: str) -> Configuration:
    """Return what a bridge knows of a configuration in the folder with this line."""
    file = folder / "meshbridge.yaml"
    registry = "{name: shop, adapter: file, path: services.yaml}"
    file.write_text(f"version: 1\nregistries: [{registry}]\n{line}\n")
    return make_bridge(read_settings(file, serving=False), structlog.get_logger()).configuration


@pytest.mark.parametrize(("line", "has"), [("admin: a.sock", True), ("", False)])
def test_the_bridge_knows_whether_commands_reach_it(line: str, has: bool, tmp_path: Path) -> None:  # noqa: FBT001
    assert configured(tmp_path, line).admin is has


def test_the_bridge_knows_where_commands_must_be_told_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They look in a folder of where they are called, which may be where the bridge was."""
    assert configured(tmp_path, "admin: state/admin.sock").socket == f"{tmp_path}/state/admin.sock"
    monkeypatch.chdir(tmp_path)
    assert not configured(tmp_path, "admin: state/admin.sock").socket
    assert configured(tmp_path, "admin: a.sock").socket == f"{tmp_path}/a.sock"
    assert not configured(tmp_path, "").socket
