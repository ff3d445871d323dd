"""The history of a real run is believed, and what it shows is found: the checker can say no.

A bridge that reads a file, a real Envoy with requests flowing through it, and a real istiod.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from robustness.bed import Bed, document, replace
from robustness.mesh import HOST, patient_bootstrap

from meshbridge.cli.demo.traffic import Load
from meshbridge.testing import Endpoint, History, Rules, assert_holds, check, from_lines
from rig.envoy import Envoy
from rig.istiod import Istiod
from rig.observing import (
    Addressed,
    BridgeObserver,
    EnvoyObserver,
    istiod_observers,
    kept,
    loading,
    observing,
    refuses,
    settled,
)
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio", "envoy")]

RATE = 220.0
ENOUGH = 150.0
"""Requests a second that a run must have had; so much less that a busy machine manages it, too."""
SPAN = 1.5
"""Seconds of load on either side of the fault; a run must have had 1."""
GAP = 3.0
"""Seconds in which an observer may not have been looked at: it may wait for a busy machine.

What goes here goes for good, or for as long as the bridge takes to start.
"""
OBSERVERS = frozenset({"bridge", "envoy", "istiod", "istiod shards"})


@dataclass
class Running:
    """A run under way."""

    bed: Bed
    history: History
    backends: Sequence[Addressed]

    async def break_the_bridge(self, *, really: bool = True) -> None:
        """Kill it and start it again; without ``really`` only say so."""
        fault = self.history.begin("kill -9 of the bridge")
        if really:
            await self.bed.bridge.process.kill()
        if refuses(self.bed.xds):
            self.history.saw(fault, f"{self.bed.xds} refuses")
        if really:
            self.bed.bridge.process.start()
        await self.bed.ready()
        self.history.end(fault)

    def write(self, backends: Sequence[Addressed]) -> None:
        """Let the registry have these backends and no others."""
        replace(
            self.bed.file, document({"orders": [("127.0.0.1", each.port) for each in backends]})
        )


def endpoints(*backends: Addressed) -> list[Endpoint]:
    return [Endpoint(HOST, each.address) for each in backends]


@asynccontextmanager
async def running(directory: Path, *, rate: float = RATE) -> AsyncGenerator[Running]:
    """Start it all, look at all of it, and send requests; the registry has two of three."""
    rules = Rules(rate=ENOUGH, away=frozenset({"bridge"}), observers=OBSERVERS, gap=GAP)
    history = History(rules)
    async with AsyncExitStack() as stack:
        stack.enter_context(kept(history, directory / "history.jsonl"))
        backends = [await stack.enter_async_context(Addressed(name)) for name in "abc"]
        run = Running(Bed(directory), history, backends)
        history.begins_with(endpoints(*backends[:2]))
        run.write(backends[:2])
        bridge = await stack.enter_async_context(run.bed.bridge)
        await bridge.address("mcp")
        envoy = Envoy(directory, patient_bootstrap(run.bed, "DELTA_GRPC"))
        istiod = Istiod(directory, [run.bed.mcp])
        await asyncio.gather(stack.enter_async_context(envoy), stack.enter_async_context(istiod))
        everyone = (
            BridgeObserver(run.bed.status),
            EnvoyObserver(envoy),
            *istiod_observers(f"http://{istiod.debug}"),
        )
        await stack.enter_async_context(observing(history, *everyone))
        await settled(history, within=10)
        load = Load(run.bed.traffic[0], HOST, rate)
        await stack.enter_async_context(loading(history, load, HOST))
        await asyncio.sleep(SPAN)
        yield run
        await asyncio.sleep(SPAN)


async def test_a_run_with_a_real_fault_holds_and_can_be_looked_at_afterwards(
    tmp_path: Path,
) -> None:
    """The bridge is killed under load; a change after it reaches everybody; nothing is lost."""
    async with running(tmp_path) as run:
        await run.break_the_bridge()
        with run.history.writing(adds=endpoints(run.backends[2])):
            run.write(run.backends)
        await settled(run.history, within=30)
        with run.history.writing(removes=endpoints(run.backends[0])):
            run.write(run.backends[1:])
        await settled(run.history, within=30)
    verdict = assert_holds(run.history)
    assert verdict.requests > 400
    assert {each.observer for each in verdict.convergences} == OBSERVERS
    assert str(check(from_lines((tmp_path / "history.jsonl").read_text().splitlines()))) == str(
        verdict
    )


async def test_an_endpoint_that_is_really_taken_away_is_found_lost_everywhere(
    tmp_path: Path,
) -> None:
    """The registry changes behind the back of the history, which says that it is still there."""

    async def lost_by() -> frozenset[str]:
        return frozenset(each.observer for each in check(run.history).lost)

    async with running(tmp_path) as run:
        await run.break_the_bridge()
        await settled(run.history, within=30)
        run.write(run.backends[1:2])
        await until(lost_by, lambda seen: seen == OBSERVERS, within=30)
    verdict = check(run.history)
    assert verdict.outcome == "broken", str(verdict)
    gone = endpoints(run.backends[0])
    assert {each.observer for each in verdict.lost} == OBSERVERS
    assert {each.endpoint for each in verdict.lost} == set(gone)
    assert {each.observer: each.missing for each in verdict.differences} == dict.fromkeys(
        OBSERVERS, tuple(gone)
    )
    with pytest.raises(AssertionError, match="4 endpoints lost that the registry had all the time"):
        assert_holds(run.history)


async def test_a_run_in_which_the_fault_did_not_take_place_is_void(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await run.break_the_bridge(really=False)
    with pytest.raises(
        AssertionError, match=r"^void: fault 'kill -9 of the bridge' was never seen"
    ):
        assert_holds(run.history)


async def test_a_run_with_too_little_load_is_void(tmp_path: Path) -> None:
    async with running(tmp_path, rate=60) as run:
        await run.break_the_bridge()
    with pytest.raises(AssertionError, match=r"void: \d\d requests/s before the first fault"):
        assert_holds(run.history)
