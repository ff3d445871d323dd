"""Bar 3: a start while the registry is away serves what is stored, or says nothing at all."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from robustness.bed import Bed
from robustness.crowded import CROWDED, SERVICES, Crowded
from robustness.findings import Bar
from robustness.subscriber import DeltaClient, StateClient, channel, open_stream
from robustness.test_first_answers import SERVICE_ENTRY, Found, first_answers

from meshbridge_xds.envoy.names import CDS
from rig.observing import refuses

pytestmark = pytest.mark.asyncio
STARTS = 10
"""Starts of each kind, with stored state and without."""
SILENT = 3.0
"""Seconds for which a bridge that knows nothing must say nothing of services."""
GATEWAY = "networking.istio.io/v1/Gateway"
"""A type of which there is never anything, and for whose answer istiod waits all the same."""


@dataclass
class Starts:
    """What the starts showed."""

    seconds: list[float] = field(default_factory=list[float])
    """From each start with stored state to its first answer."""
    short: list[int] = field(default_factory=list[int])
    """Services in those answers, where it was not all of them."""
    unmarked: list[str] = field(default_factory=list[str])
    """What /readyz said where it did not say that they are stale."""
    answered: list[str] = field(default_factory=list[str])
    """What was said of services by starts that could know nothing."""
    silent: list[str] = field(default_factory=list[str])
    """Starts that did not answer the other types."""
    unexplained: list[str] = field(default_factory=list[str])
    """What /readyz said where it did not say why nothing is answered."""
    complaints: list[str] = field(default_factory=list[str])


@pytest.mark.parametrize("kind", CROWDED)
async def test_a_start_without_its_registry_serves_what_is_stored_or_waits(
    kind: str, tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Without stored state nothing is said that could empty anyone; with it all is served."""
    with bar(f"3, start while the registry is away, {kind}") as it:
        found = Starts()
        async with CROWDED[kind](tmp_path) as crowded:
            stored = crowded.bed(tmp_path / "stored", {"state": str(tmp_path / "state")})
            async with stored.bridge:
                await stored.bridge.process.ready(stored.is_ready, within=150)
            await crowded.server.kill()
            it.void_unless(refuses(crowded.listens), "the registry still listens")
            for number in range(STARTS):
                await start_with_state(stored, crowded.clusters, found)
                await start_without(crowded.bed(tmp_path / f"bare-{number}"), found)
            judge(it, found)
            await see_it_return(crowded, crowded.bed(tmp_path / "last"), it)


def judge(it: Bar, found: Starts) -> None:
    """Hold what the starts showed against the bar."""
    it.at_most(f"slowest of {STARTS} first answers from the store", max(found.seconds), 2.0, "s")
    it.at_most("median of them", statistics.median(found.seconds), 2.0, "s")
    it.none("of them that lack a service", found.short)
    it.none("of them of which /readyz does not say that they are stale", found.unmarked)
    it.none(f"of {STARTS} starts without stored state, that spoke of services", found.answered)
    it.none("of them that left istiod's other types unanswered", found.silent)
    it.none("of them whose /readyz did not say 503 and why", found.unexplained)
    it.none("complaints in the logs", found.complaints)


async def start_with_state(bed: Bed, clusters: list[str], found: Starts) -> None:
    """Take the first answer from the store."""
    first, begun = Found(), time.monotonic()
    async with bed.bridge:
        await bed.ready()
        found.seconds.append(time.monotonic() - begun)
        await first_answers(bed, clusters, first)
        counts = (*first.clusters, *first.endpoints, *first.entries)
        found.short.extend(each for each in counts if each != SERVICES)
        says = await until_said(bed, "stale: registry shop")
        found.unmarked.extend([] if "stale: registry shop" in says else [says])
        found.complaints.extend(bed.complaints())


async def until_said(bed: Bed, words: str) -> str:
    """Return what /readyz says, at the latest after two seconds."""
    says = ""
    for _ in range(20):
        if words in (says := await bed.get("/readyz")):
            break
        await asyncio.sleep(0.1)
    return says


async def start_without(bed: Bed, found: Starts) -> None:
    """Ask for everything and hear nothing of services."""
    async with bed.bridge, channel(bed.xds) as xds, channel(bed.mcp) as mcp:
        await bed.bridge.address("xds", within=60)
        envoy = DeltaClient(open_stream(xds, delta=True))
        istiod = StateClient(open_stream(mcp, delta=False))
        await envoy.ask(CDS)
        await istiod.ask(SERVICE_ENTRY)
        await istiod.ask(GATEWAY)
        with contextlib.suppress(TimeoutError):
            while True:
                found.answered.append((await istiod.read(within=SILENT)).type_url)
        found.silent.extend([] if GATEWAY in found.answered else [bed.bridge.process.name])
        found.answered[:] = [each for each in found.answered if each != GATEWAY]
        with contextlib.suppress(TimeoutError):
            found.answered.append((await envoy.take(within=0.1)).type_url)
        says = await until_said(bed, "waiting: registry shop")
        if await bed.is_ready() or "waiting: registry shop" not in says:
            found.unexplained.append(says)
        envoy.call.cancel()
        istiod.call.cancel()
        found.complaints.extend(bed.complaints())


async def see_it_return(crowded: Crowded, bed: Bed, it: Bar) -> None:
    """Start without state and without the registry, which then comes back slowly."""
    first = Found()
    await crowded.crowd.pace(1.0, 14.0)
    async with bed.bridge:
        await bed.bridge.address("xds", within=60)  # it is opened last
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(first_answers(bed, crowded.clusters, first))
            tasks.create_task(crowded.begin_anew())
        it.none("complaints in the log of who waited for it", bed.complaints())
    counts = (*first.clusters, *first.endpoints, *first.entries)
    it.none("short first answers of who waited for it", [n for n in counts if n != SERVICES])
