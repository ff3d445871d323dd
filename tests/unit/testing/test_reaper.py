"""What a test run leaves when it is killed: nothing."""

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil

from rig.reaper import MARK, Run
from rig.waiting import until

TESTS = Path(__file__).parents[2]

RUN = """
    import subprocess, sys, time
    from pathlib import Path
    from rig.reaper import Run

    run = Run.begin()
    folder = Path(sys.argv[1])
    folder.mkdir()
    run.throw_away(folder)
    script = "sleep 600 & echo $!; trap '' TERM; wait"
    command = ["sh", "-c", script]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as child:
        assert child.stdout
        print(child.pid, child.stdout.readline().decode().strip(), flush=True)
        time.sleep(600)
"""


def files_in(folder: Path) -> set[Path]:
    return set(folder.iterdir())


def test_a_killed_run_leaves_neither_processes_nor_temporary_files(tmp_path: Path) -> None:
    """Its children's children go, too, which no signal reaches that its death sends."""
    folder = tmp_path / "of the run"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN), folder],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    ) as run:
        assert run.stdout is not None
        pids = [int(word) for word in run.stdout.readline().split()]
        assert folder.is_dir()
        assert all(map(psutil.pid_exists, pids))
        run.kill()

    async def left() -> set[int | Path]:
        return {*filter(psutil.pid_exists, pids), *files_in(tmp_path)}

    asyncio.run(until(left, lambda seen: not seen, within=10))


def test_a_run_that_ends_says_what_it_left_and_ends_it() -> None:
    outer = os.environ[MARK]
    assert outer, "this very run is marked"
    run = Run.begin()
    with subprocess.Popen(["/bin/sleep", "601"]) as forgotten:
        assert run.end() == ["/bin/sleep 601"]
        assert not psutil.pid_exists(forgotten.pid)
    assert os.environ[MARK] == outer
