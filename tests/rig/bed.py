"""Builds the peer tests' servers once, into the user's cache, and says where they are.

Run as a script (``make test-peers`` does) it builds all of them and shows progress; a second run
finds everything in its place. What a server is made of names its folder in the cache, so a change
of a pom or a source builds that server again and no other.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "peers" / "servers"
SHIM = SOURCES / "loopback.c"
PARENT = SOURCES / "pom.xml"
VERSIONS = SOURCES.parent / "versions.toml"


class Missing(Exception):  # noqa: N818 - it says what happened
    """A program that the build needs is not installed; the message names it and what is skipped."""


class BuildFailed(Exception):  # noqa: N818 - it says what happened
    """Maven or the C compiler failed; the message carries the end of its output."""


@dataclass(frozen=True, slots=True)
class Built:
    """A server that can be started."""

    classpath: str
    preload: Path | None
    """The library that keeps its ports on loopback; Linux only."""


def names() -> tuple[str, ...]:
    """Return the servers that can be built: the folders that hold a pom."""
    return tuple(sorted(pom.parent.name for pom in SOURCES.glob("*/pom.xml")))


def versions(kind: str) -> dict[str, str]:
    """Return the pinned versions of a kind: ``maven``, ``envoy`` or ``istio``."""
    pinned: dict[str, dict[str, str]] = tomllib.loads(VERSIONS.read_text())
    return pinned[kind]


def cache() -> Path:
    """Return the folder that holds what was built."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "meshbridge" / "peers"


def build(name: str) -> Built:
    """Return the server, built now if it was not; waits while another run builds it.

    Raises Missing or BuildFailed.
    """
    _need("java", name)
    folder = _folder(name, PARENT, *(path for part in _parts(name) for path in _sources(part)))
    if not folder.exists():
        _need("mvn", name)
        with _building(folder) as new:
            if new is not None:
                _run_maven(name, new)
    order = (folder / "classpath.txt").read_text().strip().split(os.pathsep)
    classpath = os.pathsep.join([str(folder / "classes"), *(str(folder / jar) for jar in order)])
    return Built(classpath, _preload(name))


def _preload(name: str) -> Path | None:
    if sys.platform != "linux":
        return None
    folder = _folder("loopback", SHIM)
    library = folder / "loopback.so"
    if not folder.exists():
        compiler = _need("cc", name)
        with _building(folder) as new:
            if new is not None:
                made = new / library.name
                _run([compiler, "-shared", "-fPIC", "-O2", "-o", made, SHIM, "-ldl"])
    return library


def _parts(name: str) -> tuple[str, ...]:
    """Return the folders it is made of: its own, and those whose sources its pom names."""
    pom = (SOURCES / name / "pom.xml").read_text()
    return (name, *sorted(set(re.findall(r"\.\./([a-z0-9-]+)/src/", pom))))


def _definitions(name: str) -> list[str]:
    """Return Maven's arguments for the versions that its pom names."""
    pom = (SOURCES / name / "pom.xml").read_text()
    named = set(re.findall(r"\$\{([a-z0-9]+)\.version\}", pom))
    pinned = versions("maven")
    return [f"-D{each}.version={pinned[each]}" for each in sorted(named & pinned.keys())]


def _sources(name: str) -> list[Path]:
    return sorted(path for path in (SOURCES / name).rglob("*") if path.is_file())


def _folder(name: str, *made_of: Path) -> Path:
    content = hashlib.sha256()
    if name in names():
        content.update(" ".join(_definitions(name)).encode())
    for path in made_of:
        text = path.read_bytes()
        content.update(f"{path.relative_to(SOURCES)} {len(text)}\n".encode())
        content.update(text)
    return cache() / f"{name}-{content.hexdigest()[:16]}"


def _need(program: str, name: str) -> str:
    found = shutil.which(program)
    if found is None:
        message = f"no `{program}` on the PATH: the tests against a real {name} cannot run"
        raise Missing(message)
    return found


@contextlib.contextmanager
def _building(folder: Path) -> Generator[Path | None]:
    """Give a folder to build in, which becomes ``folder``; None when another run was first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            yield None
            return
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            yield new
            new.rename(folder)


def _run_maven(name: str, new: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "servers"
        work.mkdir()
        shutil.copy(PARENT, work)
        for part in _parts(name):
            shutil.copytree(SOURCES / part, work / part)
        pom = work / name / "pom.xml"
        _run(["mvn", "-B", "-f", pom, *_definitions(name), "process-classes"], progress=name)
        target = work / name / "target"
        for part in ("classes", "lib", "classpath.txt"):
            shutil.move(target / part, new / part)


def _run(command: list[str | Path], progress: str = "") -> None:
    """Run a command; with ``progress`` say every five seconds what Maven has fetched."""
    said, fetched, lines = time.monotonic(), 0, list[str]()
    with subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        for line in child.stdout or ():
            lines.append(line.rstrip())
            fetched += "Downloaded from" in line
            if progress and time.monotonic() - said > 5:
                said = time.monotonic()
                _say(f"{progress}: {fetched} files fetched")
    if child.returncode != 0:
        end = "\n".join(lines[-40:])
        message = f"`{command[0]}` ended with {child.returncode}:\n{end}"
        raise BuildFailed(message)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the script's output


def main(chosen: list[str]) -> int:
    """Build the chosen servers, or all; return 1 if one failed, or is missing something in CI."""
    worst = 0
    for name in chosen or names():
        begun = time.monotonic()
        _say(f"{name}: building into {cache()} if it is not there yet")
        try:
            build(name)
        except Missing as missing:
            _say(f"{name}: skipped: {missing}")
            worst = max(worst, int(in_ci()))
        except BuildFailed as failed:
            _say(f"{name}: {failed}")
            worst = 1
        else:
            _say(f"{name}: there after {time.monotonic() - begun:.1f} s")
    return worst


def in_ci() -> bool:
    """Whether nothing may be skipped: a continuous integration says so with CI."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
