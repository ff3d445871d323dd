"""Watches a Nacos with the adapter alone, in a process of its own, and tells what that costs.

``python -m benchmarks.nacos_watcher ADDRESS NAMESPACE SHAPE``: prints a line of JSON once all is
listed and the pushes that follow are read. Orders come as lines of JSON on standard input, and are
answered by one: ``{"big": 12000}`` when the big service has come with so many instances and all is
quiet, ``{"rest": 10}`` after so many seconds.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from typing import cast, get_args

import psutil

from benchmarks.loop_turns import Turns, answer
from benchmarks.nacos_estate import BIG, Shape, name_of
from meshbridge import Changed, Listing, Update
from meshbridge.memory import settle
from meshbridge.testing import Recorder, context
from meshbridge_nacos import Nacos, Options
from meshbridge_nacos.access import Access
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.parse import Record
from rig.memory import peak
from rig.waiting import until

QUIET = 1.0
"""Seconds without a push after which none is taken to be under way."""
_WITHIN = 90.0


class Watcher:
    """What the adapter has said, and what it was pushed."""

    def __init__(self, big: str) -> None:
        """Count the pushes of all services, and those of the big one."""
        self.listing: Listing | None = None
        self.instances = 0
        """Of the big service, as it was told last."""
        self.pushes = self.big_pushes = 0
        self.pushed = 0.0
        """Monotonic seconds of the last push."""
        self._big = big
        put = Inbox.put

        def counted(inbox: Inbox, service: str, info: Record) -> None:
            self.pushes += 1
            self.big_pushes += service == big
            self.pushed = time.monotonic()
            put(inbox, service, info)

        setattr(Inbox, "put", counted)  # noqa: B010 - a push that changes nothing is not told

    def take(self, update: Update) -> None:
        """Note what the adapter says; this is its ``emit``."""
        match update:
            case Listing():
                self.listing = update
            case Changed(_, service) if len(service.instances) >= _MANY:
                self.instances = len(service.instances)
            case _:
                pass

    async def listed(self) -> Listing:
        """Return what is listed first."""

        async def look() -> Listing | None:
            return self.listing

        listing, _ = await until(look, lambda found: found is not None, within=_WITHIN)
        return cast("Listing", listing)

    async def quiet(self) -> None:
        """Wait until nothing is pushed any more."""
        self.pushed = time.monotonic()

        async def look() -> float:
            return time.monotonic() - self.pushed

        await until(look, lambda since: since >= QUIET, within=_WITHIN)

    async def swollen(self, instances: int, after: int) -> None:
        """Wait until the big service is pushed again after so many times, with as many."""

        async def look() -> tuple[bool, int]:
            return self.big_pushes > after, self.instances

        await until(look, lambda seen: seen == (True, instances), within=_WITHIN)


_MANY = 500
"""Instances that only the big service has."""


def _ignore(group: str, name: str, info: Record) -> None:
    """Take a push: nothing is subscribed to."""


async def main() -> None:
    """Watch, and answer until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nacos_watcher")
    parser.add_argument("address")
    parser.add_argument("namespace")
    parser.add_argument("shape", choices=get_args(Shape))
    said = parser.parse_args()
    options = Options.model_validate({"servers": [said.address], "namespaces": [said.namespace]})
    watcher, turns = Watcher(name_of(said.shape, BIG)), Turns()
    adapter = Nacos("estate", options, context(Recorder().report))
    process = psutil.Process()
    await asyncio.to_thread(time.time)  # the thread that will read the orders
    async with Access(options, context(Recorder().report)).session(said.namespace, _ignore):
        pass  # gRPC starts its threads at the first connection of a process
    gc.collect()
    settle()
    await asyncio.sleep(0)
    turns.take()
    before, spent, begun = process.memory_info().rss, time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(adapter.watch(watcher.take))
        listing = await watcher.listed()
        took, listed = time.perf_counter() - begun, time.process_time() - spent
        await watcher.quiet()
        longest = turns.take()
        figures = {
            "services": len(listing.services),
            "instances": sum(len(each.instances) for each in listing.services),
            "pushes": watcher.pushes,
            "took": took,
            "listed": listed,
            "spent": time.process_time() - spent,
            "memory": (process.memory_info().rss - before) / 1e6,
            "peak": (peak() - before) / 1e6,
        }
        answer(figures, *longest)
        pushes = watcher.big_pushes
        await asyncio.sleep(0)
        turns.take()  # what was done here is none of the adapter's work
        while line := await asyncio.to_thread(sys.stdin.readline):
            begun, order = time.perf_counter(), json.loads(line)
            if "rest" in order:
                await asyncio.sleep(order["rest"])
            else:
                await watcher.swollen(order["big"], pushes)
                await watcher.quiet()
            longest = turns.take()
            took = time.perf_counter() - begun
            answer({"took": took, "pushes": watcher.big_pushes - pushes}, *longest)
            pushes = watcher.big_pushes
        watching.cancel()


if __name__ == "__main__":
    asyncio.run(main())
