"""Bars 3 and 4: what a bridge without stored state answers first, of a registry in trouble."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from robustness.bed import Bed
from robustness.crowded import CROWDED, SERVICES, Crowded
from robustness.findings import Bar
from robustness.subscriber import DeltaClient, StateClient, channel, open_stream

from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshbridge.protos.gen.istio.mcp.v1alpha1.resource_pb2 import Resource
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from meshbridge_xds.envoy.names import CDS, EDS

pytestmark = pytest.mark.asyncio
STARTS, BESIDE = 26, 13
"""Starts, and how many of them happen in one refill: 105 MB and a few seconds of a core each."""
REFILL = 18.0
"""Seconds in which the services get their instances back."""
WAITING = 150.0
"""Seconds for a first answer: five times ``settle`` (20 s or less) and a machine that is busy."""
SERVICE_ENTRY = "networking.istio.io/v1/ServiceEntry"


@dataclass
class Found:
    """What the starts showed."""

    clusters: list[int] = field(default_factory=list[int])
    """In the first answer of each start over xds."""
    endpoints: list[int] = field(default_factory=list[int])
    """Services that had one in the first answer of each start over xds."""
    entries: list[int] = field(default_factory=list[int])
    """Services that had an endpoint in the first answer of each start over mcp."""
    moments: list[float] = field(default_factory=list[float])
    """Seconds of the refill at which the starts began."""
    seconds: list[float] = field(default_factory=list[float])
    """From each start to its first answer."""
    complaints: list[str] = field(default_factory=list[str])


@pytest.mark.parametrize("half", ["one half", "the other"])
@pytest.mark.parametrize("kind", CROWDED)
async def test_no_first_answer_is_short_in_the_middle_of_a_refill(
    kind: str, half: str, tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """All services are listed, empty at first; bridges that start meanwhile wait."""
    with bar(f"4, start in the middle of a refill, {kind}, {half}") as it:
        found, chance = Found(), it.chance()
        async with CROWDED[kind](tmp_path) as crowded:
            for turn in range(STARTS // BESIDE):
                await crowded.crowd.pace(0, 0)
                await crowded.crowd.empty()
                await crowded.crowd.pace(0, REFILL)
                await refill(crowded, tmp_path / str(turn), chance, found)
                it.say(f"{len(found.entries)} starts, {found.seconds[-1]:.0f} s to the last answer")
        it.void_unless(len(found.entries) == STARTS, f"{len(found.entries)} starts only")
        early = sum(each < REFILL - 1 for each in found.moments)
        it.at_least("starts, all before the refill was over", early, STARTS)
        for what, counts in (
            ("xds clusters", found.clusters),
            ("xds endpoints of services", found.endpoints),
            ("services with endpoints over mcp", found.entries),
        ):
            short = [each for each in counts if each != SERVICES]
            it.none(f"first answers of {STARTS} that are short, {what}", short)
        it.at_most("slowest first answer", max(found.seconds), WAITING, "s")
        it.none("complaints in the logs", found.complaints)


async def refill(crowded: Crowded, folder: Path, chance: random.Random, found: Found) -> None:
    """Let the services come back while the bridges start, and take the first answer of each."""
    begun = time.monotonic()

    async def start(number: int, at: float) -> None:
        bed = crowded.bed(folder / str(number))
        await asyncio.sleep(max(0.0, begun + at - time.monotonic()))
        began = time.monotonic()
        async with bed.bridge:
            found.moments.append(began - begun)
            await bed.bridge.address("xds", within=60)  # it is opened last
            await first_answers(bed, crowded.clusters, found)
            found.seconds.append(time.monotonic() - began)
            found.complaints.extend(bed.complaints())

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crowded.crowd.refill())
        for number in range(BESIDE):
            tasks.create_task(start(number, chance.uniform(0, REFILL - 3)))


async def first_answers(bed: Bed, clusters: list[str], found: Found) -> None:
    """Count what both outlets answer first."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(first_of_xds(bed, clusters, found))
        tasks.create_task(first_of_mcp(bed, found))


async def first_of_xds(bed: Bed, clusters: list[str], found: Found) -> None:
    async with channel(bed.xds) as connected:
        client = DeltaClient(open_stream(connected, delta=True))
        await client.ask(CDS)
        await client.ask(EDS, clusters)
        while not {CDS, EDS} <= client.held.keys():
            await client.take(within=WAITING)
        first = {each.type_url: each for each in reversed(client.received)}
        client.call.cancel()
    found.clusters.append(len(first[CDS].resources))
    assignments = (
        ClusterLoadAssignment.FromString(each.resource.value) for each in first[EDS].resources
    )
    filled = [each for each in assignments if any(part.lb_endpoints for part in each.endpoints)]
    found.endpoints.append(len(filled))


async def first_of_mcp(bed: Bed, found: Found) -> None:
    async with channel(bed.mcp) as connected:
        client = StateClient(open_stream(connected, delta=False))
        await client.ask(SERVICE_ENTRY)
        first = await client.read(within=WAITING)
        client.call.cancel()
    hosts = set[str]()
    for each in first.resources:
        resource, entry = Resource(), ServiceEntry()
        each.Unpack(resource)
        resource.body.Unpack(entry)
        if entry.endpoints:
            hosts.update(entry.hosts)
    found.entries.append(len(hosts))
