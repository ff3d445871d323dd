"""``python -m benchmarks.nacos``: what a large Nacos costs, and how soon its changes take effect.

Real servers of release 2 and 3 are filled with services. Measured: subscribing to all of them,
large pushes, many names, a whole bridge, and how long what is registered takes to answer through
Envoy, beside Nacos' own push delay and its own istio module. Needs ``make peers``, Envoy, and the
folder ``tests`` on the path of imports; ``make bench-nacos`` sees to it.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from benchmarks.nacos_adapter import SHAPES, Place, names, watch
from benchmarks.nacos_bridge import starts
from benchmarks.nacos_estate import holding, step_back
from benchmarks.nacos_live import Size, live, settings
from benchmarks.report import Setting, circumstances, resting, setting, table
from benchmarks.samples import Figure
from rig.bed import versions
from rig.nacos import Nacos
from rig.ports import free_port

REPORT = Path(__file__).with_name("nacos.md")
PARTS = ("live", "adapter", "bridge", "names")
RELEASES: tuple[Literal[2, 3], ...] = (2, 3)
PAUSE = 0.25
"""Seconds of rest before a change, by and large."""


async def heavy(release: Literal[2, 3], folder: Path, said: argparse.Namespace) -> list[Figure]:
    """Measure what a large estate costs the adapter and the bridge, on one server."""
    figures: list[Figure] = []
    async with Nacos(folder, release=release) as nacos:
        server = ".".join((await nacos.version()).split(".")[:2])
        step_back(nacos.process.pid)
        for shape in SHAPES:
            place = Place(server, nacos.address, shape, shape)
            async with holding(nacos.address, place.namespace, shape) as estate:
                took = await estate.fill(0, said.services, said.instances)
                _say(f"Nacos {server}: {said.services:,} services registered in {took:.1f} s")
                await asyncio.sleep(1)
                if "adapter" in said.part:
                    figures += await watch(place, estate, said.services, said.runs, _say)
                if "bridge" in said.part:
                    figures += await starts(place, folder / "bridge", said.starts, _say)
    return figures


async def light(release: Literal[2, 3], folder: Path, size: Size) -> list[Figure]:
    """Measure how soon changes take effect, on one server; of release 2 with its istio module."""
    port = free_port() if release == 2 else None  # noqa: PLR2004 - the module of 3.1 is broken
    more = None if port is None else settings(port)
    async with Nacos(folder, release=release, settings=more) as nacos:
        return await live(nacos, folder / "bridge", size, port, _say)


def report(figures: Sequence[Figure], seed: Setting, said: argparse.Namespace) -> str:
    """Return the report as Markdown."""
    servers = " and ".join(versions("maven")[f"nacos{release}"] for release in said.release)
    return f"""\
# What Nacos costs

Measured by `make bench-nacos` (seed {seed.seed}) with real servers, each with a heap of 512 MB,
everything on loopback of one machine, ephemeral instances registered over gRPC. Subscribing, pushes
and the whole bridge: {said.services:,} services of {said.instances}. New instances: a registry of
{said.many:,} services of {said.few_instances}; new services: one of {said.few} such services.
A target marked *always* is met when every sample is within it, any other when the median is.

{circumstances(seed, f"Nacos {servers}")}

{table(figures)}

* **Processor until all is listed and pushed**: of the adapter's process, from when it begins to
  watch until nothing has come for a second: each subscription is followed by a push of the same.
* **Memory grown**: resident memory of that process then, and the most it ever was, above what it
  was before it begins to watch. **Of the whole bridge**: 3 s after everything is served.
* **Longest turn of the loop**: the most that one callback took by the clock, with whatever else the
  cores did meanwhile, though the servers have lower priority here; beside it the most processor
  time that one took, which is how long it would have been on cores of its own. The process has had
  a connection before, at which gRPC starts its threads.
* **New instance → live in Envoy**: from before the request that registers a second instance of a
  known service to the first request that it answers; one leaves every millisecond or two. At the
  same time a plain subscriber in the process that asks waits for Nacos' push, and a client of its
  own istio module (2.5, which looks for changes every 3 s by default) for the ServiceEntry with it.
* **New service → live in Envoy**: five are registered at random moments within `discover-every`
  (5 s). Fuzzy watch of 3.1 tells of them as long as there are no more than 500 services.
* **Names**: a stand-in that lists services without instances, which a real server would take
  minutes to be filled with.

{resting(PAUSE)}
"""


async def main() -> int:
    """Measure everything, or the parts that are asked for, and write the report."""
    said = _arguments()
    size = Size(said.few, said.many, said.few_instances, said.fresh, said.changes, said.seed)
    measured = setting(said.seed)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="meshbridge-bench-") as name:
        for release in said.release:
            folders = {part: Path(name, f"{part}-{release}") for part in ("light", "heavy")}
            for folder in folders.values():
                folder.mkdir()
            if "live" in said.part:
                figures += await light(release, folders["light"], size)
            if {"adapter", "bridge"} & set(said.part):
                figures += await heavy(release, folders["heavy"], said)
        if "names" in said.part:
            figures += await names(said.names, _say)
    text = report(figures, measured, said)
    said.output.write_text(text)
    _say(f"\n{text}\nwritten to {said.output}")
    return 0 if all(figure.met for figure in figures) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nacos", description=__doc__)
    parser.add_argument("--part", choices=PARTS, nargs="+", default=PARTS, help="what to measure")
    parser.add_argument("--release", type=int, choices=RELEASES, nargs="+", default=RELEASES)
    parser.add_argument("--services", type=int, default=5_000, help="to subscribe to")
    parser.add_argument("--instances", type=int, default=10, help="of each of them")
    parser.add_argument("--runs", type=int, default=3, help="of subscribing to all")
    parser.add_argument("--starts", type=int, default=2, help="of the whole bridge")
    parser.add_argument("--many", type=int, default=2_000, help="services where instances are new")
    parser.add_argument("--few", type=int, default=200, help="services where services are new")
    parser.add_argument("--few-instances", type=int, default=5, help="of each of both")
    parser.add_argument("--changes", type=int, default=40, help="new instances")
    parser.add_argument("--fresh", type=int, default=20, help="new services")
    parser.add_argument("--names", type=int, default=50_000, help="in a list of names")
    parser.add_argument("--seed", type=int, default=1, help="of the pauses between changes")
    parser.add_argument("--output", type=Path, default=REPORT, help="the report's file")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
