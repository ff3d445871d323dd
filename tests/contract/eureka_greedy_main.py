"""Reads a Eureka whose answers are too large, and prints what that cost.

``python eureka_greedy_main.py URL``: watches until the adapter has listed what there is, prints a
line, and at the end of its input prints by how many bytes its memory had grown at most since then,
what was raised, and how long the loop was held up.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import psutil

from meshbridge.contained import contained, spent
from meshbridge.testing import Recorder, context
from meshbridge_eureka import Eureka, Options

PAUSE = 0.05
"""Seconds after an outage in which the watch is begun again."""


async def main(url: str) -> None:
    """Watch until the input ends."""
    recorder, raised = Recorder(), list[str]()
    options = Options.model_validate({"servers": [url], "interval": "1s"})
    adapter = Eureka("greedy", options, context(recorder.report))

    async def watch() -> None:
        while True:
            # As the supervisor does, which keeps nothing of what a failed watch had held.
            error = await contained(adapter.watch(recorder.emit))
            if error is not None:
                raised.append(str(error))
                spent(error)
            recorder.restart()
            await asyncio.sleep(PAUSE)

    watching = asyncio.create_task(watch())
    await recorder.until(lambda: bool(recorder.listings()), 20, "a listing")
    before = psutil.Process().memory_info().rss
    turning = asyncio.create_task(_turn())
    say(listed=len(recorder.services()))
    await asyncio.to_thread(sys.stdin.readline)
    watching.cancel()
    turning.cancel()
    (late,) = await asyncio.gather(turning)
    say(
        grown=_peak() - before,
        left=psutil.Process().memory_info().rss - before,
        raised=raised,
        late=late,
        listed=len(recorder.services()),
    )


def _peak() -> int:
    """Return the most bytes of memory that this process had.

    ``getrusage`` would tell those of its parent if they were more: at exec Linux remembers what the
    process had, which was the parent's (fs/exec.c, exec_mmap).
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def _turn() -> float:
    """Return the longest time for which the loop did not turn, once cancelled."""
    longest, before = 0.0, time.perf_counter()
    try:
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest, before = max(longest, now - before), now
    except asyncio.CancelledError:
        return longest


def say(**figures: object) -> None:
    """Tell on standard output."""
    print(json.dumps(figures), flush=True)  # noqa: T201 - this is how it answers


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
