"""What a Eureka server holds as far as it has told, and what has changed in that; pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from meshbridge import BadData
from meshbridge.steps import Steps
from meshbridge_eureka.decoding import Answer, Closed, Listed
from meshbridge_eureka.entry import Entry, Fault
from meshbridge_eureka.hashcode import counted
from meshbridge_eureka.parse import Names, application_of, id_of, is_overdue, read
from meshbridge_eureka.services import Key, Made, News, Services

SLICE: Final = 100
"""Instances that are read before others get a turn: about 2 ms."""
MOST_INSTANCES: Final = 200_000
MOST_STANDING: Final = 2 * MOST_INSTANCES
"""Names of all instances: one that has two is in two services."""
MOST_APPLICATIONS: Final = 100_000
"""In a registry, and just as many names of services."""

_DELETED: Final = "DELETED"
_ACTIONS: Final = frozenset({"ADDED", "MODIFIED", _DELETED})
_CLOCK: Final = 1_000
"""Milliseconds between a change and its time stamp, at most: the server takes no lock for both."""

Applications = dict[str, dict[str, Entry]]
"""By application, and there by the instance's id."""

_NAMED: Final = 5
"""Instances that a trouble names one by one."""


class View:
    """All that one cluster holds.

    The steps of one answer must be done, or end with BadData, before the next one is begun; where
    they were left, the view is worth nothing any more.
    """

    def __init__(self, names: Names = "vip") -> None:
        """Know nothing yet; ``names`` says what services are called by."""
        self._names: Names = names
        self._applications: Applications = {}
        self._services = Services()
        self._counts = Counter[str]()
        self._unaccounted = Counter[str]()
        """What the last full answer counted otherwise than we do: some could not be read at all."""
        self._newest = 0
        """When what the last full answer listed had changed last, by the server's clock."""
        self.gone = 0
        """How many instances the last answer took away from a service, whatever came instead."""
        self.overdue = 0
        """How many instances were listed last though their lease was long over."""
        self.late: list[str] = []
        """The ids of the first few of them in the last full answer."""

    def __len__(self) -> int:
        """Return how many instances there are, readable or not."""
        return self._counts.total()

    def services(self) -> Iterable[Made]:
        """Return all services as they are now."""
        return self._services.made()

    def full(self, body: bytes | bytearray, now_ms: int | None = None) -> Steps[News]:
        """Take what ``/apps`` answered.

        ``now_ms`` is the server's own clock when it answered, by which leases are judged. Raises
        BadData, and leaves all as it was, when the answer as a whole cannot be used.
        """
        answer, found = Answer(body), _Found()
        for entry in self._entries(answer, now_ms):
            if entry is None:
                yield
            else:
                found.take(entry)
        told = counted(answer.hashcode) if answer.hashcode is not None else None
        if told is None and not found.listed:
            raise BadData("it lists nothing, and does not say that there is nothing")
        if told is not None and found.whole and found.listed < told.total():
            raise BadData(
                f"it lists {found.listed} instances, and says that there are {told.total()}"
            )
        yield from self._become(found.applications)
        self._unaccounted = Counter(told or {})
        if told is not None:
            self._unaccounted.subtract(self._counts)
        return (yield from self._services.take())

    def delta(self, body: bytes | bytearray, now_ms: int | None = None) -> Steps[News]:  # noqa: ARG002 - as of full
        """Take what ``/apps/delta`` answered: the changes of the last three minutes, or some more.

        Leases are not judged: it tells nothing of the renewals of who has not changed. Raises
        BadData, and leaves all as it was, when the answer as a whole cannot be used.
        """
        answer, told = Answer(body), dict[Key, Entry]()
        for entry in self._entries(answer, None):
            if entry is None:
                yield
                continue
            # One that has gone and come again may be in it twice.
            key = (entry.application, entry.id)
            if key not in told or not 0 < entry.updated < told[key].updated:
                told[key] = entry
        certain, self.gone = True, 0
        for number, entry in enumerate(told.values(), 1):
            certain = self._apply(entry) and certain
            if not number % (5 * SLICE):
                yield
        news = yield from self._services.take()
        return replace(news, agrees=certain and self._agrees(answer.hashcode))

    def _entries(self, answer: Answer, now: int | None) -> Iterator[Entry | None]:
        """Yield what is listed; None where others should get a turn."""
        waiting: list[Listed] = []  # for the name of an application that they do not tell
        listed = applications = 0
        for item in answer.read():
            if isinstance(item, Listed):
                listed += 1
                if listed > MOST_INSTANCES:
                    raise BadData(f"it lists more than {MOST_INSTANCES} instances")
                application = application_of(item.held)
                if application:
                    yield self._entry(application, item, now)
                else:
                    waiting.append(item)
                if not listed % SLICE:
                    yield None
            elif isinstance(item, Closed):
                applications += 1
                if applications > MOST_APPLICATIONS:
                    raise BadData(f"it lists more than {MOST_APPLICATIONS} applications")
                yield from self._closed(item, waiting, now)
                waiting.clear()
            else:
                yield None

    def _closed(
        self, item: Closed, waiting: list[Listed], now: int | None
    ) -> Iterator[Entry | None]:
        """Yield what could not be told before the end of an application was there."""
        application = item.name or f"application[{item.position}]"
        for number, each in enumerate(waiting, 1):
            yield self._entry(application, each, now)
            if not number % SLICE:
                yield None
        if item.reason:
            yield self._spoilt(application, item.reason)

    def _entry(self, application: str, item: Listed, now: int | None) -> Entry:
        identity = id_of(item.held)
        before = self._applications.get(application, {}).get(identity)
        if before is not None and before.mark == item.mark:
            entry = before
        else:
            entry = read(item, application, identity, self._names, before)
        return entry if now is None else entry.judged(overdue=is_overdue(item.held, now))

    def _spoilt(self, application: str, reason: str) -> Entry:
        """Return what stands for an application whose instances cannot be read."""
        held = self._applications.get(application, {}).values()
        names = dict.fromkeys(name for entry in held for name in entry.names)
        called = tuple(names) or (application.lower(),)
        return Entry(application, "", called, "", fault=Fault(reason), identified=False)

    def _become(self, applications: Applications) -> Steps[None]:
        """Hold these applications and no others."""
        last, self._applications = self._applications, applications
        self._counts.clear()
        self.overdue = self._newest = self.gone = done = 0
        self.late.clear()
        for name in dict.fromkeys((*last, *applications)):
            before = last.pop(name, {})
            for entry in applications.get(name, {}).values():
                self._count(entry, 1)
                self._newest = max(self._newest, entry.updated)
                if entry.overdue and len(self.late) < _NAMED:
                    self.late.append(entry.id)
                was = before.pop(entry.id, None)
                if was is not entry:
                    self.gone += was is not None and not {*was.names} <= {*entry.names}
                    self._services.replace(was, entry)
                done += 1
                if not done % (5 * SLICE):
                    yield
            for entry in before.values():
                self.gone += 1
                self._services.replace(entry, None)
                done += 1
                if not done % (5 * SLICE):
                    yield

    def _apply(self, entry: Entry) -> bool:
        """Take one change; return False where only a full answer tells what it was."""
        before = self._applications.get(entry.application, {}).get(entry.id)
        # Answers come from caches, each of its own age, so that this one may be older than what is
        # known. lastUpdatedTimestamp is the server's own moment of each change; lastDirtyTimestamp
        # is the instance's, and stays where an operator or an eviction changes something. Of an
        # instance that is not known it is known that it was not in the last full answer.
        known = before.updated if before is not None else self._newest - _CLOCK
        if 0 < entry.updated < known:
            return before is None and entry.action == _DELETED
        if entry.action == _DELETED:
            self._hold(before, None)
        elif entry.action not in _ACTIONS:
            return False
        elif entry is not before:
            self._hold(before, entry)
        return entry.identified

    def _hold(self, before: Entry | None, entry: Entry | None) -> None:
        """Hold an entry in place of one, or none of the two."""
        if before is not None:
            self._count(before, -1)
            held = self._applications[before.application]
            del held[before.id]
            if not held:
                del self._applications[before.application]
            self.gone += entry is None or not {*before.names} <= {*entry.names}
        if entry is not None:
            self._count(entry, 1)
            self._applications.setdefault(entry.application, {})[entry.id] = entry
        self._services.replace(before, entry)

    def _count(self, entry: Entry, number: int) -> None:
        if entry.status:
            self._counts[entry.status] += number
        self.overdue += number * entry.overdue

    def _agrees(self, hashcode: str | None) -> bool:
        """Return whether all that is known is what a server counts, and no more than is allowed."""
        told = counted(hashcode) if hashcode is not None else None
        if told is None or len(self) > MOST_INSTANCES or len(self._services) > MOST_APPLICATIONS:
            return False
        told.subtract(self._counts)
        told.subtract(self._unaccounted)
        return not any(told.values())


class _Found:
    """What a full answer lists."""

    def __init__(self) -> None:
        self.applications: Applications = {}
        self.listed = 0
        self.whole = True
        """Whether there is no application whose instances cannot be read."""
        self._names = set[str]()
        self._standing = 0

    def take(self, entry: Entry) -> None:
        """Take what it lists next. Raises BadData."""
        self.applications.setdefault(entry.application, {})[entry.id] = entry
        self._names.update(entry.names)
        self._standing += len(entry.names)
        if self._standing > MOST_STANDING:
            raise BadData(f"its instances stand under more than {MOST_STANDING} names in all")
        if len(self._names) > MOST_APPLICATIONS:
            raise BadData(f"its instances have more than {MOST_APPLICATIONS} names")
        if entry.id:
            self.listed += 1
        else:
            self.whole = False
