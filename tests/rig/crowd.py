"""Thousands of services that one application holds in Nacos, and that come back slowly."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from meshbridge.testing.process import Process, ProcessFailed

MAIN = Path(__file__).with_name("crowd_main.py")
ANSWER = re.compile(r"^(ready|done|failed: .*)$", re.MULTILINE)

Places = Sequence[tuple[str, int]]
"""Where the instances of a service are."""


class Crowd:
    """Ephemeral instances of many services over one gRPC connection, in a process.

    Each reconnection registers all of them again, spread over the seconds that :meth:`pace` said;
    it is sought at most 5 s after the server is back, as the SDK does. Not by the SDK's own redo,
    which brings all at once and at an unknown moment. While it is paused nothing comes back.
    """

    def __init__(self, server: str, directory: Path, *, name: str = "crowd") -> None:
        """Describe it; ``server`` is ``host:port``."""
        self.process = Process(
            name, [sys.executable, MAIN, server, directory / name], directory=directory, input=True
        )
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

    async def fill(self, services: Mapping[str, Places]) -> None:
        """Hold these services as well, and register all at the pace."""
        await self._order(do="hold", services={name: list(each) for name, each in services.items()})
        await self._order(do="fill")

    async def refill(self) -> None:
        """Register all at the pace; returns when that is done."""
        await self._order(do="fill")

    async def empty(self) -> None:
        """Deregister all; Nacos lists the services without instances for about a minute."""
        await self._order(do="empty")

    async def pace(self, first: float, last: float) -> None:
        """Register the first service so many seconds after a connection, and the last one."""
        await self._order(do="pace", first=float(first), last=float(last))

    async def set(self, service: str, places: Places) -> None:
        """Let a service have these instances instead, at once; waits for a connection."""
        await self._order(do="set", service=service, instances=list(places))

    async def settle(self) -> None:
        """Wait until all is registered on the newest connection."""
        await self._order(do="settle")

    async def _order(self, **order: object) -> None:
        self.process.write(json.dumps(order))
        answer = await self._answered(within=60)
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
