"""Measures what changed endpoints cost a bridge and the istiod behind it, run by run."""

import asyncio
import ipaddress
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import psutil
from google.protobuf import json_format
from robustness.subscriber import DeltaClient, StateClient, channel, open_stream
from robustness.swinging import name_of

from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from meshbridge.testing import Process
from meshbridge_xds.envoy.names import EDS, cluster_name
from rig.distribution import install
from rig.istiod import Istiod, sidecar
from rig.ports import free_port
from rig.waiting import until


@dataclass(frozen=True, slots=True)
class Way:
    """One way to send ServiceEntries, and how fast they change meanwhile."""

    name: str
    mode: str
    """For :mod:`benchmarks.istiod_bridge`."""
    rate: float
    """Changes a second."""
    aimed: bool = False
    """Whether the targets are for it."""
    alone: bool = False
    """Whether a client that does nothing but acknowledge stands in istiod's place."""


MOVING = 20
"""Services whose endpoints change; the client of istiod subscribes to them."""
_FIRST = int(ipaddress.IPv4Address("10.0.0.0"))
_CHANGED = ipaddress.IPv4Network("10.0.0.0/8")
_WITHIN = 120.0
_LATE = 50
"""Further changes while the last of those that count may still be under way."""
_REST = 8.0
"""Seconds for which the bridge is watched before anything changes."""
_BLOCK = 10
"""Acknowledged responses over which processor time is taken together."""
SERVICE_ENTRY = "networking.istio.io/v1/ServiceEntry"


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
    """Processor seconds of the bridge for a change, without rest, joining and handing over."""
    joining: list[float] = field(default_factory=list[float])
    """Processor seconds of joining all into one response."""
    handing: list[float] = field(default_factory=list[float])
    """Processor seconds of handing its bytes to gRPC, which writes them to the socket."""
    istiod: float = 0.0
    """Processor seconds of istiod for a change."""
    rest: float = 0.0
    """Processor seconds that the bridge takes in a second without any change."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    services: int
    instances: int
    changes: int
    """In each turn."""


async def measure(way: Way, size: Size, folder: Path) -> Run:
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
        "rate": way.rate,
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
        *(sys.executable, "-m", "benchmarks.istiod_bridge", notes, way.mode),
        *("run", "-c", configuration),
    ]
    bridge = Process("bridge", command, directory=folder, environment={"PYTHONPATH": paths})

    async def listens() -> bool:
        return "first snapshot" in bridge.log

    async with bridge:
        await bridge.ready(listens, within=_WITHIN)
        if way.alone:
            run = Run()
            counted = await only_acknowledged(run, bridge.pid, mcp, begin, emitted, size.changes)
        else:
            run = Run()
            counted = await with_istiod(run, bridge.pid, folder, mcp, begin, size.changes)
    sort_out(run, emitted.read_text(), notes.read_text(), counted)
    return run


async def with_istiod(
    run: Run, bridge: int, folder: Path, mcp: str, begin: Path, changes: int
) -> Mapping[int, float | None]:
    """Let an istiod take so many changes; return when each came to its client."""
    async with Istiod(folder, [mcp]) as istiod, watching(istiod) as arrived:
        run.rest = await resting(bridge)
        process = psutil.Process(istiod.process.pid)
        before = _cpu(process)
        begin.touch()  # noqa: ASYNC240 - nothing else runs in this process

        async def seen() -> int:
            return len(arrived)

        await until(seen, lambda count: count >= changes, within=changes * 1.5 + 30)
        counted = dict(arrived)
        run.istiod = (_cpu(process) - before) / len(counted)
        await asyncio.sleep(8)  # the last of them may not be acknowledged yet
        if wrong := istiod.warnings():
            raise AssertionError(f"istiod refused something: {wrong[0]}")
    return counted


async def only_acknowledged(
    run: Run, bridge: int, mcp: str, begin: Path, emitted: Path, changes: int
) -> Mapping[int, float | None]:
    """Acknowledge until so many changes were made; return their numbers."""
    async with channel(mcp) as connected, asyncio.timeout(_WITHIN):
        client = StateClient(open_stream(connected, delta=False))
        await client.ask(SERVICE_ENTRY)
        await client.ask(SERVICE_ENTRY, after=await client.read())
        run.rest = await resting(bridge)
        begin.touch()  # noqa: ASYNC240 - nothing else runs in this process
        while _lines(emitted) <= changes + _LATE:
            await client.ask(SERVICE_ENTRY, after=await client.read())
            client.received.clear()
        client.call.cancel()
    return dict.fromkeys(range(1, changes + 1))


async def resting(bridge: int) -> float:
    """Return the processor seconds that it takes in a second while nothing changes."""
    process = psutil.Process(bridge)
    await asyncio.sleep(2)  # what loading has left to do counts for nothing
    before = _cpu(process)
    await asyncio.sleep(_REST)
    return (_cpu(process) - before) / _REST


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


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


def sort_out(run: Run, emitted: str, notes: str, arrived: Mapping[int, float | None]) -> None:
    """Bring together what the registry, the bridge and the client have noted."""
    lines = [line.split() for line in emitted.splitlines()]
    begun = {int(number): float(at) for number, at in lines if int(number) in arrived}
    noted = [json.loads(line) for line in notes.splitlines()]
    run.seen = [came - at for number, at in begun.items() if (came := arrived[number]) is not None]
    for at in begun.values():
        sent = next(place for place, e in enumerate(noted) if e["sent"] and e["at"] >= at)
        answer = next(e for e in noted[sent:] if not e["sent"])
        run.acknowledged.append(answer["at"] - at)
        run.bytes.append(noted[sent]["sent"])
    answers = [each for each in noted if not each["sent"]]
    for first, last in zip(answers[::_BLOCK], answers[_BLOCK::_BLOCK], strict=False):
        spent = {key: last[key] - first[key] for key in ("cpu", "joining", "handing")}
        if changes := sum(first["at"] < at <= last["at"] for at in begun.values()):
            at_rest = run.rest * (last["at"] - first["at"])
            own = spent["cpu"] - at_rest - spent["joining"] - spent["handing"]
            run.own.append(own / changes)
        run.joining.append(spent["joining"] / _BLOCK)
        run.handing.append(spent["handing"] / _BLOCK)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
