"""Bar 7: stored state is broken, or cannot be written; the bridge serves what the registry says."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import aiohttp
import msgspec
import pytest
from robustness.bed import Bed, Instances
from robustness.broken_cases import CASES, STATE, Case, Stand, stand
from robustness.findings import Bar
from robustness.spoiling import FILE, Bench, Made, cut, flipped
from robustness.test_stored_state import Service

from meshbridge.store.store import PATIENCE
from rig.waiting import until

SOON = 2.0
"""Seconds in which what can be read is served, a start of the process included."""
BROKEN, NOT_WRITTEN, WRITTEN = "stored state broken", "state not written", "state written again"
ALL_EVENTS = (BROKEN, NOT_WRITTEN, WRITTEN)
EVENTS = {"broken": {BROKEN}, "trouble": {NOT_WRITTEN, WRITTEN}, "nothing": set[str]()}
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there


def test_stored_state_that_is_cut_or_changed_anywhere_never_says_what_was_not_stored(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Each file is loaded, as far as it is what was stored, or set aside; and that is said."""
    with bar("7, stored state cut and flipped") as it, in_memory(tmp_path) as folder:
        begun = time.process_time()
        bench = Bench(folder / "state")
        small, live, stopped, log = bench.small(), bench.live, bench.stopped, f"{FILE}-wal"
        kinds = {
            "cut at every byte": (cut(small, FILE), False),
            "with a bit flipped": (flipped(small, FILE, 2), False),
            "of 4096-byte pages, cut": (cut(stopped, FILE, 97), False),
            "of 4096-byte pages, bits flipped": (flipped(stopped, FILE, 17), False),
            "with its log cut": (cut(live, log, 97), True),
            "with bits of its log flipped": (flipped(live, log, 37), True),
        }
        made = Made()
        for kind, (files, of_log) in kinds.items():
            made.opened.clear()
            for what, content in files:
                bench.spoil(content, what, made, log=of_log)
            came = ", ".join(f"{how}: {count:,}" for how, count in sorted(made.opened.items()))
            it.at_least(f"files {kind} ({came})", made.opened.total(), 100)
            away = sum(count for how, count in made.opened.items() if "whole" not in how)
            it.void_unless(away, f"files {kind}: every one was loaded whole")
        it.none("of them that raised anything", made.raised)
        it.none("of them of which something was loaded that was never stored", made.wrong)
        it.none("of them that lost something, and nothing was said", made.unsaid)
        it.at_most("processor time for all of them", time.process_time() - begun, 60.0, "s")


@contextmanager
def in_memory(other: Path) -> Generator[Path]:
    """Give a folder in memory where there is one: a disk's pauses would take minutes."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else other) as folder:
        yield Path(folder)


@dataclass
class Seen:
    """What the bridges showed, each with broken state."""

    starts: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds from a start with broken state to the first whole answer."""
    mended: list[float] = field(default_factory=list[float])
    """The same for starts with state that was mended, on the same machine."""
    later: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds from a change of the registry to the answer that has it."""
    moved: list[str] = field(default_factory=list[str])
    """Answers that changed though the registry did not."""
    looks: int = 0
    partial: list[str] = field(default_factory=list[str])
    """First answers without their registry that were not what was stored."""
    unsaid: list[str] = field(default_factory=list[str])
    """What the log or /api/problems did not say, or said again."""
    codes: list[str] = field(default_factory=list[str])
    """Ends that were not in order."""
    forgotten: list[str] = field(default_factory=list[str])
    """Starts after the end of the fault that did not serve what was served."""
    complaints: list[str] = field(default_factory=list[str])
    quiet: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Who starts, starts alone: what is measured is not the others' starts."""
    bridges: int = 0


@pytest.mark.asyncio
async def test_a_bridge_whose_state_is_broken_serves_what_its_registry_says(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Whatever the disk does: it is said once, ends nothing, changes no answer, and is mended."""
    with bar("7, broken and full disks") as it:
        seen, stored = Seen(), await some_state(tmp_path)
        async with asyncio.TaskGroup() as tasks:
            for number, case in enumerate(CASES):
                for readable in case.starts:
                    folder = tmp_path / f"{number}-{readable}"
                    tasks.create_task(break_it(folder, case, stored, seen, readable=readable))
        ways = sum(len(case.starts) for case in CASES)
        it.at_least(f"bridges with broken state, in {len(CASES)} ways", seen.bridges, ways)
        plain, slowest = max(seen.mended), max(seen.starts.values())
        it.say(f"slowest start {max(seen.starts.items(), key=itemgetter(1))}, mended {plain:.2f} s")
        limit = max(SOON, plain + 0.5)
        it.at_most("slowest start; 2 s, or a start with mended state + 0.5 s", slowest, limit, "s")
        it.at_most("slowest to serve what can be read by now", max(seen.later.values()), SOON, "s")
        it.none(f"of {seen.looks:,} answers that changed while the disk failed", seen.moved)
        it.none("first answers without the registry that were not the stored ones", seen.partial)
        it.none("faults that were not said once in the log and in /api/problems", seen.unsaid)
        it.none("exit codes that were not 0", seen.codes)
        it.none("later starts that did not serve what was served", seen.forgotten)
        it.none("complaints in the logs", seen.complaints)


async def some_state(folder: Path) -> Path:
    """Let a bridge store something, and end."""
    s = Stand(folder, Bed(folder, name="first", keeping={"state": str(folder / STATE)}))
    s.tell()
    async with s.bed.bridge:
        await s.bed.ready()
    return s.state


async def break_it(folder: Path, case: Case, stored: Path, seen: Seen, *, readable: bool) -> None:
    """Start with broken state, let the registry change meanwhile, mend it, and start again."""
    name = f"{case.name}, {'' if readable else 'un'}readable registry"
    async with AsyncExitStack() as stack:
        async with seen.quiet:
            s = await stack.enter_async_context(stand(folder, case, stored))
            await begin(s, case, name, seen, readable=readable)
        await case.meanwhile(s)
        await unmoved(s, name, seen, 1.0)
        await change_something(s, name, seen)
        if case.told == "trouble":
            await until(lambda: logged(s, NOT_WRITTEN), bool, within=12)
            await unmoved(s, name, seen, PATIENCE + 1)  # so that it is tried again
            await told(s, name, seen, problem=True)
        await case.heal(s)
        if case.told == "trouble":
            await until(lambda: logged(s, WRITTEN), bool, within=PATIENCE + 2)
        elif case.told == "nothing":
            await until(lambda: there(s), bool, within=PATIENCE + 2)
        await told(s, name, seen, problem=case.told == "broken")
        expected = EVENTS[case.told]
        counts = {event: len(s.bed.bridge.events(event)) for event in ALL_EVENTS}
        if counts != {event: int(event in expected) for event in ALL_EVENTS}:
            seen.unsaid.append(f"{name}: {counts}")
        await end(s, name, seen)
        async with seen.quiet:
            await again(s, name, seen)
        seen.bridges += 1
        seen.complaints += s.bed.complaints()


async def begin(s: Stand, case: Case, name: str, seen: Seen, *, readable: bool) -> None:
    """Start, and see the truth served as soon as it can be read."""
    s.tell(readable=readable)
    begun = time.monotonic()
    s.bed.bridge.process.start()
    if not readable:
        if case.stored:
            found = await served(s, s.services, within=30)
            seen.starts[f"{name}, from the store"] = time.monotonic() - begun
        else:
            await s.bed.bridge.address("status")
            await asyncio.sleep(0.5)
            found = await now_served(s)
        if found != (s.services if case.stored else None):
            seen.partial.append(f"{name}: {found}")
        s.services = {**s.services, "new": [("10.2.0.1", 80)]}
        s.tell()
        begun = time.monotonic()
    await served(s, s.services, within=30)
    (seen.starts if readable else seen.later)[name] = time.monotonic() - begun


async def change_something(s: Stand, name: str, seen: Seen) -> None:
    """Let the registry have one service more."""
    s.services = {**s.services, "newest": [("10.2.0.2", 80)]}
    s.tell()
    _, took = await until(lambda: now_served(s), lambda found: found == s.services, within=30)
    seen.later[f"{name}, a change"] = took


async def again(s: Stand, name: str, seen: Seen) -> None:
    """Start without the registry: what was served is served."""
    s.tell(readable=False)
    begun = time.monotonic()
    s.bed.bridge.process.start()
    found = await served(s, None, within=30)
    seen.mended.append(time.monotonic() - begun)
    if found != s.services:
        seen.forgotten.append(f"{name}: {found}")
    await end(s, name, seen)


async def end(s: Stand, name: str, seen: Seen) -> None:
    """Ask it to end."""
    await s.bed.bridge.process.stop()
    if code := s.bed.bridge.process.exit_code:
        seen.codes.append(f"{name}: {code}")


async def unmoved(s: Stand, name: str, seen: Seen, seconds: float) -> None:
    """Look for so long whether an answer changes."""
    first, until_then = await s.bed.get("/api/services"), time.monotonic() + seconds
    while time.monotonic() < until_then:
        await asyncio.sleep(0.1)
        seen.looks += 1
        if (found := await s.bed.get("/api/services")) != first:
            seen.moved.append(f"{name}: {found[:200]}")


async def told(s: Stand, name: str, seen: Seen, *, problem: bool) -> None:
    """See whether /api/problems speaks of the state."""
    found = msgspec.json.decode(await s.bed.get("/api/problems"), type=list[Told])
    if any(each.kind == "state" for each in found) != problem:
        seen.unsaid.append(f"{name}: /api/problems has {found}")


class Told(msgspec.Struct):
    """What ``/api/problems`` says of one."""

    kind: str
    reason: str


async def logged(s: Stand, event: str) -> bool:
    """Whether the log has the event."""
    s.bed.must_run()
    return bool(s.bed.bridge.events(event))


async def there(s: Stand) -> bool:
    """Whether the directory is there again."""
    return (s.state / FILE).exists()


Served = Mapping[str, Instances]


async def served(s: Stand, expected: Served | None, *, within: float) -> Served | None:
    """Wait until just this is served, or anything; return it."""

    def holds(found: Served | None) -> bool:
        return found is not None if expected is None else found == expected

    found, _ = await until(lambda: now_served(s), holds, within=within)
    return found


async def now_served(s: Stand) -> Served | None:
    """Return what is served; ``None`` while nothing is."""
    s.bed.must_run()
    try:
        text = await s.bed.get("/api/services")
        services = msgspec.json.decode(text, type=list[Service])
    except (aiohttp.ClientError, msgspec.ValidationError):  # not there yet, or not ready
        return None
    return {
        each.host.removesuffix(".file"): [(one.address, 80) for one in each.endpoints]
        for each in services
    }
