"""A child process with a log and a process group of its own, that cannot outlive the demo."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from meshbridge import leash

T = TypeVar("T")

_LOOK_EVERY = 0.005
"""Seconds between two looks at a child: well below the times that the demo tells."""


class ChildFailed(Exception):  # noqa: N818 - it says what happened
    """A child ended, or did not get ready; the message holds the last lines of its log."""


class Child:
    """A program that can be started, killed and started again with the same log."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe it; ``name`` is what people read, ``environment`` is added to the demo's."""
        self.name = name
        self.log = log
        self._environment = environment or {}
        self._command = tuple(str(part) for part in command)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Start it (again). Call from the main thread: the leash holds to the starting thread."""
        leashed = (sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *self._command)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the demo's own commands
                leashed,
                cwd=self.log.parent,  # outside any checkout: `python -m` would import from there
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C on the terminal is the demo's alone to handle
            )

    async def until(self, look: Callable[[], Awaitable[T | None]], within: float, what: str) -> T:
        """Look again and again until there is something to see, and return it.

        Raises ChildFailed when the child ends before, or after ``within`` seconds.
        """
        end = time.monotonic() + within
        while (seen := await look()) is None:
            if self.pid is None:
                raise ChildFailed(f"{self.name} ended before {what}.{self.last_lines()}")
            if time.monotonic() > end:
                raise ChildFailed(
                    f"{self.name}: {within:g} s passed before {what}.{self.last_lines()}"
                )
            await asyncio.sleep(_LOOK_EVERY)
        return seen

    def kill(self) -> None:
        """End it and whatever it started at once, as a crash would; nothing if it never ran."""
        if self._process is None:
            return
        # macOS answers EPERM for a group of which only zombies are left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    async def stop(self, within: float = 3.0) -> None:
        """Ask it to end, wait, and kill what is left after ``within`` seconds."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(ChildFailed):  # it still runs: then it is killed
            await self.ended(within)
        self.kill()

    async def ended(self, within: float) -> int:
        """Wait until it ends by itself and return its exit code; raises ChildFailed."""
        end = time.monotonic() + within
        while self.pid is not None:
            if time.monotonic() > end:
                raise ChildFailed(f"{self.name} still ran after {within:g} s.{self.last_lines()}")
            await asyncio.sleep(_LOOK_EVERY)
        return 0 if self._process is None else self._process.returncode

    def last_lines(self, count: int = 12) -> str:
        """Return the end of its log, indented for a message."""
        lines = self.log.read_text(errors="replace").splitlines()[-count:]
        if not lines:
            return " It wrote no log."
        return " Its log ends with:\n" + "\n".join(f"  {line}" for line in lines)
