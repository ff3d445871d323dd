"""Clears up after a test run that was killed; a run that ends by itself clears up after itself.

The leash ends what a killed run had started, but not what that had started in turn, and network
namespaces, addresses and temporary files end with nobody. So each run starts this program, which
holds the other end of a pipe: when the pipe closes without a farewell the run is dead, and
everything that carries its mark goes. The mark is a variable that processes inherit.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil

from rig.addresses import lives
from rig.network import sweep

MARK = "MESHBRIDGE_TEST_RUN"
FAREWELL = b"done"
MOMENT = 1.0
"""Seconds that processes have to end by themselves."""
PATIENCE = 10.0
"""Seconds in which killed processes have to be gone."""


class Run:
    """This test run, marked, with its reaper waiting."""

    def __init__(self, mark: str, reaper: "subprocess.Popen[bytes]") -> None:
        """Take over a reaper that was started for this mark, and begin to mark."""
        self.mark = mark
        self._reaper = reaper
        self._outer = os.environ.get(MARK, "")
        os.environ[MARK] = mark

    @classmethod
    def begin(cls) -> Self:
        """Mark everything that this process starts from now on, and start the reaper."""
        mark = f"{os.getpid()}-{time.time_ns()}"
        unmarked = {name: value for name, value in os.environ.items() if name != MARK}
        unmarked["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)
        reaper = subprocess.Popen(
            [sys.executable, "-m", "rig.reaper", mark],
            stdin=subprocess.PIPE,
            env=unmarked,
            start_new_session=True,  # neither Ctrl-C nor a signal to the run's group ends it
        )
        return cls(mark, reaper)

    def throw_away(self, folder: Path) -> None:
        """Let the reaper delete a folder, too, if the run is killed."""
        if self._reaper.stdin is not None:
            self._reaper.stdin.write(f"{folder}\n".encode())
            self._reaper.stdin.flush()

    def end(self) -> list[str]:
        """Send the reaper home; return what still runs and carries the mark, which is killed."""
        os.environ[MARK] = self._outer
        try:
            left = what_stays(self.mark)
            kill_marked(self.mark)
        finally:
            self._reaper.communicate(FAREWELL)
        return left


def what_stays(mark: str, name: str = MARK) -> list[str]:
    """Return the command lines of the processes that carry the mark and do not end by themselves.

    One that was just killed takes a moment to be gone.
    """
    end = time.monotonic() + MOMENT
    while (found := [words for _, words in processes_with(name, mark)]) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def processes_with(name: str, value: str) -> Iterator[tuple[psutil.Process, str]]:
    """Find the processes that inherited this variable, but the one that asks, and their commands.

    One that has ended and was not waited for counts as gone.
    """
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(name) == value:
                yield process, " ".join(process.cmdline()) or process.name()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue  # it ended, or is somebody else's


def kill_marked(mark: str) -> None:
    """Kill them, and what they start meanwhile, until there are none."""
    end = time.monotonic() + PATIENCE
    while (found := [each for each, _ in processes_with(MARK, mark)]) and time.monotonic() < end:
        for process in found:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(found, timeout=1)


def main(mark: str) -> None:
    """Wait for the run to end; clear up if it ended without a farewell."""
    *folders, last = sys.stdin.buffer.read().split(b"\n")
    if last == FAREWELL:
        return
    kill_marked(mark)
    for folder in folders:
        shutil.rmtree(folder.decode(), ignore_errors=True)
    _wait_for_its_end(int(mark.partition("-")[0]))  # what belongs to the living is not swept
    sweep()


def _wait_for_its_end(pid: int) -> None:
    """Wait for a process that is ending: it closes its files a moment before it is gone."""
    end = time.monotonic() + PATIENCE
    while lives(pid) and time.monotonic() < end:
        time.sleep(0.01)


if __name__ == "__main__":
    main(sys.argv[1])
