"""One call of an adapter's ``watch``: what it may say in it, and its end, which always comes."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Never

from meshbridge.adapter import Adapter, Gone, Listing, Stale, Update
from meshbridge.apart import to_the_end
from meshbridge.contained import contained_now, first
from meshbridge.lineage import Lineage, abandon, names_of
from meshbridge.outage import AdapterFault
from meshbridge.shapes import check_envelope

GRACE = 5.0
"""Seconds in which a watch that failed must end, with all its tasks."""
STOPPING = 1.0
"""The same when the bridge itself stops, which has little time."""
TASK_GRACE = 1.0
"""Seconds that tasks have after their watch: gRPC learns from a thread that a call is over."""
CANCELLED = 0.25
"""Seconds that those have at least that must be cancelled then."""
SILENCE = 60.0
"""Seconds after which a scope of which nothing was said is called stale."""
BURST = 200_000
"""Updates that may be said in one turn of the loop; who says more never lets it turn."""


class Watch:
    """Runs it once, and holds it to its contract."""

    def __init__(
        self,
        registry: str,
        adapter: Adapter,
        take: Callable[[Update], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Be ready to run; ``take`` gets what the adapter says, if it is no nonsense."""
        self._adapter, self._take, self._sleep = adapter, take, sleep
        self._registry = registry
        self._lineage = Lineage(registry)
        self._thread = threading.get_ident()
        self._loop = asyncio.get_running_loop()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._open = True
        self._burst = 0
        self._listed: set[str] = set()
        self._error: Exception | None = None
        self._main: asyncio.Task[Never] | None = None
        self._until = 0.0
        """When it must have ended, on the loop's clock, once it is being ended."""
        self._patience: asyncio.Timeout | None = None
        self.heard: set[str] = set()
        """The scopes of which it said anything."""
        self.raised: BaseException | None = None
        """What it ended with by itself, a cancellation included; ``None`` if it has not ended."""
        self.faults: list[AdapterFault] = []
        """How it broke the contract in ending, beside what ended it."""
        self.abandoned: frozenset[asyncio.Task[Any]] = frozenset()
        """Its tasks that did not end when they were cancelled."""

    async def run(self, silent: Callable[[], None]) -> Never:
        """Watch until it fails, and raise why; cancelled, end within a second and a half.

        ``silent`` is called once, when it has watched long enough to have spoken of each scope.
        """
        main = self._lineage.start(self._watch(), f"adapter of {self._registry}")
        self._main = main
        silence = asyncio.create_task(self._await_silence(silent), name="silence")
        grace = GRACE
        try:
            either: set[asyncio.Future[Any]] = {main, self._failed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            grace = STOPPING
            raise
        finally:
            self._open = False
            self._failed.cancel()
            silence.cancel()
            ended = main.done()
            self._until = self._loop.time() + grace
            await to_the_end(self._end(main, grace), self._hurry)
            self._main = None  # its exception holds its frames, and they this watch
            self.raised = _raised(main)
        raise self._why(main) if ended else self._error or AdapterFault("watch was ended")

    async def _watch(self) -> Never:
        try:
            await self._adapter.watch(self.emit)
        except SystemExit as error:  # in a task it would end the loop
            raise AdapterFault(f"watch raised SystemExit: {error}") from error
        raise AdapterFault("watch returned; it must run until it is cancelled or raises")

    async def _await_silence(self, silent: Callable[[], None]) -> None:
        await self._sleep(SILENCE)
        silent()

    async def _end(self, main: asyncio.Task[Never], grace: float) -> None:
        """End what still runs; takes little longer than ``grace``."""
        begun = self._loop.time()
        if not main.done():
            main.cancel()
            await self._wait({main}, self._until - begun)
        hangs = not main.done()
        _see({main})
        if not hangs and (ending := self._lineage.alive()):
            await self._wait(ending, min(TASK_GRACE, self._rest()))
        left = self._lineage.alive()
        if not left:
            return
        for task in left - {main}:
            task.cancel()
        await self._wait(left, self._rest())
        _see(left)
        stubborn = self._lineage.alive()
        if hangs:
            waited = min(grace, self._until - begun)
            fault = f"its watch does not end when it is cancelled (waited {waited:.2g} s)"
        else:
            fault = f"its watch ended and left tasks running: {names_of(left)}"
            fault += "; they do not end when they are cancelled" if stubborn else ""
        abandon(stubborn)
        self.abandoned = frozenset(stubborn)
        self.faults.append(AdapterFault(fault))

    def _rest(self) -> float:
        """Return the seconds that are left for its end, or a few where none are."""
        return max(CANCELLED, self._until - self._loop.time())

    async def _wait(self, tasks: set[asyncio.Task[Any]], seconds: float) -> None:
        """Wait for the end of these tasks, that long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds) as self._patience:
                await asyncio.wait(tasks)
        self._patience = None

    def _hurry(self) -> None:
        """Let it have no longer than it has when the bridge stops: that is what happens now."""
        self._until = min(self._until, self._loop.time() + STOPPING)
        waiting = self._patience
        if waiting is not None and (waiting.when() or 0.0) > self._until:
            waiting.reschedule(self._until)

    def _why(self, main: asyncio.Task[Never]) -> Exception:
        if main.cancelled():
            return AdapterFault("watch cancelled itself")
        error = main.exception()
        if isinstance(error, Exception):
            return first(error)
        return AdapterFault(f"watch raised {type(error).__qualname__}, which is no Exception")

    @property
    def over(self) -> bool:
        """Whether it has ended, or is about to."""
        return not self._open or (self._main is not None and self._main.done())

    @property
    def fault(self) -> Exception | None:
        """What it was ended with, if it did not end by itself."""
        return self._error

    def fail(self, error: Exception) -> None:
        """End the watch with ``error``, from whatever thread."""
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.fail, error)
        elif self._open:
            self._error = error
            self._open = False
            self._failed.set_result(None)

    def emit(self, update: Update) -> None:
        """Take an update from the adapter; nonsense ends the watch instead.

        Raises AdapterFault only to end a loop that says more and more and never waits.
        """
        if threading.get_ident() != self._thread:
            self.fail(AdapterFault("it called emit from another thread than the event loop's"))
            return
        self._count()
        if self._open and (error := contained_now(lambda: self._accept(update))) is not None:
            self.fail(error)

    def _count(self) -> None:
        if not self._burst:
            self._loop.call_soon(self._turned)
        self._burst += 1
        if self._burst > BURST:
            fault = AdapterFault(f"it emitted {BURST:,} updates and never let the loop turn")
            self.fail(fault)
            raise fault

    def _turned(self) -> None:
        self._burst = 0

    def _accept(self, update: Update) -> None:
        check_envelope(update)
        what, scope = type(update).__name__, update.scope
        if isinstance(update, Listing):
            self._listed.add(scope)
        elif isinstance(update, (Stale, Gone)):
            self._listed.discard(scope)
        elif scope not in self._listed:
            raise AdapterFault(f"it said {what} of {scope!r} before listing that scope")
        self._take(update)
        self.heard.add(scope)


def _raised(task: asyncio.Task[Never]) -> BaseException | None:
    """Return what the task ended with; it forgets its cancellation thereby."""
    if not task.done():
        return None
    try:
        return task.exception()
    except asyncio.CancelledError as error:
        return error


def _see(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Take the exceptions of those that have ended: asyncio would call them "never retrieved"."""
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()
