"""The search for what a test run leaves behind finds it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from rig import repeat
from rig.reaper import processes_with
from rig.repeat import MARK, Outcome, run_once
from rig.waiting import until

LEAVES = {
    "a file in the temporary folder": "import tempfile; tempfile.mkstemp()",
    "a file in the home": "import pathlib; pathlib.Path.home().joinpath('x').touch()",
    "a process": (
        "import subprocess; subprocess.Popen(['sleep', '20'],"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"
    ),
}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a folder in the place of the machine, which others change meanwhile."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr(repeat, "SHARED", shared)
    monkeypatch.setattr(repeat, "BESIDE", ())
    monkeypatch.setattr(repeat, "LOOK", (("name", ("ls", str(tmp_path))),))
    # Else Python would leave something of the tests' own: what they are compiled to.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return shared


def run(folder: Path, body: str) -> Outcome:
    test = folder / "test_it.py"
    test.write_text(f"def test_it(): {body}\n")
    mark = f"mark of {folder}"
    try:
        return run_once(mark, [str(test), f"--rootdir={folder}", "-Wignore"])
    finally:
        for process, _ in processes_with(MARK, mark):
            process.kill()


@pytest.mark.parametrize("body", LEAVES.values(), ids=LEAVES)
def test_what_is_left_is_found(tmp_path: Path, body: str) -> None:
    outcome = run(tmp_path, body)
    assert not outcome.good
    assert outcome.words.startswith("left behind: ")
    assert "1 passed" in outcome.words


def test_what_a_run_leaves_on_the_machine_is_found(tmp_path: Path, machine: Path) -> None:
    body = "import pathlib; pathlib.Path({!r}).touch()"

    file = run(tmp_path, body.format(str(machine / "x")))
    assert file.words.startswith(f"left behind: file {machine / 'x'} (")
    name = run(tmp_path, body.format(str(tmp_path / "y")))
    assert name.words.startswith("left behind: name y (")
    assert not file.good
    assert not name.good


def test_what_a_run_beside_it_does_is_not_blamed(tmp_path: Path) -> None:
    """It begins to listen while the run is under way, and goes on when that has ended."""
    program = "import socket; s = socket.create_server(('127.0.0.1', 0)); s.accept()"
    command = [sys.executable, "-c", program]
    others: list[subprocess.Popen[bytes]] = []

    def looks_first(mark: str) -> set[str]:
        seen = look(mark)
        if not others:
            environment = {**os.environ, MARK: "mark of another run"}
            others.append(subprocess.Popen(command, env=environment))
            asyncio.run(until(listens(others[0].pid), bool, within=10))
        return seen

    look = repeat.system
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(repeat, "system", looks_first)
            assert run(tmp_path, "pass").good
    finally:
        for other in others:
            other.kill()
            other.wait()


def listens(pid: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return any(
            each.status == psutil.CONN_LISTEN for each in psutil.Process(pid).net_connections()
        )

    return look


def test_a_run_that_leaves_nothing_and_one_that_proves_nothing_are_told_apart(
    tmp_path: Path,
) -> None:
    good = run(tmp_path, "pass")
    assert good.good
    assert "1 passed" in good.words
    for body in ("assert False", "import pytest; pytest.skip('no Java')"):
        bad = run(tmp_path, body)
        assert not bad.good
        assert bad.words.startswith("failed:\n")
