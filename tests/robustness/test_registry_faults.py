"""Bars 1, 4, 5: a registry is killed, hung, cut off, wiped, restarted; callers see nothing."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from robustness.bed import Bed, Instances
from robustness.eureka import eureka
from robustness.findings import Bar
from robustness.mesh import judge_history, patient_bootstrap
from robustness.nacos import nacos
from robustness.registries import LATER, Fault, Registry, file
from robustness.subscriber import DeltaClient, channel, open_stream
from robustness.zookeeper import zookeeper

from meshbridge.cli.demo.traffic import Load
from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from meshbridge.testing import Endpoint, History, Rules
from meshbridge.testing.history import Write
from meshbridge_xds.envoy.names import CDS, EDS, cluster_name
from rig.envoy import Envoy
from rig.observing import Addressed, BridgeObserver, EnvoyObserver, kept, loading, observing
from rig.waiting import until

pytestmark = pytest.mark.asyncio
SERVICES = 2000
LIVE = 4
"""Of them with two backends each, that are called; the others point to where nobody calls."""
RATE = 250.0
QUIET = 2.0
"""Seconds of load before a fault and after it."""
RECOVERY = 5.0
"""Seconds after a registry's return in which it is read again, and a change shows."""
EMPTY = 6.0
"""Seconds for which a wiped registry stays empty."""
SLOWEST = 45.0
"""Seconds for all registrants to be back and nothing to be held any more."""
RULES = Rules(
    span=QUIET - 0.1,
    pause=2.0,
    gap=3.0,
    observers=frozenset({"bridge", "envoy"}),
    converge=RECOVERY,
)

Making = Callable[[Path, Mapping[str, Instances]], AbstractAsyncContextManager[Registry]]
REGISTRIES: Mapping[str, Making] = {
    "nacos-2.5": partial(nacos, 2),
    "nacos-3.1": partial(nacos, 3),
    "zookeeper": zookeeper,
    "eureka": eureka,
    "file": file,
}


@dataclass
class Faulted:
    """The processes, and what was heard over xds."""

    registry: Registry
    bed: Bed
    envoy: Envoy
    endpoints: set[Endpoint]
    heard: list[DeltaDiscoveryResponse]

    @asynccontextmanager
    async def recorded(self, file: Path) -> AsyncGenerator[History]:
        """Send the load and look at bridge and Envoy until the block ends; note and keep it."""
        history = History(RULES)
        observers = BridgeObserver(self.bed.status), EnvoyObserver(self.envoy)
        hosts = [self.registry.host(f"live-{number}") for number in range(LIVE)]
        with kept(history, file):
            history.begins_with(self.endpoints)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(observing(history, *observers))
                for host in hosts:
                    load = Load(self.bed.traffic[0], host, RATE / LIVE, connections=4)
                    await stack.enter_async_context(loading(history, load, host))
                yield history

    async def change(self, history: History) -> None:
        """Change ``later`` in the registry, and note it."""
        begun = history.now()
        after, before = await self.registry.change()
        history.add(
            Write(begun, history.now(), frozenset({after}), frozenset({before}), note="a change")
        )
        self.endpoints = self.endpoints - {before} | {after}

    async def stale_for(self) -> float:
        """Return for how long the registry could not be read."""
        return await self.bed.metric("^meshbridge_registry_stale_seconds")

    async def held(self) -> float:
        """Return how many instances are held."""
        return await self.bed.metric("^meshbridge_registry_held_instances")

    async def in_loss(self) -> float:
        """Return whether the guard says that it is in loss."""
        return await self.bed.metric("^meshbridge_registry_in_loss")


@pytest.mark.parametrize("kind", REGISTRIES)
async def test_callers_do_not_notice_that_a_registry_is_away(
    kind: str, tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """It is killed, hangs and is cut off: no request fails and no endpoint is lost."""
    await go_through_all(kind, slice(3), tmp_path, bar)


@pytest.mark.parametrize("kind", REGISTRIES)
async def test_callers_do_not_notice_that_a_registry_returns_empty(
    kind: str, tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """It is wiped and restarted: what it held is held until its registrants are back."""
    await go_through_all(kind, slice(3, None), tmp_path, bar)


async def go_through_all(
    kind: str, which: slice, tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Break one registry in several ways, one after the other."""
    failures: list[str] = []
    async with faulted(REGISTRIES[kind], tmp_path) as m:
        for number, fault in enumerate(m.registry.faults()[which]):
            try:
                with bar(f"1, 4, 5: {kind} {fault.name}") as it:
                    await go_through(m, fault, it, tmp_path / f"history-{number}.jsonl")
            except (AssertionError, pytest.fail.Exception) as broken:
                failures.append(
                    f"{fault.name}: {broken}"
                )  # the others are worth a look all the same
        assert not failures, "\n".join(failures)


async def go_through(m: Faulted, fault: Fault, it: Bar, file: Path) -> None:
    """Break the registry, look what is said and served, mend it, and wait until all is well."""
    heard, losses = len(m.heard), len(m.bed.bridge.events("loss held"))
    async with m.recorded(file) as history:
        await asyncio.sleep(QUIET)
        name = history.begin(fault.name)
        seen, begun = await fault.begin(), time.monotonic()
        it.void_unless(seen, f"nothing shows that the registry is {fault.name}")
        history.saw(name, seen)
        await see_it_said(m, fault, begun, it)
        await asyncio.sleep(fault.lasts)
        await fault.mend()
        history.end(name)
        await see_it_read_again(m, it)
        if fault.empties:
            await see_it_held(m, it)
            await fault.returns()
        await m.change(history)
        begun = time.monotonic()
        counts = await refilling(m)
        it.at_most("from there until nothing is held", time.monotonic() - begun, SLOWEST, "s")
        if fault.empties:
            it.at_least("steps in which what came back was admitted", len(set(counts)), 5)
            after = len(m.bed.bridge.events("loss held")) - losses
            it.note("log lines about the loss", str(after), "1", held=after == 1)
        await asyncio.sleep(QUIET)
    judge_history(it, history)
    taken = list(taking(m.heard[heard:]))
    it.none(f"of {len(m.heard) - heard} responses over xds, that take something away", taken)
    it.none("complaints in the bridge's log", m.bed.complaints())
    m.bed.must_run()


async def see_it_said(m: Faulted, fault: Fault, begun: float, it: Bar) -> None:
    """Wait until the outage shows, in the metric and in what /readyz says."""
    await until(m.stale_for, bool, within=fault.shown_within + 10)
    it.at_most("until its staleness shows", time.monotonic() - begun, fault.shown_within, "s")
    first = await m.stale_for()
    lines = await m.bed.get("/readyz")
    named = [line for line in lines.splitlines() if line.startswith("stale: registry shop")]
    it.note("lines of /readyz that name it", str(len(named)), "1", held=len(named) == 1)
    it.note("ready", str(ready := await m.bed.is_ready()), "True", held=ready)
    await asyncio.sleep(1.0)
    moved = await m.stale_for() - first
    it.at_least("seconds by which staleness moves in one", moved, 0.5, "s")


async def see_it_read_again(m: Faulted, it: Bar) -> None:
    """Wait until the bridge has read the registry after its return."""
    _, took = await until(m.stale_for, lambda since: not since, within=60)
    it.at_most("from its return until it is read again", took, RECOVERY, "s")


async def see_it_held(m: Faulted, it: Bar) -> None:
    """Look at what the guard says of an empty registry while it stays empty."""
    _, took = await until(m.in_loss, bool, within=10)
    it.at_most("from an empty answer until the alarm", took, 1.0, "s")
    await asyncio.sleep(EMPTY)
    held, all_there = await m.held(), len(m.endpoints)
    what = f"held of {all_there} instances while the registry is empty"
    it.at_least(what, int(held), all_there)
    still = await m.in_loss()
    it.note("in loss after that", f"{still:g}", "1", held=still == 1)


async def refilling(m: Faulted) -> list[float]:
    """Wait until all registrants are back and nothing is held; return how many were meanwhile."""
    counts: list[float] = []

    async def look() -> float:
        counts.append(await m.held())
        return counts[-1]

    async with asyncio.timeout(SLOWEST + 15), asyncio.TaskGroup() as tasks:
        back = tasks.create_task(m.registry.refilled())
        while not back.done():
            await look()
            await asyncio.sleep(0.2)
    await until(look, lambda held: not held, within=SLOWEST, every=0.2)
    return counts


def taking(responses: list[DeltaDiscoveryResponse]) -> Iterator[str]:
    """Yield what responses to a subscriber take away."""
    for response in responses:
        yield from (f"{name} removed" for name in response.removed_resources)
        if response.type_url == EDS:
            for each in response.resources:
                found = ClusterLoadAssignment.FromString(each.resource.value)
                if not any(locality.lb_endpoints for locality in found.endpoints):
                    yield f"{each.name} emptied"


@asynccontextmanager
async def faulted(make: Making, directory: Path) -> AsyncGenerator[Faulted]:
    """Start it all; a few services have backends that answer."""
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(Addressed(f"b{n}")) for n in range(LIVE)]
        services: dict[str, Instances] = {
            f"other-{number}": [(f"10.1.{number // 250}.{1 + number % 250}", 8080)]
            for number in range(SERVICES - LIVE - 1)
        }
        for number in range(LIVE):
            pair = backends[number], backends[(number + 1) % LIVE]
            services[f"live-{number}"] = [("127.0.0.1", each.port) for each in pair]
        registry = await stack.enter_async_context(make(directory, services))
        bed = Bed(directory, registry=registry.options)
        await stack.enter_async_context(bed.bridge)
        await bed.bridge.process.ready(bed.is_ready, within=150)
        envoy = Envoy(directory, patient_bootstrap(bed, "DELTA_GRPC"))
        await stack.enter_async_context(envoy)
        served = {
            Endpoint.of(registry.host(name), *place)
            for name, places in {**services, LATER: [("10.3.0.1", 8000)]}.items()
            for place in places
        }
        await until(envoy.is_live, bool, within=30)
        names = [cluster_name(registry.host(name), 80) for name in (*services, LATER)]
        heard = await stack.enter_async_context(following(bed, names))
        yield Faulted(registry, bed, envoy, served, heard)


@asynccontextmanager
async def following(bed: Bed, names: list[str]) -> AsyncGenerator[list[DeltaDiscoveryResponse]]:
    """Take all that an incremental subscriber of everything is told after its first answers."""
    async with channel(bed.xds) as connected, asyncio.TaskGroup() as tasks:
        client = DeltaClient(open_stream(connected, delta=True))
        await client.ask(CDS)
        await client.ask(EDS, names)

        async def follow() -> None:
            while True:
                await client.take(within=3600)

        await client.take()
        await client.take()
        client.received.clear()
        task = tasks.create_task(follow())
        try:
            yield client.received
        finally:
            task.cancel()
            client.call.cancel()
