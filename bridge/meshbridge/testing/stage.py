"""Runs an adapter the way the supervisor does, as far as a test of its contract needs it."""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Self

from meshbridge.adapter import Emit, Listing, Stale
from meshbridge.apart import apart
from meshbridge.errors import RegistryRejected, RegistryUnavailable
from meshbridge.registration import RegisteredService
from meshbridge.testing.recording import Recorder, context
from meshbridge.testing.registry import RegistryUnderTest

AGAIN = 0.05
"""Seconds after which a watch that raised is called again."""


class Stage:
    """One adapter being watched; the context ends with the watch cancelled."""

    def __init__(self, registry: RegistryUnderTest) -> None:
        """Make the adapter."""
        self.registry = registry
        self.recorder = Recorder()
        self.adapter = registry.adapter(
            context(self.recorder.report, trouble=self.recorder.trouble)
        )
        self.scope = registry.scope or self.adapter.scopes[0]
        self.raised: list[RegistryUnavailable | RegistryRejected] = []
        """What the watch raised that it may raise."""
        self.broken: str | None = None
        """How the watch ended otherwise."""
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Call watch."""
        self._watching = asyncio.create_task(self._keep_watching(), name="contract: watch")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel it; raises AssertionError if that does not end it."""
        if self._watching is None:
            return
        self._watching.cancel()
        _, running = await asyncio.wait([self._watching], timeout=self.registry.within)
        assert not running, f"cancelled, watch still ran after {self.registry.within:g} s"

    async def _keep_watching(self) -> None:
        watch: Callable[[Emit], Coroutine[object, object, None]] = self.adapter.watch
        while self.broken is None:
            try:
                await apart(watch(self.recorder.emit))
                self.broken = "watch returned; it must run until it is cancelled or raises"
            except (RegistryUnavailable, RegistryRejected) as error:
                self.raised.append(error)
                self.recorder.restart()
                self.recorder.wake()
                await asyncio.sleep(AGAIN)
            except Exception as error:  # noqa: BLE001 - finding a stranger's exception is the task
                self.broken = f"watch raised {type(error).__qualname__}: {error}"
            self.recorder.wake()

    @property
    def failures(self) -> int:
        """How often the adapter said that it cannot read the scope, in either way."""
        stale = (isinstance(each, Stale) for each in self.recorder.updates)
        return len(self.raised) + sum(stale)

    def services(self) -> dict[str, RegisteredService]:
        """Return the services of the scope by their bare names."""
        found = self.recorder.services(self.scope).values()
        return {service.id.name: service for service in found}

    def addresses(self, service: str) -> set[tuple[str, int]]:
        """Return (address, first port) of each instance of the service."""
        found = self.services().get(service)
        return (
            {(each.address, each.ports[0].number) for each in found.instances} if found else set()
        )

    def listings(self) -> list[Listing]:
        """Return the listings of the scope."""
        return [each for each in self.recorder.listings() if each.scope == self.scope]

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until it holds, as long as the registry allows. Raises AssertionError."""
        await self.recorder.until(
            lambda: self.broken is not None or holds(), self.registry.within, what
        )
        assert self.broken is None, f"{self.broken}, while waiting for: {what}"

    async def listed(self) -> None:
        """Wait until every scope that the adapter names was listed."""
        await self.until(
            lambda: all(self.recorder.listed(scope) for scope in self.adapter.scopes),
            f"a Listing of each of {self.adapter.scopes}",
        )
