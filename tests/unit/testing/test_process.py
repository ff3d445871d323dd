"""The test rig's own promises: nothing outlives a run, and a failure shows the log."""

import asyncio
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from meshbridge.testing.process import Process, ProcessFailed
from rig.waiting import until


async def soon() -> bool:
    return False


async def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_child_ends_when_the_run_is_killed(tmp_path: Path) -> None:
    """Not even ``kill -9`` of the test run leaves a server behind."""
    program = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from meshbridge.testing.process import Process
        child = Process("child", ["sleep", "600"], directory=Path({str(tmp_path)!r}))
        child.start()
        print(child.pid, flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        child = psutil.Process(int(run.stdout.readline()))

        async def command() -> str:
            return child.name()

        asyncio.run(until(command, lambda name: name == "sleep", within=5))
        run.kill()

    asyncio.run(until(lambda: lives(child), lambda is_there: not is_there, within=5))


def test_leaving_the_context_ends_what_the_child_started(tmp_path: Path) -> None:
    async def scenario() -> psutil.Process:
        command = ["sh", "-c", "sleep 600 & echo $!; wait"]
        async with Process("family", command, directory=tmp_path) as family:

            async def said() -> bool:
                return family.log.endswith("\n")

            await family.ready(said, within=5)
            return psutil.Process(int(family.log))

    grandchild = asyncio.run(scenario())
    asyncio.run(until(lambda: lives(grandchild), lambda is_there: not is_there, within=5))


def test_a_child_that_ends_too_early_is_shown_with_its_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        command = ["sh", "-c", "echo no such table; exit 3"]
        async with Process("server", command, directory=tmp_path) as server:
            await server.ready(soon, within=5)

    with pytest.raises(ProcessFailed, match=r"server ended with 3 before[^$]*no such table"):
        asyncio.run(scenario())


BUSY = """
import threading
for _ in range(8):
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
print("busy", flush=True)
threading.Event().wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it may go on for a moment elsewhere")
def test_what_is_paused_does_nothing_more_with_any_of_its_threads(tmp_path: Path) -> None:
    def states(pid: int) -> set[str]:
        threads = Path(f"/proc/{pid}/task").iterdir()
        return {(each / "stat").read_text().rpartition(")")[2].split()[0] for each in threads}

    async def scenario() -> None:
        async with Process("busy", [sys.executable, "-c", BUSY], directory=tmp_path) as busy:

            async def up() -> bool:
                return "busy" in busy.log

            await busy.ready(up, within=20)
            for _ in range(20):
                busy.pause()
                assert states(busy.pid) == {"T"}
                busy.resume()
            await busy.kill()

    asyncio.run(scenario())


def test_what_runs_is_not_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Process("server", ["sleep", "600"], directory=tmp_path) as server:
            with pytest.raises(ProcessFailed, match=rf"runs already \(pid {server.pid}\)"):
                server.start()

    asyncio.run(scenario())


def test_what_has_ended_takes_neither_signals_nor_input(tmp_path: Path) -> None:
    """A fault that cannot happen must not look as if it did."""

    async def scenario() -> None:
        async with Process("server", ["sh", "-c", "echo gone; exit 3"], directory=tmp_path) as it:
            await it.exited(within=5)
            for order in (it.pause, it.resume):
                with pytest.raises(ProcessFailed, match=r"server has ended with 3; [^$]*gone"):
                    order()
            with pytest.raises(ProcessFailed, match="server has ended with 3"):
                it.send(signal.SIGSTOP)
            with pytest.raises(ProcessFailed, match="server has ended with 3"):
                it.write("x")

    asyncio.run(scenario())


def test_a_sign_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    async def hangs() -> bool:
        await asyncio.Event().wait()
        return True

    async def own_limit() -> bool:
        raise TimeoutError("of the sign")

    async def scenario() -> None:
        async with Process("server", ["sleep", "600"], directory=tmp_path) as server:
            with pytest.raises(ProcessFailed, match=r"server was not ready within 0\.05 s"):
                await server.ready(hangs, within=0.05)
            with pytest.raises(TimeoutError, match="of the sign"):
                await server.ready(own_limit, within=5)

    asyncio.run(scenario())


def test_a_child_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    async def scenario() -> int | None:
        command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"]
        async with Process("stubborn", command, directory=tmp_path) as stubborn:

            async def up() -> bool:
                return "up" in stubborn.log

            await stubborn.ready(up, within=5)
            await stubborn.stop(within=0.2)
            return stubborn.exit_code

    assert asyncio.run(scenario()) == -signal.SIGKILL


def test_a_child_can_be_paused_in_the_moment_in_which_it_starts_another_one(tmp_path: Path) -> None:
    """In vfork it waits for the new one, which must not be frozen before it has gone on."""

    async def scenario() -> None:
        command = ["sh", "-c", "while :; do /bin/true; done"]
        async with Process("busy", command, directory=tmp_path) as busy:
            for moment in range(1000):
                await asyncio.sleep(moment % 20 * 1e-4)
                busy.pause()
                busy.resume()
            busy.pause()
            assert psutil.Process(busy.pid).status() == psutil.STATUS_STOPPED

    asyncio.run(scenario())


def test_a_paused_child_does_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    async def scenario() -> None:
        command = ["sh", "-c", "while :; do date +%N; sleep 0.01; done"]
        async with Process("clock", command, directory=tmp_path) as clock:

            async def ticks() -> int:
                return clock.log.count("\n")

            async def state() -> str:
                return psutil.Process(clock.pid).status()

            await until(ticks, lambda seen: seen > 2, within=5)
            clock.pause()
            await until(state, lambda seen: seen == psutil.STATUS_STOPPED, within=5)
            frozen = await ticks()
            clock.resume()
            await until(ticks, lambda seen: seen > frozen, within=5)
            clock.pause()

        assert clock.exit_code == -signal.SIGTERM, "a frozen one is woken to end as it was asked"

    asyncio.run(scenario())
