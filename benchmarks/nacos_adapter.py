"""What the adapter alone costs: subscribing to everything, large pushes, and many names."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from benchmarks.nacos_estate import Estate, Shape, step_back
from benchmarks.samples import Figure
from benchmarks.spoken import Spoken, spoken

LONGEST: Final = 20.0
"""Milliseconds for which nothing may hold up the event loop."""
PROCESSOR, MEMORY = 3.0, 150.0
"""Seconds and MB that subscribing to all may take."""
_REST: Final = 11.0
"""Seconds in which the list of names is looked at twice."""
SHAPES: Final[dict[Shape, str]] = {"spring": "Spring Cloud", "dubbo": "Dubbo"}


class Step(NamedTuple):
    """What becomes of the big service."""

    what: str
    instances: int
    weight: float
    """Of one of its instances."""


STEPS: Final = (
    Step("push of 1,000 instances", 1_000, 1.0),
    Step("push of 12,000 instances", 12_000, 1.0),
    Step("the same 12,000 once more", 12_000, 1.0),
    Step("12,000, one of them changed", 12_000, 2.0),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an estate is."""

    server: str
    """What the server is called: ``2.5``."""
    address: str
    namespace: str
    shape: Shape


async def watch(
    place: Place, estate: Estate, services: int, runs: int, say: Callable[[str], None]
) -> list[Figure]:
    """Watch an estate again and again, and let its big service swell each time."""
    subscribed: list[dict[str, float]] = []
    pushed: list[list[dict[str, float]]] = []
    await estate.swell(1, 1.0)  # the first watcher, too, finds the big service, and small
    for number in range(runs):
        async with spoken("nacos_watcher", place.address, place.namespace, place.shape) as watcher:
            figures = await watcher.says()
            if figures["services"] < services:
                raise AssertionError(f"{figures['services']} of {services} services were listed")
            subscribed.append(figures)
            pushed.append([await _swell(step, estate, watcher) for step in STEPS])
        # Without instances it is none, and the next watcher begins as this one did.
        await estate.swell(1, 1.0)
        said = f"{figures['spent']:.2f} s of processor, {figures['peak']:.0f} MB"
        say(f"Nacos {place.server}, {place.shape} {number + 1}/{runs}: {said}")
    return _figures(f"{place.server}, {SHAPES[place.shape]}", subscribed, pushed)


async def names(count: int, say: Callable[[str], None]) -> list[Figure]:
    """Watch a stand-in that has nothing but so many names."""
    async with spoken("nacos_names", str(count)) as server:
        address = (await server.line()).strip()
        step_back(server.pid)
        async with spoken("nacos_watcher", address, "public", "spring") as watcher:
            listed = await watcher.says()
            await watcher.hears(json.dumps({"rest": _REST}))
            looked = await watcher.says()
    if listed["services"] != count:
        raise AssertionError(f"{listed['services']} of {count} names were listed")
    say(f"{count} names: listed within {listed['took']:.1f} s")
    prefix = f"{count:,} names (a stand-in)"
    return [
        Figure(f"{prefix}: start → listed", "s", [listed["took"]], cpu=[listed["listed"]]),
        *_turns(f"{prefix}: subscribing to all", [listed]),
        *_turns(f"{prefix}: looking at the list again", [looked]),
    ]


async def _swell(step: Step, estate: Estate, watcher: Spoken) -> dict[str, float]:
    await watcher.hears(json.dumps({"big": step.instances}))
    await estate.swell(step.instances, step.weight)
    return await watcher.says()


def _figures(
    prefix: str,
    subscribed: Sequence[dict[str, float]],
    pushed: Sequence[Sequence[dict[str, float]]],
) -> list[Figure]:
    def row(pick: str, what: str, unit: str, target: float = math.inf) -> Figure:
        return Figure(f"{prefix}: {what}", unit, [each[pick] for each in subscribed], target)

    figures = [
        row("took", "start → listed", "s"),
        row("spent", "processor until all is listed and pushed", "s", PROCESSOR),
        row("memory", "memory grown by then", "MB", MEMORY),
        row("peak", "most memory grown on the way", "MB", MEMORY),
        *_turns(f"{prefix}: subscribing to all", subscribed),
    ]
    for step, results in zip(STEPS, zip(*pushed, strict=True), strict=True):
        figures += _turns(f"{prefix}: {step.what}", results)
    return figures


def _turns(what: str, results: Sequence[dict[str, float]]) -> list[Figure]:
    """Return how long the event loop was held up, by the clock and of its own processor time."""
    clock = [each["longest"] * 1e3 for each in results]
    spent = [each["busiest"] * 1e3 for each in results]
    return [
        Figure(f"{what}: longest turn of the loop", "ms", clock, LONGEST, always=True),
        Figure(f"{what}: its most processor time", "ms", spent, LONGEST, always=True),
    ]
