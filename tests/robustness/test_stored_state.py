"""Bars 2, 3, 7: killed at any moment, the bridge serves what it served before, from its store."""

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
import pytest
from robustness.bed import Bed, replace
from robustness.findings import Bar

pytestmark = pytest.mark.asyncio
KILLS = 200
BESIDE = 2
"""Bridges that are killed at the same time, each again and again."""
SERVICES = 120
EVERY = 0.05
"""Seconds between two changes of the registry."""
INTERVAL = 1.0
"""Seconds between two batches of the store: what may be missing after a kill."""
SLACK = 1.0
"""Seconds that the file adapter, the pipeline and the store's thread may take on a busy machine."""

Served = dict[str, frozenset[str]]
"""Addresses by host."""


class Endpoint(msgspec.Struct):
    """What ``/api/services`` says of one."""

    address: str


class Service(msgspec.Struct):
    """What ``/api/services`` says of one."""

    host: str
    endpoints: list[Endpoint]


@dataclass
class Registry:
    """A file that changes one service after the other, and remembers what each held, and when."""

    file: Path
    chance: random.Random
    held: Served = field(default_factory=Served)
    past: dict[str, list[tuple[float, frozenset[str]]]] = field(
        default_factory=dict[str, list[tuple[float, frozenset[str]]]]
    )
    served: dict[str, list[tuple[float, frozenset[str]]]] = field(
        default_factory=dict[str, list[tuple[float, frozenset[str]]]]
    )
    readable: bool = True

    def begin(self) -> None:
        """Fill it."""
        for number in range(SERVICES):
            self._set(number)
        self.write()

    def change(self) -> None:
        """Give one service other instances: some stay, some go, some come, never none."""
        self._set(self.chance.randrange(SERVICES))
        self.write()

    def note_served(self, served: Mapping[str, frozenset[str]], when: float) -> None:
        """Note what the bridge served then: what it was not yet told of it cannot have stored."""
        for host, addresses in served.items():
            past = self.served.setdefault(host, [])
            if not past or past[-1][1] != addresses:
                past.append((when, addresses))

    def _set(self, number: int) -> None:
        host = f"service-{number}.file"
        pool = [f"10.1.{number}.{place}" for place in range(1, 9)]
        addresses = frozenset(self.chance.sample(pool, self.chance.randrange(2, 7)))
        self.held[host] = addresses
        self.past.setdefault(host, []).append((time.monotonic(), addresses))

    def write(self) -> None:
        """Write what it holds; what cannot be read, while it is away."""
        services = [
            {
                "name": host.removesuffix(".file"),
                "instances": [{"address": each, "port": 80} for each in sorted(addresses)],
            }
            for host, addresses in self.held.items()
        ]
        text = json.dumps({"services": services}) if self.readable else "services: [half"
        replace(self.file, text)

    def may_serve(self, host: str, addresses: frozenset[str], since: float, until: float) -> bool:
        """Whether the service held just these, or was served so, at some moment in between."""
        for past in (self.past[host], self.served.get(host, [])):
            for number, (begun, said) in enumerate(past):
                ended = past[number + 1][0] if number + 1 < len(past) else until
                if said == addresses and begun <= until and ended >= since:
                    return True
        return False


@dataclass
class Found:
    """What 200 restarts showed."""

    seconds: list[float] = field(default_factory=list[float])
    """From the start of a process to its first answer."""
    lost: list[str] = field(default_factory=list[str])
    """Hosts that the first answer did not have."""
    strange: list[str] = field(default_factory=list[str])
    """Hosts that it had as they were at no moment within the write interval before the kill."""
    silent: int = 0
    """Restarts at which the registry could not be read."""
    kills: int = 0
    killed_in_start: int = 0
    set_aside: int = 0
    """Restarts that found the store broken."""
    complaints: list[str] = field(default_factory=list[str])


async def test_a_bridge_killed_at_any_moment_goes_on_with_what_it_served(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Two bridges, 100 kills each; at every second restart the registry cannot be read."""
    with bar("2 and 3, kill -9 with stored state") as it:
        found = Found()
        async with asyncio.TaskGroup() as tasks:
            for number in range(BESIDE):
                folder = tmp_path / str(number)
                folder.mkdir()
                tasks.create_task(kill_again_and_again(folder, it, number, found))
        it.at_least("kills", found.kills, KILLS)
        it.at_least("of them in the middle of a start", found.killed_in_start, 5)
        it.void_unless(found.silent >= KILLS // 5, "the registry could nearly always be read")
        it.at_most("slowest first answer after a start", max(found.seconds), 2.0, "s")
        it.none("hosts missing in a first answer", found.lost)
        it.none("hosts as they were at no moment of the write interval before", found.strange)
        it.at_most("restarts that found the store broken", found.set_aside, 0)
        it.none("complaints in the logs", found.complaints)


async def kill_again_and_again(folder: Path, it: Bar, number: int, found: Found) -> None:
    """Kill one bridge at random moments, and compare what the next process answers first."""
    bed = Bed(folder, name=f"bridge-{number}", keeping={"state": str(folder / "state")})
    chance = it.chance(f"bridge {number}")
    registry = Registry(bed.file, chance)
    registry.begin()
    served_until: float | None = None
    for turn in range(KILLS // BESIDE):
        registry.readable = turn % 2 == 0
        registry.write()
        begun = time.monotonic()
        bed.bridge.process.start()
        if served_until is not None and chance.random() < 0.1:
            await asyncio.sleep(chance.uniform(0.05, 0.6))  # in the middle of its start
            found.killed_in_start += 1
        else:
            first, answered = await first_answer(bed)
            registry.note_served(first, answered)
            if served_until is not None:
                found.seconds.append(answered - begun)
                found.silent += not registry.readable
                judge(registry, first, served_until, answered, found)
            registry.readable = True
            registry.write()
            # The first time so long that something is stored: then there is always something.
            least = 0.1 if served_until is not None else INTERVAL + SLACK
            await changing(registry, bed, least + chance.uniform(0.0, 2.0))
            served_until = time.monotonic()
        await bed.bridge.process.kill()
        found.kills += 1
        found.complaints += bed.complaints()
    found.set_aside += broken(folder / "state")
    it.say(f"bridge {number}: {KILLS // BESIDE} kills")


def broken(state: Path) -> int:
    return len(list(state.glob("*.broken*")))


async def changing(registry: Registry, bed: Bed, seconds: float) -> None:
    """Change the registry for so long, and look at what is served meanwhile."""
    until = time.monotonic() + seconds
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while time.monotonic() < until:
            await asyncio.sleep(EVERY)
            registry.change()
            if (served := await now_served(session, bed)) is not None:
                registry.note_served(served, time.monotonic())


async def first_answer(bed: Bed) -> tuple[Served, float]:
    """Return what is served first, and when."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        for _ in range(2000):
            if (served := await now_served(session, bed)) is not None:
                return served, time.monotonic()
            bed.must_run()
            await asyncio.sleep(0.01)
    raise AssertionError("no answer in time")


async def now_served(session: aiohttp.ClientSession, bed: Bed) -> Served | None:
    """Return what is served; ``None`` while nothing is."""
    async with asking(session, f"http://{bed.status}/api/services") as body:
        if body is None:
            return None
        return {
            each.host: frozenset(one.address for one in each.endpoints)
            for each in msgspec.json.decode(body, type=list[Service])
        }


@asynccontextmanager
async def asking(session: aiohttp.ClientSession, url: str) -> AsyncGenerator[bytes | None]:
    """Give the body of an answer, ``None`` while there is none."""
    try:
        async with session.get(url) as answer:
            yield await answer.read() if answer.status == 200 else None
    except aiohttp.ClientConnectionError:
        yield None


def judge(
    registry: Registry, first: Mapping[str, frozenset[str]], killed: float, now: float, found: Found
) -> None:
    """Compare a first answer with what was held or served in the write interval before the kill.

    It may also be what the registry says by now, with what was served before still held.
    """
    for host, addresses in registry.held.items():
        served = first.get(host)
        if not served:
            found.lost.append(host)
        elif not registry.may_serve(host, served, killed - INTERVAL - SLACK, now) and not (
            registry.readable and addresses <= served
        ):
            ages = [round(killed - t, 2) for t, said in registry.past[host] if said == served]
            found.strange.append(f"{host}: as it was {ages} s before the kill")
