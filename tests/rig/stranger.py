"""A stranger's machine: a fresh environment with the built wheel and nothing of the checkout."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / ".wheels"
"""What `make test` keeps for these environments, so that they need no network."""
BESIDE = ("pytest", "googleapis-common-protos", "opentelemetry-api")
"""What is installed there beside the built wheels: the dependency group ``strangers``."""
BUILDER = ROOT / ".build-venv" / "bin" / "python"


class Stranger:
    """An environment and a working directory of its own, both below ``directory``."""

    def __init__(self, directory: Path) -> None:
        """Describe it; nothing is made yet."""
        self.home = directory / "home"
        self._environment = directory / "environment"
        self._built = directory / "built"

    def move_in(self, *projects: Path) -> None:
        """Make the environment and install meshbridge and the projects from their built wheels."""
        assert WHEELS.is_dir(), f"{WHEELS} is missing: run the tests by `make test`"
        self.home.mkdir(parents=True)
        for project in (ROOT, *projects):
            _checked(
                [BUILDER, "-m", "hatchling", "build", "-t", "wheel", "-d", self._built], project
            )
        _checked([sys.executable, "-m", "venv", self._environment], self.home)
        wheels = [str(path) for path in sorted(self._built.glob("*.whl"))]
        command = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
        # --pre: some of what the lock names is a release candidate.
        offline = ["--no-index", "--pre", "--find-links", str(WHEELS)]
        _checked([self.program("python"), *command, *offline, *BESIDE, *wheels], self.home)

    def program(self, name: str) -> Path:
        """Return the path of a program of the environment."""
        return self._environment / "bin" / name

    def call(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program in the empty home directory, to its end."""
        return _run([self.program(name), *arguments], self.home)


def _run(command: Sequence[str | Path], directory: Path) -> subprocess.CompletedProcess[str]:
    # Only what a login would give: the checkout's own environment must not shine through.
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "LANG": "C.UTF-8"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _checked(command: Sequence[str | Path], directory: Path) -> None:
    done = _run(command, directory)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
