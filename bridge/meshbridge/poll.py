"""Makes an adapter's watch, which keeps the laws, out of a coroutine that reads a scope whole."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Never

from meshbridge.adapter import Changed, Context, Emit, Listing, Removed, Stale, Unreadable
from meshbridge.errors import RegistryRejected, RegistryUnavailable
from meshbridge.registration import RegisteredService, ServiceId


@dataclass(frozen=True, slots=True)
class Fetched:
    """Everything one scope holds at one moment."""

    services: tuple[RegisteredService, ...]
    unreadable: Unreadable = ()
    """Services, or (service, instance id) pairs, whose record could not be read."""


Fetch = Callable[[str], Awaitable[Fetched]]
Watch = Callable[[Emit], Coroutine[object, object, Never]]


def poll(
    fetch: Fetch,
    *,
    every: timedelta,
    scopes: Sequence[str],
    context: Context,
    within: timedelta = timedelta(seconds=30),
    unavailable: tuple[type[Exception], ...] = (),
) -> Watch:
    """Return a ``watch`` that reads each scope again and again and says what changed.

    ``fetch`` returns a scope whole or raises. OSError, TimeoutError and what ``unavailable`` names
    (a library's own exceptions) count as RegistryUnavailable, as does a call that lasts longer
    than ``within``. Scopes are read side by side, each at its own pace: one that fails or hangs
    while others do not is Stale; when none could be read the last time, the watch raises what the
    first one raised.

    Example::

        async def watch(self, emit: Emit) -> Never:
            await poll(self._fetch, every=timedelta(seconds=5), scopes=self.scopes,
                       context=self._context)(emit)
    """
    reader = _Reader(fetch, within, (OSError, *unavailable))
    polling = _Polling(reader, every.total_seconds(), context)

    async def watch(emit: Emit) -> Never:
        await polling.watch([Told(scope) for scope in scopes], emit)

    return watch


Failed = RegistryUnavailable | RegistryRejected


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one scope, or says why it cannot be read."""

    fetch: Fetch
    within: timedelta
    passing: tuple[type[Exception], ...]

    async def read(self, scope: str) -> Fetched | Failed:
        """Return the scope whole, or what the SDK calls its failure."""
        patience = asyncio.timeout(self.within.total_seconds())
        try:
            async with patience:
                return await self.fetch(scope)
        except (RegistryUnavailable, RegistryRejected) as error:
            return error
        except self.passing as error:
            if patience.expired():
                text = f"no answer within {self.within.total_seconds():g} s"
                return RegistryUnavailable(text)
            return RegistryUnavailable(str(error) or type(error).__name__)


@dataclass(frozen=True, slots=True)
class _Polling:
    """Reads scopes side by side, each again and again."""

    reader: _Reader
    every: float
    context: Context

    async def watch(self, told: "Sequence[Told]", emit: Emit) -> Never:
        """Keep reading until all scopes fail; raise what the first one raised."""
        try:
            async with asyncio.TaskGroup() as group:
                for state in told:
                    group.create_task(self._keep_reading(state, told, emit), name=state.scope)
        except ExceptionGroup as ended:
            raise ended.exceptions[0] from None
        await asyncio.Event().wait()  # there is no scope, and so nothing to say
        raise AssertionError("nobody sets the event")

    async def _keep_reading(self, state: "Told", told: "Sequence[Told]", emit: Emit) -> Never:
        while True:
            begun = self.context.clock()
            state.take(await self.reader.read(state.scope), emit)
            failures = [each.failure for each in told if each.failure is not None]
            if len(failures) == len(told):
                raise failures[0]
            await self.context.sleep(max(0.0, self.every - (self.context.clock() - begun)))


class Told:
    """What the core was told of one scope, and what it must be told now."""

    def __init__(self, scope: str) -> None:
        """Have told nothing yet."""
        self.scope = scope
        self._services: dict[ServiceId, RegisteredService] | None = None
        self._unreadable: frozenset[ServiceId | tuple[ServiceId, str]] = frozenset()
        self.failure: Failed | None = None
        """Why the scope could not be read the last time."""

    def take(self, outcome: Fetched | Failed, emit: Emit) -> None:
        """Say what a reading came to."""
        if isinstance(outcome, Fetched):
            self._tell(outcome, emit)
            self.failure = None
            return
        if self.failure is None:
            emit(Stale(self.scope, str(outcome)))
        self.failure = outcome

    def _tell(self, fetched: Fetched, emit: Emit) -> None:
        """Say what differs from what was told; everything at first and after a failure."""
        services = {service.id: service for service in fetched.services}
        unreadable = frozenset(fetched.unreadable)
        gap = self.failure is not None
        if self._services is None or gap:
            emit(Listing(self.scope, fetched.services, fetched.unreadable, gap))
        elif unreadable or self._unreadable:
            # Which services a spoilt record touches is the core's to decide: it gets all of them.
            if (services, unreadable) != (self._services, self._unreadable):
                emit(Listing(self.scope, fetched.services, fetched.unreadable))
        else:
            self._differences(self._services, services, emit)
        self._services, self._unreadable = services, unreadable

    def _differences(
        self,
        before: dict[ServiceId, RegisteredService],
        now: dict[ServiceId, RegisteredService],
        emit: Emit,
    ) -> None:
        for service_id, service in now.items():
            if before.get(service_id) != service:
                emit(Changed(self.scope, service))
        for service_id in before:
            if service_id not in now:
                emit(Removed(self.scope, service_id))
