"""``python -m benchmarks.eureka``: what a large Eureka costs.

A stand-in for a server holds 10,000 instances, which a real one would need a minute to be filled
with, and answers as a real one does. Measured: reading all of it, reading all again, changes, and
the start of a whole bridge. Needs the folder ``tests`` on the path of imports, to which
``make bench-eureka`` sees.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.report import Setting, circumstances, resting, setting, table
from benchmarks.samples import Figure
from benchmarks.spoken import Spoken, spoken
from benchmarks.starts import Start, started

REPORT: Final = Path(__file__).with_name("eureka.md")
INTERVAL, WHOLE = 5.0, 301.0
"""Seconds after which the adapter asks for changes, and for everything."""
PAUSE: Final = 0.05
"""Seconds of rest before a question."""
FULL, DELTA, LONGEST = 200.0, 2.0, 20.0
"""Milliseconds of processor time, and of the longest hold of the loop."""
BUSY: Final = 1_000
"""Changes within three minutes, all of which each delta tells."""


class Step(NamedTuple):
    """What happens in the registry, and what is asked for then."""

    what: str
    change: int
    """How many instances change before it."""
    later: float
    """Seconds after which the adapter asks."""
    target: float
    """Milliseconds of processor time that it may take."""
    before: int = 0
    """How many have changed before that, within the time that a delta tells."""


STEPS: Final = (
    Step("all again, nothing has changed", 0, WHOLE, FULL),
    Step("all again, one in a hundred has changed", 100, WHOLE, FULL),
    Step("delta, nothing has changed", 0, INTERVAL, DELTA),
    Step("delta, one has changed", 1, INTERVAL, DELTA),
    Step(f"delta of {BUSY:,}, one of them is new", 1, INTERVAL, FULL, before=BUSY),
)


class Shape(NamedTuple):
    """How the instances are spread."""

    applications: int
    instances: int
    """Of each."""

    def __str__(self) -> str:
        return f"{self.applications:,} of {self.instances:,}"


async def watch(shape: Shape, said: argparse.Namespace) -> list[Figure]:
    """Watch an estate again and again, each time with a new process."""
    read: list[dict[str, float]] = []
    steps: dict[str, list[dict[str, float]]] = {step.what: [] for step in STEPS}
    async with spoken("eureka_server", str(shape.applications), str(shape.instances)) as server:
        step_back(server.pid)
        url = (await server.line()).strip()
        for number in range(said.runs):
            await order(server, forget=True)
            async with spoken("eureka_watcher", url) as watcher:
                first = await asked(watcher, INTERVAL)
                if first["instances"] != shape.applications * shape.instances:
                    raise AssertionError(f"{first['instances']} instances were listed")
                read.append(first)
                for step in STEPS:
                    for _ in range(said.repeats):
                        steps[step.what].append(await take(step, server, watcher))
            _say(f"{shape}, {number + 1}/{said.runs}: {first['spent'] * 1e3:.0f} ms for all")
    figures = [
        *_cost(f"{shape}: all for the first time", read, FULL),
        Figure(f"{shape}: memory grown by then", "MB", [each["memory"] for each in read]),
        Figure(f"{shape}: most memory grown on the way", "MB", [each["peak"] for each in read]),
    ]
    for step in STEPS:
        figures += _cost(f"{shape}: {step.what}", steps[step.what], step.target)
    return figures


async def take(step: Step, server: Spoken, watcher: Spoken) -> dict[str, float]:
    """Let a step happen, and return what it cost."""
    await order(server, forget=True)
    if step.before:
        await order(server, change=step.before)
        await asked(watcher, INTERVAL)
    await order(server, change=step.change)
    await asyncio.sleep(PAUSE)
    figures = await asked(watcher, step.later)
    if bool(figures["changes"]) != bool(step.change):
        raise AssertionError(f"{step.what}: {figures['changes']:.0f} updates")
    return figures


async def order(server: Spoken, **what: int) -> None:
    """Have the server do something."""
    await server.hears(json.dumps(what))
    await server.line()


async def asked(watcher: Spoken, later: float) -> dict[str, float]:
    """Let the adapter ask its next question, so many seconds later."""
    await watcher.hears(json.dumps({"later": later}))
    return await watcher.says()


async def starts(shape: Shape, folder: Path, runs: int) -> list[Figure]:
    """Start a whole bridge again and again, until everything is served."""
    made = list[Start]()
    async with spoken("eureka_server", str(shape.applications), str(shape.instances)) as server:
        step_back(server.pid)
        url = (await server.line()).strip()
        registry = {
            "name": "estate",
            "adapter": "eureka",
            "servers": [url],
            "guard": {"settle": "0s"},
        }
        outlets = {"xds": {"listen": "127.0.0.1:0"}}
        configuration = {"version": 1, "registries": [registry], "outlets": outlets}
        for number in range(runs):
            made.append(await started(folder / f"start-{number}", configuration))
            _say(f"start {number + 1}/{runs}: {made[-1].seconds:.2f} s")
    times, spent = [each.seconds for each in made], [each.processor for each in made]
    late = "looks at its event loop in which it was over 20 ms late"
    return [
        Figure(f"{shape}: start of `run` → everything is served", "s", times, cpu=spent),
        Figure(
            f"{shape}: memory of the whole bridge then", "MB", [each.memory / 1e6 for each in made]
        ),
        Figure(f"{shape}: {late}", "looks", [each.late for each in made], 0.0, always=True),
    ]


def _cost(what: str, results: Sequence[dict[str, float]], target: float) -> list[Figure]:
    spent, longest, busiest = (
        [each[key] * 1e3 for each in results] for key in ("spent", "longest", "busiest")
    )
    return [
        Figure(f"{what}: processor", "ms", spent, target),
        Figure(f"{what}: longest turn of the loop", "ms", longest, LONGEST, always=True),
        Figure(f"{what}: its most processor time", "ms", busiest, LONGEST, always=True),
    ]


def step_back(pid: int) -> None:
    """Let a process have what the measured one leaves."""
    os.setpriority(os.PRIO_PROCESS, pid, 10)


def report(figures: Sequence[Figure], seed: Setting, said: argparse.Namespace) -> str:
    """Return the report as Markdown."""
    return f"""\
# What Eureka costs

Measured by `make bench-eureka` with a stand-in for a server, in a process of its own, everything on
loopback of one machine. It holds {said.applications * said.instances:,} instances of 970 bytes, as
many applications of as many instances as is said, and answers compressed JSON as a real server
does. The adapter is watched alone, in {said.runs} processes one after the other, each with
{said.repeats} of each question. A target marked *always* is met when every sample is within it, any
other when the median is.

{circumstances(seed, "no registry but the stand-in")}

{table(figures)}

* **Processor**: of the adapter's process, from its question until it has nothing left to do: the
  answer received, inflated, decoded, compared, and told.
* **Longest turn of the loop**: the most that one callback took by the clock, with whatever else the
  cores did meanwhile, though the server has lower priority here; beside it the most processor time
  that one took, which is how long it would have been on cores of its own.
* **Delta of {BUSY:,}**: a server tells in each delta all that changed within three minutes.
* **Memory grown**: resident memory after the first answer, and the most until then, above what it
  was before.

{resting(PAUSE)}
"""


async def main() -> int:
    """Measure everything, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.eureka", description=__doc__)
    parser.add_argument("--applications", type=int, default=1_000)
    parser.add_argument("--instances", type=int, default=10, help="of each of them")
    parser.add_argument("--large", type=int, default=10, help="applications, of as many together")
    parser.add_argument("--runs", type=int, default=5, help="processes")
    parser.add_argument("--repeats", type=int, default=10, help="of each question in each")
    parser.add_argument("--starts", type=int, default=3, help="of a whole bridge")
    parser.add_argument("--output", type=Path, default=REPORT, help="the report's file")
    said = parser.parse_args()
    measured = setting(0)
    shape = Shape(said.applications, said.instances)
    large = Shape(said.large, said.applications * said.instances // said.large)
    figures = [*await watch(shape, said), *await watch(large, said)]
    with tempfile.TemporaryDirectory(prefix="meshbridge-bench-") as name:
        figures += await starts(shape, Path(name), said.starts)
    text = report(figures, measured, said)
    said.output.write_text(text)
    _say(f"\n{text}\nwritten to {said.output}")
    return 0 if all(figure.met for figure in figures) else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
