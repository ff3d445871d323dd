"""Follows one group of one namespace over one session: lists it whole, then tells each change."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Never, Protocol

from meshbridge import (
    BadData,
    Changed,
    Context,
    Emit,
    Listing,
    RegisteredService,
    Removed,
    ServiceId,
)
from meshbridge.adapter import Unreadable
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.parse import Record, read_service, service_id

AT_ONCE = 64
"""Subscriptions asked for at the same time."""
ABSENCES = 2
"""Lists in a row that must lack a service before it is gone: one may be made while it changes."""
OFTEN, REFILLING = 1.0, 60.0
"""Seconds between two lists after a gap, and for how long: a server that has restarted knows no
service until its registrants are back, and pushes nothing of one that was not subscribed to."""
REMEDY = "register it again, or mend the record in the Nacos console"


@dataclass(frozen=True, slots=True)
class ScopeName:
    """A namespace and a group of it."""

    namespace: str
    group: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.group}"


class Questions(Protocol):
    """What is asked of the server; see :class:`meshbridge_nacos.session.Session`."""

    async def list_services(self, group: str) -> frozenset[str]:
        """Return the names of all services of the group."""
        ...

    async def subscribe(self, group: str, service: str) -> Record:
        """Have changes pushed; return what it is now. Raises BadData for this service alone."""
        ...

    async def unsubscribe(self, group: str, service: str) -> None:
        """Have no more changes pushed. Raises BadData for this service alone."""
        ...


@dataclass(frozen=True, slots=True)
class _Told:
    """What was said last about a service."""

    service: RegisteredService
    unreadable: Unreadable


class Round:
    """Picks a few of many in turn, whichever come and go meanwhile."""

    def __init__(self) -> None:
        """Begin with the first."""
        self._last = ""

    def next(self, names: AbstractSet[str], most: int) -> list[str]:
        """Return so many names after those of the last time."""
        ordered = sorted(names)
        begin = bisect_right(ordered, self._last)
        chosen = (ordered[begin:] + ordered[:begin])[:most]
        self._last = chosen[-1] if chosen else self._last
        return chosen


class Scope:
    """One session's view of one group."""

    def __init__(
        self, name: ScopeName, session: Questions, inbox: Inbox, context: Context, emit: Emit
    ) -> None:
        self._name = name
        self._session = session
        self._inbox = inbox
        self._context = context
        self._emit = emit
        self._told: dict[str, _Told] = {}
        """By the service's own name; its keys are what is subscribed to."""
        self._asking: set[str] = set()
        """Services being subscribed to: their pushes are kept until the answer is there."""
        self._absent: dict[str, int] = {}
        """How many lists in a row lacked a service."""
        self._refilling = 0.0
        """Seconds for which registrants may still be coming back."""
        self._deserted = Round()
        self._all = Round()

    async def list_all(self, *, after_gap: bool) -> None:
        """Subscribe to every service and emit one Listing; raises if that cannot be done whole."""
        names = await self._session.list_services(self._name.group)
        await self._subscribe(names)
        self._refilling = REFILLING if after_gap else 0.0
        told = [self._told[name] for name in sorted(self._told)]
        self._emit(
            Listing(
                str(self._name),
                tuple(each.service for each in told if each.service.id not in each.unreadable),
                tuple(subject for each in told for subject in each.unreadable),
                after_gap=after_gap,
            )
        )

    async def follow_pushes(self) -> Never:
        """Emit each service that the server says has changed."""
        while True:
            for name, info in (await self._inbox.take(self._asking)).items():
                before = self._told.get(name)
                if before is None:
                    continue  # no longer subscribed to
                self._told[name] = now = self._understand(name, info)
                if now != before:  # the server repeats itself after every subscription
                    self._emit(Changed(str(self._name), now.service, now.unreadable))

    async def follow_lists(self, every: float) -> Never:
        """Look for new and vanished services every so many seconds; for new ones often at first."""
        passed = 0.0
        while True:
            pause = min(OFTEN, every) if self._refilling > 0 else every
            await self._context.sleep(pause)
            passed, self._refilling = passed + pause, self._refilling - pause
            names = await self._session.list_services(self._name.group)
            new = names - self._told.keys()
            await self._ask_for(new)
            await self._ask_for(self._doubtful(names))
            if passed >= every:
                passed = 0.0
                for name in self._vanished(names):
                    await self._let_go(name)

    async def _ask_for(self, names: AbstractSet[str]) -> None:
        """Subscribe to services, also once more, and tell those that are not as they were."""
        before = {name: told for name in names if (told := self._told.get(name)) is not None}
        await self._subscribe(names)
        for name in sorted(names):
            if (told := self._told[name]) != before.get(name):
                self._emit(Changed(str(self._name), told.service, told.unreadable))

    async def _subscribe(self, names: Iterable[str]) -> None:
        waiting = iter(sorted(names))

        async def work() -> None:
            for name in waiting:
                self._told[name] = await self._ask(name)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(work())

    async def _ask(self, name: str) -> _Told:
        info, refusal = await self._answer(name)
        # The server reads its answer before it notes the subscription (nacos:
        # SubscribeServiceRequestHandler.handle), so a push that arrived between question and answer
        # is never the older one. Its lastRefTime would not tell: clocks of servers differ.
        pushed = self._inbox.take_one(name)
        info = info if pushed is None else pushed
        return self._unreadable(name, refusal) if info is None else self._understand(name, info)

    async def _answer(self, name: str) -> tuple[Record | None, str]:
        """Return what the service is now, or why the server does not say."""
        self._inbox.take_one(name)  # what still waits belongs to an earlier subscription
        self._asking.add(name)
        try:
            return await self._session.subscribe(self._name.group, name), ""
        except BadData as bad:
            return None, str(bad)
        finally:
            self._asking.discard(name)

    def _understand(self, name: str, info: Record) -> _Told:
        identity = self._identity(name)
        try:
            reading = read_service(identity, info)
        except BadData as bad:
            return self._unreadable(name, str(bad))
        for instance, reason in reading.faults:
            self._context.report(str(self._name), (identity, instance), reason, REMEDY)
        unreadable = tuple((identity, instance) for instance, _ in reading.faults)
        return _Told(reading.service, unreadable)

    def _unreadable(self, name: str, reason: str) -> _Told:
        identity = self._identity(name)
        self._context.report(str(self._name), identity, reason, REMEDY)
        return _Told(RegisteredService(identity), (identity,))

    def _doubtful(self, names: frozenset[str]) -> set[str]:
        """Return services to ask for again: other ones each time, and first those without anybody.

        Pushes get lost: what registered while a restarted Nacos 2.5 began to know the subscription
        was never pushed (once in three restarts with 2,000 services), and it says only what
        changes. So after a gap all are looked at within half a minute, later as lists are made.
        """
        known = names & self._told.keys()
        empty = {name for name in known if not self._told[name].service.instances}
        first = self._deserted.next(empty, AT_ONCE) if self._refilling > 0 else []
        return {*first, *self._all.next(known, AT_ONCE - len(first))}

    def _vanished(self, names: frozenset[str]) -> list[str]:
        absent = {name: self._absent.get(name, 0) + 1 for name in self._told if name not in names}
        gone = sorted(name for name, times in absent.items() if times >= ABSENCES)
        self._absent = {name: times for name, times in absent.items() if name not in gone}
        return gone

    async def _let_go(self, name: str) -> None:
        del self._told[name]
        self._emit(Removed(str(self._name), self._identity(name)))
        try:
            await self._session.unsubscribe(self._name.group, name)
        except BadData as bad:
            self._context.logger.debug("unsubscribe refused", service=name, reason=str(bad))

    def _identity(self, name: str) -> ServiceId:
        return service_id(self._name.namespace, self._name.group, name)
