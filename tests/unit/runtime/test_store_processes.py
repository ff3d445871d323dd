"""Real processes with a store: killed in a storm of writes, on a full disk, on a read-only one."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from unit.runtime.store_bed import Bed

pytestmark = pytest.mark.slow

CHILD: Final = Path(__file__).with_name("store_child.py")
TESTS: Final = CHILD.parents[2]
ENVIRONMENT: Final = {**os.environ, "PYTHONPATH": str(TESTS)}


def report(directory: Path, count: int = 0, *, before: str = "") -> dict[str, Any]:
    """Let a child open the directory and store so many services of 10 kB; return what it said.

    ``before`` is done by a shell in a mount namespace of the child's own.
    """
    command = [sys.executable, str(CHILD), "report", str(directory), str(count)]
    if before:
        shell = f'set -e; {before}; exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", shell, "sh", *command]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=True, timeout=60)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def needs_mounts() -> None:
    """Skip where no mount namespace can be made."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "--mount", "true"], check=False).returncode:
        pytest.skip("needs root (a mount namespace of its own)")


def test_twenty_kills_in_a_storm_of_writes_lose_no_more_than_the_last_interval(
    tmp_path: Path,
) -> None:
    chance = random.Random(7)  # noqa: S311 - of moments
    for _ in range(20):
        storm = subprocess.Popen(
            [sys.executable, str(CHILD), "storm", str(tmp_path)],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
        )
        assert storm.stdout is not None
        lines = [storm.stdout.readline() for _ in range(chance.randrange(1, 40))]
        storm.kill()
        lines += storm.stdout.readlines()
        storm.stdout.close()
        storm.wait()
        whole = [line.split() for line in lines if line.endswith(b"\n")]
        written = {int(rows): int(turn) for turn, rows in reversed(whole)}
        bed = Bed(tmp_path)
        found = bed.open().stored.registrations["shop"]["all"]
        bed.close()
        assert not bed.events
        assert len(found) == 50
        # Of one transaction, never of two.
        (turn,) = {pair[1] for each in found for pair in each.metadata if pair[0] == "turn"}
        # What was on disk when the last figure was seen to grow was said before that turn.
        last = max(written)
        before = max((turn for rows, turn in written.items() if rows < last), default=0)
        assert int(turn) >= before


def test_on_a_full_disk_nothing_ends_and_the_newest_waits(tmp_path: Path) -> None:
    needs_mounts()
    directory = tmp_path / "state"
    directory.mkdir()
    said = report(directory, 200, before=f"mount -t tmpfs -o size=1m tmpfs {directory}")
    assert "the disk is full; make room" in said["trouble"]
    assert said["events"] == ["state not written"]
    assert said["pending"] == 200


@pytest.mark.parametrize("crashed", [False, True])
def test_what_a_read_only_directory_holds_is_served(tmp_path: Path, *, crashed: bool) -> None:
    needs_mounts()
    directory = tmp_path / "state"
    report(directory, 3)
    if crashed:  # its log is there, and must be read
        storm = subprocess.Popen(
            [sys.executable, str(CHILD), "storm", str(directory)],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
        )
        assert storm.stdout is not None
        storm.stdout.readline()
        storm.kill()
        storm.stdout.close()
        storm.wait()
        assert (directory / "state.sqlite-wal").stat().st_size
    mounted = f"mount --bind {directory} {directory}; mount -o remount,ro,bind {directory}"
    said = report(directory, 1, before=mounted)
    assert len(said["found"]) == (50 if crashed else 3)
    assert "it cannot be written; let the bridge's user write to it" in said["trouble"]
    assert said["events"] == ["state not written"]
