"""``python -m benchmarks.istiod``: what a changed endpoint costs on its way through a real istiod.

A bridge with a synthetic registry serves one istiod; one endpoint changes twice a second. Measured
for each way to send ServiceEntries, by turns with the same istiod build: until istiod has
acknowledged, until a client of istiod's own EDS has it, bytes, and processor time on both sides.
Needs ``make peers`` and the folder ``tests`` on the path of imports; ``make bench-istiod`` sees to
both.
"""

import argparse
import asyncio
import ipaddress
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import psutil
from google.protobuf import json_format
from robustness.subscriber import DeltaClient, channel, open_stream
from robustness.swinging import name_of

from benchmarks.report import Setting, circumstances, setting, table
from benchmarks.samples import Figure
from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from meshbridge.testing import Process
from meshbridge_xds.envoy.names import EDS, cluster_name
from rig.bed import versions
from rig.distribution import install
from rig.istiod import Istiod, sidecar
from rig.ports import free_port
from rig.waiting import until

REPORT = Path(__file__).with_name("istiod.md")
MODES = ("stubs", "full", "rewriting")
RATE = 2.0
MOVING = 20
"""Services whose endpoints change; the client of istiod subscribes to them."""
_FIRST = int(ipaddress.IPv4Address("10.0.0.0"))
_CHANGED = ipaddress.IPv4Network("10.0.0.0/8")
_WITHIN = 120.0


@dataclass
class Run:
    """What one way of sending did, by the number of the change."""

    acknowledged: list[float] = field(default_factory=list[float])
    """Seconds from a change to istiod's acknowledgement."""
    seen: list[float] = field(default_factory=list[float])
    """Seconds from a change to its arrival at a client of istiod."""
    bytes: list[float] = field(default_factory=list[float])
    """Of each response."""
    own: list[float] = field(default_factory=list[float])
    """Processor seconds of the bridge for a change, without the join of a response."""
    loop: list[float] = field(default_factory=list[float])
    """The part of it that its event loop took; the rest is gRPC's, which sends the response."""
    joining: list[float] = field(default_factory=list[float])
    """Processor seconds of that join."""
    istiod: float = 0.0
    """Processor seconds of istiod for a change."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    services: int
    instances: int
    changes: int
    """In each turn."""


async def measure(mode: str, size: Size, folder: Path) -> Run:
    """Run one bridge and one istiod in an empty folder. Raises ProcessFailed or TimeoutError."""
    begin, emitted, notes = (folder / name for name in ("begin", "emitted", "notes"))
    watched = folder / "configuration"  # nothing else changes where the bridge looks for changes
    mcp = f"127.0.0.1:{free_port()}"
    configuration = watched / "bridge.yaml"
    registry = {
        "name": "shop",
        "adapter": "swinging",
        "services": size.services,
        "instances": size.instances,
        "moving": MOVING,
        "rate": RATE,
        "seed": 1,
        "begin": str(begin),
        "log": str(emitted),
    }
    watched.mkdir()
    configuration.write_text(
        json.dumps({"version": 1, "registries": [registry], "outlets": {"mcp": {"listen": mcp}}})
    )
    entries = {"meshbridge.adapters": {"swinging": "robustness.swinging:Swinging"}}
    path = install(folder / "strangers", "swinging", modules={}, entry_points=entries)
    paths = os.pathsep.join([str(path), *sys.path])
    command: list[str | Path] = [
        *(sys.executable, "-m", "benchmarks.istiod_bridge", notes, mode),
        *("run", "-c", configuration),
    ]
    bridge = Process("bridge", command, directory=folder, environment={"PYTHONPATH": paths})

    async def listens() -> bool:
        return "first snapshot" in bridge.log

    run = Run()
    async with bridge:
        await bridge.ready(listens, within=_WITHIN)
        async with Istiod(folder, [mcp]) as istiod, watching(istiod) as arrived:
            await asyncio.sleep(2)  # what loading has left to do must not count for the changes
            process = psutil.Process(istiod.process.pid)
            before = _cpu(process)
            begin.touch()

            async def seen() -> int:
                return len(arrived)

            await until(
                seen, lambda count: count >= size.changes, within=size.changes / RATE * 3 + 30
            )
            counted = dict(arrived)
            run.istiod = (_cpu(process) - before) / len(counted)
            await asyncio.sleep(2)  # the last of them may not be acknowledged yet
            if wrong := istiod.warnings():
                raise AssertionError(f"istiod refused something: {wrong[0]}")
    sort_out(run, emitted.read_text(), notes.read_text(), counted)
    return run


@asynccontextmanager
async def watching(istiod: Istiod) -> AsyncGenerator[dict[int, float]]:
    """Subscribe to the endpoints of the services that change; yields when each change came."""
    arrived: dict[int, float] = {}
    names = [cluster_name(f"{name_of(number)}.swinging", 80) for number in range(MOVING)]
    async with channel(istiod.discovery) as connected, asyncio.TaskGroup() as tasks:
        client = DeltaClient(open_stream(connected, delta=True))
        asking = DeltaDiscoveryRequest(type_url=EDS, resource_names_subscribe=names)
        node = cast("dict[str, object]", sidecar(istiod)["node"])
        json_format.ParseDict(node, asking.node)
        await client.call.write(asking.SerializeToString())
        await client.take(within=_WITHIN)

        async def follow() -> None:
            while True:
                response = await client.take(within=3600)
                now = time.monotonic()
                client.received.clear()
                for each in response.resources:
                    for number in changes_in(each.resource.value):
                        arrived.setdefault(number, now)

        following = tasks.create_task(follow())
        try:
            yield arrived
        finally:
            following.cancel()
            client.call.cancel()


def changes_in(assignment: bytes) -> list[int]:
    """Return the numbers of the changes that endpoints of a cluster are of."""
    addresses = (
        ipaddress.IPv4Address(each.endpoint.address.socket_address.address)
        for locality in ClusterLoadAssignment.FromString(assignment).endpoints
        for each in locality.lb_endpoints
    )
    return [int(address) - _FIRST for address in addresses if address in _CHANGED]


def sort_out(run: Run, emitted: str, notes: str, arrived: dict[int, float]) -> None:
    """Bring together what the registry, the bridge and the client have noted."""
    lines = [line.split() for line in emitted.splitlines()]
    begun = {int(number): float(at) for number, at in lines if int(number) in arrived}
    noted = [json.loads(line) for line in notes.splitlines()]
    run.seen = [arrived[number] - at for number, at in begun.items()]
    for at in begun.values():
        sent = next(place for place, e in enumerate(noted) if e["sent"] and e["at"] >= at)
        answer = next(e for e in noted[sent:] if not e["sent"])
        run.acknowledged.append(answer["at"] - at)
        run.bytes.append(noted[sent]["sent"])
        # Where istiod is slower than the changes, several go in one response, and the next one is
        # made while it still works: what the bridge does for one is known only of the others.
        if sent and not noted[sent - 1]["sent"] and noted[sent - 1]["at"] <= at:
            joining = answer["joining"] - noted[sent - 1]["joining"]
            run.joining.append(joining)
            run.own.append(answer["cpu"] - noted[sent - 1]["cpu"] - joining)
            run.loop.append(answer["loop"] - noted[sent - 1]["loop"] - joining)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def figures(mode: str, runs: Sequence[Run]) -> list[Figure]:
    """Return the rows of one way of sending."""
    targets = {"acknowledged": 60.0, "seen": 50.0, "own": 3.0} if mode == "stubs" else {}

    def row(pick: str, what: str, unit: str = "ms") -> Figure:
        values = [value for run in runs for value in getattr(run, pick)]
        scale = 1e-3 if unit == "kB" else 1e3
        target = targets.get(pick, math.inf)
        return Figure(f"{mode}: {what}", unit, [value * scale for value in values], target)

    return [
        row("acknowledged", "change → acknowledged by istiod"),
        row("seen", "change → a client of istiod's EDS"),
        row("bytes", "response", "kB"),
        row("own", "processor of the bridge, without the join"),
        row("loop", "of it the event loop"),
        row("joining", "processor of the join"),
        Figure(f"{mode}: processor of istiod", "ms", [run.istiod * 1e3 for run in runs]),
    ]


def report(rows: Sequence[Figure], ratio: float, size: str, seed: Setting) -> str:
    """Return the report as Markdown."""
    istio = versions("istio")["istio"]
    return f"""\
# What a changed endpoint costs with istiod

Measured by `make bench-istiod`: {size}; one endpoint changes twice a second. The ways to send
ServiceEntries take turns, each with an istiod of its own: *stubs* is meshbridge, *full* sends every
ServiceEntry whole each time, *rewriting* does that without versions, so that istiod writes all of
them anew for each change.

{circumstances(seed, f"istiod {istio}")}

{table(rows)}

istiod's processor time for a change is {ratio:.0f} times as much with *rewriting* as with *stubs*.

* **change → acknowledged**: from the registry's word to istiod's acknowledgement of the response.
* **change → a client of istiod's EDS**: from the registry's word to the endpoint at a client that
  has subscribed to {MOVING} clusters of istiod (debounce 20 ms, none for endpoints).
* **processor of the bridge, without the join**: of its whole process for a change, from the note
  before it to the acknowledgement; the join of all ServiceEntries into one response stands apart.
"""


async def main() -> int:
    """Measure all ways by turns, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.istiod", description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--instances", type=int, default=10)
    parser.add_argument("--changes", type=int, default=30, help="in each turn")
    parser.add_argument("--turns", type=int, default=2, help="of each way")
    parser.add_argument("--output", type=Path, default=REPORT, help="the report's file")
    options = parser.parse_args()
    measured = setting(1)
    runs: dict[str, list[Run]] = {mode: [] for mode in MODES}
    each = Size(options.services, options.instances, options.changes)
    for turn in range(options.turns):
        for mode in MODES:
            with tempfile.TemporaryDirectory(prefix="meshbridge-bench-") as folder:
                run = await measure(mode, each, Path(folder))
            runs[mode].append(run)
            _say(f"turn {turn + 1}/{options.turns}, {mode}: {_short(run)}")
    rows = [row for mode in MODES for row in figures(mode, runs[mode])]
    cost = {mode: statistics.median(run.istiod for run in runs[mode]) for mode in MODES}
    size = f"{options.services:,} services of {options.instances} endpoints"
    text = report(rows, cost["rewriting"] / cost["stubs"], size, measured)
    options.output.write_text(text)
    _say(f"\n{text}\nwritten to {options.output}")
    return 0 if all(row.met for row in rows) else 1


def _short(run: Run) -> str:
    acknowledged, seen = statistics.median(run.acknowledged), statistics.median(run.seen)
    return (
        f"acknowledged {acknowledged * 1e3:.0f} ms, seen {seen * 1e3:.0f} ms,"
        f" {statistics.median(run.bytes) / 1e6:.2f} MB, istiod {run.istiod * 1e3:.0f} ms a change"
    )


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
