"""``python -m benchmarks.zookeeper``: what a large Dubbo estate in ZooKeeper costs.

A real ZooKeeper is filled with interfaces of ten providers each. Measured: reading all of it, the
start of a bridge until everything is served, its memory, and how long a changed node takes to the
adapter's update and to Envoy's next request. Needs ``make peers``, Envoy, and the folder ``tests``
on the path of imports; ``make bench-zookeeper`` sees to it.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from benchmarks.report import Setting, circumstances, resting, setting, table
from benchmarks.samples import Figure
from benchmarks.starts import Start, started
from benchmarks.zookeeper_tree import Tree, filled, interface
from meshbridge.cli.demo.traffic import Connection
from meshbridge.testing import Recorder, context
from meshbridge_zookeeper_dubbo import Options, ZooKeeperDubbo
from meshbridge_zookeeper_dubbo.reading import follow
from meshbridge_zookeeper_dubbo.roots import Roots
from meshbridge_zookeeper_dubbo.session import connected
from rig.backends import Backend
from rig.bed import versions
from rig.bridge import Bridge
from rig.envoy import Envoy, bootstrap
from rig.ports import free_port
from rig.waiting import until

REPORT = Path(__file__).with_name("zookeeper.md")
HERE = "127.0.0.1"
PAUSE = 0.05
"""Seconds of rest before a change, by and large."""
_WITHIN = 60.0
_LONGEST = 0.02
"""Seconds for which nothing may hold the event loop up."""


class Counting:
    """Counts the names it is told (a :class:`meshbridge_zookeeper_dubbo.tree.Listener`)."""

    def __init__(self) -> None:
        """Count from nothing."""
        self.names = 0
        self.whole = asyncio.Event()

    def children(self, path: str, names: Sequence[str]) -> None:
        """Count the names of a node."""
        if path.endswith("/providers"):
            self.names += len(names)

    def added(self, path: str, name: str) -> None:
        """Do nothing: all is there before."""

    def removed(self, path: str, name: str) -> None:
        """Do nothing: nothing goes."""

    def data(self, path: str, data: bytes | None) -> None:
        """Do nothing: no node's data is any providers'."""

    def guarded(self, path: str) -> None:
        """Do nothing: all may be read."""

    def settled(self) -> None:
        """Know that all was told."""
        self.whole.set()


async def read(tree: Tree, runs: int) -> list[Figure]:
    """Read everything, without understanding it, again and again."""
    options = _options(tree)
    roots = Roots(options.interface_roots, options.application_roots)
    times, late = list[float](), list[float]()
    for number in range(runs):
        counting = Counting()
        begun = time.perf_counter()
        async with (
            connected(options, context(Recorder().report).logger) as session,
            asyncio.TaskGroup() as tasks,
        ):
            ticking = tasks.create_task(_ticking(late))
            following = tasks.create_task(follow(session, roots.all, roots, counting))
            await counting.whole.wait()
            times.append(time.perf_counter() - begun)
            following.cancel()
            ticking.cancel()
        if counting.names != tree.services * tree.instances:
            raise AssertionError(f"read {counting.names} names")
        _say(f"read {number + 1}/{runs}: {times[-1]:.2f} s")
    return [
        Figure("connect and read all", "s", times, 1.5),
        Figure("longest hold of the event loop in a read", "ms", [each * 1e3 for each in late], 20),
    ]


async def _ticking(late: list[float]) -> None:
    """Note the longest time for which the event loop did not turn, when cancelled."""
    longest, before = 0.0, time.perf_counter()
    try:
        while True:
            await asyncio.sleep(0.0005)
            now = time.perf_counter()
            longest, before = max(longest, now - before - 0.0005), now
    finally:
        late.append(longest)


async def starts(tree: Tree, folder: Path, runs: int) -> list[Figure]:
    """Start a bridge again and again, without what it has stored, until everything is served."""
    made = list[Start]()
    for number in range(runs):
        configuration = _configuration(tree, {"listen": f"{HERE}:0"})
        made.append(await started(folder / f"start-{number}", configuration))
        cost = f"{made[-1].seconds:.2f} s, {made[-1].memory / 2**20:.0f} MiB"
        _say(f"start {number + 1}/{runs}: {cost}")
    times, spent = [each.seconds for each in made], [each.processor for each in made]
    weights, blocked = [each.memory / 2**20 for each in made], [each.late for each in made]
    return [
        Figure("start of `run` → everything is served", "s", times, 5, spent),
        Figure("memory of the bridge then", "MiB", weights, 350),
        Figure("looks at the event loop in which it was over 20 ms late", "", blocked, 0),
    ]


async def emitted(tree: Tree, changes: int, seed: int) -> Figure:
    """Change one service after the other; time each until the adapter tells of it."""
    recorder, chance = Recorder(), random.Random(seed)  # noqa: S311 - repeatable, not secret
    adapter = ZooKeeperDubbo("estate", _options(tree), context(recorder.report))
    samples: list[float] = []
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(adapter.watch(recorder.emit))
        await recorder.until(lambda: bool(recorder.updates), _WITHIN, "a listing")
        for change in range(changes):
            await asyncio.sleep(chance.uniform(0.01, 0.05))
            recorder.updates.clear()
            begun = time.perf_counter()
            writing = tasks.create_task(tree.add(chance.randrange(tree.services), HERE, change + 1))
            await recorder.until(lambda: bool(recorder.updates), _WITHIN, "an update")
            samples.append((time.perf_counter() - begun) * 1e3)
            await writing
        with suppress(asyncio.CancelledError):
            watching.cancel()
    return Figure("node is written → update of the adapter", "ms", samples, 10)


async def live(tree: Tree, folder: Path, changes: int, seed: int) -> Figure:
    """Let two instances take turns in one service; time each until it answers through Envoy."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    port = free_port()
    outlet = {"listen": f"{HERE}:0", "http": [{"listen": f"{HERE}:{port}", "ports": [80]}]}
    samples: list[float] = []
    async with AsyncExitStack() as stack:
        pair = [await stack.enter_async_context(Backend(name)) for name in ("one", "two")]
        paths = [await tree.add(tree.services, HERE, pair[1].port, "rest")]
        bridge = await stack.enter_async_context(Bridge(folder, _configuration(tree, outlet)))
        control_plane = bootstrap(await bridge.address("xds"), api="DELTA_GRPC")
        await stack.enter_async_context(Envoy(folder, control_plane))
        connection = Connection(port, f"{interface(tree.services).lower()}.dubbo")
        await _answered_by(connection, pair[1].name)
        for change in range(changes):
            await asyncio.sleep(chance.uniform(0.05, 0.25))
            new = pair[change % 2]
            begun = time.monotonic()
            paths.append(await tree.add(tree.services, HERE, new.port, "rest"))
            asked = asyncio.create_task(_answered_by(connection, new.name))
            await tree.session.remove(paths.pop(0))
            samples.append((await asked - begun) * 1e3)
        connection.close()
    return Figure("node is written → live in Envoy", "ms", samples, 20)


async def _answered_by(connection: Connection, name: str) -> float:
    """Ask until an instance answers; return when it had done so."""

    async def answer() -> tuple[str, float]:
        asked = await connection.ask()
        return asked.instance, asked.done

    (_, done), _ = await until(answer, lambda got: got[0] == name, within=_WITHIN, every=0.001)
    return done


def _options(tree: Tree) -> Options:
    return Options.model_validate({"servers": [tree.server.address]})


def _configuration(tree: Tree, xds: Mapping[str, object]) -> dict[str, object]:
    registry = {
        "name": "estate",
        "adapter": "zookeeper-dubbo",
        "servers": [tree.server.address],
        "publish": {"allow-addresses": ["127.0.0.0/8"]},
        "guard": {"settle": "0s", "allow-empty": True},
    }
    return {"version": 1, "registries": [registry], "outlets": {"xds": xds}}


def report(figures: Sequence[Figure], seed: Setting, large: str, small: str) -> str:
    """Return the report as Markdown."""
    return f"""\
# What Dubbo in ZooKeeper costs

Measured by `make bench-zookeeper` (seed {seed.seed}) with a real ZooKeeper, which has the heap that
its own `zkServer.sh` gives it, everything on loopback of one machine. Reading, start and memory:
{large}; changes: {small}. Providers' nodes have names of some 530
bytes. The guard's `settle` is 0, so that nothing waits for what may still come.

{circumstances(seed, f"ZooKeeper {versions('maven')['zookeeper']}")}

{table(figures)}

* **Connect and read all**: until every name is told to who reads, not understood yet.
* **Start of `run` → everything is served**: from the start of the process, with all imports.
* **Live in Envoy**: from before the new node is written to the first request that the new instance
  answers; a request leaves every millisecond, its way and the write itself are in the figure.

{resting(PAUSE)}
"""


async def main() -> int:
    """Measure everything, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zookeeper", description=__doc__)
    parser.add_argument("--services", type=int, default=10_000, help="to read and to start with")
    parser.add_argument("--fewer", type=int, default=1_000, help="where single ones change")
    parser.add_argument("--instances", type=int, default=10)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the pauses between changes")
    parser.add_argument("--output", type=Path, default=REPORT, help="the report's file")
    options = parser.parse_args()
    measured = setting(options.seed)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="meshbridge-bench-") as name:
        folder = Path(name)
        large, small = ((folder / each) for each in ("large", "small"))
        for each in (large, small):
            each.mkdir()
        async with filled(large, options.services, options.instances, _say) as tree:
            figures += await read(tree, options.runs)
            figures += await starts(tree, large, options.runs)
        async with filled(small, options.fewer, options.instances, _say) as tree:
            figures.append(await emitted(tree, options.changes, options.seed))
            figures.append(await live(tree, small / "bridge", options.changes, options.seed))
    sizes = (
        f"{count:,} services of {options.instances}" for count in (options.services, options.fewer)
    )
    text = report(figures, measured, *sizes)
    options.output.write_text(text)
    _say(f"\n{text}\nwritten to {options.output}")
    return 0 if all(figure.met for figure in figures) else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
