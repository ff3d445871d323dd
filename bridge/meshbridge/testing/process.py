"""A child process with a log, a sign that it is ready, and an end that cannot be forgotten.

For tests against a registry that really runs: start it, freeze it, kill it, start it again.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self
from weakref import WeakSet

from meshbridge import leash

SHOWN = 60
"""Lines of a failed process' log that go into the message."""


class ProcessFailed(Exception):  # noqa: N818 - it says what happened
    """A process ended or did not become ready; the message carries the end of its log."""


class Process:
    """A program in a process group of its own; leaving the context ends the whole group.

    ::

        async with Process("registry", ["registryd", "--port", port], directory=tmp_path) as it:
            await it.ready(answers, within=30)
            it.pause()      # it hangs
            it.resume()
            await it.kill()  # it crashes
            it.start()      # and comes back

    It also ends when the test run is killed (on Linux; what it started itself does not, so a start
    script should ``exec`` the server).

    Not asyncio's subprocess: that one belongs to one event loop, and a server may serve the tests
    of several. Start it from the main thread only: the leash ends the program with the *thread*
    that started it.
    """

    known: ClassVar["WeakSet[Process]"] = WeakSet()
    """All there are: whoever reports a failed test finds their logs here."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        directory: Path,
        environment: Mapping[str, str] | None = None,
        input: bool = False,  # noqa: A002 - the word everyone knows
    ) -> None:
        """Describe it; ``directory`` becomes its working directory and takes ``<name>.log``."""
        self.name = name
        self.log_file = directory / f"{name}.log"
        self._command = [str(part) for part in command]
        self._directory = directory
        self._environment = dict(environment or {})
        self._input = input
        self._child: subprocess.Popen[bytes] | None = None
        self.known.add(self)

    def __repr__(self) -> str:
        """Say what it is and whether it runs."""
        state = f"pid {self.pid}" if self.running else "not running"
        return f"<Process {self.name}: {state}>"

    async def __aenter__(self) -> Self:
        """Start it; it may not be ready yet."""
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it and everything it started."""
        await self.stop()

    @property
    def pid(self) -> int:
        """Its process id; raises ProcessFailed before the start."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._started().poll()

    @property
    def log(self) -> str:
        """Everything it wrote to stdout and stderr, over all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> None:
        """Start it (again); its log goes on in the same file.

        Raises ProcessFailed while it runs.
        """
        if self.running:
            raise ProcessFailed(f"{self.name} runs already (pid {self.pid}): stop or kill it first")
        self._directory.mkdir(parents=True, exist_ok=True)
        leashed = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *self._command]
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - the tests' own commands
                leashed,
                cwd=self._directory,
                env={**os.environ, **self._environment},
                stdin=subprocess.PIPE if self._input else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def ready(self, sign: Callable[[], Awaitable[bool]], *, within: float) -> float:
        """Wait for the sign; return the seconds it took.

        Raises ProcessFailed with the end of the log when it ended or took too long, also when the
        sign itself hangs; what the sign raises goes on.
        """
        begun = time.monotonic()
        limit = asyncio.timeout(within)
        try:
            async with limit:
                while not await sign():
                    if not self.running:
                        message = f"{self.name} ended with {self.exit_code} before it was ready"
                        raise ProcessFailed(self._with_log(message))
                    await asyncio.sleep(0.02)
        except TimeoutError:
            if not limit.expired():
                raise
            message = f"{self.name} was not ready within {within:g} s"
            raise ProcessFailed(self._with_log(message)) from None
        return time.monotonic() - begun

    async def stop(self, *, within: float = 15.0) -> None:
        """Ask it to end with SIGTERM, and kill the group when it does not; nothing if it ended."""
        child = self._child
        if child is None:
            return
        try:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGCONT)  # a frozen one would not hear the request
                child.terminate()
                await self._ended(within)
        finally:
            _kill_group(child.pid)
            child.wait()
            _close(child.stdin)

    async def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would, and wait until it is gone."""
        child = self._started()
        _kill_group(child.pid)
        child.wait()
        _close(child.stdin)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; raises ProcessFailed if it does not run."""
        self._alive().send_signal(number)

    def pause(self) -> None:
        """Freeze it and what it started, as a machine that hangs: its ports stay open.

        When this returns it does nothing more. Raises ProcessFailed if it does not run.
        """
        pid = self._alive().pid
        # Alone at first: who waits in vfork for a child cannot stop before that child has gone on.
        os.kill(pid, signal.SIGSTOP)
        if sys.platform == "linux":  # elsewhere it may answer for another moment
            # The signal is sent; this waits until the last of its threads has taken it.
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        os.killpg(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after :meth:`pause`; raises ProcessFailed if it does not run."""
        os.killpg(self._alive().pid, signal.SIGCONT)

    def write(self, line: str) -> None:
        """Give it a line on its standard input.

        Raises ProcessFailed if it does not run or takes no input, BrokenPipeError if it closed it.
        """
        entry = self._alive().stdin
        if entry is None:
            message = f"{self.name} was started without input"
            raise ProcessFailed(message)
        entry.write(f"{line}\n".encode())
        entry.flush()

    async def exited(self, *, within: float) -> int:
        """Wait until it ends by itself; return its exit code or raise ProcessFailed."""
        await self._ended(within)
        code = self.exit_code
        if code is None:
            raise ProcessFailed(self._with_log(f"{self.name} still ran after {within:g} s"))
        return code

    async def _ended(self, within: float) -> None:
        begun = time.monotonic()
        while self.running and time.monotonic() - begun < within:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            message = f"{self.name} was not started"
            raise ProcessFailed(message)
        return self._child

    def _alive(self) -> subprocess.Popen[bytes]:
        child = self._started()
        if child.poll() is not None:
            raise ProcessFailed(self._with_log(f"{self.name} has ended with {child.returncode}"))
        return child

    def _with_log(self, message: str) -> str:
        end = "\n".join(self.log.splitlines()[-SHOWN:])
        return f"{message}; {self.log_file} ends with:\n{end}"


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _close(stream: IO[bytes] | None) -> None:
    if stream is None or stream.closed:
        return
    try:
        stream.close()
    except BrokenPipeError:  # it ended with a line unread
        return
