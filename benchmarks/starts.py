"""Starts a whole bridge that reads a large estate, and says what that cost."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp
import psutil

from rig.bridge import Bridge

WITHIN = 60.0
"""Seconds in which everything has to be served."""
REST = 3.0
"""Seconds after which what it needed only to start is gone."""


class Start(NamedTuple):
    """One start, without anything stored."""

    seconds: float
    """Until everything was served."""
    processor: float
    """Seconds of processor time until then."""
    memory: int
    """Bytes that were resident after a rest."""
    late: float
    """Looks at its event loop, by then, in which it was over 20 ms late."""


async def started(folder: Path, configuration: Mapping[str, object]) -> Start:
    """Start a bridge, wait until everything is served, and end it."""
    bridge = Bridge(folder, configuration)
    begun = time.perf_counter()
    async with bridge:

        async def served() -> bool:
            return bool(bridge.events("first snapshot"))

        await bridge.process.ready(served, within=WITHIN)
        seconds = time.perf_counter() - begun
        process = psutil.Process(bridge.process.pid)
        processor = sum(process.cpu_times()[:2])
        await asyncio.sleep(REST)
        memory = process.memory_info().rss
        late = await _late_turns(await bridge.address("status"))
    return Start(seconds, processor, memory, late)


async def _late_turns(status: str) -> float:
    """Return how often its event loop was over 20 ms late, as the bridge counts itself."""
    async with aiohttp.ClientSession() as client, client.get(f"http://{status}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    name = "meshbridge_loop_lag_seconds"
    figures = dict(line.rsplit(" ", 1) for line in lines if line.startswith(name))
    return float(figures[f"{name}_count"]) - float(figures[f'{name}_bucket{{le="0.02"}}'])
