"""The law of watching: whatever happens, what is told in the end is what a fresh reading tells."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from meshbridge import Adapter, Context, Instance
from meshbridge.testing import FaultProxy, Reset
from meshbridge_zookeeper_dubbo import Options, ZooKeeperDubbo
from rig.waiting import until
from rig.watching import watching
from rig.zookeeper_nodes import provider, spring
from rig.zookeeper_session import Session

SERVICES, CHANGES = 2_000, 6_000
WORKERS = 64
"""Who change something at the same time."""
SOON = 30.0
"""Seconds after the last change in which all must be told, on a busy machine."""
SCOPE = "/dubbo /services"

Services = dict[str, tuple[Instance, ...]]


@dataclass(slots=True)
class Burst:
    """What happened in one run."""

    changes: int
    seconds: float
    """That the changes took."""
    cuts: int
    """How often the adapter's connections were cut meanwhile."""
    outages: int
    """How often the adapter noticed."""
    behind: float
    """Seconds from the last change until all of it was told."""


class Estate:
    """Many services below one chroot, which are changed at random."""

    def __init__(self, session: Session, chroot: str) -> None:
        """Begin with none; they are written by this session."""
        self.chroot = chroot
        self._session = session
        self._held: dict[str, dict[str, str]] = {}
        """The address that each node tells, by its path, by the service."""

    async def fill(self, services: int) -> None:
        """Have an instance of each; every tenth is an application of Spring Cloud's."""
        self._held = {f"com.acme.Service{number}": {} for number in range(services)}
        await _share(self._held, lambda name: self._hold(name, 1, {}))

    def addresses(self) -> dict[str, set[str]]:
        """Return the addresses of each service that has any."""
        return {name: set(held.values()) for name, held in self._held.items() if held}

    async def change(self, chance: random.Random, changes: int) -> None:
        """Make so many changes, as fast as ZooKeeper takes them.

        Those of one service are made one after the other: each depends on the last.
        """
        names = sorted(self._held)
        turns: dict[str, list[random.Random]] = {}
        for _ in range(changes):
            draw = random.Random(chance.random())  # noqa: S311 - no secret
            turns.setdefault(chance.choice(names), []).append(draw)

        async def change(name: str) -> None:
            for draw in turns[name]:
                await self._change(name, draw)

        await _share(turns, change)

    async def _change(self, name: str, chance: random.Random) -> None:
        held = self._held[name]
        kind = chance.random()
        some = chance.choice(sorted(held)) if held else ""
        if kind < 0.5 or not some:
            number = chance.randrange(1, 9)
            await self._hold(name, number, {"weight": str(chance.randrange(200))})
        elif kind < 0.95:
            del held[some]
            await self._session.remove(self.chroot + some)
        else:  # the whole service, with the nodes that otherwise stay
            for path in sorted(held):
                del held[path]
                await self._session.remove(self.chroot + path)
            parent = some.rpartition("/")[0]
            await self._session.remove(self.chroot + parent)
            if parent.endswith("/providers"):
                await self._session.remove(self.chroot + parent.rpartition("/")[0])

    async def _hold(self, name: str, number: int, said: dict[str, str]) -> None:
        address = f"10.0.0.{number}"
        if name.endswith("7"):
            node = spring(name, address, 8080, said)
        else:
            node = provider(name, "dubbo", address, 20880, said)
        await self._session.write(self.chroot + node.path, node.data)
        self._held[name][node.path] = address


async def hold_to_the_law(estate: Estate, port: int, seed: int, changes: int = CHANGES) -> Burst:
    """Change the estate while connections to the server at ``port`` are cut; see what is told.

    Raises AssertionError when that is not in the end what a fresh reading tells, or when the run
    was void because nothing was cut.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    async with (
        FaultProxy("127.0.0.1", port) as proxy,
        watching(_adapter(proxy.port, estate.chroot)) as watched,
    ):
        await watched.listed(SCOPE)
        begun = time.monotonic()
        cutting = asyncio.create_task(_keep_cutting(proxy, random.Random(seed)))  # noqa: S311 - see above
        try:
            await estate.change(chance, changes)
        finally:
            cutting.cancel()
            await asyncio.wait([cutting])
        await proxy.mend()
        changed = time.monotonic()
        truth = await _read(estate, port)
        told = {name: {each.address for each in held} for name, held in truth.items()}
        assert told == estate.addresses(), "a fresh reading differs from what was written"

        async def look() -> list[str]:
            seen = watched.filled()
            return sorted(n for n in {*seen, *truth} if seen.get(n) != truth.get(n))

        await until(look, lambda differing: not differing, within=SOON)
        cuts = proxy.counts.reset
        assert cuts > 1, "nothing was cut: the run says nothing"
        now = time.monotonic()
        return Burst(changes, changed - begun, cuts, len(watched.failures), now - changed)


def _adapter(port: int, chroot: str) -> Callable[[Context], Adapter]:
    fields = {"servers": [f"127.0.0.1:{port}"], "chroot": chroot, "session-timeout": "4s"}
    options = Options.model_validate(fields)
    return lambda context: ZooKeeperDubbo("law", options, context)


async def _read(estate: Estate, port: int) -> Services:
    async with watching(_adapter(port, estate.chroot)) as fresh:
        await fresh.listed(SCOPE)
        return fresh.filled()


async def _keep_cutting(proxy: FaultProxy, chance: random.Random) -> None:
    while True:
        await asyncio.sleep(chance.uniform(0.02, 0.4))
        await proxy.inject(Reset())
        await proxy.mend()


async def _share(names: Iterable[str], do: Callable[[str], Awaitable[None]]) -> None:
    """Do it for each of the names, with some at the same time."""
    waiting = iter(names)

    async def work() -> None:
        for name in waiting:
            await do(name)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(WORKERS):
            tasks.create_task(work())
