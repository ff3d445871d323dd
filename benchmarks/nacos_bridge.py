"""What a whole `meshbridge run` costs that reads a large estate from a real Nacos."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil

from benchmarks.nacos_adapter import SHAPES, Place
from benchmarks.samples import Figure
from rig.bridge import Bridge

_WITHIN = 60.0
_REST = 3.0
"""Seconds after which what it needed only to start is gone."""


async def starts(place: Place, folder: Path, runs: int, say: Callable[[str], None]) -> list[Figure]:
    """Start a bridge again and again, without what it has stored, until everything is served."""
    times, spent, weights, late = list[float](), list[float](), list[float](), list[float]()
    for number in range(runs):
        bridge = Bridge(folder / f"{place.namespace}-{number}", _configuration(place))
        begun = time.perf_counter()
        async with bridge:

            async def served(bridge: Bridge = bridge) -> bool:
                return bool(bridge.events("first snapshot"))

            await bridge.process.ready(served, within=_WITHIN)
            times.append(time.perf_counter() - begun)
            process = psutil.Process(bridge.process.pid)
            spent.append(sum(process.cpu_times()[:2]))
            await asyncio.sleep(_REST)
            weights.append(process.memory_info().rss / 1e6)
            late.append(await late_turns(await bridge.address("status")))
        started = f"{times[-1]:.2f} s, {weights[-1]:.0f} MB"
        say(f"Nacos {place.server}, {place.shape}, start {number + 1}/{runs}: {started}")
    prefix = f"{place.server}, {SHAPES[place.shape]}"
    what = f"{prefix}: looks at its event loop in which it was over 20 ms late"
    return [
        Figure(f"{prefix}: start of `run` → everything is served", "s", times, cpu=spent),
        Figure(f"{prefix}: memory of the whole bridge then", "MB", weights),
        Figure(what, "looks", late, 0.0, always=True),
    ]


async def late_turns(status: str) -> float:
    """Return how often a bridge's event loop was over 20 ms late, as it counts itself."""
    async with aiohttp.ClientSession() as client, client.get(f"http://{status}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    name = "meshbridge_loop_lag_seconds"
    figures = dict(line.rsplit(" ", 1) for line in lines if line.startswith(name))
    return float(figures[f"{name}_count"]) - float(figures[f'{name}_bucket{{le="0.02"}}'])


def _configuration(place: Place) -> dict[str, object]:
    registry = {
        "name": "estate",
        "adapter": "nacos",
        "servers": [place.address],
        "namespaces": [place.namespace],
        "guard": {"settle": "0s"},
    }
    outlets = {"xds": {"listen": "127.0.0.1:0"}}
    return {"version": 1, "registries": [registry], "outlets": outlets}
