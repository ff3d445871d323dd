"""What every real server of the test bed can do: start, end, crash, freeze, and forget."""

import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil

from meshbridge.testing import Process, ProcessFailed
from meshbridge.testing.startable import Startable


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a server, for the table at the end of a run."""

    kind: str
    version: str
    seconds: float
    """Until it was ready."""
    memory: int
    """Resident, in bytes, when it was ready."""


class Server(Startable):
    """A server in a process and a folder of its own; the context starts and stops it.

    A restart keeps its ports and, unless it is wiped meanwhile, its data.
    """

    kind: ClassVar[str]
    """What the table at the end of a run calls it."""

    starts: ClassVar[list[Start]] = []
    """Every start of every server in this run."""

    within: ClassVar[float] = 90.0
    """Seconds that it may take to be ready, on a machine that is busy."""

    def __init__(
        self,
        name: str,
        directory: Path,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        input: bool = False,  # noqa: A002 - the word everyone knows
    ) -> None:
        """Describe it; it logs into ``directory`` and keeps its data in a folder there."""
        self.home = directory / name
        """Where its data and its configuration are."""
        self.process = Process(
            name, command, directory=directory, environment=environment, input=input
        )
        self._read = 0

    def __repr__(self) -> str:
        """Say what it is and whether it runs."""
        return f"<{type(self).__name__} {self.process!r}>"

    @abstractmethod
    async def is_up(self) -> bool:
        """Whether it shows its own sign of being ready, now."""

    @abstractmethod
    async def version(self) -> str:
        """Return the version that the running server says it is."""

    def configure(self) -> None:
        """Write what it reads when it starts; nothing unless the server needs it."""

    async def start(self) -> float:
        """Start it and wait until it is ready; return the seconds that took.

        Raises ProcessFailed with the end of its log; then it does not run.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        self.configure()
        self._read = len(self.process.log)
        self.process.start()
        try:
            seconds = await self.process.ready(self.is_up, within=self.within)
            self.starts.append(Start(self.kind, await self.version(), seconds, self.memory()))
        except BaseException:
            await self.kill()
            raise
        return seconds

    async def stop(self) -> None:
        """End it as an operator would."""
        await self.process.stop()

    async def kill(self) -> None:
        """End it as a crash would."""
        await self.process.kill()

    async def restart(self) -> float:
        """Stop it and start it; return the seconds until it was ready again."""
        await self.stop()
        return await self.start()

    def pause(self) -> None:
        """Freeze it: its ports stay open, and nothing is answered."""
        self.process.pause()

    def resume(self) -> None:
        """Let it go on."""
        self.process.resume()

    def wipe(self) -> None:
        """Forget everything that it stored; raises RuntimeError while it runs."""
        if self.process.running:
            message = f"{self.process.name} runs: stop it before its data is deleted"
            raise RuntimeError(message)
        shutil.rmtree(self.home, ignore_errors=True)

    def memory(self) -> int:
        """Return the resident memory of its process, in bytes; raises ProcessFailed without one."""
        if not self.process.running:
            raise ProcessFailed(f"{self.process.name} does not run: it has no memory")
        return psutil.Process(self.process.pid).memory_info().rss

    @property
    def log(self) -> str:
        """What it wrote since it was started last."""
        return self.process.log[self._read :]
