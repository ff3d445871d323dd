"""`meshbridge run` in a process of its own, found by what its log says."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from meshbridge.testing.process import Process


class Bridge:
    """The bridge with the given configuration; give its ports as 0 and ask :meth:`address`."""

    def __init__(
        self, directory: Path, configuration: Mapping[str, object], *, name: str = "bridge"
    ) -> None:
        """Write the configuration (JSON is YAML) into ``directory``."""
        directory.mkdir(parents=True, exist_ok=True)
        self.configuration = directory / f"{name}.yaml"
        # The status port's default would be the same for every bridge on the machine.
        all_free = {"status": {"listen": "127.0.0.1:0"}, **configuration}
        self.configuration.write_text(json.dumps(all_free, indent=1))
        self.command = (sys.executable, "-m", "meshbridge", "run", "-c", self.configuration)
        self.process = Process(name, self.command, directory=directory)

    async def __aenter__(self) -> Self:
        """Start it; ask :meth:`address` to wait for a port."""
        self.process.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it as an operator would."""
        await self.process.stop()

    def events(self, event: str) -> list[dict[str, object]]:
        """Return the log lines of that event, oldest first."""
        return [line for line in self._lines() if line.get("event") == event]

    async def address(self, name: str, *, within: float = 20.0) -> str:
        """Return the ``host:port`` on which the newest start listens as ``name``."""

        async def listens() -> bool:
            return any(line.get("name") == name for line in self.events("listening"))

        await self.process.ready(listens, within=within)
        lines = [line for line in self.events("listening") if line.get("name") == name]
        return str(lines[-1]["address"])

    def _lines(self) -> Iterator[dict[str, object]]:
        for text in self.process.log.splitlines():
            try:
                line: object = json.loads(text)
            except ValueError:
                continue  # a traceback, or the half of a line
            if isinstance(line, dict):
                yield cast("dict[str, object]", line)
