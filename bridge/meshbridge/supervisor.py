"""Runs one adapter for ever: whatever it does harms its own registry only, and removes nothing."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Never, cast

from structlog.typing import FilteringBoundLogger

from meshbridge.adapter import Adapter, Changed, Context, Gone, Listing, Removed, Stale, Update
from meshbridge.apart import apart
from meshbridge.backlog import Backlog
from meshbridge.outage import AdapterFault, Backoff, Outage, reason_of
from meshbridge.problems import Problems
from meshbridge.reporting import Reports

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
        self._clock, self._sleep = surroundings.clock, surroundings.sleep
        self._work_off = work_off
        self._reports = Reports(name, surroundings.problems)
        self._backlog = Backlog()
        self._arrived = asyncio.Event()
        self._backoff = Backoff()
        self._watch: _Watch | None = None
        self._seen: dict[str, None] = {}
        context = Context(self._clock, self._sleep, self._reports.report, logger)
        self.adapter = make(context)
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

    async def run(self) -> None:
        """Watch, and watch again, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_working(), name="work off")
            group.create_task(self._keep_watching(), name="watch")

    async def _keep_watching(self) -> Never:
        while True:
            begun = self._clock()
            watch = _Watch(self.adapter, self._take)
            self._watch = watch
            error = await _contained(apart(watch.run()))
            self._watch = None
            if watch.fault is not None and watch.fault is not error:
                self.outage.begin(watch.fault)  # the watch ended by itself at the same time
            failure = self.outage.begin(error or AdapterFault("watch returned"))
            for scope in self.scopes:
                self._put(Stale(scope, reason_of(error) if error else "watch returned"))
            await self._sleep(self._backoff.next(failure, self._clock() - begun))
            self.restarts += 1

    async def _keep_working(self) -> Never:
        while True:
            await self._arrived.wait()
            while self._backlog:
                update = self._backlog.take()
                error = await _contained(self._work_off(update))
                if error is None:
                    self._note(update)
                elif self._watch is None or self._watch.over:
                    self.outage.begin(error)  # the watch that said it has ended, or is about to
                else:
                    self._watch.fail(error)
            self._arrived.clear()

    def _take(self, update: Update) -> None:
        self.updates += 1
        # After an outage changes were missed, whether the adapter knows it or not.
        if isinstance(update, Listing) and self.outage.stale_since(update.scope) is not None:
            update = replace(update, after_gap=True)
        self._put(update)

    def _put(self, update: Update) -> None:
        if isinstance(update, Gone):
            # In a later outage nothing would ever list it, and so end its being stale.
            self._seen.pop(update.scope, None)
        else:
            self._seen[update.scope] = None
        self._reports.settle(update)
        self._backlog.put(update)
        self._arrived.set()

    def _note(self, update: Update) -> None:
        """Note what an update that took effect says about the outage."""
        match update:
            case Stale(scope, reason):
                self.outage.stale(scope, reason)
            case Gone(scope):
                self.outage.gone(scope)
            case Listing(scope):
                self.outage.listed(scope)
            case Changed() | Removed():
                return


class _Watch:
    """One call of an adapter's ``watch``, and what it may say in it."""

    def __init__(self, adapter: Adapter, take: Callable[[Update], None]) -> None:
        self._adapter = adapter
        self._take = take
        self._listed: set[str] = set()
        self._thread = threading.get_ident()
        self._loop = asyncio.get_running_loop()
        self._failed: asyncio.Future[Never] = self._loop.create_future()
        self._open = True
        self.fault: Exception | None = None
        """What it was ended with, if it did not end by itself."""

    async def run(self) -> None:
        """Watch until it fails; always raises."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(), name="adapter")
                group.create_task(self._await_fault(), name="adapter's faults")
        finally:
            self._open = False
            if not self._failed.cancel() and not self._failed.cancelled():
                self._failed.exception()  # seen: asyncio would call it "never retrieved"

    async def _watch(self) -> Never:
        try:
            await self._adapter.watch(self.emit)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise AdapterFault("watch cancelled itself") from None
        raise AdapterFault("watch returned; it must run until it is cancelled or raises")

    async def _await_fault(self) -> None:
        await self._failed

    @property
    def over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._failed.done()

    def fail(self, error: Exception) -> None:
        """End the watch with ``error``, from whatever thread."""
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.fail, error)
        elif not self.over:
            self.fault = error
            self._failed.set_exception(error)

    def emit(self, update: Update) -> None:
        """Take an update from the adapter; nonsense ends the watch instead."""
        if not self._open:
            return
        if (nonsense := self._nonsense(update)) is not None:
            self.fail(AdapterFault(nonsense))
            return
        if isinstance(update, Listing):
            self._listed.add(update.scope)
        elif isinstance(update, (Stale, Gone)):
            self._listed.discard(update.scope)
        self._take(update)

    def _nonsense(self, update: object) -> str | None:
        if threading.get_ident() != self._thread:
            return "it called emit from another thread than the event loop's"
        if not isinstance(update, (Listing, Changed, Removed, Gone, Stale)):
            return f"it emitted {type(update).__qualname__}, which is no update"
        if isinstance(update, (Changed, Removed)) and update.scope not in self._listed:
            return f"it said {type(update).__name__} of {update.scope!r} before listing that scope"
        return None


async def _contained(work: Awaitable[None]) -> Exception | None:
    """Return the exception that ended the work.

    The only place of the bridge that catches every exception: what comes here was raised by an
    adapter, or by what it said, and one registry must not end the service of the others.
    """
    try:
        await work
    except Exception as error:  # noqa: BLE001 - see above
        return _first(error)
    return None


def _first(error: Exception) -> Exception:
    if not isinstance(error, ExceptionGroup):
        return error
    group = cast("ExceptionGroup[Exception]", error)
    return _first(group.exceptions[0])
