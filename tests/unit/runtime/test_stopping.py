"""A process ends in time: its parts one after the other, and all that hangs is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from unit.runtime.examples import Log

from meshbridge.cli.parts import Parts, Serve, Ways, left
from meshbridge.cli.stopping import Limit, Stopping
from meshbridge.errors import ConfigurationError


class Ends:
    """Stands in for the end of the process."""

    def __init__(self) -> None:
        self.said = threading.Event()
        self.code: int | None = None
        self.ended = threading.Event()

    def leave(self, code: int) -> None:
        self.code = code
        self.ended.set()


def test_a_process_that_hangs_is_ended_after_its_last_words() -> None:
    ends = Ends()
    with Limit(0, ends.said.set, ends.leave) as limit:
        assert not ends.said.is_set()
        limit.begin(0)
        assert ends.ended.wait(10)
    assert (ends.said.is_set(), ends.code) == (True, 0)


def test_last_words_that_fail_end_the_process_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise RuntimeError

    def ignore(_: threading.ExceptHookArgs) -> None:
        """Print no traceback."""

    monkeypatch.setattr(threading, "excepthook", ignore)
    ends = Ends()
    with Limit(0, fail, ends.leave) as limit:
        limit.begin(1)
        assert ends.ended.wait(10)
    assert ends.code == 1


def test_a_process_that_was_not_asked_to_end_is_left_alone() -> None:
    ends = Ends()
    with Limit(0, ends.said.set, ends.leave):
        pass
    assert not ends.ended.is_set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_and_the_second_is_the_systems(number: signal.Signals) -> None:
    """Also one that comes before anybody waits; afterwards all is as it was."""
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    ends = Ends()
    limit = Limit(60, ends.said.set, ends.leave)
    try:
        with limit, Stopping(limit) as stopping:
            signal.raise_signal(number)
            handlers = {signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
            assert handlers == {signal.SIG_DFL}
            assert asyncio.run(stopping.asked()) == number.name
    finally:
        limit.lift()
        for each, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(each, handler)
    assert not ends.ended.is_set()


def test_a_signal_wakes_who_waits_for_it() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    limit = Limit(60, Ends().said.set, Ends().leave)

    async def main(stopping: Stopping) -> str:
        asyncio.get_running_loop().call_later(0, signal.raise_signal, signal.SIGTERM)
        async with asyncio.timeout(10):
            return await stopping.asked()

    try:
        with limit, Stopping(limit) as stopping:
            assert asyncio.run(main(stopping)) == "SIGTERM"
    finally:
        limit.lift()
        for each, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(each, handler)


def test_the_first_process_of_a_container_ends_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would not let the system's handler end it."""
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    codes: list[int] = []
    limit = Limit(60, Ends().said.set, Ends().leave)
    try:
        with monkeypatch.context() as patched, limit, Stopping(limit):
            patched.setattr("os.getpid", lambda: 1)
            patched.setattr("os._exit", codes.append)
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(number)
    finally:
        limit.lift()
        for each, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(each, handler)
    assert codes == [143, 130]


def test_who_heard_signals_before_hears_them_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Limit(60, Ends().said.set) as limit, Stopping(limit):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


async def serve_until(end: Callable[[], None] | None = None) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        if end is not None:
            end()


@pytest.mark.asyncio
async def test_the_next_part_opens_when_the_one_before_is_open() -> None:
    events: list[str] = []
    parts = Parts(Log().logger())

    async def serve(name: str, opened: Callable[[], None]) -> None:
        events.append(f"{name} starts")
        await asyncio.sleep(0)
        events.append(f"{name} is open")
        opened()
        await serve_until()

    for name in "ab":
        await parts.open(name, lambda opened, name=name: serve(name, opened))  # type: ignore[misc]
    assert events == ["a starts", "a is open", "b starts", "b is open"]
    await parts.end("a", "b", within=10)


@pytest.mark.asyncio
async def test_a_part_that_cannot_open_says_why() -> None:
    parts = Parts(Log().logger())

    async def serve(_: Callable[[], None]) -> None:
        raise ValueError("in use")

    with pytest.raises(ValueError, match="in use"):
        await parts.open("a", serve)


@pytest.mark.asyncio
async def test_a_part_that_ends_by_itself_is_a_fault() -> None:
    parts = Parts(Log().logger())
    parts.start("lasting", serve_until())
    parts.start("short", asyncio.sleep(0))
    with pytest.raises(RuntimeError, match="short has returned; it must run until it is"):
        await parts.until_one_ends()
    await parts.end("lasting", "short", "never started", within=10)
    assert parts.running == []


@pytest.mark.asyncio
async def test_what_hangs_is_given_up_and_named() -> None:
    release = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await release.wait()

    parts = Parts(Log().logger())
    parts.start("hanging", hang())
    parts.start("other", serve_until())
    await asyncio.sleep(0)
    await parts.end("hanging", "other", within=0)
    assert parts.running == ["hanging"]
    assert "hanging" in left(asyncio.get_running_loop())
    release.set()
    await parts.end("hanging", within=10)
    assert parts.running == []


@pytest.mark.asyncio
async def test_a_part_that_fails_while_it_ends_is_told_and_stops_nobody() -> None:
    def fail() -> None:
        raise ValueError("left")

    log = Log()
    parts = Parts(log.logger())
    parts.start("failing", serve_until(fail))
    await asyncio.sleep(0)
    await parts.end("failing", within=10)
    assert parts.running == []
    (line,) = [each for each in log.entries if each["event"] == "failed while it ended"]
    assert line["part"] == "failing"


async def cancelled(work: Coroutine[object, object, None]) -> None:
    """Begin it, and cancel it when it waits."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0.0)
    await asyncio.sleep(0.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.asyncio
async def test_what_was_being_opened_or_replaced_at_the_signal_is_ended_like_the_rest() -> None:
    """Nobody knows of it by its name, yet."""
    parts, ended = Parts(Log().logger()), list[str]()

    def serve(name: str, *, opens: bool) -> Serve:
        async def run(opened: Callable[[], None]) -> None:
            if opens:
                opened()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(name)

        return run

    async def refuse(_: Callable[[], None]) -> None:
        raise ConfigurationError("in use")

    await parts.open("replaced", serve("old", opens=True))
    ways = Ways(serve("new", opens=False), refuse, lambda _: False)
    await cancelled(parts.replace("replaced", ways, within=10))
    await cancelled(parts.open("opening", serve("opening", opens=False)))
    parts.start("last", serve_until(lambda: ended.append("last")))
    assert parts.running == ["last", "opening", "replaced", "replaced"]
    await parts.end_others("last", within=10)
    assert sorted(ended) == ["new", "old", "opening"]
    await parts.end_others(within=10)
    assert (ended[-1], parts.running) == ("last", [])


CHILD = """
import asyncio, os, sys
from functools import partial
from pathlib import Path
from meshbridge.bridge import Bridge
from meshbridge.cli import run

async def fail(_):
    raise RuntimeError("a bug")

async def take_no_cancellation(*_):
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

Bridge.run = fail
run.StatusServer.serve = take_no_cancellation
run.Limit = partial(run.Limit, leave=lambda _: os._exit(9))
run.run_bridge(Path(sys.argv[1]))
"""


def test_a_part_that_fails_ends_the_process_though_another_hangs_and_nobody_reads_the_log(
    tmp_path: Path,
) -> None:
    """By itself, and not only when all time is up."""
    (tmp_path / "services.yaml").write_text("services: []")
    configuration = tmp_path / "meshbridge.yaml"
    configuration.write_text(
        "version: 1\n"
        "registries: [{name: shop, adapter: file, path: services.yaml}]\n"
        "outlets: {mcp: {listen: '127.0.0.1:0'}}\n"
        "status: {listen: '127.0.0.1:0'}\n"
    )
    unread, log = os.pipe()
    os.close(unread)
    try:
        command = [sys.executable, "-c", CHILD, str(configuration)]
        done = subprocess.run(command, stderr=log, check=False, timeout=60)
    finally:
        os.close(log)
    assert done.returncode == 1
