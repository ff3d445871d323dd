"""How `make compose-local` reads what `watch` writes, and when it waits no longer."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from meshbridge.testing import Process, ProcessFailed
from rig.compose_file import Service
from rig.compose_local import ENOUGH, NotFollowed, Watching, measured
from rig.compose_processes import Local

if TYPE_CHECKING:
    from rig.nacos import Nacos

pytestmark = pytest.mark.asyncio

SILENT = "Envoy's envoy:15000 does not tell: refused"
SPREAD = "14:05:01   dubbo-one  49   dubbo-two  51   spring-one  25   spring-two  25   failed 1"


def process(folder: Path, name: str, *lines: str, then: str = "input()") -> Process:
    """Return a process that writes these lines when it is told to, and then waits."""
    script = (
        f"print('up', flush=True); input()\nfor line in {lines!r}: print(line, flush=True)\n{then}"
    )
    return Process(name, [sys.executable, "-c", script], directory=folder, input=True)


async def up(process: Process) -> bool:
    return "up\n" in process.log


async def phase(
    folder: Path, *lines: str, then: Mapping[str, str], soon: float = 30, seconds: int = 1
) -> str:
    """Measure with a ``watch`` that writes these lines beside an Envoy; return what is told."""
    watch = process(folder, "watch", *lines, then=then.get("watch", "input()"))
    envoy = process(folder, "envoy", then=then.get("envoy", "input()"))
    async with watch, envoy:
        for each in (watch, envoy):
            await each.ready(partial(up, each), within=30)
        watching = Watching(watch, [watch, envoy])
        for each in (watch, envoy):
            each.write("begin")
        found = await measured(watching, 1, seconds, soon=soon)
    return f"{[each.calls for each in found.shares]}, failed {found.failed}"


async def test_calls_are_counted_until_there_are_enough_of_each_service(tmp_path: Path) -> None:
    """One second more shows that they are spread, and half of the calls are of one service."""
    needed = ENOUGH // 50

    told = await phase(tmp_path, *[SPREAD] * (needed + 5), then={})

    assert told == f"[{needed * 49}, {needed * 51}, 100, 100], failed {needed + 1}"


async def test_calls_are_counted_for_the_seconds_that_were_asked_for(tmp_path: Path) -> None:
    told = await phase(tmp_path, *[SPREAD] * 20, then={}, seconds=10)

    assert told == "[490, 510, 250, 250], failed 11"


async def test_who_has_ended_is_named_though_watch_goes_on(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match=r"^envoy has ended with 3; what .* in .*envoy\.log"):
        await phase(tmp_path, SILENT, then={"envoy": "raise SystemExit(3)"})


async def test_watch_itself_is_named_when_it_has_ended(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match=r"^watch has ended with 0"):
        await phase(tmp_path, SPREAD, then={"watch": ""})


async def test_it_does_not_wait_for_ever_for_an_envoy_that_does_not_tell(tmp_path: Path) -> None:
    with pytest.raises(NotFollowed, match=r"^calls were not spread by the weights .* within 0.5 s"):
        await phase(tmp_path, SILENT, then={}, soon=0.5)


async def test_it_does_not_wait_for_ever_for_calls_that_no_longer_come(tmp_path: Path) -> None:
    with pytest.raises(NotFollowed, match=r"200 calls .* were not counted within 1 s"):
        await phase(tmp_path, SPREAD, SPREAD, SILENT, then={}, soon=1, seconds=0)


async def test_what_the_system_refuses_at_the_start_is_raised_as_it_is(tmp_path: Path) -> None:
    """No group of it: who asked for the start tells a user in one line what is in the way."""
    place = {"mesh": {"ipv4_address": "10.89.77.4"}}
    services = {
        name: Service.model_validate({"image": name, "networks": place}) for name in ("one", "two")
    }
    (tmp_path / "file").touch()
    processes = {name: process(tmp_path / "file", name) for name in services}
    local = Local(services, tmp_path, print, cast("Nacos", None), processes)

    with pytest.raises(FileExistsError):
        await local.start()
