"""``python -m benchmarks``: measures, writes report.md, ends with 1 if a target is missed."""

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks import changes, fan_out, startup
from benchmarks.report import report, setting
from benchmarks.samples import Figure
from meshbridge.cli.demo import envoy
from meshbridge.cli.demo.stage import stage

REPORT = Path(__file__).with_name("report.md")


def main() -> int:
    """Read the arguments, measure, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--changes", type=int, default=200, help="changes of the file")
    parser.add_argument("--runs", type=int, default=10, help="runs of each start")
    parser.add_argument("--seed", type=int, default=1, help="of the pauses between changes")
    parser.add_argument("--output", type=Path, default=REPORT, help="the report's file")
    parser.add_argument("--streams", type=int, default=1000, help="subscribers of the fan-out")
    parser.add_argument("--services", type=int, default=20, help="services in the fan-out")
    options = parser.parse_args()
    measured = setting(options.seed)
    size = fan_out.Size(services=options.services, streams=options.streams)
    figures, version = asyncio.run(_measure(options.changes, options.runs, options.seed, size))
    text = report(figures, version, measured)
    options.output.write_text(text)
    _say(f"\n{text}\nwritten to {options.output}")
    return 0 if all(figure.met for figure in figures) else 1


async def _measure(
    count: int, runs: int, seed: int, size: fan_out.Size
) -> tuple[list[Figure], str]:
    found = await envoy.find(None, _say)
    figures = [startup.help_text(runs, _say)]
    async with stage(found.path) as bed:
        bed.register(await bed.add("one", "v1", 1))
        figures += await startup.start(bed, runs, _say)
    async with stage(found.path) as bed:
        figures.insert(0, await changes.live(bed, count, seed, _say))
    figures += await fan_out.fan_out(size, _say)
    return figures, found.version


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output


if __name__ == "__main__":
    sys.exit(main())
