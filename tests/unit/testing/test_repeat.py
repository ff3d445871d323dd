"""The search for what a test run leaves behind finds it."""

from pathlib import Path

import pytest

from rig import repeat
from rig.reaper import processes_with
from rig.repeat import MARK, run_once

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
    monkeypatch.setattr(repeat, "LOOK", (("name", ("ls", str(tmp_path))),))
    return shared


def run(folder: Path, body: str) -> str:
    test = folder / "test_it.py"
    test.write_text(f"def test_it(): {body}\n")
    mark = f"mark of {folder}"
    try:
        return run_once(mark, [str(test), f"--rootdir={folder}", "-Wignore"])
    finally:
        for process in processes_with(MARK, mark):
            process.kill()


@pytest.mark.parametrize("body", LEAVES.values(), ids=LEAVES)
def test_what_is_left_is_found(tmp_path: Path, body: str) -> None:
    assert run(tmp_path, body).startswith("left behind: ")


def test_what_a_run_leaves_on_the_machine_is_found(tmp_path: Path, machine: Path) -> None:
    body = "import pathlib; pathlib.Path({!r}).touch()"

    assert run(tmp_path, body.format(str(machine / "x"))) == f"left behind: file {machine / 'x'}"
    assert run(tmp_path, body.format(str(tmp_path / "y"))) == "left behind: name y"


def test_a_run_that_leaves_nothing_or_fails_is_told_apart(tmp_path: Path) -> None:
    assert run(tmp_path, "pass") == ""
    assert run(tmp_path, "assert False").startswith("failed:\n")
