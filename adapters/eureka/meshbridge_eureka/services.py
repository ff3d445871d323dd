"""The services that the instances of a registry make by their names, and what is news of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Final

from meshbridge import Instance, RegisteredService, ServiceId
from meshbridge.adapter import Unreadable
from meshbridge.steps import Steps
from meshbridge_eureka.entry import Entry

SLICE: Final = 200
"""Services, and instances of them, that are made before others get a turn."""

Key = tuple[str, str]
"""Application and instance id."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What is to be reported of a record that cannot be read."""

    subject: ServiceId | tuple[ServiceId, str]
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class News:
    """What one answer has changed."""

    services: tuple[RegisteredService, ...] = ()
    """Each whole as it is now."""
    gone: tuple[ServiceId, ...] = ()
    unreadable: Mapping[ServiceId, Unreadable] = field(default_factory=dict[ServiceId, Unreadable])
    """By those of ``services`` of which something cannot be read: what that is."""
    faults: tuple[Reported, ...] = ()
    """Why it cannot be read."""
    agrees: bool = True
    """Whether all that is known now is what the server says that it holds."""


@dataclass(frozen=True, slots=True)
class Made:
    """A service as its instances make it."""

    service: RegisteredService
    faults: tuple[Reported, ...] = ()

    @property
    def unreadable(self) -> Unreadable:
        """What of it cannot be read."""
        return tuple(each.subject for each in self.faults)


class Services:
    """Takes entries, and makes services of them."""

    def __init__(self) -> None:
        """There are none yet."""
        self._members: dict[str, dict[Key, Entry]] = {}
        """By a service's name."""
        self._made: dict[str, Made] = {}
        self._doubtful: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._members)

    def made(self) -> Iterable[Made]:
        """Return all services as they were made last."""
        return self._made.values()

    def replace(self, before: Entry | None, entry: Entry | None) -> None:
        """Take it that an entry has come, has changed or has gone."""
        if before is not None:
            if entry is not None and _alike(before, entry):
                return
            self._remove(before)
        if entry is not None:
            key = (entry.application, entry.id)
            for name in entry.names:
                self._members.setdefault(name, {})[key] = entry
                self._doubtful[name] = None

    def _remove(self, entry: Entry) -> None:
        key = (entry.application, entry.id)
        for name in entry.names:
            members = self._members[name]
            del members[key]
            if not members:
                del self._members[name]
            self._doubtful[name] = None

    def take(self) -> Steps[News]:
        """Make anew what may have changed, and return what of it is news."""
        services: list[RegisteredService] = []
        gone: list[ServiceId] = []
        unreadable: dict[ServiceId, Unreadable] = {}
        faults: list[Reported] = []
        done = 0
        doubtful, self._doubtful = self._doubtful, {}
        for name in doubtful:
            made = self._make(name)
            done += 1
            if made is None:
                gone.append(self._made.pop(name).service.id)
            elif made != self._made.get(name):
                self._made[name] = made
                services.append(made.service)
                done += len(made.service.instances)
                if made.faults:
                    unreadable[made.service.id] = made.unreadable
                    faults += made.faults
            if done >= SLICE:
                yield
                done = 0
        return News(tuple(services), tuple(gone), unreadable, tuple(faults))

    def _make(self, name: str) -> Made | None:
        members = self._members.get(name)
        if members is None:
            return None
        identity = ServiceId("", "", name)
        instances: list[Instance] = []
        faults: list[Reported] = []
        for entry, known_by in _identified(members):
            if entry.instance is not None:
                same = entry.instance.id == known_by
                instances.append(entry.instance if same else replace(entry.instance, id=known_by))
            if entry.fault is not None:
                subject = (identity, known_by) if known_by else identity
                faults.append(Reported(subject, entry.fault.reason, entry.fault.remedy))
        return Made(RegisteredService(identity, tuple(instances)), tuple(faults))


def _alike(one: Entry, other: Entry) -> bool:
    """Return whether both make the same of their services."""
    return one.instance is other.instance and one.names == other.names and one.fault == other.fault


def _identified(members: Mapping[Key, Entry]) -> Iterator[tuple[Entry, str]]:
    """Yield each with what it is known by in the service.

    An id is an application's own. Where two of them share a name and an id, the later one by its
    name has its application before the id.
    """
    known = {key[1] for key in members}
    if len(known) == len(members):
        yield from ((entry, key[1]) for key, entry in members.items())
        return
    known.clear()
    for (application, own), entry in sorted(members.items(), key=itemgetter(0)):
        taken = own in known and bool(own)
        yield entry, f"{application}/{own}" if taken else own
        known.add(own)
