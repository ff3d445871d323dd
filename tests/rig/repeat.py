"""``make self-tests``: runs the test bed's own tests many times and looks for what they leave.

Each run gets a folder for its temporary files and another as its home, and a mark that all its
processes inherit. What is in the folders afterwards, carries the mark, or is a network namespace,
an address, a listening port or an entry of the shared temporary folder that was not there before,
was left behind, and ends the series. Whatever else the machine does there meanwhile is blamed, too:
run nothing beside it.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from rig.making import Missing, cache, need, say
from rig.reaper import what_stays

TESTS = Path(__file__).resolve().parent.parent
MARK = "MESHBRIDGE_SELF_TEST"
PREFIX = "self-test."
LEFT_OUT = ("compose", "dubbo", "spring", "release_2", "istiod_", "istio_chart", "istioctl")
SELF_TESTS = [
    str(TESTS / "peers" / "bed"),
    f"-k{' and '.join(f'not test_{name}' for name in LEFT_OUT)}",
]
"""The test bed's own, in which each kind of server and application is started, killed and started
again. Left out is what only starts more of the same (whole markets, a second Nacos), and what is
about the bridge beside istiod."""
BESIDE = ("--numprocesses=2", "--dist=loadfile")
"""Two files at a time: they share the machine with each other, as runs do."""
PASSED = re.compile(r"\d+ passed")
SHARED = Path(tempfile.gettempdir())
"""Where programs leave things that look at no variable: Java, for one."""
LOOK = (
    ("network namespace", ("ip", "netns", "list")),
    ("interface or address", ("ip", "-brief", "address")),
)


def main(words: list[str]) -> int:
    """Run them; return 1 at the first run that fails or leaves something."""
    parser = argparse.ArgumentParser(prog="make self-tests", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("tests", nargs="*", metavar="TEST", help="files, and arguments for pytest")
    chosen, options = parser.parse_known_args(words)
    if chosen.runs < 1:
        parser.error(f"--runs is {chosen.runs}; one is the least")
    tests = [*(chosen.tests or SELF_TESTS), *options]
    need("ip", "self-tests")
    seconds: list[float] = []
    for number in range(1, chosen.runs + 1):
        begun = time.monotonic()
        outcome = run_once(f"{os.getpid()}-{number}", tests)
        seconds.append(time.monotonic() - begun)
        say(f"run {number} of {chosen.runs}: {outcome.words}")
        if not outcome.good:
            return 1
    say(f"{chosen.runs} runs, {median(seconds):.0f} s each ({min(seconds):.0f}-{max(seconds):.0f})")
    return 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    good: bool
    """Whether tests passed, none failed or was skipped for a missing server, nothing was left."""
    words: str


def run_once(mark: str, tests: list[str]) -> Outcome:
    """Run the tests, and look for what they left behind."""
    before = system(mark)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        temporary, home = Path(folder) / "tmp", Path(folder) / "home"
        temporary.mkdir()
        home.mkdir()
        environment = {
            **os.environ,
            "CI": "true",  # where a missing server fails its tests
            MARK: mark,
            "TMPDIR": str(temporary),
            "HOME": str(home),
            "XDG_CACHE_HOME": str(cache().parent.parent),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *BESIDE, *tests]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode != 0 or not PASSED.search(ran.stdout):
            return Outcome(good=False, words=f"failed:\n{ran.stderr[-2000:]}{ran.stdout[-8000:]}")
        left = [
            *(f"process {words}" for words in what_stays(mark, MARK)),
            *(f"file {path}" for root in (temporary, home) for path in _files(root)),
            *sorted(system(mark) - before),
        ]
    summary = ran.stdout.splitlines()[-1]
    if left:
        return Outcome(good=False, words=f"left behind: {', '.join(left)} ({summary})")
    return Outcome(good=True, words=f"{summary}, nothing left")


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if not path.is_dir()]


def system(mark: str) -> set[str]:
    """Return what no process' end takes away from the machine, and the run's listening ports."""
    found = {
        f"listening port {each.laddr.port} of process {each.pid}"
        for each in psutil.net_connections("tcp")
        if each.laddr and each.status == psutil.CONN_LISTEN and _is_ours(each.pid, mark)
    }
    found.update(f"file {each}" for each in SHARED.iterdir() if not each.name.startswith(PREFIX))
    for what, command in LOOK:
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        found.update(f"{what} {line}" for line in said.stdout.splitlines())
    return found


def _is_ours(pid: int | None, mark: str) -> bool:
    """Whether a process of the run has it; there is none if that ended while it was looked at."""
    try:
        return pid is not None and psutil.Process(pid).environ().get(MARK) == mark
    except psutil.Error:
        return False


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Missing as missing:
        say(f"self-tests: {missing}")
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted: the series proves nothing")
        sys.exit(130)
