"""An application that takes orders while it runs: be slow, fail, and what its kind adds."""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from meshbridge.testing.process import ProcessFailed
from rig.server import Server

READY = re.compile(r"^PEER READY(?: (\S+))?\n", re.MULTILINE)
"""What it prints once it answers calls, and the version of its framework if it tells one."""

SHOWN = 60
"""Lines it wrote that go into a message at most."""

AT_ONCE = 4
"""So many start at the same time: more would only wait for each other's processor."""


class Application(Server):
    """A program that reads orders on its standard input and prints how each one went.

    The other side is `Orders` in tests/peers/servers/common.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe it; it logs into ``directory`` and keeps its files in a folder there."""
        super().__init__(name, directory, command, environment=environment, input=True)

    async def is_up(self) -> bool:
        """Whether it has said that it answers calls."""
        return READY.search(self.log) is not None

    async def version(self) -> str:
        """Return its framework's version; raises ProcessFailed where it told none."""
        ready = READY.search(self.log)
        if ready is None or ready[1] is None:
            raise ProcessFailed(f"{self.process.name} did not tell its version")
        return ready[1]

    async def order(self, line: str, *, within: float = 30.0) -> str:
        """Give it an order and wait until it is carried out; return what it wrote meanwhile.

        Raises ProcessFailed when it refuses the order, ends, or takes longer than ``within``
        seconds; after such a one its next order must be another.
        """
        ended = f"{self.process.name} has ended: nobody takes {line!r}"
        if not self.process.running:
            raise ProcessFailed(ended)
        begun = len(self.process.log)
        try:
            self.process.write(line)
        except BrokenPipeError as gone:
            raise ProcessFailed(ended) from gone
        words = re.escape(line)
        answer = re.compile(rf"^(DONE {words}|FAILED {words}: .*)\n", re.MULTILINE)

        async def answered() -> bool:
            return answer.search(self.process.log, begun) is not None

        try:
            await self.process.ready(answered, within=within)
        except ProcessFailed as failed:
            raise ProcessFailed(self._unanswered(line, begun, within)) from failed
        found = answer.search(self.process.log, begun)
        assert found is not None, "a log only grows"
        if found[1].startswith("FAILED"):
            raise ProcessFailed(f"{self.process.name}: {found[1]}")
        return found.string[begun : found.start()]

    def _unanswered(self, line: str, begun: int, within: float) -> str:
        """Say what became of an order, and where to look; it was given where the log had got to."""
        name, log = self.process.name, self.process.log_file
        if self.process.running:
            what = f"{name} did not carry out {line!r} within {within:g} s"
        else:
            what = f"{name} ended with {self.process.exit_code} before it had carried out {line!r}"
        written = self.process.log[begun:].splitlines()[-SHOWN:]
        since = "\n".join(written) if written else "nothing: it is frozen, or busy with it"
        return f"{what}; since then it wrote into {log}:\n{since}"

    @asynccontextmanager
    async def slow(self, seconds: float) -> AsyncGenerator[None]:
        """Let every call take that much longer, until the context ends."""
        async with self._told(f"delay {round(seconds * 1000)}", "delay 0"):
            yield

    @asynccontextmanager
    async def failing(self) -> AsyncGenerator[None]:
        """Let every call fail, until the context ends."""
        async with self._told("fail on", "fail off"):
            yield

    @asynccontextmanager
    async def _told(self, order: str, undo: str) -> AsyncGenerator[None]:
        try:
            await self.order(order)
            yield
        finally:
            # One that has ended forgot it; what it was told late is undone, too.
            if self.process.running:
                await self.order(undo)


async def start_all(*servers: Server) -> None:
    """Start them at the same time, a few at once; raises an ExceptionGroup of those that failed."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def start(server: Server) -> None:
        async with gate:
            await server.start()

    async with asyncio.TaskGroup() as tasks:
        for server in servers:
            tasks.create_task(start(server))


async def stop_all(*servers: Server) -> None:
    """Stop those that run at the same time."""
    async with asyncio.TaskGroup() as tasks:
        for server in servers:
            tasks.create_task(server.stop())


@asynccontextmanager
async def running(*servers: Server) -> AsyncGenerator[None]:
    """Start them at the same time, and stop them so at the end."""
    try:
        await start_all(*servers)
        yield
    finally:
        await stop_all(*servers)
