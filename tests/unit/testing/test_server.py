"""What every server of the test bed does: nothing of a start that failed goes on running."""

import asyncio
from pathlib import Path
from typing import ClassVar

import pytest

from meshbridge.testing import ProcessFailed
from rig.server import Server, Start
from rig.waiting import until


class Sleeper(Server):
    """A server that is ready at once, or never."""

    kind: ClassVar[str] = "Sleeper"
    within: ClassVar[float] = 0.05

    def __init__(self, directory: Path, *, ready: bool = True, version: str = "1") -> None:
        """Describe it; without a version it does not tell one."""
        super().__init__("sleeper", directory, ["sleep", "600"])
        self._ready = ready
        self._version = version

    async def is_up(self) -> bool:
        """Whether it was said to be ready."""
        return self._ready

    async def version(self) -> str:
        """Return its version; raises OSError without one."""
        if not self._version:
            raise OSError("no version")
        return self._version


@pytest.fixture(autouse=True)
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Start]:
    """Keep these starts out of the table of the run."""
    empty = list[Start]()
    monkeypatch.setattr(Server, "starts", empty)
    return empty


def test_a_start_is_told_and_a_restart_is_another(tmp_path: Path, starts: list[Start]) -> None:
    async def scenario() -> None:
        async with Sleeper(tmp_path) as sleeper:
            first = sleeper.process.pid
            await sleeper.restart()
            assert sleeper.process.pid != first
            with pytest.raises(RuntimeError, match="sleeper runs: stop it before"):
                sleeper.wipe()

    asyncio.run(scenario())
    assert [(each.kind, each.version) for each in starts] == [("Sleeper", "1")] * 2


def test_one_that_is_not_ready_in_time_does_not_run_on(tmp_path: Path) -> None:
    sleeper = Sleeper(tmp_path, ready=False)
    with pytest.raises(ProcessFailed, match="sleeper was not ready within"):
        asyncio.run(sleeper.start())
    assert not sleeper.process.running


def test_one_that_does_not_tell_its_version_does_not_run_on(
    tmp_path: Path, starts: list[Start]
) -> None:
    sleeper = Sleeper(tmp_path, version="")
    with pytest.raises(OSError, match="no version"):
        asyncio.run(sleeper.start())
    assert not sleeper.process.running
    assert starts == []


def test_a_start_that_is_given_up_does_not_run_on(tmp_path: Path) -> None:
    class Patient(Sleeper):
        within: ClassVar[float] = 60

    async def scenario() -> Sleeper:
        sleeper = Patient(tmp_path, ready=False)

        async def runs() -> bool:
            return sleeper.process.running

        starting = asyncio.create_task(sleeper.start())
        await until(runs, bool, within=10)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        return sleeper

    assert not asyncio.run(scenario()).process.running
