"""Runs one adapter for ever: whatever it does harms its own registry only, and removes nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Never

from structlog.typing import FilteringBoundLogger

from meshbridge.adapter import Adapter, Changed, Context, Gone, Listing, Removed, Stale, Update
from meshbridge.apart import apart
from meshbridge.backlog import Backlog
from meshbridge.contained import contained, contained_now, spent
from meshbridge.found import LIST, not_found
from meshbridge.made import Made
from meshbridge.outage import AdapterFault, Backoff, Failure, Outage, one_line, reason_of
from meshbridge.problems import Problems
from meshbridge.reporting import Reports, Troubles
from meshbridge.shapes import check_contents
from meshbridge.watch import SILENCE, Watch

SCOPES = 10_000
"""Scopes that an adapter may speak of."""
CHECKED = 0.002
"""Seconds for which an update's shapes are looked at before the loop gets its turn."""
ABANDONED = 3
"""Watches that do not end, after which it is started again slowly: each holds what it holds."""

WorkOff = Callable[[Update], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a supervisor is handed instead of reaching for it."""

    clock: Callable[[], float]
    """Monotonic seconds."""
    sleep: Callable[[float], Awaitable[None]]
    logger: FilteringBoundLogger
    problems: Problems


class Supervisor:
    """Keeps one registry watched and its updates worked off."""

    def __init__(
        self,
        name: str,
        make: Callable[[Context], Adapter],
        work_off: WorkOff,
        surroundings: Surroundings,
    ) -> None:
        """Make the adapter; nothing is read yet. Raises what the adapter's constructor raises."""
        logger = surroundings.logger.bind(registry=name)
        self._name, self._make, self._logger = name, make, logger
        self._clock, self._sleep = surroundings.clock, surroundings.sleep
        self._work_off = work_off
        self._problems = surroundings.problems
        self._reports = Reports(name, self._problems)
        self._troubles: Troubles
        self._backlog = Backlog()
        self._arrived = asyncio.Event()
        self._backoff = Backoff()
        self._watch: Watch | None = None
        self._seen: dict[str, None] = {}
        self._gaps: set[str] = set()
        """Scopes of which changes may have been missed since they were last listed."""
        self._abandoned: list[asyncio.Task[Any]] = []
        self.adapter = self._made()
        self.outage = Outage(name, logger, surroundings.problems, self._clock)
        self.restarts = 0
        """How many times the watch had to be started again."""
        self.updates = 0
        """How many updates the adapter has said."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the options name, then those the adapter spoke of."""
        return tuple(dict.fromkeys((*self.adapter.scopes, *self._seen)))

    @property
    def idle(self) -> bool:
        """Whether the adapter has said something and all of it was worked off."""
        return self.updates > 0 and not self._arrived.is_set()

    def missed(self, scopes: Iterable[str]) -> None:
        """Note that changes of these scopes may have been missed before it was there."""
        self._gaps.update(scopes)

    async def run(self) -> None:
        """Watch, and watch again, until cancelled."""
        self._troubles.show()  # not before: it may have been made only to see what would be
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_working(), name=f"work off {self._name}")
                group.create_task(self._keep_watching(), name=f"watch {self._name}")
        finally:
            self._troubles.end()

    async def _keep_watching(self) -> Never:
        while True:
            begun = self._clock()
            watch = self._watch = Watch(self._name, self.adapter, self._take, self._sleep)
            try:
                error = await contained(apart(watch.run(lambda: self._silent(watch))))  # noqa: B023 - ended before the next
            except asyncio.CancelledError:
                self._say_left(watch)
                raise
            self._watch = None
            failure = self._begin_outage(watch, error or AdapterFault("watch returned"))
            # A long wait for a connection is no sign of health: what counts is that it spoke.
            lasted = self._clock() - begun if watch.heard else 0.0
            await self._sleep(self._backoff.next(failure, lasted))
            self._replace(watch)
            self.restarts += 1

    def _begin_outage(self, watch: Watch, error: Exception) -> Failure:
        """Note that the watch has ended with ``error``; return how to go on."""
        for fault in watch.faults:
            self.outage.begin(fault)
        if watch.fault is not None and watch.fault is not error:
            self.outage.begin(watch.fault)  # the watch ended by itself at the same time
        failure = self.outage.begin(error)
        for scope in self.scopes:
            self._put(Stale(scope, reason_of(error)))
        for told in (error, watch.raised, watch.fault, *watch.faults):
            if told is not None:
                spent(told)
        self._abandoned = [task for task in self._abandoned if not task.done()]
        self._abandoned += watch.abandoned
        return Failure.REJECTED if len(self._abandoned) >= ABANDONED else failure

    def _replace(self, watch: Watch) -> None:
        """Make a new adapter if the old one is still at work in a watch that does not end."""
        if watch.abandoned and (error := contained_now(self._make_anew)) is not None:
            self.outage.begin(error)  # the old one goes on: nothing else is there

    def _make_anew(self) -> None:
        replaced, self.adapter = self._troubles, self._made()
        replaced.end()
        self._troubles.show()

    def _made(self) -> Made:
        troubles = Troubles(self._name, self._problems)
        context = Context(
            self._clock, self._sleep, self._reports.report, self._logger, troubles.say
        )
        made = Made.of(self._make(context))
        self._troubles = troubles  # not if it cannot be made: the one before goes on
        return made

    def _say_left(self, watch: Watch) -> None:
        for fault in watch.faults:
            self._logger.error("adapter failed", reason=reason_of(fault), next="stopping anyway")

    def _silent(self, watch: Watch) -> None:
        """Call stale what the watch has not spoken of; the others are no part of the outage."""
        heard = watch.heard
        for scope in self.scopes:
            if scope not in heard:
                said = f"the adapter has said nothing of it in the {SILENCE:g} s since its start"
                self._put(Stale(scope, said))
        if heard - self._gaps:
            self.outage.end()

    async def _keep_working(self) -> Never:
        while True:
            await self._arrived.wait()
            while self._backlog:
                update = self._backlog.take()
                error = await contained(self._take_effect(update))
                if error is None:
                    self._note(update)
                else:
                    self._refuse(update, error)
            self._arrived.clear()

    async def _take_effect(self, update: Update) -> None:
        begun = time.perf_counter()
        for _ in check_contents(update):
            if time.perf_counter() - begun >= CHECKED:
                await asyncio.sleep(0)
                begun = time.perf_counter()
        await self._work_off(update)

    def _refuse(self, update: Update, error: Exception) -> None:
        """Note that an update cannot take effect, nor what was said on top of it."""
        if isinstance(update, Listing):
            self._backlog.forget_changes(update.scope)
        if self._watch is not None and self._watching:
            self._watch.fail(error)
        else:
            self.outage.begin(error)  # the watch that said it has ended, or is about to

    @property
    def _watching(self) -> bool:
        return self._watch is not None and not self._watch.over

    def _take(self, update: Update) -> None:
        if update.scope not in self._seen and len(self._seen) >= SCOPES:
            raise AdapterFault(f"it speaks of more than {SCOPES:,} scopes")
        if isinstance(update, Stale):
            update = replace(update, reason=one_line(update.reason))
        # After an outage changes were missed, whether the adapter knows it or not.
        elif isinstance(update, Listing) and update.scope in self._gaps:
            update = replace(update, after_gap=True)
        if isinstance(update, (Listing, Gone)) and update.scope.endswith(LIST):
            self._forget_unheard(update.scope)
        self._put(update)
        self.updates += 1

    def _forget_unheard(self, listed: str) -> None:
        """Forget what the list stands for and only earlier watches spoke of: it was not found."""
        heard = set[str]() if self._watch is None else self._watch.heard
        if self._seen.keys() <= heard:
            return
        found = [listed, *(each for each in heard if each in self._seen)]  # others are gone
        for each in not_found(listed, found, tuple(self._seen)):
            del self._seen[each]

    def _put(self, update: Update) -> None:
        self._backlog.put(update)
        if isinstance(update, Gone):
            # In a later outage nothing would ever list it, and so end its being stale.
            self._seen.pop(update.scope, None)
        else:
            self._seen[update.scope] = None
        if isinstance(update, Stale):
            self._gaps.add(update.scope)
        elif isinstance(update, (Listing, Gone)):
            self._gaps.discard(update.scope)
        self._reports.settle(update)
        self._arrived.set()

    def _note(self, update: Update) -> None:
        """Note what an update that took effect says about the outage."""
        match update:
            case Stale(scope, reason):
                self.outage.stale(scope, reason)
            case Gone(scope):
                self.outage.gone(scope)
                if self._watching:
                    self.outage.end_if_readable()
            case Listing(scope):
                # Else the watch that said it has ended since.
                if self._watching and not self._backlog.stale(scope):
                    self.outage.listed(scope)
            case Changed() | Removed():
                return
