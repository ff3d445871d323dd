"""The running core: every configured registry watched, and the snapshots of what they hold."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from meshbridge.adapter import Adapter, Context, Update
from meshbridge.catalog import Catalog
from meshbridge.guard import Guard, Release
from meshbridge.lane import Lane, LaneSurroundings
from meshbridge.memory import settle
from meshbridge.outage import Failure
from meshbridge.pipeline import Joint
from meshbridge.problems import Problems
from meshbridge.publish import Registry
from meshbridge.settings.guard import GuardOptions
from meshbridge.snapshot import Snapshot, Snapshots
from meshbridge.store import Store
from meshbridge.store.store import NOTHING
from meshbridge.supervisor import Supervisor, Surroundings
from meshbridge.turns import Turns

WATCHING = "watching"
"""The state of a registry that is not failing."""
HOPELESS = 3.0
"""Seconds for which a scope could not be read, after which a single reading gives it up."""


@dataclass(frozen=True, slots=True)
class RegistryRuntime:
    """One configured registry, ready to be watched."""

    registry: Registry
    """Its name, its place among the registries and its rules of publishing."""
    make: Callable[[Context], Adapter]
    """Makes its adapter."""
    required: bool = True
    """Whether the first snapshot waits for it."""
    guard: GuardOptions = field(default_factory=GuardOptions)
    """What it may lose without a person's word."""


@dataclass(frozen=True, slots=True)
class ScopeState:
    """How one scope of a registry stands."""

    scope: str
    listed: bool
    """Whether it was ever read whole."""
    stale: str | None
    """Why it cannot be read now."""
    stale_seconds: float
    """For how long; 0 while it can be read."""
    updated_at: float | None
    """Unix time of its last update."""
    services: int
    instances: int
    """Instances that are served: listed ones, and those that are held."""
    held: int
    """Instances that the registry no longer lists."""
    guard: str
    """How the guard sees it: ``settled``, ``settling`` or ``in loss``."""
    ready: bool
    """Whether the bridge's first answer need not wait for it."""


@dataclass(frozen=True, slots=True)
class RegistryState:
    """How one registry stands."""

    name: str
    required: bool
    state: str
    """``watching``, or why it is not: ``unavailable``, ``rejected``, ``adapter-fault``."""
    reason: str
    seconds: float
    """For how long it has been in this state."""
    restarts: int
    updates: int
    scopes: tuple[ScopeState, ...]

    @property
    def failure(self) -> Failure | None:
        """Why it is not being watched; ``None`` while it is."""
        return None if self.state == WATCHING else Failure(self.state)

    @property
    def missing(self) -> tuple[ScopeState, ...]:
        """The scopes that were never read whole."""
        return tuple(scope for scope in self.scopes if not scope.listed)


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
        self._clock, self._sleep, self._logger = clock, sleep, logger
        self._store = store
        self._joint = Joint(self.complete, self.problems, sleep, store)
        supervised = Surroundings(clock, sleep, logger, self.problems)
        around = LaneSurroundings(clock, unix, sleep, logger, self.problems, Turns(), store)
        self._watched = tuple(
            _Watched(runtime, self._joint, supervised, around) for runtime in registries
        )
        if store is not None:
            store.let_go()

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

    def registries(self) -> tuple[RegistryState, ...]:
        """Return how each registry stands, in the order of the configuration."""
        now = self._clock()
        return tuple(watched.state(now) for watched in self._watched)

    async def run(self) -> None:
        """Watch all registries and make snapshots, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._joint.run(), name="snapshots")
            group.create_task(self._settle_memory(), name="first snapshot")
            if self._store is not None:
                group.create_task(self._store.run(), name="store")
            with self._joint.together():
                for watched in self._watched:
                    await watched.lane.load()
            for watched in self._watched:
                group.create_task(watched.run(), name=f"registry {watched.name}")

    async def _settle_memory(self) -> None:
        first = await self.snapshots.after(None)
        services = len(first.services)
        endpoints = sum(len(service.endpoints) for service in first.services.values())
        self._logger.info("first snapshot", services=services, endpoints=endpoints)
        settle()

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


class _Watched:
    """A registry with its supervisor and its lane."""

    def __init__(
        self,
        runtime: RegistryRuntime,
        joint: Joint,
        supervised: Surroundings,
        around: LaneSurroundings,
    ) -> None:
        self.name = runtime.registry.name
        self.required = runtime.required
        self.supervisor = Supervisor(self.name, runtime.make, self._work_off, supervised)
        self.lane = Lane(runtime.registry, self._guard(runtime, around), joint, around)

    def _guard(self, runtime: RegistryRuntime, around: LaneSurroundings) -> Guard:
        adapter, now = self.supervisor.adapter, around.clock()
        stored = around.store.stored if around.store is not None else NOTHING
        return Guard(
            runtime.guard.rules(adapter.settle),
            adapter.scopes,
            stored.registrations.get(self.name),
            (
                Release(each.scope, each.service, now + each.until - around.unix())
                for each in stored.announced.get(self.name, ())
            ),
            now,
        )

    async def _work_off(self, update: Update) -> None:
        await self.lane.work_off(update)

    async def run(self) -> None:
        """Watch it, and let go of what its guard holds in time, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.supervisor.run(), name=f"registry {self.name}")
            group.create_task(self.lane.keep_time(), name=f"guard of {self.name}")

    def decided(self, now: float) -> bool:
        """Whether waiting longer is of little use: it was read, or cannot be for a while already.

        A refusal decides at once, because only a person can help.
        """
        outage, guard = self.supervisor.outage, self.lane.guard
        missing = [each for each in self.supervisor.adapter.scopes if not guard.scope(each).read]
        if outage.failure is Failure.REJECTED or (not missing and self.supervisor.idle):
            return True
        since = [outage.stale_since(scope) for scope in missing]
        return bool(since) and all(each is not None and now - each >= HOPELESS for each in since)

    def ready(self) -> bool:
        """Whether the first answer need not wait for it."""
        guard = self.lane.guard
        return all(guard.scope(each).ready for each in self.supervisor.adapter.scopes)

    def state(self, now: float) -> RegistryState:
        """Return how it stands at the monotonic second ``now``."""
        outage = self.supervisor.outage
        return RegistryState(
            name=self.name,
            required=self.required,
            state=(outage.failure or WATCHING),
            reason=outage.reason,
            seconds=now - outage.since,
            restarts=self.supervisor.restarts,
            updates=self.supervisor.updates,
            scopes=tuple(self._scope(scope, now) for scope in self.supervisor.scopes),
        )

    def _scope(self, scope: str, now: float) -> ScopeState:
        known, outage = self.lane.guard.scope(scope), self.supervisor.outage
        since = outage.stale_since(scope)
        return ScopeState(
            scope=scope,
            listed=known.read,
            stale=outage.stale_reason(scope),
            stale_seconds=now - since if since is not None else 0.0,
            updated_at=self.lane.updated.get(scope),
            services=known.services,
            instances=known.instances,
            held=known.missing.instances,
            guard=known.phase,
            ready=known.ready,
        )
