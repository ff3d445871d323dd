"""An immutable view of all services, and what changed between two of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from meshbridge.layered import Layered
from meshbridge.service import Service

_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Changes:
    """The hosts in which two snapshots differ."""

    changed: frozenset[str]
    """Hosts that are new or differ, present in the newer snapshot."""
    removed: frozenset[str]
    """Hosts that the newer snapshot does not have."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All services by host at one moment; complete by construction, never partial."""

    services: Mapping[str, Service]
    number: int = 0
    """Counts the snapshots of this process; for ``since`` only, never for a resource's version."""
    recent: tuple[frozenset[str], ...] = ()
    """The hosts touched by each of the last snapshots, newest last, this one's included."""

    def since(self, older: "Snapshot | None") -> Changes:
        """Return what differs from ``older``, at a cost proportional to what was touched.

        Without an older one every host has changed. One that is too old, or of which it is not
        known how this one came of it, costs a comparison of all.
        """
        before: Mapping[str, Service] = older.services if older else {}
        behind = self.number - older.number if older else 0
        if older is self:
            touched = frozenset[str]()
        elif older is not None and 0 < behind <= len(self.recent):
            touched = frozenset[str]().union(*self.recent[len(self.recent) - behind :])
        else:
            touched = frozenset(before.keys() | self.services.keys())
        return Changes(
            changed=frozenset(
                host
                for host in touched
                if host in self.services
                and (host not in before or before[host].version != self.services[host].version)
            ),
            removed=frozenset(
                host for host in touched if host in before and host not in self.services
            ),
        )

    def with_changes(self, touched: Mapping[str, Service | None]) -> "Snapshot":
        """Return the snapshot after this one, in which ``None`` takes a host away."""
        before = self.services
        layered = before if isinstance(before, Layered) else Layered(before)
        recent = (*self.recent[-(_REMEMBERED - 1) :], frozenset(touched))
        return Snapshot(layered.changed(touched), self.number + 1, recent)


EMPTY = Snapshot(MappingProxyType({}))


class Snapshots:
    """Hands the newest snapshot to whoever waits; a slow reader skips, and holds nobody up.

    Holds nothing until the first complete answer can be given, so that an outlet cannot answer
    too early: the law "stale over partial, partial never" is kept by having nothing to send.
    """

    def __init__(self) -> None:
        """Start without a snapshot."""
        self._newest: Snapshot | None = None
        self._arrived = asyncio.Event()

    @property
    def newest(self) -> Snapshot | None:
        """The newest snapshot, or ``None`` before the first complete one."""
        return self._newest

    def publish(self, snapshot: Snapshot) -> None:
        """Make this the newest snapshot and wake all who wait."""
        self._newest = snapshot
        self._arrived.set()
        self._arrived = asyncio.Event()

    async def after(self, seen: Snapshot | None) -> Snapshot:
        """Return the newest snapshot as soon as it is another one than ``seen``."""
        while (newest := self._newest) is None or newest is seen:
            await self._arrived.wait()
        return newest
