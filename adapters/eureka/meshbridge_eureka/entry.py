"""An instance as a Eureka server lists it; pure."""

from dataclasses import dataclass, replace
from typing import Final

from meshbridge import Health, Instance

_REMEDY: Final = "correct what the instance registers (eureka.instance.*), and restart it"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record cannot be read, and what to do about it."""

    reason: str
    remedy: str = _REMEDY


@dataclass(slots=True)  # not frozen, which would take five times as long to make; nobody changes it
class Entry:
    """One instance of an application as the server listed it, readable or not."""

    application: str
    id: str
    """The server's own, ``instance[3]`` where there is none; empty: the whole application."""
    names: tuple[str, ...]
    """Of the services that it stands in."""
    status: str
    """As served, for the hash code; empty for what counts for nothing there."""
    instance: Instance | None = None
    """None if it cannot be read."""
    fault: Fault | None = None
    mark: int = 0
    updated: int = 0
    """When it changed last, in milliseconds of the server's clock; 0 if that is not told."""
    begun: int = 0
    """When its own process changed it last, by that one's clock: the same on every server."""
    action: str = ""
    """What the server last did with it: ADDED, MODIFIED or DELETED."""
    overdue: bool = False
    """Its lease is long over, and the server keeps it all the same."""
    identified: bool = True
    """Whether it has an id of the server's, and so can be known again."""

    def as_it_was(self, before: "Entry | None") -> "Entry":
        """Return this one with the very instance of the one before, if nothing has changed in it.

        Each server has its own moment of registration; the process tells whether it is another.
        """
        if before is None or before.instance is None or self.instance is None:
            return self
        told = self.instance
        if self.begun == before.begun and told.registered_at != before.instance.registered_at:
            told = replace(told, registered_at=before.instance.registered_at)
        if told == before.instance:
            told = before.instance
        return self if told is self.instance else replace(self, instance=told)

    def judged(self, *, overdue: bool) -> "Entry":
        """Return it as it is with a lease that is long over, or with one that is not."""
        instance = self.instance
        if overdue == self.overdue or instance is None:
            return self
        health = instance.health
        if health in (Health.HEALTHY, Health.DEGRADED):
            # Only this makes an instance degraded.
            health = Health.DEGRADED if overdue else Health.HEALTHY
        return replace(self, instance=replace(instance, health=health), overdue=overdue)
