"""An application that takes orders while it runs: be slow, fail, and what its kind adds."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from meshbridge.testing.process import ProcessFailed
from rig.server import Server

READY = re.compile(r"^PEER READY(?: (\S+))?\n", re.MULTILINE)
"""What it prints once it answers calls, and the version of its framework if it tells one."""


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
        seconds.
        """
        begun = len(self.process.log)
        self.process.write(line)
        words = re.escape(line)
        answer = re.compile(rf"^(DONE {words}|FAILED {words}: .*)\n", re.MULTILINE)

        async def answered() -> bool:
            return answer.search(self.process.log, begun) is not None

        await self.process.ready(answered, within=within)
        found = answer.search(self.process.log, begun)
        assert found is not None, "a log only grows"
        if found[1].startswith("FAILED"):
            raise ProcessFailed(f"{self.process.name}: {found[1]}")
        return found.string[begun : found.start()]

    async def delay(self, seconds: float) -> None:
        """Let every call take that much longer from now on."""
        await self.order(f"delay {round(seconds * 1000)}")

    async def fail(self, failing: bool) -> None:  # noqa: FBT001 - on or off is all there is to say
        """Let every call fail from now on, or no longer."""
        await self.order(f"fail {'on' if failing else 'off'}")
