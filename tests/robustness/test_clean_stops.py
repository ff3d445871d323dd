"""Bar 5: what is legitimate passes at once; an instance that leaves in order is asked no more."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from robustness.bed import document, replace
from robustness.findings import Bar
from robustness.mesh import HOST, QUIET, RATE, Mesh, mesh

from meshbridge.cli.demo.traffic import Load
from rig.waiting import until

pytestmark = pytest.mark.asyncio
STOPS = 20
GRACE = 0.25
"""Seconds between the registry's word and the closed port: what an orderly stop waits at least."""


@dataclass
class Stops:
    """What the clean stops showed."""

    last: list[float] = field(default_factory=list[float])
    """Seconds after the registry's word at which the stopped instance answered last."""
    back: list[float] = field(default_factory=list[float])
    """Seconds after the registry's word at which it answered again."""


async def test_an_instance_that_stops_in_order_is_asked_no_more(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Of three instances one leaves the registry, closes its port a moment later, and returns."""
    with bar("5, clean stops under load") as it:
        async with mesh(tmp_path, "DELTA_GRPC") as m:
            load, stops = Load(m.bed.traffic[-1], HOST, RATE), Stops()
            m.load = load
            async with load.running():
                begun = time.monotonic()
                await asyncio.sleep(QUIET)
                first = time.monotonic()
                for number in range(STOPS):
                    await stop_and_return(m, number % len(m.backends), stops)
                await asyncio.sleep(QUIET)
            m.judge_load(it, begun, first)
            held = await m.bed.metric("held_instances")
            complaints = m.bed.complaints()
        it.at_least("clean stops", len(stops.last), STOPS)
        it.at_most(
            "last request to a stopped one after the registry's word", max(stops.last), GRACE, "s"
        )
        it.at_most("slowest return into service", max(stops.back), 5.0, "s")
        it.at_most("instances held at the end", held, 0)
        it.none("complaints in the bridge's log", complaints)


async def stop_and_return(m: Mesh, which: int, stops: Stops) -> None:
    """Take the instance out of the registry, close its port, open it again, and register it."""
    backend = m.backends[which]
    rest = [each for place, each in enumerate(m.services["orders"]) if place != which]
    word = time.monotonic()
    replace(m.bed.file, document({**m.services, "orders": rest}))
    await asyncio.sleep(GRACE)
    await backend.stop()
    await asyncio.sleep(GRACE)
    stops.last.append(max((at - word for at in answered(m.load, backend.address)), default=0.0))
    await backend.start()
    word = time.monotonic()
    replace(m.bed.file, document(m.services))

    async def is_back() -> bool:
        return any(at > word for at in answered(m.load, backend.address))

    await until(is_back, bool, within=10)
    stops.back.append(time.monotonic() - word)


def answered(load: Load, instance: str) -> list[float]:
    """Return when requests that this instance answered were sent, of the last thousand."""
    return [each.sent for each in load.answers[-1000:] if each.instance == instance]
