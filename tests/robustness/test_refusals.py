"""Bar 14: a subscriber that refuses keeps its last good, is told nothing twice, harms nobody."""

import asyncio
import random
import re
import socket
import statistics
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from robustness.bed import Bed, Instances, document, population, replace
from robustness.findings import Bar
from robustness.mesh import QUIET, mesh
from robustness.subscriber import DeltaClient, StateClient, channel, open_stream

from meshbridge.protos.gen.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshbridge_xds.envoy.names import CDS, EDS, cluster_name
from rig.ports import free_port
from rig.waiting import until

pytestmark = pytest.mark.asyncio
CHANGES = 150
PAUSE = 0.1
"""Seconds between two changes of the file."""
STILL = 15.0
"""Seconds without any change in which nothing may be sent to who refuses."""
REFUSERS = 6
"""Half of each variant."""
Versions = Counter[tuple[str, str]]


@dataclass
class Refuser:
    """Accepts its first clusters and refuses all that are new or changed after them."""

    seen: Versions = field(default_factory=Counter[tuple[str, str]])
    """How often each (name, version) came after it was refused."""
    refused: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    accepted_first: bool = False
    responses: int = 0
    refusals: int = 0
    endpoints: int = 0
    """Responses of EDS that it accepted."""
    again: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def told(self, resources: Iterable[tuple[str, str]], good: set[tuple[str, str]]) -> str:
        """Take in resources; return the words of the refusal, or nothing."""
        self.responses += 1
        news = [each for each in resources if each not in good]
        self.again += [each for each in news if each in self.refused]
        self.refused |= set(news)
        self.refusals += bool(news)
        return f"will not have {news[0][0]}: \x1b[31m\n{'x' * 2000}" if news else ""


async def test_a_subscriber_that_refuses_keeps_its_last_good_and_harms_nobody(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Both variants refuse every new cluster while others take all of it."""
    with bar("14, NACK") as it:
        bed, chance = Bed(tmp_path), it.chance()
        services = population(chance, 100, 4)
        replace(bed.file, document(services))
        async with bed.bridge:
            await bed.ready()
            async with healthy(bed, services) as arrived:
                alone = await change(bed, services, chance, arrived, it)
                async with refusing(bed, services) as refusers:
                    await until(lambda: started(refusers), bool, within=10)
                    together = await change(bed, services, chance, arrived, it)
                    before = [each.responses for each in refusers]
                    nacks = await bed.metric("^meshbridge_xds_nacks_total")
                    await asyncio.sleep(STILL)
                    still = [e.responses - was for e, was in zip(refusers, before, strict=True)]
                    rejected = [each for each in await bed.subscribers() if each.rejections]
            log = bed.bridge.events("resources refused")
            it.none("complaints in the bridge's log", bed.complaints())
        refusals = sum(each.refusals for each in refusers)
        it.void_unless(refusals >= REFUSERS * CHANGES / 4, f"{refusals} refusals only")
        it.void_unless(nacks >= refusals - REFUSERS, f"the bridge counted {nacks:g} of {refusals}")
        it.at_least("refusals", refusals, REFUSERS * CHANGES // 4)
        it.at_least("subscribers shown with what they refuse", len(rejected), REFUSERS)
        it.none(f"responses in {STILL:g} s without a change", [n for n in still if n])
        it.none("refused (name, version) sent again", [x for e in refusers for x in e.again])
        it.at_least(
            "responses of endpoints to each that refuses clusters",
            min(each.endpoints for each in refusers),
            CHANGES // 4,
        )
        it.at_most("letters of a refusal in the log", max(len(str(e["words"])) for e in log), 500)
        raw = [e for e in log if any(ord(sign) < 32 for sign in str(e["words"]))]
        it.none("refusals in the log with control characters", raw)
        old, new = statistics.median(alone), statistics.median(together)
        it.say(f"median of a change {old * 1e3:.1f} ms alone, {new * 1e3:.1f} ms with refusers")
        p99 = sorted(alone)[int(0.99 * (len(alone) - 1))]
        late = sorted(together)[int(0.99 * (len(together) - 1))]
        it.at_most("p99 of a change for others without refusers", p99 * 1e3, 250.0, "ms")
        it.at_most("p99 with them; limit 1.1 times + 10 ms", late * 1e3, p99 * 1100 + 10, "ms")


async def started(refusers: list[Refuser]) -> bool:
    return all(each.accepted_first for each in refusers)


async def change(
    bed: Bed,
    services: dict[str, Instances],
    chance: random.Random,
    arrived: dict[str, float],
    it: Bar,
) -> list[float]:
    """Add a service (a new cluster) and move another's endpoint, again and again."""
    took: list[float] = []
    for number in range(CHANGES):
        name = f"new-{len(arrived)}-{number}"
        if number % 10 == 9:  # and old ones go
            services.pop(next(each for each in services if each.startswith("new-")))
        services[name] = [("10.3.3.3", 8080)]
        moved = f"service-{chance.randrange(100)}"
        services[moved] = [(f"10.7.{chance.randrange(256)}.{chance.randrange(1, 255)}", 8080)]
        replace(bed.file, document(services))
        begun = time.monotonic()
        cluster = cluster_name(f"{name}.file", 80)
        while cluster not in arrived:
            if time.monotonic() - begun > 5:
                raise AssertionError(f"{name} never came to those who accept")
            await asyncio.sleep(0.001)
        took.append(arrived[cluster] - begun)
        await asyncio.sleep(PAUSE * chance.uniform(0.5, 1.5))
    it.say(f"{CHANGES} changes took their way to who accepts them")
    return took


@asynccontextmanager
async def healthy(bed: Bed, services: dict[str, Instances]) -> AsyncGenerator[dict[str, float]]:
    """Accept everything; note when each cluster came first."""
    arrived: dict[str, float] = {}
    async with channel(bed.xds) as connected, asyncio.TaskGroup() as tasks:
        client = DeltaClient(open_stream(connected, delta=True))
        await client.ask(CDS)
        await client.ask(EDS, [cluster_name(f"{name}.file", 80) for name in services])

        async def follow() -> None:
            while True:
                response = await client.take(within=300)
                for each in response.resources:
                    arrived.setdefault(each.name, time.monotonic())
                client.received.clear()

        task = tasks.create_task(follow())
        try:
            yield arrived
        finally:
            task.cancel()
            client.call.cancel()


@asynccontextmanager
async def refusing(bed: Bed, services: dict[str, Instances]) -> AsyncGenerator[list[Refuser]]:
    refusers = [Refuser() for _ in range(REFUSERS)]
    names = [cluster_name(f"{name}.file", 80) for name in services if name.startswith("service")]
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task((by_difference if place % 2 else by_state)(bed, each, names))
            for place, each in enumerate(refusers)
        ]
        try:
            yield refusers
        finally:
            for each in running:
                each.cancel()


async def by_difference(bed: Bed, who: Refuser, names: list[str]) -> None:
    async with channel(bed.xds) as connected:
        client = DeltaClient(open_stream(connected, delta=True))
        await client.ask(CDS)
        first = await client.take()
        good = {(each.name, each.version) for each in first.resources}
        who.accepted_first = True
        await client.ask(EDS, names)
        while True:
            response = await client.read(within=300)
            if response.type_url == EDS:
                who.endpoints += 1
                await client.answer(response)
                continue
            told = ((each.name, each.version) for each in response.resources)
            await client.answer(response, who.told(told, good))


async def by_state(bed: Bed, who: Refuser, names: list[str]) -> None:
    async with channel(bed.xds) as connected:
        client = StateClient(open_stream(connected, delta=False))
        await client.ask(CDS)
        first = await client.read()
        good = {content(each.value) for each in first.resources}
        who.accepted_first = True
        await client.ask(CDS, after=first)
        await client.ask(EDS, names)
        while True:
            response = await client.read(within=300)
            if response.type_url == EDS:
                who.endpoints += 1
                await client.ask(EDS, names, after=response)
                continue
            words = who.told((content(each.value) for each in response.resources), good)
            if words:
                await client.refuse(response, words, first.version_info)
            else:
                await client.ask(CDS, after=response)


def content(body: bytes) -> tuple[str, str]:
    """Return the name of a cluster and its bytes as text: a version of ours, not the bridge's."""
    return Cluster.FromString(body).name, body.hex()


async def test_an_envoy_that_refuses_a_listener_serves_by_the_others(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Its port is taken on Envoy's machine: it says NACK, and everything else goes on."""
    with bar("14, NACK of a real Envoy") as it, socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        ports = (int(taken.getsockname()[1]), free_port())
        async with mesh(tmp_path, "DELTA_GRPC", traffic=ports, live=False) as m:
            refused = partial(m.bed.metric, "^meshbridge_xds_nacks_total")
            await until(refused, lambda n: n >= 1, within=10)
            begun = time.monotonic()
            services, taken_up = dict(m.services), 0
            async with m.load.running():
                await asyncio.sleep(QUIET)
                first, nacks = time.monotonic(), await refused()
                sent = await m.bed.metric("^meshbridge_xds_responses_total")
                await asyncio.sleep(STILL)
                quiet = await m.bed.metric("^meshbridge_xds_responses_total") - sent
                for number in range(20):
                    services[f"new-{number}"] = [("10.3.3.3", 8080)]
                    replace(m.bed.file, document(services))
                    name = cluster_name(f"new-{number}.file", 80)
                    look = partial(m.envoy.get, f"/clusters?filter={re.escape(name)}")
                    await until(look, partial(contains, name), within=5)
                    taken_up += 1
                after = await refused()
                await asyncio.sleep(QUIET)
            m.judge_load(it, begun, first)
            it.at_least("refusals of the listener whose port is taken", int(nacks), 1)
            it.at_most(f"responses to it in {STILL:g} s without a change", int(quiet), 0)
            it.at_most("further refusals over 20 changes of clusters", int(after - nacks), 0)
            it.at_least("clusters that it took after its refusal", taken_up, 20)
            it.none("complaints in the bridge's log", m.bed.complaints())


def contains(name: str, text: str) -> bool:
    return name in text
