"""Watches a Eureka with the adapter alone, in a process of its own, and tells what that costs.

``python -m benchmarks.eureka_watcher URL``. Orders come as lines of JSON on standard input, and
each is answered by one: ``{"later": 5}`` lets so many seconds pass for the adapter, which then asks
one question, and tells what that took until the adapter had nothing left to do.
"""

import asyncio
import gc
import json
import sys
import time
from dataclasses import replace

import psutil

from benchmarks.loop_turns import Turns, answer
from meshbridge import Changed, Listing, Removed, Update
from meshbridge.memory import settle
from meshbridge.testing import Recorder, context
from meshbridge_eureka import Eureka, Options
from rig.memory import peak


class Steered:
    """The adapter's time: it stands still until it is told to go on."""

    def __init__(self) -> None:
        """Begin at nought."""
        self.now = 0.0
        self._idle, self._go = asyncio.Event(), asyncio.Event()

    def clock(self) -> float:
        """Return the seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - see its description
        """Wait until it is told to go on, however long that was to be."""
        self._idle.set()
        await self._go.wait()
        self._go.clear()

    async def idle(self) -> None:
        """Wait until the adapter waits."""
        await self._idle.wait()

    async def pass_by(self, seconds: float) -> None:
        """Let time pass, and wait until the adapter has done what is due by then."""
        self.now += seconds
        self._idle.clear()
        self._go.set()
        await self._idle.wait()


class Told:
    """Counts what the adapter says."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.services = self.instances = self.changes = 0

    def take(self, update: Update) -> None:
        """Note it; this is its ``emit``."""
        match update:
            case Listing(_, services):
                self.services = len(services)
                self.instances = sum(len(each.instances) for each in services)
            case Changed() | Removed():
                self.changes += 1
            case _:
                raise AssertionError(f"the adapter said {update}")


async def main(url: str) -> None:
    """Watch, and answer until the input ends."""
    options = Options.model_validate({"servers": [url]})
    steered, told, turns = Steered(), Told(), Turns()
    steady = replace(context(Recorder().report), clock=steered.clock, sleep=steered.sleep)
    adapter = Eureka("estate", options, steady)
    process = psutil.Process()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(adapter.watch(told.take))
        await steered.idle()
        await asyncio.to_thread(time.time)  # the thread that will read the orders
        gc.collect()
        settle()
        before = process.memory_info().rss
        while line := await asyncio.to_thread(sys.stdin.readline):
            order: dict[str, float] = json.loads(line)
            told.changes = 0
            await asyncio.sleep(0)
            turns.take()  # what was done here is none of the adapter's work
            spent, begun = time.process_time(), time.perf_counter()
            await steered.pass_by(order["later"])
            figures = {
                "spent": time.process_time() - spent,
                "took": time.perf_counter() - begun,
                "services": told.services,
                "instances": told.instances,
                "changes": told.changes,
                "memory": (process.memory_info().rss - before) / 1e6,
                "peak": (peak() - before) / 1e6,
            }
            answer(figures, *turns.take())
        watching.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
