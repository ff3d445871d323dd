"""What ``make peers`` says of the programs that it does not build."""

from pathlib import Path

import pytest

from rig import fetch
from rig.bed import versions

PINNED = versions("envoy")["envoy"]


@pytest.fixture
def envoy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the Envoy to test with is to be; there is none."""
    program = tmp_path / "envoy"
    monkeypatch.setenv("MESHBRIDGE_ENVOY", str(program))
    return program


def put(envoy: Path, says: str) -> None:
    """Put a program there that says something."""
    envoy.write_text(f"#!/bin/sh\necho '{says}'\n")
    envoy.chmod(0o755)


def of_envoy() -> fetch.Result:
    (result,) = [each for each in fetch.tools() if each.name == "envoy"]
    return result


@pytest.mark.parametrize(
    ("version", "told"),
    [
        (PINNED, f"envoy: {PINNED}, /"),
        ("1.2.3-dev", f"envoy: 1.2.3-dev, not the {PINNED} that the tests are written for, /"),
    ],
)
def test_the_version_of_envoy_is_the_one_that_it_says(
    envoy: Path, capsys: pytest.CaptureFixture[str], version: str, told: str
) -> None:
    put(envoy, f"{envoy}  version: 9e5580933739/{version}/Clean/RELEASE/BoringSSL")

    assert of_envoy().trouble == ""
    assert capsys.readouterr().out.startswith(told)


def test_a_program_that_is_no_envoy_is_not_taken_for_one(
    envoy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(envoy, "hello")

    result = of_envoy()

    assert f"{envoy} is no Envoy" in result.trouble
    assert "`hello`" in result.trouble
    assert not result.skippable
    assert capsys.readouterr().out == ""


def test_an_envoy_that_is_not_there_is_skipped(envoy: Path) -> None:
    result = of_envoy()

    assert str(envoy) in result.trouble
    assert result.skippable
