"""One registry being watched: its supervisor, its lane, and how they stand together."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from meshbridge.adapter import Adapter, Context, Gone, Listing, Stale, Update
from meshbridge.found import LIST, not_found, read_by
from meshbridge.guard import Guard, Release
from meshbridge.lane import Lane
from meshbridge.lane_surroundings import LaneSurroundings
from meshbridge.outage import Failure
from meshbridge.pipeline import Joint
from meshbridge.publish import Registry, selected
from meshbridge.registration import RegisteredService
from meshbridge.settings.guard import GuardOptions
from meshbridge.standing import WATCHING, RegistryState, ScopeState
from meshbridge.store import Store, Stored
from meshbridge.supervisor import Supervisor, Surroundings

_RESTARTED: Final = "its adapter is being started with other options"
HOPELESS: Final = 3.0
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
class Place:
    """Where registries are watched: what is the same for all of them."""

    joint: Joint
    supervised: Surroundings
    around: LaneSurroundings


class Watched:
    """A registry with its supervisor and its lane."""

    def __init__(
        self,
        runtime: RegistryRuntime,
        place: Place,
        stored: Stored,
        before: "Watched | None" = None,
        *,
        anew: bool = False,
    ) -> None:
        """Make its adapter, which raises what that raises; nothing is read yet.

        It begins with what is stored of it. ``before`` is the one whose lane it takes over, with
        all that is believed, when :meth:`take_over` is called; but not if it begins ``anew``.
        """
        self.name = runtime.registry.name
        self.runtime = runtime
        self.supervisor = Supervisor(self.name, runtime.make, self._work_off, place.supervised)
        self.lane: Lane
        self._before = before
        self._dropped: frozenset[str] = frozenset()
        if before is not None and not anew:
            self.lane = before.lane
        else:
            guard = self._guard(stored, place.around)
            self.lane = Lane(runtime.registry, guard, place.joint, place.around)
            self.lane.heard = self

    @property
    def required(self) -> bool:
        """Whether the first snapshot waits for it."""
        return self.runtime.required

    def take_over(self) -> None:
        """Let only this one's adapter be heard from now on, and what it does not know be kept."""
        self.lane.heard = self
        self.supervisor.missed(self.lane.guard.scopes())

    async def follow(self) -> None:
        """Go on where the one before ended, if there was one: nobody has read for a moment."""
        before, self._before = self._before, None
        if before is not None:
            if before.lane is self.lane:
                await self.lane.interrupt(_RESTARTED)
            scopes = [each for each in before.known() if each not in self._dropped]
            self.supervisor.outage.carry_on(before.supervisor.outage, scopes)
            self._dropped = frozenset()

    def known(self) -> tuple[str, ...]:
        """Return the scopes that its adapter names or spoke of, and those of which it serves."""
        guard = self.lane.guard
        served = (each for each in guard.scopes() if guard.scope(each).services)
        return tuple(dict.fromkeys((*self.supervisor.scopes, *served)))

    def dropped(self) -> frozenset[str]:
        """Return the scopes that the one before it read, and that it does not read any more.

        To be asked while nothing takes effect: scopes are found at any time.
        """
        before, named = self._before, self.supervisor.adapter.scopes
        if before is not None and named:
            was_read = read_by(before.supervisor.adapter.scopes or before.known())
            is_read = read_by(named)
            self._dropped = frozenset(
                each for each in before.known() if was_read(each) and not is_read(each)
            )
        return self._dropped

    def _guard(self, stored: Stored, around: LaneSurroundings) -> Guard:
        adapter, now = self.supervisor.adapter, around.clock()
        return Guard(
            self.runtime.guard.rules(adapter.settle),
            adapter.scopes,
            self._believed(stored),
            (
                Release(each.scope, each.service, now + each.until - around.unix())
                for each in stored.announced.get(self.name, ())
            ),
            now,
        )

    def _believed(self, stored: Stored) -> dict[str, list[RegisteredService]]:
        """Return what of the stored registrations the configuration still asks for.

        A scope that its adapter does not name, if it names any, is one that is not read any more;
        but a name may stand for a list of scopes, which are found later.
        """
        named, registry = self.supervisor.adapter.scopes, self.runtime.registry
        is_read = read_by(named)
        believed = {
            scope: [chosen for each in services if (chosen := selected(each, registry)) is not None]
            for scope, services in stored.registrations.get(self.name, {}).items()
            if not named or is_read(scope)
        }
        # Of a scope of which nothing counts any more nobody knows what does.
        believed = {scope: services for scope, services in believed.items() if services}
        # The list that led to what is believed held nothing of its own, and is believed with it.
        lists = (each for each in named if each.endswith(LIST) and each not in believed)
        return believed | {each: [] for each in lists if any(map(read_by([each]), believed))}

    def store_anew(self, stored: Stored, store: Store) -> None:
        """Let of what is stored of it only that remain which is believed."""
        guard = self.lane.guard
        with store.whole(self.name):
            for scope, services in stored.registrations.get(self.name, {}).items():
                for each in services:
                    entry = guard.scope(scope).entries.get(each.id)
                    believed = entry.served if entry is not None else None
                    if believed != each:
                        store.put(self.name, scope, each.id, believed)

    async def _work_off(self, update: Update) -> None:
        await self.lane.work_off(update, self)
        if not update.scope.endswith(LIST):
            return
        if isinstance(update, (Listing, Gone)):
            await self._miss(update.scope)
        elif isinstance(update, Stale):
            await self._stop_the_time(update)

    async def _stop_the_time(self, listed: Stale) -> None:
        """Call stale what was not found when it could be listed: nobody else says it of that."""
        guard = self.lane.guard
        for each in not_found(listed.scope, self.supervisor.scopes, guard.scopes()):
            if guard.scope(each).stale is None:
                await self.lane.work_off(Stale(each, listed.reason), self)
                self.supervisor.missed([each])

    async def _miss(self, listed: str) -> None:
        """Take for emptied what was not found, now that the list of what there is was read."""
        guard, outage = self.lane.guard, self.supervisor.outage
        guarded = dict.fromkeys(guard.scopes())
        known = guarded | dict.fromkeys(outage.unreadable)
        for each in not_found(listed, self.supervisor.scopes, known):
            scope = guard.scope(each)
            if each in guarded and (not scope.read or scope.stale is not None):
                await self.lane.work_off(Listing(each, (), after_gap=True), self)
                self.supervisor.missed([each])
            outage.gone(each)

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
        outage, named = self.supervisor.outage, frozenset(self.supervisor.adapter.scopes)
        return RegistryState(
            name=self.name,
            required=self.required,
            state=(outage.failure or WATCHING),
            reason=outage.reason,
            seconds=now - outage.since,
            restarts=self.supervisor.restarts,
            updates=self.supervisor.updates,
            scopes=tuple(self._scope(scope, now, named=scope in named) for scope in self.known()),
        )

    def _scope(self, scope: str, now: float, *, named: bool = True) -> ScopeState:
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
            serving=known.size.services,
            held=known.missing.instances,
            guard=known.phase,
            ready=known.ready or not named,
        )
