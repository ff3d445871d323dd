"""The resources of all types at one moment, and who is told when there are newer ones.

An encoder publishes an :class:`Offer` for each moment; streams compare what their subscriber holds
with the newest one and skip those in between.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshbridge_xds.resources import ResourceSet, ResourceType

_NOTHING = ResourceSet()


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """The resources of all types at one moment."""

    sets: Mapping[str, ResourceSet | None] = field(default_factory=dict[str, ResourceSet | None])
    """``None`` stands for a type of which nothing is known yet: it is not answered at all."""

    def of(self, kind: ResourceType) -> ResourceSet | None:
        """Return the resources of a type; one that is not offered has none."""
        return self.sets.get(kind.offered_as or kind.url, _NOTHING)


class Offers:
    """Hands the newest offer to the streams; a slow stream skips, and holds nobody up."""

    def __init__(self) -> None:
        """Start without an offer: nothing is answered before the first complete one."""
        self.newest: Offer | None = None
        self._watchers: set[asyncio.Event] = set()

    def publish(self, offer: Offer) -> None:
        """Make this the newest offer and wake all streams."""
        self.newest = offer
        for watcher in self._watchers:
            watcher.set()

    def watch(self, watcher: asyncio.Event) -> None:
        """Set this event at each new offer, until :meth:`unwatch`."""
        self._watchers.add(watcher)

    def unwatch(self, watcher: asyncio.Event) -> None:
        """Stop setting the event."""
        self._watchers.discard(watcher)
