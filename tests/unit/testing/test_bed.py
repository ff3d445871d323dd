"""What the real servers and their tools are built of, and with, says where they lie."""

import sys
from pathlib import Path

import pytest

from rig import bed
from rig.making import Missing

MAKES_WHAT_FOLLOWS_O = 'while [ $# -gt 1 ]; do [ "$1" = -o ] && made="$2"; shift; done'
GO = f'{MAKES_WHAT_FOLLOWS_O}; [ -z "$made" ] || touch "$made/istiod" "$made/istioctl"'
CC = f'{MAKES_WHAT_FOLLOWS_O}; touch "$made"'
MAVEN = 'made=$(dirname "$3")/target; mkdir "$made" "$made/lib"; echo a.jar >"$made/classpath.txt"'
PRETENDERS = {
    "go": f'[ "$1" = version ] && echo go version go1.21; {GO}',
    "cc": CC,
    "mvn": MAVEN,
    "java": """echo 'openjdk version "17"'""",
    "javac": "echo javac 17",
}


@pytest.fixture(autouse=True)
def pretenders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let tools be found that only pretend to build, and nothing be there that was built."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in PRETENDERS.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return programs


def test_istiod_is_built_once() -> None:
    first = bed.istio()

    assert first.istiod.exists()
    assert first.istioctl.exists()
    assert bed.istio() == first


@pytest.mark.parametrize("part", ["GO_FLAGS", "GO_PACKAGES"])
def test_istiod_is_built_again_with_other_flags_and_packages(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bed.istio()
    monkeypatch.setattr(bed, part, (*getattr(bed, part), "another"))

    assert bed.istio() != before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux preloads it")
def test_the_library_that_keeps_ports_on_loopback_is_built_again_with_other_flags(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = bed.build("zookeeper")
    assert before.preload
    assert before.preload.exists()
    monkeypatch.setattr(bed, "C_FLAGS", (*bed.C_FLAGS, "-g"))

    after = bed.build("zookeeper")

    assert after.classpath == before.classpath
    assert after.preload != before.preload


@pytest.mark.parametrize(
    ("program", "script"),
    [("java", """echo 'openjdk version "11.0.2"'"""), ("javac", "exit 1"), ("go", "echo go1.20")],
)
def test_nothing_is_built_with_what_is_too_old(pretenders: Path, program: str, script: str) -> None:
    (pretenders / program).write_text(f"#!/bin/sh\n{script}\n")

    with pytest.raises(Missing, match=f"`.*/{program}` is not (17|1.21) or newer"):
        _ = bed.istio() if program == "go" else bed.build("zookeeper")


def test_what_was_built_runs_without_what_builds(pretenders: Path) -> None:
    built = bed.build("zookeeper")
    for program in ("javac", "mvn", "cc"):
        (pretenders / program).write_text("#!/bin/sh\nexit 1\n")

    assert bed.build("zookeeper") == built
