"""Fetches what revisions of applications export, each once, and beside all else.

What is in the registry is read over a connection of its own, which is there only for that: whatever
becomes of it, reading and following the tree goes on.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Never

from meshbridge import BadData, Context, RegistryRejected, RegistryUnavailable
from meshbridge_dubbo import ApplicationMetadata, read_metadata
from meshbridge_zookeeper_dubbo.application import Wanted
from meshbridge_zookeeper_dubbo.applications import Applications
from meshbridge_zookeeper_dubbo.dialling import TRIES, NotAnsweredError, ask_any
from meshbridge_zookeeper_dubbo.options import Options
from meshbridge_zookeeper_dubbo.persistent import NO_NODE, Read, Result
from meshbridge_zookeeper_dubbo.revisions import Revision
from meshbridge_zookeeper_dubbo.roots import Roots
from meshbridge_zookeeper_dubbo.session import Answer, Session, connected
from meshbridge_zookeeper_dubbo.tree import Want

AT_ONCE: Final = 8
"""Instances that are asked at the same time."""
TOGETHER: Final = 32
"""Nodes that are asked for in one request: each may hold a megabyte."""
SOONEST, LATEST = 2.0, 300.0
"""Seconds until what could not be fetched is tried again, at first and at last."""
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
    ) -> None:
        """Be ready; ``done`` is called when something has become known or has failed."""
        self._applications = applications
        self._roots = roots
        self._options = options
        self._context = context
        self._done = done
        self._busy: set[Revision] = set()
        """What is being fetched, or waits to be tried again."""
        self._failures: dict[Revision, int] = {}
        """How often it could not be fetched."""
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._news = asyncio.Event()

    def look(self) -> None:
        """Look again at what must be fetched, soon."""
        self._news.set()

    async def run(self) -> Never:
        """Fetch what must be, and try again what could not be, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                wanted = [w for w in self._applications.wanted() if w.revision not in self._busy]
                self._busy.update(each.revision for each in wanted)
                if remote := [each.revision for each in wanted if each.remote]:
                    tasks.create_task(self._read_all(remote))
                for each in wanted:
                    if not each.remote:
                        tasks.create_task(self._ask(each))
                await self._news.wait()
                self._news.clear()
        raise AssertionError("it runs until it is cancelled")

    async def _ask(self, wanted: Wanted) -> None:
        """Ask some of the instances; other ones each time."""
        turn = self._failures.get(wanted.revision, 0) * TRIES % len(wanted.instances)
        instances = wanted.instances[turn:] + wanted.instances[:turn]
        try:
            async with self._slots:
                metadata = await ask_any(instances, wanted.revision[1])
        except NotAnsweredError as error:
            await self._fail({wanted.revision: str(error)})
        else:
            self._learn(wanted.revision, metadata)

    async def _read_all(self, revisions: Sequence[Revision]) -> None:
        """Read what applications have left in the registry."""
        failed = {each: "its name is no revision" for each in revisions if not _is_path(each)}
        open_ = [each for each in revisions if each not in failed]
        try:
            async with connected(self._options, self._context.logger) as session:
                for at in range(0, len(open_), TOGETHER):
                    some = open_[at : at + TOGETHER]
                    for revision, told in zip(some, await self._read(session, some), strict=True):
                        if isinstance(told, str):
                            failed[revision] = told
                        else:
                            self._learn(revision, told)
        except (RegistryUnavailable, RegistryRejected) as error:
            failed.update({each: str(error) for each in open_ if each in self._busy})
        await self._fail(failed)

    async def _read(
        self, session: Session, revisions: Sequence[Revision]
    ) -> list[ApplicationMetadata | str]:
        """Return what each has told in the first root where it has, or why that is not known."""
        paths = [list(self._roots.metadata(*each)) for each in revisions]
        number = session.ask([Read(path, Want.DATA) for held in paths for path in held])
        answer = await _answer(session, number)
        results = iter(answer.results)
        return [_told([(path, next(results)) for path in held]) for held in paths]

    def _learn(self, revision: Revision, metadata: ApplicationMetadata) -> None:
        self._busy.discard(revision)
        self._failures.pop(revision, None)
        self._applications.learn(revision, metadata)
        self._done()

    async def _fail(self, failed: Mapping[Revision, str]) -> None:
        """Say why, and have it tried again after a while."""
        if not failed:
            return
        for revision, reason in failed.items():
            self._failures[revision] = self._failures.get(revision, 0) + 1
            self._applications.fail(revision, reason)
        self._done()
        fewest = min(self._failures[revision] for revision in failed)
        await self._context.sleep(min(SOONEST * 2 ** min(fewest - 1, 10), LATEST))
        self._busy.difference_update(failed)
        self.look()


async def _answer(session: Session, number: int) -> Answer:
    while True:
        for item in await session.take():
            if isinstance(item, Answer) and item.number == number:
                return item


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
