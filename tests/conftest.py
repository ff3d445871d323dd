"""Fails every test that leaves a thread, task, file descriptor or child process behind, by name.

A failed test is shown with what its servers wrote, and a run that is killed is cleared up after.

Fixtures of a wider scope than one test are set up before the look and torn down after it, so a
server shared by a module's tests is no leak of the first of them.
"""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Generator, Hashable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from rig.logs import sizes, written_since
from rig.reaper import Run

# What an example takes is a matter of the machine; elsewhere than in CI hypothesis has a deadline.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

PATIENCE = 3.0
"""Seconds that what other threads and processes are ending has to disappear, tasks too."""

SOCKET_PATIENCE = 0.5
"""Seconds that a loop's sockets have to be closed: a TLS connection whose opening was cancelled
takes leave of the other side."""

DESCRIPTORS = Path("/dev/fd")


Held = dict[Hashable, str]
"""What the process holds: an identity that does not change, and words for who looks for it."""


def held() -> Held:
    """Look at this process."""
    return dict([*_threads(), *_descriptors(), *_children()])


def _threads() -> Iterator[tuple[Hashable, str]]:
    for thread in threading.enumerate():
        yield ("thread", thread.ident), f"thread {thread.name}"


def _descriptors() -> Iterator[tuple[Hashable, str]]:
    for entry in DESCRIPTORS.iterdir():
        try:
            status = os.fstat(int(entry.name))
        except OSError:
            continue  # the one through which the folder was listed
        try:
            target = str(entry.readlink())
        except OSError:
            target = f"mode {status.st_mode:o}"  # macOS has no links there
        yield (
            ("descriptor", entry.name, status.st_dev, status.st_ino),
            f"file descriptor {entry.name}: {target}",
        )


def _children() -> Iterator[tuple[Hashable, str]]:
    for child in psutil.Process().children(recursive=True):
        try:
            ended = child.status() == psutil.STATUS_ZOMBIE
            what = "ended, not waited for" if ended else " ".join(child.cmdline())
        except psutil.NoSuchProcess:
            continue
        yield ("child", child.pid, child.create_time()), f"child process {child.pid}: {what}"


def _has_sockets(loop: asyncio.AbstractEventLoop) -> bool:
    """Say whether a transport of the loop has its socket yet; asyncio tells nobody."""
    transports: Mapping[int, asyncio.BaseTransport] = vars(loop).get("_transports", {})
    sockets = [each.get_extra_info("socket") for each in tuple(transports.values())]
    return any(each is not None and each.fileno() >= 0 for each in sockets)


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compare what the process holds after a test with what it held before."""
    tasks: list[str] = []
    close = asyncio.Runner.close

    def closing(runner: asyncio.Runner) -> None:
        # Runner.close cancels what still runs, silently: the one place where a leak can be seen.
        try:
            loop = runner.get_loop()
        except RuntimeError:  # closed before
            return
        begun = time.monotonic()
        # gRPC learns on a thread of its own that a call is over: its task ends a little later.
        while (asyncio.all_tasks(loop) and time.monotonic() < begun + PATIENCE) or (
            _has_sockets(loop) and time.monotonic() < begun + SOCKET_PATIENCE
        ):
            loop.run_until_complete(asyncio.sleep(0.005))
        tasks.extend(f"task {each!r}" for each in asyncio.all_tasks(loop))
        close(runner)

    monkeypatch.setattr(asyncio.Runner, "close", closing)
    before = held()
    yield
    deadline = time.monotonic() + PATIENCE
    while left := [words for what, words in held().items() if what not in before]:
        gc.unfreeze()  # what lived when much was loaded is out of its sight
        gc.collect()  # what only garbage still holds is no leak
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    if left or tasks:
        pytest.fail("\n  ".join(["The test left behind:", *sorted(left), *tasks]), pytrace=False)


RUN = pytest.StashKey[Run]()
LEFT: list[str] = []
"""What was left running at the end of the run, its workers' parts included."""
LOGS = pytest.StashKey[Mapping[Path, int]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Mark the run, so that nothing of it is left even if it is killed."""
    session.stash[RUN] = Run.begin()


@pytest.fixture(scope="session", autouse=True)
def _temporary_files_of_a_killed_run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    request.session.stash[RUN].throw_away(tmp_path_factory.getbasetemp())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take over what a worker's part of the run has left; raises nothing if it crashed."""
    told: dict[str, list[str]] = getattr(node, "workeroutput", {})
    LEFT.extend(told.get("left", []))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run of which something still runs, and end that; pytest's own workers have ended."""
    if RUN in session.stash:
        LEFT.extend(session.stash[RUN].end())
    output: dict[str, list[str]] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left"] = LEFT  # only the run's first process decides how it ended
    elif LEFT:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("\nThe run left processes behind, now killed:", *LEFT, sep="\n  ")  # noqa: T201


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note how long the logs of the servers are that are there already."""
    item.stash[LOGS] = sizes()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failure what the servers wrote meanwhile."""
    report = yield
    if report.failed:
        report.sections.extend(written_since(item.stash[LOGS]))
    return report
