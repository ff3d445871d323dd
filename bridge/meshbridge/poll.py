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
    than ``within``. A scope that fails while others do not is Stale; when all fail, the watch
    raises what the first one raised.

    Example::

        async def watch(self, emit: Emit) -> Never:
            await poll(self._fetch, every=timedelta(seconds=5), scopes=self.scopes,
                       context=self._context)(emit)
    """
    passing: tuple[type[Exception], ...] = (OSError, TimeoutError, *unavailable)

    async def read(scope: str) -> Fetched | RegistryUnavailable | RegistryRejected:
        try:
            async with asyncio.timeout(within.total_seconds()):
                return await fetch(scope)
        except (RegistryUnavailable, RegistryRejected) as error:
            return error
        except passing as error:
            reason = str(error) or f"no answer within {within.total_seconds():g} s"
            return RegistryUnavailable(reason)

    async def watch(emit: Emit) -> Never:
        told: dict[str, Told] = {scope: Told(scope) for scope in scopes}
        while True:
            begun = context.clock()
            failures: list[RegistryUnavailable | RegistryRejected] = []
            for scope, state in told.items():
                outcome = await read(scope)
                if isinstance(outcome, Fetched):
                    state.tell(outcome, emit)
                else:
                    state.fail(outcome, emit)
                    failures.append(outcome)
            if failures and len(failures) == len(told):
                raise failures[0]
            await context.sleep(max(0.0, every.total_seconds() - (context.clock() - begun)))

    return watch


class Told:
    """What the core was told of one scope, and what it must be told now."""

    def __init__(self, scope: str) -> None:
        """Have told nothing yet."""
        self._scope = scope
        self._services: dict[ServiceId, RegisteredService] | None = None
        self._unreadable: frozenset[ServiceId | tuple[ServiceId, str]] = frozenset()
        self._failed = False

    def tell(self, fetched: Fetched, emit: Emit) -> None:
        """Say what differs from what was told; everything at first and after a failure."""
        services = {service.id: service for service in fetched.services}
        unreadable = frozenset(fetched.unreadable)
        if self._services is None or self._failed:
            emit(Listing(self._scope, fetched.services, fetched.unreadable, self._failed))
        elif unreadable or self._unreadable:
            # Which services a spoilt record touches is the core's to decide: it gets all of them.
            if (services, unreadable) != (self._services, self._unreadable):
                emit(Listing(self._scope, fetched.services, fetched.unreadable))
        else:
            self._differences(self._services, services, emit)
        self._services, self._unreadable, self._failed = services, unreadable, False

    def fail(self, error: Exception, emit: Emit) -> None:
        """Say that the scope cannot be read, once."""
        if not self._failed:
            self._failed = True
            emit(Stale(self._scope, str(error)))

    def _differences(
        self,
        before: dict[ServiceId, RegisteredService],
        now: dict[ServiceId, RegisteredService],
        emit: Emit,
    ) -> None:
        for service_id, service in now.items():
            if before.get(service_id) != service:
                emit(Changed(self._scope, service))
        for service_id in before:
            if service_id not in now:
                emit(Removed(self._scope, service_id))
