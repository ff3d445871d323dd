"""The check in tests/conftest.py catches what it is there for."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
LEAKS = """
import asyncio, socket, subprocess, sys, threading

kept = []

def test_thread():
    kept.append(threading.Thread(target=threading.Event().wait, daemon=True, name="idler"))
    kept[-1].start()

def test_task():
    async def leave():
        kept.append(asyncio.create_task(asyncio.Event().wait(), name="sleeper"))
    asyncio.run(leave())

def test_descriptor():
    kept.append(socket.socket())

def test_child():
    kept.append(subprocess.Popen([sys.executable, "-c", "pass"]))

def test_clean():
    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(len, "x"))
    asyncio.run(work())

def test_socket_that_is_closed_a_moment_later():
    async def leave():
        here, there = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=here)
        kept.append(writer)
        asyncio.get_running_loop().call_later(0.1, writer.close)
        there.close()
    asyncio.run(leave())
"""


def test_every_kind_of_leak_fails_its_test_and_a_clean_test_passes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(CONFTEST.parent))
    pytester.makeconftest(CONFTEST.read_text() + "\nPATIENCE = 0.1\n")
    pytester.makepyfile(LEAKS)

    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:asyncio")

    outcome.assert_outcomes(passed=6, errors=4)
    outcome.stdout.fnmatch_lines_random(
        [
            "*ERROR at teardown of test_thread*",
            "  thread idler",
            "*ERROR at teardown of test_task*",
            "  task <Task * name='sleeper' *",
            "*ERROR at teardown of test_descriptor*",
            "  file descriptor *: *",
            "*ERROR at teardown of test_child*",
            "  child process *: *",
        ]
    )


FORGOTTEN = """
import subprocess

import pytest

kept = []


@pytest.fixture(scope="session", autouse=True)
def server():
    kept.append(subprocess.Popen(["sleep", "602"]))


def test_it():
    pass
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_server_that_the_run_forgot_fails_the_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """No test has left it, so no test can fail; nor does it matter which process ran the tests."""
    monkeypatch.setenv("PYTHONPATH", str(CONFTEST.parent))
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(FORGOTTEN)

    outcome = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-p", "no:asyncio", "-n", workers
    )

    outcome.assert_outcomes(passed=1)
    assert outcome.ret is pytest.ExitCode.TESTS_FAILED
    outcome.stdout.fnmatch_lines(["The run left processes behind, now killed:", "  sleep 602"])
