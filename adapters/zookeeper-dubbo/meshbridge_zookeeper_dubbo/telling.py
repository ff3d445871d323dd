"""Works off in slices what is told of a tree, and tells the core what comes of it."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, Never

from meshbridge import Changed, Context, Emit, Listing, Removed, ServiceId
from meshbridge.memory import settle
from meshbridge_zookeeper_dubbo.dialling import WITHIN
from meshbridge_zookeeper_dubbo.holdings import Holdings
from meshbridge_zookeeper_dubbo.pace import Pace
from meshbridge_zookeeper_dubbo.records import READABLE, plain
from meshbridge_zookeeper_dubbo.said import News

PATIENCE: Final = 2 * WITHIN
"""Seconds that instances which are asked get before all is told at first without their answers."""
ROOTS: Final = (
    "correct interface-roots, application-roots or chroot, unless nobody has registered there yet"
)
LOADED: Final = 500
"""Steps after which what was loaded is put out of the garbage collector's sight."""


class Telling:
    """Takes what the reader of a tree tells (:class:`~.tree.Listener`), and tells the core."""

    def __init__(
        self, scope: str, holdings: Holdings, context: Context, emit: Emit, chosen: Collection[str]
    ) -> None:
        """Be ready; ``holdings`` are empty, and ``chosen`` the roots that somebody asked for."""
        self._scope = scope
        self._chosen = chosen
        self._missed: dict[str, ServiceId] = {}
        """The roots of which it was said that nothing stands below, and what that is known by."""
        self._holdings = holdings
        self._context = context
        self._emit = emit
        self._whole = False
        self._woken = asyncio.Event()

    def look(self) -> None:
        """Look again, soon, whether there is something to say."""
        self._woken.set()

    def children(self, path: str, names: Sequence[str]) -> None:
        """Take all children that a node has."""
        self._holdings.children(path, names)
        self._woken.set()  # while all is being read, names can be read already

    def added(self, path: str, name: str) -> None:
        """Take a new child."""
        self._holdings.added(path, name)

    def removed(self, path: str, name: str) -> None:
        """Take it that a child has gone."""
        self._holdings.removed(path, name)

    def data(self, path: str, data: bytes | None) -> None:
        """Take a node's data."""
        self._holdings.data(path, data)

    def guarded(self, path: str) -> None:
        """Take it that a node may not be read."""
        if not self._holdings.guarded(path):
            self._context.logger.warning("registry-node-guarded", path=path, remedy=READABLE)

    def settled(self) -> None:
        """Take it that what was told so far is one state."""
        self._holdings.settled()
        self._whole = True
        self._woken.set()

    async def list_all(self, fetch: Callable[[], None], *, after_gap: bool) -> None:
        """Tell everything once it has been told and what belongs to it is fetched.

        ``fetch`` is called when there is something to be fetched. What the registry holds is
        waited for until it is there or has failed, an instance that is asked :data:`PATIENCE`.
        """
        holdings, revisions = self._holdings, self._holdings.applications.revisions
        settle()  # what the process is made of would be looked at again and again
        done, late = False, None
        try:
            while not done:
                await self._news()
                if not self._whole:
                    await self._load(holdings.read())
                    continue
                # Changes go on: each service is as it was at some moment since the reading.
                await self._load(holdings.take(unsettled=True))
                if revisions.fresh:
                    fetch()
                if revisions.unasked and not revisions.unread:
                    late = late or asyncio.create_task(self._wait_no_longer())
                done = not (revisions.unread or revisions.unasked) and holdings.idle
        finally:
            if late is not None:
                late.cancel()
        services, unreadable = holdings.said.listing()
        unreadable += self._miss()
        self._emit(Listing(self._scope, services, unreadable, after_gap=after_gap))
        holdings.forget()

    async def free(self, last: Holdings) -> None:
        """Let go of what was held before a gap."""
        pace = Pace()
        for _ in last.dismantle():
            await pace.breathe()

    async def keep_telling(self, fetch: Callable[[], None]) -> Never:
        """Tell each service that has become something else."""
        while True:
            await self._news()
            pace = Pace()
            for news in self._holdings.take():
                if news is not None:
                    self._tell(news)
                await pace.breathe()
            for root in self._missed.keys() - self._holdings.vacant:
                self._emit(Removed(self._scope, self._missed.pop(root)))
            if self._holdings.applications.revisions.fresh:
                fetch()

    def _miss(self) -> tuple[ServiceId, ...]:
        """Say of roots that nothing stands below, and return what they are known by.

        Most estates use one of those that are read by default; both are missed if none is there.
        """
        for root in self._holdings.vacant:
            if self._holdings.barren or root in self._chosen:
                self._missed[root] = plain(f"root {root.strip('/')}")
                reason = f"{root} is not there, or nothing stands below it"
                self._context.report(self._scope, self._missed[root], reason, ROOTS)
        return tuple(self._missed.values())

    async def _wait_no_longer(self) -> None:
        await self._context.sleep(PATIENCE)
        self._holdings.applications.wait_no_longer()
        self._woken.set()

    async def _news(self) -> None:
        await self._woken.wait()
        self._woken.clear()

    async def _load(self, steps: Iterator[News | None]) -> None:
        """Work off what there is at first, which stays, so that no collector need look at it."""
        pace = Pace()
        for number, news in enumerate(steps, 1):
            if news is not None:
                self._report(news)
            if not number % LOADED:
                settle()
            await pace.breathe()

    def _report(self, news: News) -> None:
        for fault in news.reports:
            self._context.report(self._scope, fault.subject, fault.reason, fault.remedy)

    def _tell(self, news: News) -> None:
        self._report(news)
        if news.service is None:
            self._emit(Removed(self._scope, news.id))
        else:
            self._emit(Changed(self._scope, news.service, news.unreadable))
