"""Reads what Dubbo applications have left in Nacos' configuration, beside all else.

The metadata of a revision are the configuration ``<application>`` of the group ``<revision>``, and
never change. Mappings (:mod:`meshbridge_nacos.dubbo_mappings`) are read only while nothing else
tells what some instance serves. Which of them there are only HTTP tells, to whom it may be told
(Nacos 3: to administrators); without that those are read whose interfaces the group has.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final, Never, TypeVar

from meshbridge import BadData, Context, RegistryRejected, RegistryUnavailable
from meshbridge_dubbo import ApplicationMetadata, read_mapping, read_metadata
from meshbridge_nacos.asking import Questions
from meshbridge_nacos.dubbo import Registrations
from meshbridge_nacos.dubbo_mappings import DEFINITIONS, MAPPING, Name, mapped, names_on, to_read
from meshbridge_nacos.dubbo_records import Path
from meshbridge_nacos.dubbo_revisions import Revision
from meshbridge_nacos.options import PUBLIC

T = TypeVar("T")

AT_ONCE: Final = 16
"""Configurations that are asked for at the same time."""
RIPE: Final = 10.0
"""Seconds that an instance is given to be told of by its interfaces' services."""
AGAIN: Final = 60.0
"""Seconds after which mappings are read again, while there is need of them. At first sooner, with
:data:`RIPE`: an application that starts registers itself before it has published all of them."""
SOONEST, LATEST = 2.0, 60.0
"""Most seconds until what could not be read is tried again, at first and at last."""
PATIENCE: Final = 10.0
"""Seconds after which the first word waits for no further configuration: a server may answer who
asks for services, and let who asks for configurations wait."""
_LARGE: Final = 65_536
"""Characters of metadata that take so long to read that others get a turn."""
_NOT_IN_TIME: Final = "others took too long to read; they are read later"
_NOBODY: Final[frozenset[str]] = frozenset()
_PAGE: Final = 500
MOST_PAGES: Final = 200
_LISTS: Final = (
    ("/v3/admin/cs/config/list", "groupName", "namespaceId"),
    ("/v1/cs/configs", "group", "tenant"),
)
"""Where configurations are listed, in Nacos 3 and 2, and how group and namespace are called."""


class Configs:
    """Works for one group of a namespace while a session lasts."""

    def __init__(
        self,
        registrations: Registrations,
        questions: Questions,
        context: Context,
        on_news: Callable[[], None],
        *,
        lists: bool = True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Be ready; ``on_news`` is called when :meth:`Registrations.take` has something to say.

        ``lists`` says whether configurations may be listed over HTTP (``admin``). ``chance``
        returns what part of a pause is waited, from 0 to 1: replicas do not march.
        """
        self._applications = registrations.applications
        self._interfaces = registrations.interfaces
        self._questions = questions
        self._context = context
        self._on_news = on_news
        self._lists = lists
        self._chance = chance
        self._woken = asyncio.Event()
        self._waiting: frozenset[Path] = frozenset()
        """Instances that were not told of when that was looked at last."""
        self._mapped_for: frozenset[str] = frozenset()
        """The applications for which mappings were read last."""
        self._read_at = -AGAIN
        self._again = RIPE
        """Seconds after which they are read again."""
        self._names: list[Name] | None = None
        """The configurations of mappings, as was listed last; ``None``: they never were."""
        self._mappings: dict[str, frozenset[str]] = {}
        """The applications that serve each interface, as was read last."""
        self._definitions: dict[str, list[Name]] = {}
        """The definitions of each application, as was listed last."""

    def look(self) -> None:
        """Look, soon, whether there is something to be read: after each ``take``."""
        if self._applications.revisions.wanted:
            self._woken.set()

    async def complete(self) -> None:
        """Read all that is to be read, once, before all is told for the first time.

        What is not read in time is tried again later, as what cannot be read.
        """
        end = self._context.clock() + PATIENCE
        await self._read_all(list(self._applications.revisions.wanted), end)
        doubtful = self._applications.doubtful()
        if doubtful and self._context.clock() < end:
            await self._read_mappings(doubtful, end)
            if self._context.clock() < end:
                self._applications.ripen(doubtful)
            else:
                self._read_at = -AGAIN  # the next time is soon: not all was read

    async def run(self) -> Never:
        """Read what becomes needed, and try again what could not be read, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_reading())
            tasks.create_task(self._keep_trying())
            tasks.create_task(self._keep_mapping())
        raise AssertionError("it runs until it is cancelled")

    async def _keep_reading(self) -> Never:
        while True:
            await self._woken.wait()
            self._woken.clear()
            revisions = self._applications.revisions
            await self._read_all([r for r in revisions.wanted if r not in revisions.failures])
            self._on_news()

    async def _keep_trying(self) -> Never:
        """Try again what could not be read, the longer that lasts the less often."""
        longest = SOONEST
        while True:
            await self._context.sleep(longest * self._chance())
            failed = list(self._applications.revisions.failures)
            if not failed:
                longest = SOONEST
                continue
            longest = min(2 * longest, LATEST)
            await self._read_all(failed)
            self._on_news()

    async def _keep_mapping(self) -> Never:
        while True:
            await self._context.sleep(RIPE)
            doubtful = self._applications.doubtful()
            self._applications.ripen(doubtful & self._waiting)
            self._waiting = doubtful
            late = self._context.clock() - self._read_at >= self._again
            others = not _names(doubtful) <= self._mapped_for
            if doubtful and (late or others):
                self._again = RIPE if others else min(2 * self._again, AGAIN)
                await self._read_mappings(doubtful)
            if doubtful:
                self._on_news()

    async def _read_all(self, revisions: Collection[Revision], end: float = math.inf) -> None:
        async def work(revision: Revision) -> None:
            late = self._context.clock() >= end
            read = _NOT_IN_TIME if late else await self._read(revision)
            if isinstance(read, str):
                self._applications.fail(revision, read)
            else:
                self._applications.learn(revision, read)

        await _each(revisions, work)

    async def _read(self, revision: Revision) -> ApplicationMetadata | str:
        """Return what the instances of a revision export, or why that is not known."""
        application, group = revision
        try:
            text = await self._questions.read_config(group, application)
            if text is None:
                return f"there is no configuration {application} in the group {group}"
            data = text.encode()
            if len(data) < _LARGE:
                return read_metadata(data)
            return await asyncio.to_thread(read_metadata, data)
        except (RegistryUnavailable, RegistryRejected, BadData) as error:
            return str(error)

    async def _read_mappings(self, doubtful: Iterable[Path], end: float = math.inf) -> None:
        """Take which interfaces the applications serve of which nothing else is known.

        What cannot be read now, or not until the clock says ``end``, holds as it was.
        """
        self._read_at, self._mapped_for = self._context.clock(), _names(doubtful)
        listed = await self._listed(f"{MAPPING}*", "", end)
        self._names = names = self._names if listed is None else listed
        interfaces = self._interfaces.names() if names is None else to_read(names)
        held = {name: self._mappings.get(name, _NOBODY) for name in sorted(interfaces)}

        async def read(interface: str) -> None:
            late = self._context.clock() >= end
            told = None if late else await self._mapping(interface)
            held[interface] = held[interface] if told is None else told

        async def define(application: str) -> None:
            found = await self._listed(DEFINITIONS, f"*:provider:{application}", end)
            if found is not None:
                self._definitions[application] = found

        await _each(list(held), read)
        await _each(self._mapped_for if names is not None else (), define)
        self._mappings = held
        definitions = [each.data_id for some in self._definitions.values() for each in some]
        self._applications.map(mapped(names or (), held, definitions))

    async def _mapping(self, interface: str) -> frozenset[str] | None:
        """Return the applications that serve an interface; ``None`` if it cannot be read now."""
        try:
            text = await self._questions.read_config(MAPPING, interface)
            return _NOBODY if text is None else read_mapping(text.encode())
        except (RegistryUnavailable, RegistryRejected, BadData) as error:
            self._context.logger.debug("mapping-unread", interface=interface, reason=str(error))
            return None

    async def _listed(self, group: str, data_id: str, end: float) -> list[Name] | None:
        """Return the configurations that fit both patterns.

        ``None`` where nobody tells, or not until the clock says ``end``.
        """
        for path, group_key, namespace_key in _LISTS if self._lists else ():
            query = {"search": "blur", group_key: group, "dataId": data_id}
            try:
                return await self._pages(path, {**query, namespace_key: self._tenant}, end)
            except (RegistryUnavailable, RegistryRejected, BadData) as error:
                self._context.logger.debug("mappings-not-listed", path=path, reason=str(error))
                if isinstance(error, RegistryUnavailable):
                    break  # to ask in the other words takes as long
        return None

    async def _pages(self, path: str, query: Mapping[str, str], end: float) -> list[Name]:
        names: list[Name] = []
        for number in range(1, MOST_PAGES + 1):
            if self._context.clock() >= end:
                raise RegistryUnavailable("the list was not read in time")
            page = {"pageNo": str(number), "pageSize": str(_PAGE)}
            more = names_on(await self._questions.fetch(path, {**query, **page}))
            names += more
            if len(more) < _PAGE:
                break
        return names

    @property
    def _tenant(self) -> str:
        """The namespace as configurations know it."""
        namespace = self._questions.namespace
        return "" if namespace == PUBLIC else namespace


async def _each(things: Collection[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do the work for each, for some at the same time."""
    waiting = iter(things)

    async def take() -> None:
        for each in waiting:
            await work(each)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(AT_ONCE, len(things))):
            tasks.create_task(take())


def _names(paths: Iterable[Path]) -> frozenset[str]:
    return frozenset(each.application for each in paths)
