"""Where the real servers of the peer tests are, built now if they were not.

Java programs are made by Maven from the folders of tests/peers/servers that hold a pom, istiod and
istioctl by Go from the one that holds a go.mod, the preload library by the C compiler. Versions
come from tests/peers/versions.toml.
"""

import os
import re
import shutil
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from rig.making import BuildFailed, Missing, Progress, making, need, place, run, say

__all__ = ["BuildFailed", "Built", "IstioPrograms", "Missing", "build", "in_ci", "istio", "names"]

SOURCES = Path(__file__).resolve().parent.parent / "peers" / "servers"
SHIM = SOURCES / "loopback.c"
PARENT = SOURCES / "pom.xml"
ISTIO = SOURCES / "istiod"
VERSIONS = SOURCES.parent / "versions.toml"

GO_FLAGS = ("-mod=readonly", "-trimpath", "-tags=vtprotobuf,disable_pgv", "-ldflags=-s -w")
"""Istio's own tags; without symbols istiod has 141 MB instead of 206."""
GO_PACKAGES = (".", "istio.io/istio/istioctl/cmd/istioctl")
C_FLAGS = ("-shared", "-fPIC", "-O2", "-ldl")


@dataclass(frozen=True, slots=True)
class Built:
    """A Java program that can be started."""

    classpath: str
    preload: Path | None
    """The library that keeps its ports on loopback; Linux only."""


@dataclass(frozen=True, slots=True)
class IstioPrograms:
    """What is built of Istio."""

    istiod: Path
    istioctl: Path


def names() -> tuple[str, ...]:
    """Return the Java programs that can be built: the folders that hold a pom."""
    return tuple(sorted(pom.parent.name for pom in SOURCES.glob("*/pom.xml")))


def versions(kind: str) -> dict[str, str]:
    """Return the pinned versions of a kind: ``maven``, ``envoy`` or ``istio``."""
    pinned: dict[str, dict[str, str]] = tomllib.loads(VERSIONS.read_text())
    return pinned[kind]


def in_ci() -> bool:
    """Whether nothing may be skipped: a continuous integration says so with CI."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def build(name: str) -> Built:
    """Return the Java program, built now if it was not; waits while another run builds it.

    Raises Missing or BuildFailed.
    """
    need("java", f"a real {name}")
    files = [PARENT, *(path for part in _parts(name) for path in _sources(part))]
    folder = place(name, SOURCES, files, _definitions(name))
    if not folder.exists():
        need("javac", f"a real {name}")
        need("mvn", f"a real {name}")
        with making(folder) as new:
            if new is not None:
                _run_maven(name, new)
    order = (folder / "classpath.txt").read_text().strip().split(os.pathsep)
    classpath = os.pathsep.join([str(folder / "classes"), *(str(folder / jar) for jar in order)])
    return Built(classpath, _preload(name))


def istio() -> IstioPrograms:
    """Return istiod and istioctl, built now if they were not: 7 to 12 minutes on two cores.

    Raises Missing or BuildFailed.
    """
    files = [ISTIO / "main.go", ISTIO / "go.mod", ISTIO / "go.sum"]
    folder = place("istio", SOURCES, files, (*GO_FLAGS, *GO_PACKAGES))
    if not folder.exists():
        go = need("go", "a real istiod")
        with making(folder) as new:
            if new is not None:
                _run_go(go, new)
    return IstioPrograms(folder / "istiod", folder / "istioctl")


def _preload(name: str) -> Path | None:
    if sys.platform != "linux":
        return None
    folder = place("loopback", SOURCES, [SHIM], C_FLAGS)
    library = "loopback.so"
    if not folder.exists():
        compiler = need("cc", f"a real {name}")
        with making(folder) as new:
            if new is not None:
                # The source comes first: what it needs is sought in the libraries behind it.
                run([compiler, SHIM, *C_FLAGS, "-o", new / library], Progress(library))
    return folder / library


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
    return [path for path in (SOURCES / name).rglob("*") if path.is_file()]


def _run_maven(name: str, new: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "servers"
        work.mkdir()
        shutil.copy(PARENT, work)
        for part in _parts(name):
            shutil.copytree(SOURCES / part, work / part)
        pom = work / name / "pom.xml"
        command: list[str | Path] = ["mvn", "-B", "-f", pom, *_definitions(name)]
        command.append("process-classes")
        run(command, Progress(name, "Downloaded from", "files fetched"))
        target = work / name / "target"
        (target / "classes").mkdir(exist_ok=True)  # there are none where no class is ours
        for part in ("classes", "lib", "classpath.txt"):
            shutil.move(target / part, new / part)


def _run_go(go: str, new: Path) -> None:
    """Build with a cache that goes afterwards: it takes 4 GB, and nothing is built twice."""
    say("istio: istiod and istioctl are compiled, once: 7 to 12 minutes on two cores")
    with tempfile.TemporaryDirectory(prefix="go-build.", dir=new.parent) as cache:
        environment = {"GOCACHE": cache, "GOFLAGS": "", "GOWORK": "off"}
        environment["GOTOOLCHAIN"] = "auto"  # an older Go fetches the one that go.mod asks for
        fetched = Progress("istio", ".zip: 200", "modules fetched")
        run([go, "mod", "download", "-x"], fetched, directory=ISTIO, environment=environment)
        command: list[str | Path] = [go, "build", "-v", *GO_FLAGS, "-o", f"{new}/", *GO_PACKAGES]
        compiled = Progress("istio", "/", "of about 2,050 packages compiled")
        run(command, compiled, directory=ISTIO, environment=environment)
