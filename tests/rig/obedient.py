"""A program of the rig that does what a line says, in a process that can be killed."""

import json
import re
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from meshbridge.testing.process import Process, ProcessFailed

ANSWER = re.compile(r"^(ready|done|failed: .*)$", re.MULTILINE)


class Obedient:
    """Takes an order per line, as JSON, and answers each with ``done`` or ``failed: …``.

    The program is a module of the rig, and leaves that to :func:`rig.obeying.obey`.
    """

    def __init__(
        self, name: str, directory: Path, module: str, *arguments: object, within: float
    ) -> None:
        """Give orders to a module, run with these arguments; each takes so long at most."""
        self.process = Process(
            name,
            [sys.executable, "-m", f"rig.{module}", *map(str, arguments)],
            directory=directory,
            environment={"PYTHONPATH": str(Path(__file__).parents[1])},
            input=True,
        )
        self._within = within
        self._answers = 0

    async def __aenter__(self) -> Self:
        """Start it and wait until it is connected."""
        self.process.start()
        await self._answered(within=30)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; its connection goes, and with it all it holds."""
        await self.process.stop()

    async def order(self, **order: object) -> None:
        """Have this done. Raises ProcessFailed with what it says instead of ``done``."""
        self.process.write(json.dumps(order))
        answer = await self._answered(within=self._within)
        if answer != "done":
            message = f"{self.process.name}: {answer}"
            raise ProcessFailed(message)

    async def _answered(self, *, within: float) -> str:
        wanted = self._answers + 1
        answers: list[str] = []

        async def answered() -> bool:
            answers[:] = ANSWER.findall(self.process.log)
            return len(answers) >= wanted

        await self.process.ready(answered, within=within)
        self._answers = wanted
        return answers[wanted - 1]
