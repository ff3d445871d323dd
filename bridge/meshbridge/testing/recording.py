"""Keeps what an adapter says, checks its order, and waits until it amounts to something."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from meshbridge.adapter import (
    Changed,
    Context,
    Gone,
    Listing,
    Removed,
    Report,
    Stale,
    Trouble,
    Update,
    untold,
)
from meshbridge.registration import RegisteredService, ServiceId


@dataclass(frozen=True, slots=True)
class Reported:
    """A reason that the adapter gave for an unreadable record."""

    scope: str
    subject: ServiceId | tuple[ServiceId, str]
    reason: str
    remedy: str


class Recorder:
    """Takes what an adapter says; use :meth:`emit`, :meth:`report` and :meth:`trouble`.

    Updates must be said on the event loop this was made on.
    """

    def __init__(self) -> None:
        """Start without any."""
        self.updates: list[Update] = []
        """All updates, oldest first."""
        self.reports: list[Reported] = []
        self.troubles: dict[str, str] = {}
        """What it says is wrong with the registry now, by subject: ``reason; remedy``."""
        self.faults: list[str] = []
        """What the adapter said against the laws of order."""
        self._scopes: dict[str, dict[ServiceId, RegisteredService]] = {}
        self._stale: dict[str, bool] = {}
        self._said = asyncio.Event()

    def emit(self, update: Update) -> None:
        """Take an update."""
        if fault := self._fault(update):
            self.faults.append(fault)
        self.updates.append(update)
        self._fold(update)
        self._said.set()

    def report(
        self,
        scope: str,
        subject: ServiceId | tuple[ServiceId, str],
        reason: str,
        remedy: str,
    ) -> None:
        """Take the reason why a record is unreadable."""
        self.reports.append(Reported(scope, subject, reason, remedy))

    def trouble(self, subject: str, reason: str, remedy: str = "") -> None:
        """Take what is wrong with the registry, or that it is wrong no more."""
        if reason:
            self.troubles[subject] = f"{reason}; {remedy}"
        else:
            self.troubles.pop(subject, None)
        self._said.set()

    def restart(self) -> None:
        """Note that the watch is called again: each scope must begin with a Listing."""
        self._stale = dict.fromkeys(self._stale, True)

    def services(self, scope: str | None = None) -> dict[ServiceId, RegisteredService]:
        """Return what the updates amount to, of one scope or of all."""
        chosen = [scope] if scope is not None else list(self._scopes)
        return {
            service_id: service
            for each in chosen
            for service_id, service in self._scopes.get(each, {}).items()
        }

    def listed(self, scope: str) -> bool:
        """Whether the scope was listed."""
        return scope in self._scopes

    def listings(self) -> list[Listing]:
        """Return all listings, oldest first."""
        return [update for update in self.updates if isinstance(update, Listing)]

    async def until(self, holds: Callable[[], bool], within: float, what: str) -> None:
        """Wait until it holds; looks after each update. Raises AssertionError in the end."""
        try:
            async with asyncio.timeout(within):
                while not holds():
                    self._said.clear()
                    await self._said.wait()
        except TimeoutError:
            heard = "\n".join(f"  {_short(update)}" for update in self.updates[-10:])
            message = f"not within {within:g} s: {what}; the adapter's last words:\n{heard}"
            raise AssertionError(message) from None

    def wake(self) -> None:
        """Let :meth:`until` look again, for what is no update."""
        self._said.set()

    def _fault(self, update: object) -> str | None:
        if not isinstance(update, (Listing, Changed, Removed, Gone, Stale)):
            return f"emitted {update!r}, which is no update"
        if isinstance(update, (Changed, Removed)):
            if update.scope not in self._scopes:
                return f"said {type(update).__name__} of {update.scope!r} before its first Listing"
            if self._stale.get(update.scope):
                return f"said {type(update).__name__} of {update.scope!r} while it was Stale"
        return None

    def _fold(self, update: Update) -> None:
        match update:
            case Listing(scope, services):
                self._scopes[scope] = {service.id: service for service in services}
                self._stale[scope] = False
            case Changed(scope, service):
                self._scopes.setdefault(scope, {})[service.id] = service
            case Removed(scope, service_id):
                self._scopes.get(scope, {}).pop(service_id, None)
            case Gone(scope):
                self._scopes.pop(scope, None)
            case Stale(scope):
                self._stale[scope] = True


def context(
    report: Report, clock: Callable[[], float] = time.monotonic, trouble: Trouble = untold
) -> Context:
    """Return a context for an adapter under test: a silent logger, and real time by default."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)

    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.ReturnLogger(),
        processors=[structlog.processors.KeyValueRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    return Context(clock, sleep, report, logger, trouble)


def _short(update: Update) -> str:
    if isinstance(update, Listing):
        names = ", ".join(str(service.id) for service in update.services[:10])
        gap = " after a gap" if update.after_gap else ""
        return f"Listing {update.scope!r}{gap}: {len(update.services)} services ({names})"
    return repr(update)[:300]
