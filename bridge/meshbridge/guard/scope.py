"""One scope under guard: its services, and the figures by which its losses are judged."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple

from meshbridge.guard.entry import Entry
from meshbridge.guard.overlay import Overlay
from meshbridge.guard.rules import GuardRules
from meshbridge.registration import ServiceId

_PARTS = 10
"""Into so many parts is the window cut: within one of them only the highest peak is kept."""
_SETTLES = 10
"""A scope settles after so many times ``settle`` at the latest, unless it is in loss."""
_WAITS = 5
"""A first answer waits so many times ``settle`` after the first service that serves."""
_GROWTH = 1.01
"""Services must have become so many times as many for a scope to count as still growing."""
_HOLLOW = 10
"""A scope one part in so many of whose services are listed and empty is probably refilling."""


class Size(NamedTuple):
    """How much there is of a scope."""

    instances: int = 0
    services: int = 0


_NOTHING = Size()


@dataclass(slots=True)
class Scope:
    """What is known of one scope; :meth:`draft` gives a copy to try an update on."""

    name: str
    entries: Overlay[ServiceId, Entry] = field(default_factory=lambda: Overlay({}))
    holding: Overlay[ServiceId, bool] = field(default_factory=lambda: Overlay({}))
    """The services of which something is held."""
    size: Size = _NOTHING
    """Instances that are listed and serve, and services that have such."""
    missing: Size = _NOTHING
    """Instances that are held, and services that would have none without them."""
    listed: int = 0
    """Services that are listed, empty ones too."""
    services: int = 0
    """Services that are listed, or of which something is held."""
    instances: int = 0
    """Instances of them, also withdrawn ones."""
    peaks: tuple[tuple[float, Size], ...] = ()
    """The largest sizes within the window, each with its time; oldest first."""
    read: bool = False
    """Whether it was ever read."""
    stale: float | None = None
    """Since when it cannot be read."""
    unsettled: float | None = None
    """The last gap or the last moment in loss, while the scope is not settled."""
    since: float = -inf
    """When it became unsettled, or its last gap: what was served then is believed."""
    returned: float = -inf
    """When a held instance last came back."""
    in_loss: float | None = None
    """Since when more is missing than may be."""
    announced: dict[ServiceId | None, float] = field(default_factory=dict[ServiceId | None, float])
    """Until when losses of a service, or of the whole scope (``None``), are wanted."""
    ready: bool = False
    """Whether the bridge's first answer need not wait for it any longer."""
    served_since: float | None = None
    """When something of it served for the first time, if it was not believed from the start."""
    growth: tuple[float, int] = (0.0, 0)
    """When the services that serve last became 1 % more, and how many they were."""
    dues: list[tuple[float, ServiceId]] = field(default_factory=list[tuple[float, ServiceId]])
    """A heap of when something held goes; entries that no longer hold may stand in it."""
    new_dues: list[tuple[float, ServiceId]] = field(default_factory=list[tuple[float, ServiceId]])
    """What a draft adds to the heap."""

    @property
    def phase(self) -> str:
        """How it stands: ``settled``, ``settling`` or ``in loss``."""
        if self.in_loss is not None:
            return "in loss"
        return "settled" if self.unsettled is None else "settling"

    # --- one update, tried on a draft

    def draft(self) -> "Scope":
        """Return a copy whose changes leave this one as it is."""
        copy = replace(self, new_dues=[])
        copy.entries = Overlay(self.entries.keep())
        copy.holding = Overlay(self.holding.keep())
        return copy

    def keep(self) -> None:
        """Make a draft's changes last."""
        self.entries.keep()
        self.holding.keep()
        for each in self.new_dues:
            heapq.heappush(self.dues, each)
        self.new_dues = []
        while self.dues and not self._holds(self.dues[0]):
            heapq.heappop(self.dues)

    def put(self, service: ServiceId, entry: Entry | None) -> None:
        """Let the service be this, and count it."""
        old = self.entries.get(service)
        self.entries.put(service, entry)
        if (entry is not None and bool(entry.held)) != (old is not None and bool(old.held)):
            self.holding.put(service, True if entry is not None and entry.held else None)
        for counted, sign in ((old, -1), (entry, 1)):
            if counted is not None:
                self._count(counted, sign)

    def _count(self, entry: Entry, sign: int) -> None:
        instances, services = self.size
        self.size = Size(instances + sign * entry.serving, services + sign * (entry.serving > 0))
        held, emptied = self.missing
        self.missing = Size(held + sign * len(entry.held), emptied + sign * entry.emptied)
        self.listed += sign * entry.listed
        self.services += sign
        self.instances += sign * (len(entry.instances) + len(entry.held))

    def known(self, service: ServiceId) -> Entry:
        """Return what is known of a service that is known to be there."""
        entry = self.entries.get(service)
        if entry is None:
            raise AssertionError(f"{service} is not known")
        return entry

    # --- what may go at its time

    def leave_at(self, service: ServiceId, due: float, ids: frozenset[str] | None = None) -> None:
        """Let what is held of the service, or these of it, go at ``due``."""
        self.put(service, self.known(service).due(due, ids))
        self.new_dues.append((due, service))

    def due(self, now: float) -> Iterator[tuple[ServiceId, frozenset[str]]]:
        """Yield services with what is held of them and goes now; costs what is due."""
        places = [0]
        services = {service for due, service in self.new_dues if due <= now}
        while places:
            at = places.pop()
            if at < len(self.dues) and self.dues[at][0] <= now:
                services.add(self.dues[at][1])
                places += (2 * at + 1, 2 * at + 2)  # a heap: what stands below is due later
        for service in services:
            entry = self.entries.get(service)
            ids = (
                frozenset(each.instance.id for each in entry.held if each.due <= now)
                if entry
                else ()
            )
            if ids:
                yield service, frozenset(ids)

    def _holds(self, due: tuple[float, ServiceId]) -> bool:
        entry = self.entries.get(due[1])
        return entry is not None and any(each.due == due[0] for each in entry.held)

    @property
    def next_due(self) -> float:
        """When something held goes next."""
        return self.dues[0][0] if self.dues else inf

    def held(self) -> list[tuple[ServiceId, Entry]]:
        """Return the services of which something is held."""
        found = ((each, self.entries.get(each)) for each in self.holding)
        return [(service, entry) for service, entry in found if entry is not None]

    def is_announced(self, now: float, service: ServiceId | None = None) -> bool:
        """Whether losses of the scope, or at least of this service, are wanted now."""
        whole = self.announced.get(None, now) > now
        return whole or (service is not None and self.announced.get(service, now) > now)

    # --- the peak

    def age(self, now: float, window: float) -> None:
        """Forget what was before the window; nothing ages while unsettled or stale."""
        if self.unsettled is not None or self.stale is not None:
            self.peaks = ((now, self._highest()),)
        else:
            self.peaks = tuple(each for each in self.peaks if each[0] > now - window)

    def note(self, now: float, window: float) -> None:
        """Remember how large it is now."""
        if self.unsettled is not None:
            self.peaks = ((now, self._highest(self.size)),)
        elif self.peaks and now - self.peaks[-1][0] < window / _PARTS:
            since, size = self.peaks[-1]
            self.peaks = (*self.peaks[:-1], (since, _larger(size, self.size)))
        else:
            self.peaks = (*self.peaks, (now, self.size))

    def lower(self, instances: int, services: int = 0) -> None:
        """Take out of the peak what went and is no loss."""
        if instances or services:
            self.peaks = tuple(
                (when, Size(max(0, size.instances - instances), max(0, size.services - services)))
                for when, size in self.peaks
            )

    def peak(self, now: float, window: float) -> Size:
        """Return the most that was listed within the window."""
        if self.unsettled is not None or self.stale is not None:
            return self._highest()
        recent = [size for when, size in self.peaks if when > now - window]
        return Size(*(max(column) for column in zip(*recent, strict=True))) if recent else self.size

    def _highest(self, least: Size = _NOTHING) -> Size:
        for _, size in self.peaks:
            least = _larger(least, size)
        return least

    # --- time

    def settles_at(self, rules: GuardRules) -> float:
        """Return when an unsettled scope that is not in loss settles."""
        if self.unsettled is None or not self.missing.instances:
            return -inf
        quiet = max(self.unsettled, self.returned) + rules.settle
        return min(quiet, self.unsettled + _SETTLES * rules.settle)

    @property
    def counts(self) -> bool:
        """Whether empty scopes beside it may be believed: it is ready and serves something."""
        return self.ready and self.size.services > 0

    def wakes(self, rules: GuardRules, *, beside_others: bool) -> float | None:
        """Return when time changes something of it; inf if only others do, ``None`` if nothing."""
        if self.stale is not None:
            return None
        waits = bool(self.missing.instances)
        if self.in_loss is not None:
            hold = inf if rules.hold is None else rules.hold
            wakes = max(self.in_loss, self.returned) + hold
        elif self.unsettled is not None:
            waits, wakes = True, self.settles_at(rules)
        else:
            wakes = self.next_due
        if self.read and not self.ready:
            waits, ready = True, self.ready_at(rules, beside_others=beside_others)
            wakes = min(wakes, ready)
        return wakes if waits else None

    def note_growth(self, now: float) -> None:
        """Note that services serve, and whether they became more."""
        if self.size.services and self.served_since is None:
            self.served_since = now
        if self.size.services > self.growth[1] * _GROWTH:
            self.growth = (now, self.size.services)

    def ready_at(self, rules: GuardRules, *, beside_others: bool) -> float:
        """Return when a scope that was not believed from the start is ready at the latest.

        ``beside_others``: whether another scope of the registry is ready and serves something.
        """
        quiet = self.growth[0] + rules.settle
        if not self.size.services or self.served_since is None:
            return quiet if rules.allow_empty or beside_others else inf
        last = self.served_since + _WAITS * rules.settle
        hollow = (self.listed - self.size.services) * _HOLLOW > self.listed
        return last if hollow else min(quiet, last)


def _larger(one: Size, other: Size) -> Size:
    return Size(max(one.instances, other.instances), max(one.services, other.services))
