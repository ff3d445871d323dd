"""What a side of `meshbridge diff` may be, and what cannot be compared is said in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner
from unit.dumps import diff, endpoint, service, write

from meshbridge.cli.app import command_line
from meshbridge.cli.diff.sources import (
    NotComparable,
    RunningBridge,
    RunningIstiod,
    SavedFile,
    Source,
    StandardInput,
    shown,
    source_of,
)


@pytest.fixture
def a(tmp_path: Path) -> Path:
    """Return a dump."""
    return write(tmp_path / "a.json", service("orders.file", endpoint()))


@pytest.mark.parametrize(("required", "code"), [("true", 2), ("false", 1)])
def test_a_registry_that_cannot_be_read_is_not_compared(
    a: Path, tmp_path: Path, required: str, code: int
) -> None:
    """Its services must not look like ones that are gone, unless the configuration allows it."""
    config = tmp_path / "meshbridge.yaml"
    registry = f"{{name: shop, adapter: file, path: nope.yaml, required: {required}}}"
    config.write_text(f"{{version: 1, registries: [{registry}]}}")
    result = diff(config, a, "--wait", "500ms")
    assert result.exit_code == code
    (line,) = result.stderr.splitlines()
    assert f": {config}: shop (file): services cannot be read: " in line
    assert bool(result.stdout) == (code == 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{", "it is no JSON: Input data was truncated"),
        ("[1]", "it is no dump of services: Expected `object`, got `int` - at `$[0]`"),
        ('[{"host": "a"}]', "it is no dump of services: Object missing required field `namespace`"),
        ("[" * 100_000, "it is no dump of services: "),
        (
            '[{"kind": "ServiceEntry", "metadata": 1}]',
            "it is no answer of istiod's /debug/configz: ",
        ),
        (
            json.dumps([service("x"), service("x")]),
            "host 'x' stands in it twice",
        ),
        (
            json.dumps([service("x", endpoint(health="fine"))]),
            "it is no dump of services: Invalid enum value 'fine' - at `$[0].endpoints[0].health`",
        ),
    ],
)
def test_a_file_that_is_no_dump_is_said_in_a_line(
    a: Path, tmp_path: Path, text: str, said: str
) -> None:
    b = tmp_path / "b.json"
    b.write_text(text)
    result = diff(a, b)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {b}: {said}")


def test_a_file_that_is_not_there_is_said_with_how_a_bridge_is_named(a: Path) -> None:
    result = diff(a, "127.0.0.1:15014")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: 127.0.0.1:15014: cannot be read: No such file or directory; "
        "a running bridge is named like http://127.0.0.1:15014\n"
    )


def test_a_file_that_is_too_large_is_not_read(
    a: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshbridge.cli.diff.sources.LARGEST", 2)
    result = diff(a, write(tmp_path / "b.json"), "--format", "text")
    assert result.exit_code == 2
    assert "it is larger than" in result.stderr


@pytest.mark.parametrize("arguments", [["a"], ["a", "b", "c"], ["a", "b", "--limit", "0"]])
def test_wrong_use_ends_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(command_line(), ["diff", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")


def test_an_unknown_format_is_answered_with_the_known_ones(a: Path) -> None:
    result = diff(a, a, "--format", "yaml")
    assert result.exit_code == 2
    assert result.stderr == 'error: --format: found "yaml"; allowed: text, json\n'


def test_help_teaches_how_a_side_is_named() -> None:
    shown = CliRunner().invoke(command_line(), ["diff", "--help"])
    assert shown.exit_code == 0
    for word in ("istiod+http://", "/debug/configz", "http://HOST:PORT", "stdin", "Exit code 0"):
        assert word in shown.stdout
    assert "Example:  meshbridge diff" in shown.stdout


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("http://h:1", RunningBridge("http://h:1/api/services")),
        ("http://h:1/", RunningBridge("http://h:1/api/services")),
        ("https://h/bridge", RunningBridge("https://h/bridge/api/services")),
        ("http://h:1/api/services", RunningBridge("http://h:1/api/services")),
        ("http://h:1/debug/configz", RunningIstiod("http://h:1/debug/configz")),
        ("istiod+http://h:1", RunningIstiod("http://h:1/debug/configz")),
        ("istiod+https://h:1/debug/configz", RunningIstiod("https://h:1/debug/configz")),
        ("meshbridge.yaml", SavedFile(Path("meshbridge.yaml"))),
        ("-", StandardInput()),
    ],
)
def test_sides_are_told_apart_by_how_they_are_written(typed: str, meant: Source) -> None:
    assert source_of(typed) == meant


@pytest.mark.parametrize(
    "typed", ["ftp://h", "http://", "http://h:x", "http://[::1", "istiod+a://b"]
)
def test_what_is_no_such_url_is_refused_in_a_line(typed: str) -> None:
    with pytest.raises(NotComparable, match=r"^[^\n]+$") as error:
        source_of(typed)
    assert str(error.value).startswith(f"{typed}: ")


def test_a_password_in_a_url_is_not_shown() -> None:
    assert shown("http://me:hunter2@h:1/x") == "http://***@h:1/x"
    assert shown("http://h:1/x@y") == "http://h:1/x@y"
    assert shown("me@home.json") == "me@home.json"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_an_answer_that_cannot_be_written_is_neither_a_yes_nor_a_no(a: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "meshbridge", "diff", a, a],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: stdout cannot be written: ")


def test_names_can_neither_forge_a_line_nor_steer_a_terminal(tmp_path: Path) -> None:
    a = write(tmp_path / "a.json", service("x\n+ y \x1b[2J"))
    result = diff(a, write(tmp_path / "b.json"))
    assert result.stdout.splitlines()[3:] == ["- x\\n+ y \\x1b[2J: http-80; 0 endpoints"]
