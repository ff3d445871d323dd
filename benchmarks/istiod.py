"""``python -m benchmarks.istiod``: what a changed endpoint costs on its way through a real istiod.

A bridge with a synthetic registry serves one istiod, and endpoints change one by one. Measured for
each way to send ServiceEntries, by turns with the same istiod build: until istiod has acknowledged,
until a client of istiod's own EDS has it, bytes, and processor time on both sides. What the bridge
alone does for a change is measured with a client that acknowledges at once, too.
Needs ``make peers`` and the folder ``tests`` on the path of imports; ``make bench-istiod`` sees to
both.
"""

import argparse
import asyncio
import math
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.istiod_changes import MOVING, Run, Size, Way, measure
from benchmarks.report import Setting, circumstances, resting, setting, table
from benchmarks.samples import Figure
from rig.bed import versions

REPORT = Path(__file__).with_name("istiod.md")
STUBS = Way("stubs, 2 a second", "stubs", 2.0, aimed=True)
REWRITING = Way("rewriting, 2 a second", "rewriting", 2.0)
WAYS = (
    STUBS,
    Way("stubs, 8 a second", "stubs", 8.0, aimed=True),
    Way("stubs, 100 a second, without istiod", "stubs", 100.0, aimed=True, alone=True),
    Way("full, 2 a second", "full", 2.0),
    REWRITING,
)
REST = 0.5
"""Seconds between two changes at the slowest rate."""


def figures(way: Way, runs: Sequence[Run]) -> list[Figure]:
    """Return the rows of one way of sending."""
    targets = {"acknowledged": 60.0, "seen": 50.0, "own": 3.0} if way.aimed else {}

    def row(pick: str, what: str, unit: str = "ms") -> Figure:
        values = [value for run in runs for value in getattr(run, pick)]
        scale = 1e-3 if unit == "kB" else 1e3
        target = targets.get(pick, math.inf)
        return Figure(f"{way.name}: {what}", unit, [value * scale for value in values], target)

    own = [
        row("own", "processor of the bridge, without joining and handing over"),
        row("joining", "processor of joining all into a response"),
        row("handing", "processor of handing it to gRPC"),
        Figure(f"{way.name}: processor of the bridge at rest", "ms", [r.rest * 1e3 for r in runs]),
    ]
    if way.alone:
        return own
    return [
        row("acknowledged", "change → acknowledged by istiod"),
        row("seen", "change → a client of istiod's EDS"),
        row("bytes", "response", "kB"),
        *own,
        Figure(f"{way.name}: processor of istiod", "ms", [run.istiod * 1e3 for run in runs]),
    ]


def report(rows: Sequence[Figure], ratio: float, size: str, seed: Setting) -> str:
    """Return the report as Markdown."""
    istio = versions("istio")["istio"]
    return f"""\
# What a changed endpoint costs with istiod

Measured by `make bench-istiod`: {size}; one endpoint changes
after the other, as often as each row says. The ways to send ServiceEntries take turns, each with an
istiod of its own: *stubs* is meshbridge, *full* sends every ServiceEntry whole each time,
*rewriting* does that without versions, so that istiod writes all of them anew for each change.

{circumstances(seed, f"istiod {istio}")}

{table(rows)}

istiod's processor time for a change is {ratio:.0f} times as much with *rewriting* as with *stubs*.

* **change → acknowledged**: from the registry's word to istiod's acknowledgement of the response.
* **change → a client of istiod's EDS**: from the registry's word to the endpoint at a client that
  has subscribed to {MOVING} clusters of istiod (debounce 20 ms, none for endpoints).
* **processor of the bridge**: of its whole process, above what it takes *at rest* in as much time
  (a row of its own, for a second), divided by the changes. Joining all ServiceEntries into one
  response and handing its megabyte to gRPC, which the protocol asks for however little has changed,
  stand apart.

{resting(REST)}
"""


async def main() -> int:
    """Measure all ways by turns, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.istiod", description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--instances", type=int, default=10)
    parser.add_argument("--changes", type=int, default=30, help="in each turn at 2 a second")
    parser.add_argument("--turns", type=int, default=2, help="of each way")
    parser.add_argument("--output", type=Path, default=REPORT, help="the report's file")
    options = parser.parse_args()
    measured = setting(1)
    runs: dict[Way, list[Run]] = {way: [] for way in WAYS}
    for turn in range(options.turns):
        for way in WAYS:
            changes = round(options.changes * way.rate * REST)
            each = Size(options.services, options.instances, changes)
            with tempfile.TemporaryDirectory(prefix="meshbridge-bench-") as folder:
                run = await measure(way, each, Path(folder))
            runs[way].append(run)
            _say(f"turn {turn + 1}/{options.turns}, {way.name}: {_short(run)}")
    rows = [row for way in WAYS for row in figures(way, runs[way])]
    cost = {way: statistics.median(run.istiod for run in runs[way]) for way in WAYS}
    size = f"{options.services:,} services of {options.instances} endpoints"
    text = report(rows, cost[REWRITING] / cost[STUBS], size, measured)
    options.output.write_text(text)
    _say(f"\n{text}\nwritten to {options.output}")
    return 0 if all(row.met for row in rows) else 1


def _short(run: Run) -> str:
    def middle(values: Sequence[float]) -> str:
        return f"{statistics.median(values) * 1e3:.1f} ms" if values else "-"

    return (
        f"acknowledged {middle(run.acknowledged)}, seen {middle(run.seen)},"
        f" bridge {middle(run.own)}, istiod {run.istiod * 1e3:.0f} ms a change"
    )


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
