"""The table of the servers that a run started."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from statistics import median

from rig.server import Start

MIB = 1024 * 1024


def table(starts: Iterable[Start]) -> Iterator[str]:
    """Give the table's lines: a row for each kind and version, with medians over its starts."""
    yield f"{'server':<20} {'version':<36} {'starts':>6} {'ready after':>17} {'memory':>8}"
    ordered = sorted(starts, key=_row)
    for (kind, version), group in groupby(ordered, _row):
        each = list(group)
        seconds = sorted(start.seconds for start in each)
        spread = f"{median(seconds):.1f} ({seconds[0]:.1f}-{seconds[-1]:.1f}) s"
        memory = median(start.memory for start in each) / MIB
        yield f"{kind:<20} {version:<36} {len(each):>6} {spread:>17} {memory:>4.0f} MiB"


def _row(start: Start) -> tuple[str, str]:
    return start.kind, start.version
