"""Bar 2: the bridge is killed again and again, and nobody but its own log knows."""

import asyncio
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from robustness.findings import Bar
from robustness.mesh import QUIET, Mesh, judge_history, mesh

from meshbridge.testing import History, Rules
from rig.envoy import Api
from rig.observing import refuses

pytestmark = pytest.mark.asyncio
KILLS = 20
WITHIN = 60.0
"""Seconds for all kills."""
RULES = Rules(
    span=QUIET - 0.1,
    gap=1.0,
    faults=KILLS,
    observers=frozenset({"bridge", "envoy", "istiod"}),
    away=frozenset({"bridge"}),
)
CHANGES = (
    r"^(cluster_manager\.cluster_(added|modified|removed)"
    r"|listener_manager\.listener_(added|modified|removed)|cluster\.outbound.*\.membership_change)$"
)


@dataclass
class Watch:
    """What happened while the bridge was killed."""

    history: History
    kills: list[float] = field(default_factory=list[float])
    recoveries: list[float] = field(default_factory=list[float])
    """Seconds from a kill until both had acknowledged the next process' answer."""
    versions: set[str] = field(default_factory=set[str])
    """Of all ServiceEntries together, as each process gave it."""


def kind_of(api: Api) -> str:
    return "incremental" if api == "DELTA_GRPC" else "state of the world"


@pytest.mark.parametrize("api", ["GRPC", "DELTA_GRPC"])
async def test_nobody_notices_that_the_bridge_is_killed_again_and_again(
    api: Api, tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """No request fails, nothing is deleted anywhere, and all are back within seconds."""
    with bar(f"2, kill -9, Envoy {kind_of(api)}") as it:
        chance = it.chance()
        async with mesh(tmp_path, api) as m:
            held, events = dict(m.istiod.store), len(m.istiod.events)
            before = await m.envoy.stats(CHANGES)
            async with m.recorded(RULES, tmp_path / "history.jsonl") as history:
                w = Watch(history)
                await asyncio.sleep(QUIET)
                await kill_all(m, w, chance, it)
                await asyncio.sleep(QUIET)
            judge_history(it, history)
            judge(it, w)
            it.none("complaints in the bridge's log", m.bed.complaints())
            it.none(
                "ServiceEntries created, updated or deleted in istiod", m.istiod.events[events:]
            )
            it.note(
                "istiod's store after all kills",
                "identical" if m.istiod.store == held else "different",
                "identical",
                held=m.istiod.store == held,
            )
            after = await m.envoy.stats(CHANGES)
            it.none("changes that Envoy made", [n for n in after if after[n] != before.get(n)])


def judge(it: Bar, w: Watch) -> None:
    """Hold the figures against their thresholds."""
    it.at_least("kills, each seen as a refusing port", len(w.kills), KILLS)
    it.at_most("all kills within", w.kills[-1] - w.kills[0], WITHIN, "s")
    it.at_most("slowest kill to both having acknowledged", max(w.recoveries), 5.0, "s")
    it.at_most("versions of all ServiceEntries over all processes", len(w.versions), 1)


async def kill_all(m: Mesh, w: Watch, chance: random.Random, it: Bar) -> None:
    """Kill at drawn moments: mostly when all is well, sometimes while it still starts."""
    begun = time.monotonic()
    while len(w.kills) < KILLS:
        due = begun + len(w.kills) * (WITHIN - 10) / (KILLS - 1)
        await asyncio.sleep(max(0.0, due - time.monotonic()) + chance.uniform(0, 0.4))
        killed = await kill(m, w)
        while chance.random() < 0.2 and len(w.kills) < KILLS:
            await asyncio.sleep(chance.uniform(0.1, 1.0))
            killed = await kill(m, w)
        w.versions |= await m.everybody_is_back()
        w.recoveries.append(time.monotonic() - killed)
        it.say(f"{len(w.kills)} kills, back after {w.recoveries[-1]:.2f} s")


async def kill(m: Mesh, w: Watch) -> float:
    w.kills.append(killed := time.monotonic())
    fault = w.history.begin("kill -9 of the bridge")
    await m.bed.bridge.process.kill()
    if m.bed.bridge.process.exit_code == -signal.SIGKILL and refuses(m.bed.xds):
        w.history.saw(fault, f"{m.bed.xds} refuses")
    m.bed.bridge.process.start()
    w.history.end(fault)
    return killed
