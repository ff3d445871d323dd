"""The running core: every configured registry watched, and the snapshots of what they hold."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from meshbridge.adapter import Adapter, Context
from meshbridge.memory import settle
from meshbridge.outage import Failure
from meshbridge.pipeline import Joint, Lane
from meshbridge.problems import Problems
from meshbridge.publish import Registry
from meshbridge.snapshot import Snapshot, Snapshots
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
    ) -> None:
        """Make the adapters; nothing is read before :meth:`run`.

        ``clock`` returns monotonic seconds, ``unix`` those since 1970, for people to read.
        """
        self.problems = Problems()
        self._clock, self._sleep, self._logger = clock, sleep, logger
        self._joint = Joint(self.complete, self.problems, sleep)
        turns = Turns()
        surroundings = Surroundings(clock, sleep, logger, self.problems)
        self._watched = tuple(
            _Watched(runtime, Lane(runtime.registry, self._joint, turns, unix), surroundings)
            for runtime in registries
        )

    @property
    def snapshots(self) -> Snapshots:
        """Where the newest snapshot is found; empty until the first complete one."""
        return self._joint.snapshots

    @property
    def snapshots_made(self) -> int:
        """How many snapshots were made."""
        return self._joint.made

    def complete(self) -> bool:
        """Whether every scope that a required registry names was read whole."""
        return all(watched.settled() for watched in self._watched if watched.required)

    def registries(self) -> tuple[RegistryState, ...]:
        """Return how each registry stands, in the order of the configuration."""
        now = self._clock()
        return tuple(watched.state(now) for watched in self._watched)

    async def run(self) -> None:
        """Watch all registries and make snapshots, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._joint.run(), name="snapshots")
            group.create_task(self._settle_memory(), name="first snapshot")
            for watched in self._watched:
                group.create_task(watched.supervisor.run(), name=f"registry {watched.name}")

    async def _settle_memory(self) -> None:
        first = await self.snapshots.after(None)
        services = len(first.services)
        endpoints = sum(len(service.endpoints) for service in first.services.values())
        self._logger.info("first snapshot", services=services, endpoints=endpoints)
        settle()

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

    def __init__(self, runtime: RegistryRuntime, lane: Lane, surroundings: Surroundings) -> None:
        self.name = runtime.registry.name
        self.required = runtime.required
        self.lane = lane
        self.supervisor = Supervisor(self.name, runtime.make, lane.work_off, surroundings)

    def decided(self, now: float) -> bool:
        """Whether waiting longer is of little use: it was read, or cannot be for a while already.

        A refusal decides at once, because only a person can help.
        """
        outage, intake = self.supervisor.outage, self.lane.intake
        if outage.failure is Failure.REJECTED or (self.settled() and self.supervisor.idle):
            return True
        missing = [scope for scope in self.supervisor.adapter.scopes if not intake.settled(scope)]
        since = [outage.stale_since(scope) for scope in missing]
        return bool(since) and all(each is not None and now - each >= HOPELESS for each in since)

    def settled(self) -> bool:
        """Whether the first answer need not wait for it."""
        scopes = self.supervisor.adapter.scopes
        return all(self.lane.intake.settled(scope) for scope in scopes)

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
        belief = self.lane.intake.of(scope)
        since = self.supervisor.outage.stale_since(scope)
        return ScopeState(
            scope=scope,
            listed=belief.listed,
            stale=belief.stale,
            stale_seconds=now - since if since is not None else 0.0,
            updated_at=self.lane.updated.get(scope),
            services=len(belief.services),
            instances=belief.instances,
        )
