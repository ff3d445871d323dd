"""One registry's way from its updates to the catalog: selected, guarded, published, stored."""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Never

from meshbridge.adapter import Changed, Gone, Listing, Removed, Stale, Update
from meshbridge.apart import to_the_end
from meshbridge.change import Change, LeftOut, Wanted, worked_out
from meshbridge.guard import Effective, Guard, Release, Step
from meshbridge.holds import Holds
from meshbridge.lane_surroundings import LaneSurroundings
from meshbridge.looking import utc
from meshbridge.memory import LOADED, settle
from meshbridge.pipeline import BATCH, Joint
from meshbridge.publish import ClaimKey, Published, Registry, publish, selected
from meshbridge.registration import RegisteredService, ServiceId
from meshbridge.store import Announcement, Store
from meshbridge.turns import Turn

_LEAST_WAIT = 0.01
"""Seconds between two looks at the time: a guard that wakes for nothing must not spin."""


class Lane:
    """What one registry says, and what of it holds."""

    def __init__(
        self, registry: Registry, guard: Guard, joint: Joint, surroundings: LaneSurroundings
    ) -> None:
        """Begin with what the guard believes; :meth:`load` lets it be served."""
        self.registry = registry
        self.guard = guard
        self.updated: dict[str, float] = {}
        """Unix time of the last word about each scope's content that was worked off."""
        self.left_out: LeftOut = {}
        """As the registry says them: those of which the rules select less, or nothing."""
        self.heard: object = None
        """Whose updates take effect; others come from an adapter that is being ended."""
        self.writes = True
        """Whether what it lets through is stored."""
        self.silent = False
        """Whether nothing takes effect any more."""
        self._joint = joint
        self._around = surroundings
        self._holds = Holds(
            registry.name,
            guard.rules,
            surroundings.logger,
            surroundings.problems,
            surroundings.unix_of,
            surroundings.configuration,
        )
        self._one = asyncio.Lock()
        """One step after the other: each is worked out on what the last one left."""
        self._earlier = asyncio.Event()
        self._alarm: float | None = None

    async def load(self) -> None:
        """Serve what the guard believes from the start."""
        async with self._one, self._around.turns.turn() as turn:
            made: list[tuple[Effective, Published | None]] = []
            for scope in self.guard.scopes():
                for service in self.guard.served(scope):
                    effective = Effective(scope, service.id, service)
                    made.append((effective, self._publish(effective)))
                    await turn.breathe()
            with self._joint.together():
                await self._apply(made, turn, stored=False)

    async def work_off(self, update: Update, by: object = None) -> None:
        """Let the update take effect; what it lists appears in one snapshot or in none.

        ``by`` whom it is said must be who is :attr:`heard`. Raises whatever a value that is no
        registration makes publishing raise; nothing of the update has taken effect then.
        """
        if await self._step(update, by) and not isinstance(update, Stale):
            self.updated[update.scope] = self._around.unix()

    def silence(self) -> None:
        """Let nothing take effect any more."""
        self.silent = True

    async def interrupt(self, reason: str) -> None:
        """Note that nobody reads its scopes for a moment: nothing goes by time meanwhile."""
        for scope in self.guard.scopes():
            await self._step(Stale(scope, reason))

    def still(self) -> asyncio.Lock:
        """Return the lock that must be held while nothing may take effect."""
        return self._one

    async def change_to(self, wanted: Wanted, turn: Turn) -> Change:
        """Work out what it becomes under another configuration; it must be :meth:`still`."""
        return await worked_out(self.guard, self.registry, self.left_out, wanted, self.now, turn)

    async def adopt(self, change: Change, turn: Turn) -> None:
        """Become that; the claims are the catalog's business. It must be still ever since."""
        self.registry, self.left_out = change.wanted.registry, change.left_out
        self._holds.rules = change.wanted.rules
        if change.step is not None:
            with self._stored() as store:
                for effective in change.step.effective():
                    self._take_in(effective, store)
                    await turn.breathe()
            self.guard.keep(change.step)
        self.guard.go_by(change.wanted.rules, change.wanted.scopes)
        for name in self.guard.scopes():
            self._holds.of_scope(self.guard.scope(name))
        self.updated = {n: t for n, t in self.updated.items() if n not in change.wanted.dropped}
        self._set_alarm()

    async def release(self, release: Release) -> None:
        """Let go of what is held; with ``until`` also of what vanishes before that moment."""
        # Broken off midway, half of it would be gone that the guard still believes to be served.
        await to_the_end(self._release(release))

    async def _release(self, release: Release) -> None:
        held = self._held(release.scope)
        await self._step(release)
        until = None if release.until is None else self.unix_of(release.until)
        self._around.logger.info(
            "released",
            registry=self.registry.name,
            scope=release.scope,
            service=None if release.service_id is None else str(release.service_id),
            instances=held - self._held(release.scope),
            losses_wanted_until=None if until is None else utc(until),
        )
        if self._around.store is not None and self.writes and release.until is not None:
            self._around.store.announce(self.registry.name, self._announced())

    def _held(self, scope: str | None) -> int:
        names = self.guard.scopes() if scope is None else (scope,)
        return sum(self.guard.scope(each).missing.instances for each in names)

    @property
    def now(self) -> float:
        """The guard's seconds now."""
        return self._around.clock()

    def unix_of(self, when: float) -> float:
        """Return the Unix time of a moment of the guard's seconds."""
        return self._around.unix_of(when)

    async def keep_time(self) -> Never:
        """Let go of what is due when it is due, until cancelled."""
        while True:
            self._earlier.clear()
            self._alarm = self.guard.wake_at()
            if self._alarm is None:
                await self._earlier.wait()
            elif (left := self._alarm - self.now) > 0:
                await self._sleep(max(left, _LEAST_WAIT))
            else:
                await self._step(None)
                await self._around.sleep(_LEAST_WAIT)

    async def _sleep(self, seconds: float) -> None:
        """Sleep so long, or until something is due earlier."""
        sleeping = asyncio.ensure_future(self._around.sleep(seconds))
        earlier = asyncio.create_task(self._earlier.wait(), name="an earlier alarm")
        try:
            await asyncio.wait({sleeping, earlier}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            earlier.cancel()

    async def _step(self, update: Update | Release | None, by: object = None) -> bool:
        async with self._one, self._around.turns.turn() as turn:
            if self.silent or (by is not None and by is not self.heard):
                return False
            said, left_out = await self._selected(update, turn)
            step = await self._worked_out(said, turn)
            made: list[tuple[Effective, Published | None]] = []
            for effective in step.effective():
                made.append((effective, self._publish(effective)))
                if not len(made) % LOADED:
                    settle()
                await turn.breathe()
            with self._joint.together():
                await self._apply(made, turn, stored=True)
                self._keep(step, update, left_out)
        return True

    async def _selected(
        self, update: Update | Release | None, turn: Turn
    ) -> tuple[Update | Release | None, dict[ServiceId, RegisteredService]]:
        """Return the update without what the rules leave out, and what that is."""
        left_out: dict[ServiceId, RegisteredService] = {}
        match update:
            case Listing():
                kept: list[RegisteredService] = []
                for service in update.services:
                    kept += self._chosen(service, left_out)
                    await turn.breathe()
                return replace(update, services=tuple(kept)) if left_out else update, left_out
            case Changed():
                chosen = self._chosen(update.service, left_out)
                if not chosen:
                    return Removed(update.scope, update.service.id), left_out
                return replace(update, service=chosen[0]), left_out
            case _:
                return update, left_out

    def _chosen(
        self, service: RegisteredService, left_out: dict[ServiceId, RegisteredService]
    ) -> tuple[RegisteredService, ...]:
        chosen = selected(service, self.registry)
        if chosen is None or len(chosen.instances) < len(service.instances):
            left_out[service.id] = service
        return () if chosen is None else (chosen,)

    async def _worked_out(self, update: Update | Release | None, turn: Turn) -> Step:
        steps = self.guard.step(update, self._around.clock())
        while True:
            try:
                next(steps)
            except StopIteration as end:
                step: Step = end.value
                return step
            await turn.breathe()

    async def _apply(
        self, made: Iterable[tuple[Effective, Published | None]], turn: Turn, *, stored: bool
    ) -> None:
        with self._stored(wanted=stored) as store:
            for number, (effective, published) in enumerate(made, start=1):
                key = ClaimKey(self.registry.name, effective.scope, effective.service_id)
                self._joint.apply(key, published)
                self._take_in(effective, store)
                if not number % LOADED:
                    settle()
                if not number % BATCH:
                    self._joint.gather()
                    await turn.breathe()
            self._joint.gather()

    @contextmanager
    def _stored(self, *, wanted: bool = True) -> Generator[Store | None]:
        """Give the store, in which all that is put meanwhile is whole."""
        store = self._around.store if wanted and self.writes else None
        with store.whole(self.registry.name) if store else nullcontext():
            yield store

    def _take_in(self, effective: Effective, store: Store | None) -> None:
        self._holds.of_service(effective)
        if store is not None:
            store.put(self.registry.name, effective.scope, effective.service_id, effective.service)

    def _keep(
        self,
        step: Step,
        update: Update | Release | None,
        left_out: dict[ServiceId, RegisteredService],
    ) -> None:
        for name in self.guard.keep(step):
            self._holds.of_scope(self.guard.scope(name))
        self._set_alarm()
        match update:
            case Listing(scope) | Gone(scope):
                for each in [each for each in self.left_out if each[0] == scope]:
                    del self.left_out[each]
            case Changed(scope, service):
                self.left_out.pop((scope, service.id), None)
            case Removed(scope, service_id):
                self.left_out.pop((scope, service_id), None)
            case Stale() | Release() | None:
                return
        self.left_out.update({(update.scope, each): said for each, said in left_out.items()})

    def _set_alarm(self) -> None:
        wake = self.guard.wake_at()
        if wake is not None and (self._alarm is None or wake < self._alarm):
            self._earlier.set()

    def _publish(self, effective: Effective) -> Published | None:
        if effective.service is None:
            return None
        return publish(effective.service, self.registry, effective.scope)

    def _announced(self) -> tuple[Announcement, ...]:
        return tuple(
            Announcement(scope, service, self._around.unix_of(until))
            for scope in self.guard.scopes()
            for service, until in self.guard.scope(scope).announced.items()
            if until > self.now
        )
