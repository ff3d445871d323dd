"""Runs an adapter as the bridge does, and keeps all it said with the time it said it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import structlog

from meshbridge import (
    Adapter,
    Changed,
    Context,
    Gone,
    Instance,
    Listing,
    RegistryUnavailable,
    Removed,
    Stale,
    Update,
)
from rig.waiting import until


class Watched:
    """What an adapter has said, and what follows from it."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.said: list[Update] = []
        self.failures: list[RegistryUnavailable] = []
        self.reports: list[tuple[object, str]] = []
        self._services: dict[tuple[str, str], tuple[Instance, ...]] = {}

    def take(self, update: Update) -> None:
        """Note an update; this is the adapter's ``emit``."""
        self.said.append(update)
        match update:
            case Listing(scope, services):
                self._forget(scope)
                for each in services:
                    self._services[scope, str(each.id)] = each.instances
            case Changed(scope, service):
                self._services[scope, str(service.id)] = service.instances
            case Removed(scope, service_id):
                self._services.pop((scope, str(service_id)), None)
            case Gone(scope):
                self._forget(scope)
            case Stale():
                pass

    def report(self, scope: str, subject: object, reason: str, remedy: str) -> None:
        """Note why a record is unreadable."""
        self.reports.append((subject, f"{scope}: {reason}; {remedy}"))

    def instances(self, service: str) -> tuple[Instance, ...] | None:
        """Return the service's instances as said last; None if no scope has it."""
        for (_, name), instances in self._services.items():
            if name == service:
                return instances
        return None

    def filled(self) -> dict[str, tuple[Instance, ...]]:
        """Return the instances of each service that has any, in whichever scope."""
        return {name: held for (_, name), held in self._services.items() if held}

    async def has(
        self,
        service: str,
        holds: Callable[[tuple[Instance, ...] | None], bool],
        *,
        within: float = 10.0,
    ) -> float:
        """Wait until the service's instances are so; return the seconds that took."""

        async def look() -> tuple[Instance, ...] | None:
            return self.instances(service)

        _, took = await until(look, holds, within=within)
        return took

    async def listed(self, scope: str, *, times: int = 1, within: float = 20.0) -> Listing:
        """Wait for the scope's listing of that number; return it."""

        async def look() -> list[Listing]:
            return [each for each in self.said if isinstance(each, Listing) and each.scope == scope]

        listings, _ = await until(look, lambda found: len(found) >= times, within=within)
        return listings[times - 1]

    def _forget(self, scope: str) -> None:
        for key in [key for key in self._services if key[0] == scope]:
            del self._services[key]


@asynccontextmanager
async def watching(make: Callable[[Context], Adapter]) -> AsyncGenerator[Watched]:
    """Watch with an adapter, again and again while it is unavailable, as the supervisor does."""
    watched = Watched()
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    adapter = make(Context(time.monotonic, asyncio.sleep, watched.report, logger))

    async def keep_watching() -> None:
        while True:
            try:
                await adapter.watch(watched.take)
            except RegistryUnavailable as unavailable:
                watched.failures.append(unavailable)
                await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(keep_watching())
        yield watched
        task.cancel()
