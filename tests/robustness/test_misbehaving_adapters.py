"""Bar 27: whatever one registry's adapter does, the others are served, and its own are kept."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import aiohttp
import msgspec
import psutil
import pytest
from robustness.bed import MIB, Bed, Instances, document, replace
from robustness.findings import Bar
from robustness.mesh import HOST, QUIET, RATE, patient_bootstrap
from robustness.wayward import BLOCKED, KINDS, WITNESS

from meshbridge.cli.demo.traffic import Load
from rig.distribution import install
from rig.envoy import Envoy
from rig.observing import Addressed
from rig.waiting import until

pytestmark = pytest.mark.asyncio
WINDOW = 2.0
"""Seconds for which all is looked at after each begins to misbehave."""
RESTARTS = 20
"""Of all adapters together, over which nothing may grow; half of them leave 10 MB behind."""
QUIETER = 40.0
"""Seconds in which an adapter that behaves again is watched: the longest pause is 30."""
ONCE = {"hangs", "blocks", "floods"}
"""Who behaves again after a while: what hangs holds what it holds, the others hold up the loop."""
ENDS = {"hangs": "adapter-fault", "leaks": "unavailable", "blocks": "watching"}
"""How a registry stands that misbehaves so; the others are faults, too."""


class Endpoint(msgspec.Struct):
    """What ``/api/services`` says of one."""

    address: str
    ports: dict[str, int]


class Service(msgspec.Struct):
    """What ``/api/services`` says of one."""

    host: str
    version: str
    endpoints: list[Endpoint]


class Registry(msgspec.Struct):
    """What ``/api/registries`` says of one."""

    name: str
    state: str
    restarts: int


@dataclass
class Stand:
    """A bridge with a good registry, those that misbehave, and requests to the good one's."""

    folder: Path
    bed: Bed
    load: Load
    services: dict[str, Instances]

    async def ask(self, path: str) -> str:
        """Return what the status server answers, also when the loop is blocked for long."""
        limit = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(f"http://{self.bed.status}{path}") as answer,
        ):
            return await answer.text()

    async def served(self) -> dict[str, Service]:
        """Return what is served."""
        text = await self.ask("/api/services")
        return {each.host: each for each in msgspec.json.decode(text, type=list[Service])}

    async def registries(self) -> dict[str, Registry]:
        """Return how the registries stand."""
        text = await self.ask("/api/registries")
        return {each.name: each for each in msgspec.json.decode(text, type=list[Registry])}

    async def restarts(self) -> Counter[str]:
        """Return how often each adapter was started again."""
        return Counter({name: each.restarts for name, each in (await self.registries()).items()})

    def misbehave(self, kind: str, *, yes: bool = True) -> None:
        """Tell one to, or to behave again."""
        file = self.folder / f"begin-{kind}"
        file.touch() if yes else file.unlink()

    def lines(self, kind: str) -> list[str]:
        """Return the whole lines that one has logged."""
        file = self.folder / f"{kind}.log"
        return file.read_text().split("\n")[:-1] if file.exists() else []


@dataclass
class Seen:
    """What was seen while they misbehaved."""

    looks: int = 0
    good: list[str] = field(default_factory=list[str])
    """Services of the good registry that changed."""
    lost: list[str] = field(default_factory=list[str])
    """Services of the others that are not as they were last."""
    unshown: list[str] = field(default_factory=list[str])
    """What /api/registries or /readyz did not say."""
    changes: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds from a change of the good registry to the answer that has it."""


@dataclass(frozen=True)
class Size:
    """How large the bridge is: the least of some moments."""

    rss: float
    tasks: int
    threads: int
    files: int


async def test_an_adapter_that_misbehaves_harms_its_own_registry_only(
    tmp_path: Path, bar: Callable[[str], Bar], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight of them, each in its own way, one after the other and then all together."""
    with bar("27, misbehaving adapters") as it:
        seen = Seen()
        async with standing(tmp_path, monkeypatch) as s:
            begun = time.monotonic()
            async with s.load.running():
                await asyncio.sleep(QUIET)
                first = time.monotonic()
                for kind in KINDS:
                    await see(s, kind, seen, it)
                await see_nothing_grow(s, seen, it)
                await see_them_recover(s, it)
                await asyncio.sleep(QUIET)
            judge_load(it, s.load, begun, first)
            judge(s, it, seen)
        code = s.bed.bridge.process.exit_code
        it.none("exit codes that are not 0", [code] if code else [])
        it.none("complaints in the log, but of the adapters' faults", complaints(s.bed))


@asynccontextmanager
async def standing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Stand]:
    """Start it all; every registry has been read, and Envoy has all of it."""
    entries = {"meshbridge.adapters": {"wayward": "robustness.wayward:Wayward"}}
    strangers = install(folder / "strangers", "wayward", modules={}, entry_points=entries)
    tests = Path(__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(strangers), str(tests)]))
    allowed = {"publish": {"allow-addresses": ["127.0.0.0/8"]}}
    file = {"name": "shop", "adapter": "file", "path": str(folder / "bridge-services.yaml")}
    wayward = [
        {"name": kind, "adapter": "wayward", "kind": kind, "folder": str(folder), "required": False}
        for kind in (*KINDS, WITNESS)
    ]
    bed = Bed(folder, keeping={"registries": [{**file, **allowed}, *wayward]})
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(Addressed(name)) for name in "abc"]
        services: dict[str, Instances] = {
            f"other-{number}": [(f"10.1.{number}.1", 8080)] for number in range(40)
        }
        services["orders"] = [("127.0.0.1", each.port) for each in backends]
        replace(bed.file, document(services))
        await stack.enter_async_context(bed.bridge)
        await bed.ready()
        s = Stand(folder, bed, Load(bed.traffic[-1], HOST, RATE), services)
        whole = len(services) + len(wayward)
        await until(s.served, lambda found: len(found) == whole, within=10)
        envoy = Envoy(folder, patient_bootstrap(bed, "DELTA_GRPC"))
        await stack.enter_async_context(envoy)
        await until(envoy.is_live, bool, within=20)
        yield s


async def see(s: Stand, kind: str, seen: Seen, it: Bar) -> None:
    """Let one misbehave, see what comes of it, and that a change of the good one is served."""
    before = await s.served()
    s.misbehave(kind)
    if kind == "blocks":
        await see_it_noticed(s, it)
    expected = ENDS.get(kind, "adapter-fault")
    await until(s.registries, lambda found: found[kind].state == expected, within=10)
    if expected != "watching":
        says = await s.ask("/readyz")
        if f"stale: registry {kind}, all: " not in says or "served" not in says:
            seen.unshown.append(f"{kind}: {says}")
    end = time.monotonic() + WINDOW
    while time.monotonic() < end:
        compare(before, await s.served(), seen)
        await asyncio.sleep(0.1)
    s.services = {**s.services, f"new-{kind}": [("10.2.0.1", 80)]}
    replace(s.bed.file, document(s.services))
    host = f"new-{kind}.file"
    _, seen.changes[kind] = await until(s.served, lambda found: host in found, within=10)
    if kind in ONCE:
        s.misbehave(kind, yes=False)


def compare(before: Mapping[str, Service], after: Mapping[str, Service], seen: Seen) -> None:
    """Note what is not as it was."""
    seen.looks += 1
    for host, was in before.items():
        if after.get(host) != was:
            where = seen.lost if host.endswith(".wayward") else seen.good
            where.append(f"{host}: {was} is {after.get(host)}")


async def see_it_noticed(s: Stand, it: Bar) -> None:
    """See the watchdog say that the loop is blocked, while it is."""

    async def said() -> list[dict[str, object]]:
        lines = s.bed.bridge.events("event loop is blocked")
        return [line for line in lines if line.get("registry") == "blocks"]

    counted = await s.bed.metric("^meshbridge_loop_blocked_total") if not s.lines("blocks") else 0
    [line, *_], _ = await until(said, bool, within=BLOCKED + 2)
    took = time.monotonic() - float(s.lines("blocks")[0])
    it.at_most("from a blocked loop to the watchdog's line, which names the registry", took, 1, "s")
    it.say(str(line))

    async def over() -> bool:
        return bool(s.bed.bridge.events("event loop turns again"))

    await until(over, bool, within=BLOCKED + 2)
    counted = await s.bed.metric("^meshbridge_loop_blocked_total") - counted
    it.at_least("meshbridge_loop_blocked_total of it", int(counted), 1)


async def see_nothing_grow(s: Stand, seen: Seen, it: Bar) -> None:
    """Let those that misbehave do so again and again."""
    before, restarts, served = await size(s), await s.restarts(), await s.served()

    async def since() -> Counter[str]:
        compare(served, await s.served(), seen)
        return await s.restarts() - restarts

    def enough(counts: Counter[str]) -> bool:
        return counts.total() >= RESTARTS and counts["leaks"] >= RESTARTS // 2

    counts, took = await until(since, enough, within=90, every=0.5)
    it.say(f"{dict(counts)} restarts in {took:.0f} s")
    after = await size(s)
    it.at_least(
        "restarts, half of which leave 50 tasks with 10 MB behind", counts.total(), RESTARTS
    )
    it.at_most("growth of memory over them", (after.rss - before.rss) / MIB, 10.0, "MiB")
    it.at_most("growth of tasks", after.tasks - before.tasks, 3)
    it.at_most("growth of threads", after.threads - before.threads, 2)
    it.at_most("growth of open files", after.files - before.files, 3)


async def size(s: Stand) -> Size:
    """Return the least of two seconds: a watch that ends has tasks for a moment."""
    process, sizes = psutil.Process(s.bed.bridge.process.pid), list[Size]()
    for _ in range(20):
        await asyncio.sleep(0.1)
        tasks = min(int(line) for line in s.lines(WITNESS)[-20:])
        sizes.append(Size(s.bed.rss(), tasks, process.num_threads(), process.num_fds()))
    return Size(
        min(each.rss for each in sizes),
        min(each.tasks for each in sizes),
        min(each.threads for each in sizes),
        min(each.files for each in sizes),
    )


async def see_them_recover(s: Stand, it: Bar) -> None:
    """Let all behave again."""
    for kind in KINDS:
        if (s.folder / f"begin-{kind}").exists():
            s.misbehave(kind, yes=False)

    async def away() -> list[str]:
        return [name for name, each in (await s.registries()).items() if each.state != "watching"]

    _, took = await until(away, lambda names: not names, within=QUIETER + 5)
    it.at_most("until all that behave again are watched", took, QUIETER, "s")


def judge(s: Stand, it: Bar, seen: Seen) -> None:
    """Hold what was seen against the bar."""
    it.none(f"in {seen.looks} looks, changed services of the good registry", seen.good)
    it.none("services of misbehaving registries that were not kept", seen.lost)
    it.none("registries of which /readyz does not say that they are stale", seen.unshown)
    it.at_most(
        "slowest change of the good registry meanwhile", max(seen.changes.values()), 5.0, "s"
    )
    times = {kind: [float(line) for line in s.lines(kind)] for kind in KINDS}
    it.void_unless(all(times.values()), f"one did not misbehave: {times}")
    gaps = [b - a for each in times.values() for a, b in pairwise(each)]
    it.at_least("shortest pause between two attempts of an adapter", min(gaps), 0.5, "s")


def judge_load(it: Bar, load: Load, begun: float, first: float) -> None:
    """Hold the requests against their bar; ``first`` is when the first fault came."""
    end = max(each.done for each in load.answers)

    def rate(start: float, until_then: float) -> float:
        good = sum(not each.failure and start <= each.done < until_then for each in load.answers)
        return good / (until_then - start)

    least = min(rate(begun, first), rate(end - QUIET, end))
    it.void_unless(least >= 200, f"load of {least:.0f} requests/s only")
    it.at_least("requests answered a second before and after", least, 200.0, "1/s")
    failed = [each.failure for each in load.answers if each.failure]
    it.none(f"failed requests of {len(load.answers):,}", failed)


def complaints(bed: Bed) -> list[str]:
    """Return those that are not the log of an adapter's fault, which has its traceback."""
    return [line for line in bed.complaints() if '"event": "adapter failed"' not in line]
