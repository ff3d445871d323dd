"""Writes the report: the figures, and on what they were measured (no host names, no paths)."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.samples import HEAD, Figure

_ROOT = Path(__file__).resolve().parent.parent
_CPU = Path("/proc/cpuinfo")
_MEASURED = (
    "bridge",
    "adapters",
    "mcp",
    "xds",
    "benchmarks/*.py",
    "pyproject.toml",
    "requirements",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """On what something was measured; taken before, as the rest of the world goes on meanwhile."""

    revision: str
    load: float
    """The load average of the minute before."""
    seed: int


def setting(seed: int) -> Setting:
    """Look at the checkout and the machine."""
    revision = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", *_MEASURED)
    note = ", with changes that are not committed" if changed else ""
    return Setting(revision + note, os.getloadavg()[0], seed)


def resting(rest: float) -> str:
    """Return a sentence on the machine's memory, from copying a dictionary after such a rest."""
    warm, rested = (f"{_copying(each) * 1e3:.2f} ms" for each in (0, rest))
    return f"""\
Memory that rests may be slow on a virtual machine, so what happens now and then costs what the
machine makes of it as much as ours: here a copy of a dictionary of 10,000 items took {warm} of
processor time in a loop, and {rested} after {rest:g} s of sleep."""


def _copying(rest: float) -> float:
    """Return the processor seconds of copying a dictionary of 10,000 items after a rest."""
    held = {str(number): number for number in range(10_000)}
    spent: list[float] = []
    for _ in range(9):
        time.sleep(rest)
        begun = time.thread_time()
        held.copy()
        spent.append(time.thread_time() - begun)
    return statistics.median(spent)


def report(figures: Sequence[Figure], envoy: str, measured: Setting) -> str:
    """Return the report as Markdown."""
    return f"""\
# What it costs

Measured by `make bench` (seed {measured.seed}); everything on loopback of one machine. A target is
met when the median is within it. On a busy machine times grow; the processor time of the measured
process, where it was one, tells how much of it was its own.

{circumstances(measured, f"Envoy {envoy}")}

{table(figures)}

* **File change → live in Envoy**: from the replacement of the registry's file to the first request
  that the new instance answers through Envoy; a request leaves every millisecond or two, and its
  own way is in the figure.
* **`meshbridge --help`**: from the start of the process to its end.
* **Start of `run` → first xDS answer**: from the start of the process to the first response (CDS)
  on a stream of a gRPC client that connects as soon as the port is open.
* **Memory at rest**: resident memory of `meshbridge run` with a file registry and both outlets,
  two seconds after that answer.
* **1 KB EDS change, of a bare server's time**: from a change of the file to the last
  acknowledgement of as many subscribers (incremental, ten connections, 20 clusters each), less
  what the same takes with one subscriber, as a share of what a server of the same library needs
  that does nothing but send the same bytes and read the answers. The two take turns, with loads of
  the same kind. The processor time is that of one change at all subscribers.
* **Streams at once**: from the first connection to the last acknowledged answer about clusters and
  endpoints; nothing is encoded for any of them, which is checked.
"""


def circumstances(measured: Setting, beside: str) -> str:
    """Return on what it was measured, as a list; ``beside`` names what else ran."""
    return f"""\
* Revision: {measured.revision}
* Date: {datetime.now(UTC):%Y-%m-%d}
* Machine: {os.cpu_count()} cores{_model()}, {platform.system()} on {platform.machine()}
* Python {platform.python_version()}, {beside}
* Load average over the minute before: {measured.load:.2f}"""


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table."""
    rows = (HEAD, tuple("---" for _ in HEAD), *(figure.row() for figure in figures))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or ("unknown" if done.returncode else "")


def _model() -> str:
    if not _CPU.exists():
        return ""
    names = [
        line.partition(":")[2].strip()
        for line in _CPU.read_text().splitlines()
        if line.startswith("model name")
    ]
    return f" ({names[0]})" if names else ""
