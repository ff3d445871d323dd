"""A process of its own that has a store: told what to do by its arguments, says what it saw."""

import asyncio
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Never

from unit.runtime.examples import Log

from meshbridge import Instance, RegisteredService, ServiceId
from meshbridge.problems import Problems
from meshbridge.registration import metadata
from meshbridge.store import Store, Timing, open_store


def service(name: str, turn: int, size: int = 10) -> RegisteredService:
    """Return a service that remembers its turn."""
    filling = metadata({"turn": str(turn), "filling": "x" * size})
    return RegisteredService(ServiceId("", "", name), (Instance("a", "b", ()),), filling)


async def storm(store: Store) -> Never:
    """Change all services, together, as fast as the loop turns; say each turn that was written."""
    running = asyncio.create_task(store.run())
    for turn in itertools.count(1):
        with store.whole("shop"):
            for number in range(50):
                name = f"s{number}"
                store.put("shop", "all", ServiceId("", "", name), service(name, turn))
        if store.pending == 50 and (rows := store.written_rows):
            print(turn, rows, flush=True)  # noqa: T201 - that is how it tells
        await asyncio.sleep(0.001)
        if running.done():
            running.result()
    raise AssertionError("it is killed before")


def main() -> None:
    """Open the directory; then change without end, or store a little and say what came of it."""
    mode, directory = sys.argv[1], Path(sys.argv[2])
    log = Log()
    store = open_store(directory, log.logger(), Problems(), time.time, timing=Timing(interval=0.02))
    if mode == "storm":
        asyncio.run(storm(store))
    found = store.stored.registrations.get("shop", {}).get("all", ())
    for number in range(int(sys.argv[3])):
        store.put("shop", "all", ServiceId("", "", f"s{number}"), service(f"s{number}", 0, 10_000))
    store.flush()
    store.flush()
    said = {
        "found": [each.id.name for each in found],
        "trouble": store.trouble,
        "events": log.events(),
        "pending": store.pending,
    }
    store.close()
    print(json.dumps(said))  # noqa: T201 - see above


if __name__ == "__main__":
    main()
