"""The bootstrap that the documents hand out is one that Envoy takes."""

import subprocess
from pathlib import Path

from rig.envoy import find_envoy

BOOTSTRAP = Path(__file__).resolve().parents[2] / "docs" / "envoy.yaml"


def test_envoy_takes_the_documented_bootstrap() -> None:
    done = subprocess.run(
        [find_envoy(), "--mode", "validate", "--disable-hot-restart", "-c", BOOTSTRAP],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "OK" in done.stdout, done.stderr
    assert done.returncode == 0
