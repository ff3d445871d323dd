"""Follows one group of one namespace over one session: lists it whole, then tells each change."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Never

from meshbridge import Changed, Context, Emit, Listing, Removed
from meshbridge.memory import LOADED, settle
from meshbridge.steps import Pace, chosen, in_turns, ordered, parts, snapshot, spare
from meshbridge_nacos.asking import Questions
from meshbridge_nacos.dubbo import News, Registrations
from meshbridge_nacos.dubbo_configs import Configs
from meshbridge_nacos.dubbo_names import is_read
from meshbridge_nacos.listing import NameList
from meshbridge_nacos.parse import Reading
from meshbridge_nacos.round import Round
from meshbridge_nacos.subscriptions import AT_ONCE, Next, Subscriptions

OFTEN, REFILLING = 1.0, 60.0
"""Seconds between two lists after a gap, and for how long: a server that has restarted knows no
service until its registrants are back, and pushes nothing of one that was not subscribed to."""
_MANY = 64
"""Pushes, and steps that work them off, after which what is made of them is much."""


@dataclass(slots=True)
class _Todo:
    """What cannot wait for the next list."""

    new: set[str] = field(default_factory=set[str])
    """Services to subscribe to."""
    ask: set[str] = field(default_factory=set[str])
    """Services to ask for once more."""
    check: set[str] = field(default_factory=set[str])
    """Services whose health has to be checked."""
    look: bool = False
    """Whether to read the list."""


class Scope:
    """One session's view of one group."""

    def __init__(
        self,
        registrations: Registrations,
        questions: Questions,
        subscriptions: Subscriptions,
        context: Context,
        emit: Emit,
    ) -> None:
        self._name = registrations.scope
        self._names = NameList(questions, registrations.group)
        self._subscriptions = subscriptions
        self._told = subscriptions.told
        self._context = context
        self._emit = emit
        self._pushed = 0
        """Pushes since the list was looked at last."""
        self._refilling = 0.0
        """Seconds for which registrants may still be coming back."""
        self._refused = Round()
        self._deserted = Round()
        self._all = Round()
        self._registrations = registrations
        """May hold what the last session has read."""
        self._put: dict[str, Reading | str] = {}
        """What was handed to them last."""
        self._news = asyncio.Event()
        """Set when they may have something to say."""
        self._configs = Configs(
            registrations, questions, context, self._news.set, lists=subscriptions.asks_admin
        )
        self._looking = asyncio.Lock()
        self._todo = _Todo()
        self._woken = asyncio.Event()

    @property
    def services(self) -> Collection[str]:
        """The names of what is subscribed to."""
        return self._told.keys()

    async def list_all(self, *, after_gap: bool) -> None:
        """Subscribe to every service and emit one Listing.

        Raises what the questions raise if that cannot be done whole.
        """
        names = await self._names.all()
        await in_turns(self._registrations.retained(names))
        await self._ask_for(await chosen(names, is_read))
        self._refilling = REFILLING if after_gap else 0.0
        await self._take_all()
        await self._configs.complete()
        await self._take_all()
        services, unreadable = await in_turns(self._registrations.listed())
        if len(self._told) >= LOADED:
            settle()  # with what spare() has not come to
        self._emit(Listing(self._name, services, unreadable, after_gap=after_gap))

    async def follow(
        self, every: float, *, after_gap: bool, on_listed: Callable[[], None]
    ) -> Never:
        """List everything, then emit each change; look at the list every so many seconds.

        What was subscribed to is forgotten when that ends.
        """
        tasks = asyncio.TaskGroup()
        try:
            async with tasks:
                # The server pushes each service again that is subscribed to: all at once they would
                # take more memory than what is made of them.
                tasks.create_task(self.follow_pushes())
                await self.list_all(after_gap=after_gap)
                on_listed()
                tasks.create_task(self.follow_lists(every))
                tasks.create_task(self.follow_todo())
                tasks.create_task(self.follow_news())
                tasks.create_task(self._configs.run())
        except asyncio.CancelledError as cancelled:
            # Its frames refer to the group, the group to the task, and the task to this error.
            raise cancelled.with_traceback(None) from None
        finally:
            # What refers to itself is left to the garbage collector, and may be out of its sight.
            del tasks
            self._put.clear()
            self._subscriptions.forget()
        raise AssertionError("a scope is followed until that fails")

    def appeared(self, name: str) -> None:
        """Take in that there is a service, before any list has it."""
        if name not in self._told and is_read(name):
            self._todo.new.add(name)
            self._woken.set()

    def vanished(self, name: str) -> None:
        """Take in that a service may be gone: the list says whether it is."""
        if name in self._told:
            self._todo.look = True
            self._woken.set()

    async def follow_pushes(self) -> Never:
        """Emit each service that the server says has changed."""
        while True:
            pushes = await self._subscriptions.pushes()
            for name, info in pushes.items():
                self._pushed += 1
                spare(self._pushed, _MANY)
                follows = await self._subscriptions.take(name, info)
                if follows is not Next.NOTHING:
                    todo = self._todo
                    (todo.ask if follows is Next.ASK else todo.check).add(name)
                    self._woken.set()
                self._say(name)

    async def follow_todo(self) -> Never:
        """Do at once what pushes leave open, and what is heard of beside them."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            todo, self._todo = self._todo, _Todo()
            await self._ask_for((todo.ask & self._told.keys()) | todo.new)
            await self._subscriptions.check(todo.check)
            for name in sorted(todo.check):
                self._say(name)
            if todo.look:
                await self._look()

    async def follow_news(self) -> Never:
        """Emit what follows from all that was read."""
        while True:
            await self._news.wait()
            self._news.clear()
            async for news in self._taken():
                if news.service is None:
                    self._emit(Removed(self._name, news.id))
                else:
                    self._emit(Changed(self._name, news.service, news.unreadable))
            self._configs.look()

    async def follow_lists(self, every: float) -> Never:
        """Look for new and vanished services every so many seconds; after a gap often at first."""
        while True:
            self._pushed = 0
            pause = min(OFTEN, every) if self._refilling > 0 else every
            await self._context.sleep(pause)
            self._refilling -= pause
            names = await self._look()
            await self._ask_for(await self._doubtful(names))

    async def _look(self) -> frozenset[str]:
        """Read the list, ask for what is new and let go of what is not on it; return the names."""
        async with self._looking:
            known = await snapshot(self._told)  # not what is heard of while the list is on its way
            seen = await self._names.look()
            await self._ask_for(
                await chosen(seen.names, lambda name: name not in self._told and is_read(name))
            )
            if seen.whole:
                for name in await ordered(await chosen(known, lambda name: name not in seen.names)):
                    await self._let_go(name)
            return seen.names

    async def _let_go(self, name: str) -> None:
        del self._told[name]
        self._put.pop(name, None)
        self._registrations.drop(name)
        self._news.set()
        await self._subscriptions.let_go(name)

    async def _ask_for(self, names: Iterable[str]) -> None:
        """Subscribe to services, also once more, and tell those that are not as they were."""
        asked, pace = await ordered(names), Pace()
        await self._subscriptions.ask(asked)
        for part in parts(asked):
            for name in part:
                self._say(name)
            await pace.breathe()

    def _say(self, name: str) -> None:
        """Hand on what a service is, if that is not what it was: servers repeat themselves."""
        told = self._told.get(name)
        if told is None or told.reading == self._put.get(name):
            return
        self._put[name] = told.reading
        if isinstance(told.reading, str):
            self._registrations.refuse(name, told.reading)
        else:
            self._registrations.put(name, told.reading)
        self._news.set()

    async def _take_all(self) -> None:
        async for _ in self._taken():
            pass

    async def _taken(self) -> AsyncIterator[News]:
        """Yield what there is to say, and report what goes with it; others get their turns."""
        pace = Pace()
        for number, news in enumerate(self._registrations.take(), 1):
            if news is not None:
                for fault in news.reports:
                    self._context.report(self._name, fault.subject, fault.reason, fault.remedy)
                yield news
            spare(number, _MANY)
            await pace.breathe()

    async def _doubtful(self, names: frozenset[str]) -> set[str]:
        """Return services to ask for again: other ones each time, and some of them first.

        Those that the server has refused, maybe in a bad moment, as nothing is pushed of them. And
        after a gap those without anybody, as pushes get lost: what registered while a restarted
        Nacos 2.5 began to know the subscription was never pushed (once in three restarts with
        2,000 services), and it says only what changes. So then all are looked at within half a
        minute, later as lists are made.
        """
        pace = Pace()
        known, refused, empty = set[str](), set[str](), set[str]()
        for part in parts(names):
            for name in part:
                if (told := self._told.get(name)) is None:
                    continue
                known.add(name)
                if told.is_refused:
                    refused.add(name)
                elif told.is_empty:
                    empty.add(name)
            await pace.breathe()
        first = self._refused.next(refused, AT_ONCE // 2)
        if self._refilling > 0:
            first += self._deserted.next(empty, AT_ONCE - len(first))
        return {*first, *self._all.next(known, AT_ONCE - len(first))}
