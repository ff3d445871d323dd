"""Bars 3 and 4 for Eureka: a server that forgot everything and fills slowly, closed at first."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from robustness.bed import Bed
from robustness.crowded import ALL, SERVICES
from robustness.eureka import options
from robustness.findings import Bar
from robustness.test_first_answers import WAITING, Found, first_answers
from robustness.test_registry_faults import following, taking

from meshbridge_xds.envoy.names import cluster_name
from rig.eureka import Eureka
from rig.eureka_crowd import EurekaCrowd, host
from rig.waiting import until

pytestmark = pytest.mark.asyncio
CLOSED = 15.0
"""Seconds from its start for which it answers 403, as one whose peers have told it nothing."""
RENEWS = 30.0
"""Seconds in which everyone has renewed his lease once, as nobody says otherwise."""
STARTS = 8
"""Bridges that know nothing and start in the middle of it."""
CLUSTERS = [cluster_name(host(name), 80) for name in ALL]


@dataclass
class Beside:
    """Bridges that start while the server is filled."""

    folder: Path
    address: str
    chance: random.Random
    found: Found = field(default_factory=Found)
    closed: list[str] = field(default_factory=list[str])
    """What those said of the server that found it closed."""

    async def start_all(self) -> None:
        """Start some, each at a moment of its own, and take the first answer of each."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(STARTS):
                # The first one finds it closed.
                at = begun + (self.chance.uniform(0, RENEWS - 3) if number else 0.0)
                tasks.create_task(self._start(number, at))

    async def _start(self, number: int, at: float) -> None:
        bed = Bed(self.folder / str(number), registry=options(self.address))
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        began = time.monotonic()
        async with bed.bridge:
            await bed.bridge.address("xds", within=60)  # it is opened last
            await first_answers(bed, CLUSTERS, self.found)
            self.found.seconds.append(time.monotonic() - began)
            self.found.complaints.extend(bed.complaints())
            lines = bed.bridge.process.log.splitlines()
            self.closed.extend([line for line in lines if "HTTP 403" in line][:1])


async def test_a_fresh_server_that_fills_slowly_takes_nothing_from_anybody(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """A bridge that was there before serves all; those that start meanwhile wait for all."""
    with bar("3, 4, a fresh Eureka, closed at first, that fills slowly") as it:
        async with (
            Eureka(tmp_path, closed_for=CLOSED) as server,
            EurekaCrowd(server.address, tmp_path, renews=RENEWS) as crowd,
        ):
            await crowd.fill(ALL)
            before = Bed(tmp_path, registry=options(server.address), name="before")
            async with before.bridge:
                await before.bridge.process.ready(before.is_ready, within=WAITING)
                async with following(before, CLUSTERS) as heard:
                    await server.kill()
                    await until(before.stale, bool, within=10)
                    await server.start()
                    beside = Beside(tmp_path, server.address, it.chance())
                    told, _ = await until(before.stale, lambda why: "403" in why, within=10)
                    it.void_unless(told, "it was not seen closed")
                    await beside.start_all()
                    held = await before.metric("^meshbridge_registry_held_instances")
                    it.say((await before.get("/api/problems"))[:2000] if held else "none is held")
                    it.at_most("held in the end", held, 0.0)
                it.none(f"of {len(heard)} responses, that take something away", [*taking(heard)])
                it.none("complaints in its log", before.complaints())
                before.must_run()
            it.void_unless(crowd.process.running, f"the crowd has ended: {crowd.process.log}")
            judge(it, beside)


def judge(it: Bar, beside: Beside) -> None:
    """Hold what the starts showed against the bar."""
    found = beside.found
    it.at_least("starts that found it closed", len(beside.closed), 1)
    for what, counts in (
        ("xds clusters", found.clusters),
        ("xds endpoints of services", found.endpoints),
        ("services with endpoints over mcp", found.entries),
    ):
        it.at_least(f"first answers, {what}", len(counts), STARTS)
        it.none(f"of them that are short, {what}", [each for each in counts if each != SERVICES])
    it.at_most("slowest first answer", max(found.seconds), WAITING, "s")
    it.none("complaints in the logs", found.complaints)
