"""Fetches what revisions of applications export, each once, and what service definitions tell.

All of that goes on beside all else. What is in the registry is read over a connection of its own,
which is there only for that: whatever becomes of it, reading and following the tree goes on.
"""

import asyncio
import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Never

from meshbridge import BadData, Context, RegistryRejected, RegistryUnavailable
from meshbridge_dubbo import ApplicationMetadata, read_metadata
from meshbridge_zookeeper_dubbo.applications import Applications
from meshbridge_zookeeper_dubbo.defining import Ask, Defining
from meshbridge_zookeeper_dubbo.dialling import TRIES, NotAnsweredError, ask_any
from meshbridge_zookeeper_dubbo.options import Options
from meshbridge_zookeeper_dubbo.pace import Pace
from meshbridge_zookeeper_dubbo.persistent import NO_NODE, Read, Result
from meshbridge_zookeeper_dubbo.retrying import longest
from meshbridge_zookeeper_dubbo.revisions import DEFINITIONS, Revision
from meshbridge_zookeeper_dubbo.roots import Roots
from meshbridge_zookeeper_dubbo.session import Answer, Session, connected
from meshbridge_zookeeper_dubbo.tree import Want

AT_ONCE: Final = 8
"""Instances that are asked at the same time."""
TOGETHER: Final = 32
"""Nodes that are asked for in one request: each may hold a megabyte."""
KEPT: Final = 5.0
"""Seconds that a connection which has nothing to read is kept."""
APART: Final = 1.0
"""Seconds between the end of a connection and the next one."""
_REVISION: Final = re.compile(r"[0-9A-Za-z_-]{1,100}", re.ASCII)
"""Dubbo's is an MD5 sum in hexadecimal; one that is nothing like it is no part of a path."""


class Fetching:
    """Works for one reading of the tree."""

    def __init__(
        self,
        applications: Applications,
        roots: Roots,
        options: Options,
        context: Context,
        done: Callable[[], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Be ready; ``done`` is called when something has become known or has failed.

        ``chance`` returns what part of a pause is waited, from 0 to 1: replicas do not march.
        """
        self._applications = applications
        self._roots = roots
        self._options = options
        self._context = context
        self._done = done
        self._chance = chance
        self._busy: set[Revision] = set()
        """What is being fetched, or waits to be tried again."""
        self._failures: dict[Revision, int] = {}
        """How often it could not be fetched."""
        self._to_read: dict[Revision, None] = {}
        self._reads = asyncio.Event()
        """Set while there is something to be read."""
        self._to_ask: asyncio.PriorityQueue[tuple[bool, int, Revision]] = asyncio.PriorityQueue()
        """Whether it has failed before, and in which order it came: first ones go first."""
        self._came = itertools.count()
        self._news = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._defining = Defining(applications, roots, self._define_soon, self._call_later)

    def look(self) -> None:
        """Look again at what must be fetched, soon."""
        self._news.set()

    async def run(self) -> Never:
        """Fetch what must be, and try again what could not be, until cancelled."""
        try:
            async with self._tasks:
                self._tasks.create_task(self._keep_reading())
                for _ in range(AT_ONCE):
                    self._tasks.create_task(self._keep_asking())
                await self._keep_beginning()
        finally:
            del self._defining  # it holds us: of what is loaded no collector finds such a circle
        raise AssertionError("it runs until it is cancelled")

    async def _keep_beginning(self) -> Never:
        fresh = self._applications.revisions.fresh
        while True:
            pace = Pace()
            while fresh:
                revision = next(iter(fresh))
                del fresh[revision]
                if revision[1] == DEFINITIONS:
                    self._defining.look(revision[0])
                elif revision not in self._busy:
                    self._begin(revision)
                await pace.breathe()
            await self._news.wait()
            self._news.clear()

    def _begin(self, revision: Revision) -> None:
        wanted = self._applications.wanted(revision)
        if wanted is None:
            self._drop(revision)
            return
        self._busy.add(revision)
        if wanted.remote:
            self._read_soon(revision)
        else:
            failed = revision in self._failures
            self._to_ask.put_nowait((failed, next(self._came), revision))

    def _read_soon(self, revision: Revision) -> None:
        self._to_read[revision] = None
        self._reads.set()

    def _define_soon(self, application: str) -> None:
        self._read_soon((application, DEFINITIONS))

    def _call_later(self, most: float, call: Callable[[], None]) -> None:
        self._tasks.create_task(self._call_back(most * self._chance(), call))

    async def _call_back(self, seconds: float, call: Callable[[], None]) -> None:
        await self._context.sleep(seconds)
        call()

    async def _keep_asking(self) -> Never:
        """Ask some instances of a revision, and then of another."""
        while True:
            _, _, revision = await self._to_ask.get()
            wanted = self._applications.wanted(revision)
            if wanted is None:
                self._drop(revision)
                continue
            # Other ones each time.
            turn = self._failures.get(revision, 0) * TRIES % len(wanted.instances)
            instances = wanted.instances[turn:] + wanted.instances[:turn]
            try:
                metadata = await ask_any(instances, revision[1])
            except NotAnsweredError as error:
                await self._fail({revision: str(error)})
            else:
                self._learn(revision, metadata)

    async def _keep_reading(self) -> Never:
        """Read what applications have left in the registry, over one connection at a time."""
        together = TOGETHER
        while True:
            await self._reads.wait()
            asked: list[Revision] = []
            got = False
            try:
                async with connected(self._options, self._context.logger) as session:
                    while await self._more():
                        asked = self._next(together)
                        await self._read(session, asked)
                        asked, got = [], True
                together = TOGETHER
            except (RegistryUnavailable, RegistryRejected) as error:
                if asked and (got or len(asked) > 1):
                    # Whatever it was, each of them has a connection that has done nothing else.
                    self._to_read = dict.fromkeys(asked) | self._to_read
                    together = 1
                else:
                    failed = asked or self._next(len(self._to_read))
                    await self._fail_all(failed, str(error))
            if self._to_read:
                self._reads.set()
            await self._context.sleep(APART)

    async def _more(self) -> bool:
        """Wait for something to read; return whether there was any before long."""
        try:
            async with asyncio.timeout(KEPT):
                await self._reads.wait()
        except TimeoutError:
            return False
        return True

    def _next(self, most: int) -> list[Revision]:
        """Return what is to be read next."""
        some = list(itertools.islice(self._to_read, most))
        for revision in some:
            del self._to_read[revision]
        if not self._to_read:
            self._reads.clear()
        return some

    async def _read(self, session: Session, asked: Sequence[Revision]) -> None:
        async def ask(reads: Sequence[Read]) -> Sequence[Result]:
            return (await _answer(session, session.ask(reads))).results

        revisions = [each for each in asked if each[1] != DEFINITIONS]
        if revisions:
            await self._take(await self._read_revisions(ask, revisions))
        if len(revisions) < len(asked):
            these = [application for application, what in asked if what == DEFINITIONS]
            await self._defining.read(ask, these)
            self._done()

    async def _read_revisions(
        self, ask: Ask, revisions: Sequence[Revision]
    ) -> Mapping[Revision, ApplicationMetadata | str]:
        """Return what each has told in the first root where it has, or why that is not known."""
        found: dict[Revision, Sequence[str]] = {}
        for each in revisions:
            found[each] = list(self._roots.metadata(*each)) if _is_path(each) else ()
        reads = [Read(path, Want.DATA) for paths in found.values() for path in paths]
        results = iter(await ask(reads) if reads else ())
        told = {each: [(path, next(results)) for path in found[each]] for each in revisions}
        # A thousand interfaces take longer than others can wait.
        return await asyncio.to_thread(_told_all, told)

    async def _take(self, told: Mapping[Revision, ApplicationMetadata | str]) -> None:
        failed: dict[Revision, str] = {}
        pace = Pace()
        for revision, each in told.items():
            if isinstance(each, str):
                failed[revision] = each
            else:
                self._learn(revision, each)
            await pace.breathe()
        await self._fail(failed)

    def _learn(self, revision: Revision, metadata: ApplicationMetadata) -> None:
        self._drop(revision)
        self._applications.learn(revision, metadata)
        self._done()

    def _drop(self, revision: Revision) -> None:
        """Have no more to do with it."""
        self._busy.discard(revision)
        self._failures.pop(revision, None)

    async def _fail_all(self, failed: Sequence[Revision], reason: str) -> None:
        self._defining.fail({app: reason for app, what in failed if what == DEFINITIONS})
        self._done()
        await self._fail({each: reason for each in failed if each[1] != DEFINITIONS})

    async def _fail(self, failed: Mapping[Revision, str]) -> None:
        """Say why, and have it tried again after a while."""
        if not failed:
            return
        pace = Pace()
        for revision, reason in failed.items():
            self._failures[revision] = self._failures.get(revision, 0) + 1
            self._applications.fail(revision, reason)
            await pace.breathe()
        self._done()
        self._tasks.create_task(self._try_again(list(failed)))

    async def _try_again(self, failed: Sequence[Revision]) -> None:
        fewest = min(self._failures[revision] for revision in failed)
        await self._context.sleep(longest(fewest) * self._chance())
        pace = Pace()
        for revision in failed:
            self._begin(revision)
            await pace.breathe()


async def _answer(session: Session, number: int) -> Answer:
    while True:
        for item in await session.take():
            if isinstance(item, Answer) and item.number == number:
                return item


def _told_all(
    results: Mapping[Revision, Sequence[tuple[str, Result]]],
) -> Mapping[Revision, ApplicationMetadata | str]:
    return {
        each: _told(found) if _is_path(each) else "its name is no revision"
        for each, found in results.items()
    }


def _told(results: Sequence[tuple[str, Result]]) -> ApplicationMetadata | str:
    reason = "there is no interface root to look in"
    for path, result in results:
        if isinstance(result, bytes):
            try:
                return read_metadata(result)
            except BadData as bad:
                return f"{path}: {bad}"
        reason = f"{path} is not there" if result == NO_NODE else f"{path} may not be read"
    return reason


def _is_path(revision: Revision) -> bool:
    return _REVISION.fullmatch(revision[1]) is not None
