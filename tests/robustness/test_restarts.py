"""Bar 2: the bridge is killed again and again, and nobody but its own log knows."""

import asyncio
import random
import signal
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from robustness.findings import Bar
from robustness.mesh import QUIET, Mesh, mesh

from rig.envoy import Api
from rig.istiod import Istiod, Stored

pytestmark = pytest.mark.asyncio
KILLS = 20
WITHIN = 60.0
"""Seconds for all kills."""
CHANGES = (
    r"^(cluster_manager\.cluster_(added|modified|removed)"
    r"|listener_manager\.listener_(added|modified|removed)|cluster\.outbound.*\.membership_change)$"
)


@dataclass
class Watch:
    """What happened while the bridge was killed."""

    kills: list[float] = field(default_factory=list[float])
    recoveries: list[float] = field(default_factory=list[float])
    """Seconds from a kill until both had acknowledged the next process' answer."""
    refused: int = 0
    """Kills after which the port was seen refusing."""
    samples: int = 0
    missing: list[str] = field(default_factory=list[str])
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
            w = Watch()
            held, events = dict(m.istiod.store), len(m.istiod.events)
            before = await m.envoy.stats(CHANGES)
            begun = time.monotonic()
            async with m.load.running(), sampling(m.istiod, w, held):
                await asyncio.sleep(QUIET)
                await kill_all(m, w, chance, it)
                await asyncio.sleep(QUIET)
            m.judge_load(it, begun, w.kills[0])
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
    it.void_unless(w.refused == len(w.kills), f"port refused after {w.refused} kills only")
    it.at_least("kills, each seen as a refusing port", len(w.kills), KILLS)
    it.at_most("all kills within", w.kills[-1] - w.kills[0], WITHIN, "s")
    it.at_most("slowest kill to both having acknowledged", max(w.recoveries), 5.0, "s")
    it.none(f"ServiceEntries missing in {w.samples} samples", w.missing)
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
    await m.bed.bridge.process.kill()
    with socket.socket() as probe:
        died = m.bed.bridge.process.exit_code == -signal.SIGKILL
        w.refused += died and probe.connect_ex(address(m.bed.xds)) != 0
    m.bed.bridge.process.start()
    return killed


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


@asynccontextmanager
async def sampling(istiod: Istiod, w: Watch, held: dict[str, Stored]) -> AsyncGenerator[None]:
    """Look ten times a second whether istiod has lost anything."""

    async def look() -> None:
        while True:
            w.samples += 1
            w.missing.extend(held.keys() - istiod.store.keys())
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(look())
        try:
            yield
        finally:
            looking.cancel()
