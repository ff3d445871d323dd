"""Makes what takes long to make once, into the user's cache, whole or not at all."""

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EVERY = 10.0
"""Seconds between two lines of progress."""
SHOWN = 40
"""Lines of a failed command's output that go into the message."""


@dataclass(frozen=True, slots=True)
class Program:
    """What the peer tests want of a program that is not theirs."""

    package: str = ""
    """Debian's, or several; empty where that is too old."""
    remedy: str = ""
    """What to do where no package helps."""
    least: tuple[int, ...] = ()
    """The oldest release that will do; empty where any will."""
    asked: str = ""
    """The word that makes it tell its release."""
    told: str = ""
    """What it tells then, as a regular expression with a group for each number of ``least``."""


JDK = "openjdk-17-jdk-headless"
PROGRAMS = {
    "java": Program(JDK, least=(17,), asked="-version", told=r'version "(\d+)'),
    "javac": Program(JDK, least=(17,), asked="-version", told=r"^javac (\d+)"),
    "mvn": Program("maven"),
    "cc": Program("gcc libc6-dev"),  # which Debian's gcc does not bring along
    "bash": Program("bash"),
    "ip": Program("iproute2"),
    "nft": Program("nftables"),
    "setpriv": Program("util-linux"),
    "unshare": Program("util-linux"),
    "go": Program(
        remedy="install 1.21 or newer from go.dev",
        least=(1, 21),
        asked="version",
        told=r"\bgo(\d+)\.(\d+)",
    ),
}


class Missing(Exception):  # noqa: N818 - it says what happened
    """A program is not there, or too old; the message says so, the remedy and what is skipped."""


class BuildFailed(Exception):  # noqa: N818 - it says what happened
    """A build tool failed or took too long; the message carries the end of its output."""


def cache() -> Path:
    """Return the folder that holds what was made."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "meshbridge" / "peers"


def need(program: str, what: str) -> str:
    """Return where the program is that ``what`` needs; raises Missing, also when it is too old."""
    wanted = PROGRAMS[program]
    found = shutil.which(program)
    if found is None:
        trouble = f"no `{program}` on the PATH"
    elif not (trouble := _too_old(found, wanted)):
        return found
    remedy = wanted.remedy or f"apt-get install {wanted.package}"
    raise Missing(f"{trouble} ({remedy}): tests that need {what} cannot run")


def missing_packages() -> list[str]:
    """Return Debian's packages of the programs that are not there, or too old."""
    missing: set[str] = set()
    for name, program in PROGRAMS.items():
        try:
            need(name, "")
        except Missing:
            missing.update(program.package.split())
    _said.cache_clear()  # whoever installs these asks again
    return sorted(missing)


def _too_old(found: str, wanted: Program) -> str:
    """Say what is wrong with the program's release; empty if nothing is."""
    if not wanted.least:
        return ""
    lines = _said(found, wanted.asked).splitlines()
    told = next(filter(None, (re.search(wanted.told, line) for line in lines)), None)
    if told and tuple(map(int, told.groups())) >= wanted.least:
        return ""
    least = ".".join(map(str, wanted.least))
    said = told.string if told else next(iter(lines), "")
    return f"`{found}` is not {least} or newer, it says `{said}`"


@functools.cache
def _said(program: str, word: str) -> str:
    """Return what it says to that word; asked once, for it takes a moment."""
    try:
        done = subprocess.run(
            [program, word],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as failed:
        return str(failed)
    return done.stdout


def place(name: str, root: Path, made_of: Sequence[Path], words: Sequence[str] = ()) -> Path:
    """Return the folder in the cache for something made of these files and with these words.

    The files below ``root`` and their contents name it, so what changes is made again.
    """
    content = hashlib.sha256("\n".join(words).encode())
    for path in sorted(made_of):
        text = path.read_bytes()
        content.update(f"{path.relative_to(root)} {len(text)}\n".encode())
        content.update(text)
    return cache() / f"{name}-{content.hexdigest()[:16]}"


@contextlib.contextmanager
def making(folder: Path) -> Generator[Path | None]:
    """Give a folder to build in, which becomes ``folder``; None when another run was first.

    Waits while another run builds it, and clears away what a killed one had begun.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            yield None
            return
        for begun in folder.parent.glob(f"{folder.name}.*/"):
            shutil.rmtree(begun)
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            yield new
            new.rename(folder)


class Progress:
    """Tells how far a command is, by counting lines of its output."""

    def __init__(self, name: str, counted: str = "", what: str = "") -> None:
        """Count lines that contain ``counted``; without it, tell nothing."""
        self._name = name
        self._counted = counted
        self._what = what
        self._number = 0
        self._said = time.monotonic()

    def take(self, line: str) -> None:
        """Count a line, and say how many there are if nothing was said for a while."""
        if not self._what:
            return
        self._number += self._counted in line
        if time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            say(f"{self._name}: {self._number:,} {self._what}")


def run(
    command: Sequence[str | Path],
    progress: Progress,
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    within: float = 1800.0,
) -> None:
    """Run a build command to its end. Raises BuildFailed, also after ``within`` seconds."""
    lines: list[str] = []
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=directory,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        late = threading.Event()

        def end() -> None:
            late.set()
            child.kill()

        alarm = threading.Timer(within, end)
        alarm.start()
        try:
            for line in child.stdout or ():
                lines.append(line.rstrip())
                progress.take(line)
        finally:
            alarm.cancel()
            if child.poll() is None:  # interrupted, or it has closed its output and is ending
                child.terminate()
    if child.returncode != 0:
        minutes = f"was not done within {within / 60:g} minutes"
        how = minutes if late.is_set() else f"ended with {child.returncode}"
        shown = "\n".join(lines[-SHOWN:])
        raise BuildFailed(f"`{command[0]}` {how}:\n{shown}")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201 - the commands' output
