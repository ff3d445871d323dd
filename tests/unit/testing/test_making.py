"""Programs that builds need are found or missed, and a build that fails says how."""

import re
import sys
import time
from pathlib import Path

import pytest

from rig import fetch
from rig.making import PROGRAMS, BuildFailed, Missing, Progress, missing_packages, need, run

NEW = {
    "java": 'openjdk version "21.0.1" 2023-10-17',
    "javac": "Picked up JAVA_TOOL_OPTIONS: -Dsize=8\njavac 17-ea",
    "go": "go version go1.26.8 linux/amd64",
}


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the PATH have nothing but one folder, and return it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def put(path: Path, program: str, says: str = "", status: int = 0) -> None:
    """Put a program there that says something on its standard error, as ``java`` does."""
    script = f"#!{sys.executable}\nimport sys\nsys.exit(sys.stderr.write({says!r}) and {status})\n"
    (path / program).write_text(script)
    (path / program).chmod(0o755)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_is_new_enough_is_found(path: Path, program: str) -> None:
    put(path, program, NEW.get(program, ""))

    assert need(program, "a test") == str(path / program)


@pytest.mark.parametrize(
    ("program", "remedy"),
    [
        ("javac", "apt-get install openjdk-17-jdk-headless"),
        ("mvn", "apt-get install maven"),
        ("go", "install 1.21 or newer from go.dev"),
    ],
)
def test_a_program_that_is_missing_is_named_with_the_remedy(program: str, remedy: str) -> None:
    message = f"no `{program}` on the PATH ({remedy}): tests that need a test cannot run"

    with pytest.raises(Missing, match=f"^{re.escape(message)}$"):
        need(program, "a test")


@pytest.mark.parametrize(
    ("program", "says", "least", "shown"),
    [
        ("java", 'note\nopenjdk version "11.0.2" 2019-01-15', "17", "openjdk version [^`]*"),
        ("javac", "javac 1.8.0_402", "17", "javac 1.8.0_402"),
        ("go", "go version go1.20.14 linux/amd64", "1.21", "go version go1.20.14 linux/amd64"),
        ("java", "No Java runtime present.\nInstall one.", "17", "No Java runtime present."),
        ("javac", "", "17", ""),
    ],
)
def test_a_program_that_is_too_old_is_shown_with_what_it_says(
    path: Path, program: str, says: str, least: str, shown: str
) -> None:
    put(path, program, says, status=1)

    with pytest.raises(Missing, match=rf"^`.*/{program}` is not {least} or newer, .* `{shown}` \("):
        need(program, "a test")


def test_a_program_of_another_kind_of_machine_is_shown_with_the_system_s_word(path: Path) -> None:
    (path / "java").write_bytes(b"\x7fELF not")
    (path / "java").chmod(0o755)

    with pytest.raises(Missing, match=r"it says `.*Exec format error.*`"):
        need("java", "a test")


def test_what_is_missing_or_too_old_is_told_by_its_packages_once(path: Path) -> None:
    assert missing_packages() == [
        "bash",
        "gcc",
        "iproute2",
        "libc6-dev",
        "maven",
        "nftables",
        "openjdk-17-jdk-headless",
        "util-linux",
    ]

    for program in ("bash", "mvn", "cc", "ip", "nft", "setpriv", "unshare", "java", "javac"):
        put(path, program, NEW.get(program, ""))
    assert missing_packages() == []
    put(path, "javac", "javac 11")
    assert missing_packages() == ["openjdk-17-jdk-headless"]


def test_a_program_that_was_installed_meanwhile_is_asked_again(path: Path) -> None:
    put(path, "java", 'version "11"')
    assert "openjdk-17-jdk-headless" in missing_packages()
    put(path, "java", 'version "17"')

    assert need("java", "a test")


def test_a_build_that_fails_says_how_it_ended_and_the_end_of_its_output() -> None:
    script = "import sys\nfor n in range(100): print(n)\nsys.exit(3)"

    with pytest.raises(BuildFailed, match=r"` ended with 3:\n60\n61\n(.|\n)*\n99$"):
        run([sys.executable, "-c", script], Progress("a test"))


def test_a_build_that_takes_too_long_is_ended_and_says_so() -> None:
    begun = time.monotonic()
    script = "import time\nprint('at work', flush=True)\ntime.sleep(600)"

    with pytest.raises(BuildFailed, match=r"` was not done within 0\.1 minutes:\nat work$"):
        run([sys.executable, "-c", script], Progress("a test"), within=6)

    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    ("says", "told"),
    [("E: Could not open lock file", "E: Could not open lock file"), (None, "apt-get")],
)
def test_packages_that_cannot_be_installed_are_a_message_not_a_traceback(
    path: Path, capsys: pytest.CaptureFixture[str], says: str | None, told: str
) -> None:
    """Who is not root sees apt-get's own words; where there is none, its name."""
    if says is not None:
        put(path, "apt-get", says, status=100)

    assert fetch.main(["--install", "zookeeper"]) == 1

    said = capsys.readouterr().out
    assert "packages: FAILED: " in said
    assert told in said.partition("FAILED")[2]
