"""The running core: every configured registry watched, and the snapshots of what they hold."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from structlog.typing import FilteringBoundLogger

from meshbridge.catalog import Catalog
from meshbridge.commands import accept_loss_command
from meshbridge.configuration import Configuration
from meshbridge.lane import Lane
from meshbridge.lane_surroundings import LaneSurroundings
from meshbridge.memory import settle
from meshbridge.pipeline import Joint
from meshbridge.problems import Problems
from meshbridge.renewal import Renewal, Renewed, compare_sizes
from meshbridge.snapshot import Snapshot, Snapshots
from meshbridge.standing import WATCHING, RegistryState, ScopeState
from meshbridge.store import Store
from meshbridge.store.store import NOTHING
from meshbridge.supervisor import Surroundings
from meshbridge.tally import Tally, refusal
from meshbridge.turns import Turns
from meshbridge.waiting import Waiting
from meshbridge.watched import HOPELESS, Place, RegistryRuntime, Watched

__all__ = [
    "HOPELESS",
    "WATCHING",
    "Bridge",
    "Missing",
    "Reading",
    "RegistryRuntime",
    "RegistryState",
    "Renewed",
    "ScopeState",
]

_ENDS: Final = 2.0
"""Seconds that what watches a registry has to end; then it is left to itself."""
_SHOWN: Final = 20
"""Hosts that a log line names."""
_OF_ADAPTERS: Final = frozenset({"outage", "unreadable"})
_OF_LANES: Final = frozenset({"held", "guard"})


@dataclass(frozen=True, slots=True)
class Missing:
    """A scope that could not be read."""

    registry: str
    scope: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What all registries held when they were read once."""

    snapshot: Snapshot
    missing: tuple[Missing, ...]
    """Empty when everything was read."""


class Bridge:
    """All registries, watched, and what they amount to."""

    def __init__(
        self,
        registries: Sequence[RegistryRuntime],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        logger: FilteringBoundLogger,
        unix: Callable[[], float] = time.time,
        store: Store | None = None,
    ) -> None:
        """Make the adapters; nothing is read before :meth:`run`.

        ``clock`` returns monotonic seconds, ``unix`` those since 1970. What the ``store`` holds is
        served from the start, and what is served is kept in it.
        """
        self.problems = Problems() if store is None else store.problems
        self.configuration = Configuration()
        """How its configuration stands."""
        self.max_loss = 1.0
        """The share of what is stored beyond which nothing is answered if it would go by a start
        with these registries: see :attr:`configuration`."""
        self._clock, self._sleep, self._logger = clock, sleep, logger
        self._store = store
        self._stored = NOTHING if store is None else store.stored
        """What was stored at the start, until it is decided what becomes of it."""
        self._served = self._stored.served
        """How large each host was before the start, until there is a first answer."""
        self._waiting = Waiting(logger, self.problems, self.configuration, clock, sleep)
        self._turns = Turns()
        self._joint = Joint(self._answers, self.problems, sleep, store)
        self._place = Place(
            self._joint,
            Surroundings(clock, sleep, logger, self.problems),
            LaneSurroundings(
                *(clock, unix, sleep, logger, self.problems, self._turns, store),
                self.configuration,
            ),
        )
        self._watched = tuple(Watched(each, self._place, self._stored) for each in registries)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._begun = asyncio.Event()
        self._one = asyncio.Lock()
        """One change of the registries after the other."""

    @property
    def snapshots(self) -> Snapshots:
        """Where the newest snapshot is found; empty until the first complete one."""
        return self._joint.snapshots

    @property
    def snapshots_made(self) -> int:
        """How many snapshots were made."""
        return self._joint.made

    def complete(self) -> bool:
        """Whether the first answer need not wait for any required registry."""
        return all(watched.ready() for watched in self._watched if watched.required)

    def _answers(self) -> bool:
        return not self.configuration.withheld and self.complete()

    def registries(self) -> tuple[RegistryState, ...]:
        """Return how each registry stands, in the order of the configuration."""
        now = self._clock()
        return tuple(watched.state(now) for watched in self._watched)

    async def run(self) -> None:
        """Watch all registries and make snapshots, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._joint.run(), name="snapshots")
            group.create_task(self._settle_memory(), name="first snapshot")
            group.create_task(self._waiting.run(lambda: self._watched), name="waiting")
            if self._store is not None:
                group.create_task(self._store.run(), name="store")
            with self._joint.together():
                for watched in self._watched:
                    await watched.lane.load()
                self._judge_start()
            self._group = group
            for watched in self._watched:
                self._watch(watched)
            self._begun.set()

    def _watch(self, watched: Watched) -> None:
        if self._group is not None:
            self._tasks[watched.name] = self._group.create_task(
                watched.run(), name=f"registry {watched.name}"
            )

    def _judge_start(self) -> None:
        """Answer nothing if the configuration would take away too much of what is stored."""
        tally = compare_sizes(self._served, self._joint.snapshot().services)
        if not tally.beyond(self.max_loss):
            self._take_stock()
            return
        self.configuration.withheld = (refusal(tally, self.max_loss), *tally.listed())
        for watched in self._watched:
            watched.lane.writes = False
        self._logger.error(
            "configuration refused",
            reason=self.configuration.withheld[0],
            hosts=tally.gone[:_SHOWN],
            next="nothing is answered; mend the file, or if it is meant: "
            f"{accept_loss_command(self.configuration)}",
        )

    def _take_stock(self) -> None:
        """Let the store hold what is believed, and nothing else."""
        self.configuration.withheld = ()
        if self._store is not None:
            stored, names = self._stored, {watched.name for watched in self._watched}
            for gone in (stored.registrations.keys() | stored.announced.keys()) - names:
                self._store.forget(gone)
            for watched in self._watched:
                watched.store_anew(stored, self._store)
            self._store.let_go()
        self._stored = NOTHING

    async def _settle_memory(self) -> None:
        first = await self.snapshots.after(None)
        self._waiting.end()
        if self._store is not None:  # else it would be missed at each start from now on
            self._store.serve({each: None for each in self._served if each not in first.services})
        self._served = NOTHING.served
        endpoints = sum(len(service.endpoints) for service in first.services.values())
        self._logger.info("first snapshot", services=len(first.services), endpoints=endpoints)
        settle()

    async def reload(
        self,
        registries: Sequence[Renewed],
        max_loss: float,
        *,
        accept_loss: bool = False,
        only_judge: bool = False,
    ) -> Tally | None:
        """Watch these registries instead, in one snapshot that has exactly what differs.

        Who goes on as he is keeps his session with the registry. Returns what would be lost if
        that is more than ``max_loss``, and changes nothing then, unless ``accept_loss``. Raises
        what making an adapter raises. Cancelling it in the middle leaves the bridge unusable: only
        its end may do that.
        """
        await self._begun.wait()
        async with self._one, AsyncExitStack() as stack:
            # What was never answered from began wrongly: begin again, with all that is stored.
            anew = bool(self.configuration.withheld)
            stored = self._stored if anew else None
            renewal = Renewal(registries, self._watched, self._place, stored)
            await renewal.stillness(stack)
            turn = await stack.enter_async_context(self._turns.turn())
            await renewal.work_out(turn)
            newest = self.snapshots.newest
            if newest is None:
                tally = compare_sizes(self._served, renewal.draft.services)
            else:
                tally = await renewal.compare(newest.services, turn)
            if tally.beyond(max_loss) and not accept_loss:
                if anew:
                    self.configuration.withheld = (refusal(tally, max_loss), *tally.listed())
                return tally
            if only_judge:
                return None
            await renewal.take_effect(turn)
            self._watched = renewal.watched
            if anew:
                self._take_stock()
            await stack.aclose()
            await self._end(renewal.ended)
            for watched in renewal.begun:
                await watched.follow()
                self._watch(watched)
            await self._joint.caught_up()
        return None

    async def _end(self, ended: Sequence[Watched]) -> None:
        """End what watched these, and forget what only it had to say."""
        tasks = [self._tasks.pop(each.name) for each in ended if each.name in self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            _, hanging = await asyncio.wait(tasks, timeout=_ENDS)
            for task in hanging:
                self._logger.error("left behind: it has not ended in time", task=task.get_name())
        names = {watched.name for watched in self._watched}
        for each in ended:
            self.problems.forget(_OF_ADAPTERS, each.name)
            if each.lane.silent:
                self.problems.forget(_OF_LANES, each.name)
            if each.name not in names and self._store is not None:
                self._store.forget(each.name)

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """Each registry's way into the catalog, by the registry's name."""
        return {watched.name: watched.lane for watched in self._watched}

    @property
    def catalog(self) -> Catalog:
        """All claims of hosts, to look at."""
        return self._joint.catalog

    async def read_once(self, within: float) -> Reading:
        """Read every registry, also those not required, and stop.

        Ends as soon as all scopes were read, or could not be for 3 s, or only a person can help;
        after ``within`` seconds at the latest.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(watched.supervisor.run(), name=f"registry {watched.name}")
                for watched in self._watched
            ]
            until = self._clock() + within
            while (now := self._clock()) < until:
                if all(watched.decided(now) for watched in self._watched):
                    break
                await self._sleep(0.01)
            for task in tasks:
                task.cancel()
        missing = tuple(
            Missing(state.name, scope.scope, scope.stale or state.reason or "no answer in time")
            for state in self.registries()
            for scope in state.missing
        )
        return Reading(self._joint.snapshot(), missing)
