"""What the real servers and their tools are built of, and with, says where they lie."""

import sys
from pathlib import Path

import pytest

from rig import bed

MAKES_WHAT_FOLLOWS_O = 'while [ $# -gt 1 ]; do [ "$1" = -o ] && made="$2"; shift; done'
GO = f'{MAKES_WHAT_FOLLOWS_O}; [ -z "$made" ] || touch "$made/istiod" "$made/istioctl"'
CC = f'{MAKES_WHAT_FOLLOWS_O}; touch "$made"'
MAVEN = 'made=$(dirname "$3")/target; mkdir "$made" "$made/lib"; echo a.jar >"$made/classpath.txt"'
PRETENDERS = {"go": GO, "cc": CC, "mvn": MAVEN, "java": ":"}


@pytest.fixture(autouse=True)
def pretenders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tools be found that only pretend to build, and nothing be there that was built."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in PRETENDERS.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


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
