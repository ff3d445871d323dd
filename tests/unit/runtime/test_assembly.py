"""What is made of a configuration knows of it what its texts need."""

from pathlib import Path

import pytest
import structlog

from meshbridge.cli.assembly import make_bridge, read_settings


@pytest.mark.parametrize(("line", "has"), [("admin: a.sock", True), ("", False)])
def test_the_bridge_knows_whether_commands_reach_it(line: str, has: bool, tmp_path: Path) -> None:  # noqa: FBT001
    file = tmp_path / "meshbridge.yaml"
    registry = "{name: shop, adapter: file, path: services.yaml}"
    file.write_text(f"version: 1\nregistries: [{registry}]\n{line}\n")
    bridge = make_bridge(read_settings(file, serving=False), structlog.get_logger())
    assert bridge.configuration.admin is has
