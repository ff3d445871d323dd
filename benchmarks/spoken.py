"""A process of the benchmarks that is told lines and tells lines, and ends when we do."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from meshbridge.cli.demo.child import ChildFailed

_WITHIN = 120.0


class Spoken:
    """The process, once it runs."""

    def __init__(
        self, pid: int, orders: asyncio.StreamWriter, answers: asyncio.StreamReader
    ) -> None:
        """Speak over the two pipes."""
        self.pid = pid
        self._orders = orders
        self._answers = answers

    async def hears(self, line: str = "") -> None:
        """Say a line to it."""
        self._orders.write(f"{line}\n".encode())
        await self._orders.drain()

    async def line(self) -> str:
        """Return the next line that it says. Raises ChildFailed when it has ended."""
        async with asyncio.timeout(_WITHIN):
            line = await self._answers.readline()
        if not line:
            raise ChildFailed("a process of the benchmark has ended; its complaint stands above")
        return line.decode()

    async def says(self) -> dict[str, float]:
        """Return the figures of its next line. Raises ChildFailed when it has ended."""
        return dict(json.loads(await self.line()))


@asynccontextmanager
async def spoken(module: str, *arguments: str) -> AsyncGenerator[Spoken, None]:
    """Run a module of this folder; it reads its orders from standard input until that ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"benchmarks.{module}",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise ChildFailed(f"benchmarks.{module} has no pipes")
        yield Spoken(process.pid, process.stdin, process.stdout)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
