"""Reads Nacos' configurations and follows their changes.

Nacos says which configuration changed, not to what, so that what is told is always read. Its word
can get lost on the way: every so often all that is followed is compared by its MD5.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge_nacos.decoding import UnreadableError, fit
from meshbridge_nacos.options import PUBLIC
from meshbridge_nacos.parse import Record

T = TypeVar("T")
COMPARE_EVERY = 60.0
"""Seconds."""
AT_ONCE = 1000
"""Configurations that are compared in one question; Nacos' own client sends 3,000."""
READ_AT_ONCE = 64
"""Configurations that are read at the same time."""
NOT_FOUND = 300
"""Nacos' code for a configuration that is not there."""
CHANGING = 400
"""Its code while one is being written."""
TRIES, PAUSE = 10, 0.1
"""How often, and after how many seconds, to ask again for one that is being written."""


class Name(NamedTuple):
    """A configuration's name within its tenant."""

    group: str
    data_id: str


class Reply(NamedTuple):
    """An answer that need not be a success."""

    error: int
    """0 for a success."""
    body: Record


class Ask(Protocol):
    """Asks the configuration module; raises what :class:`meshbridge_nacos.asking.Questions` does.

    Codes that are in ``expected`` are returned, not raised.
    """

    def __call__(
        self, kind: str, fields: Record, group: str, expected: frozenset[int] = frozenset()
    ) -> Awaitable[Reply]:
        """Ask about a configuration of a group."""
        ...


class _Found(msgspec.Struct, frozen=True):
    content: str | None = None
    md5: str | None = None


class _Differing(msgspec.Struct, frozen=True):
    group: str
    data_id: str = msgspec.field(name="dataId")


class _Changed(_Differing, frozen=True):
    tenant: str | None = None


class _Compared(msgspec.Struct, frozen=True):
    differing: list[_Differing] | None = msgspec.field(name="changedConfigs", default=None)


@dataclass(eq=False, slots=True)
class _Watch:
    """One who follows a configuration."""

    name: Name
    md5: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


def tenant_of(namespace: str) -> str:
    """Return the tenant that frameworks write a namespace's configurations to.

    Nacos 2 takes ``""`` and ``public`` for two; clients whose namespace is the default one write to
    ``""``. Nacos 3 takes both for one.
    """
    return "" if namespace == PUBLIC else namespace


class Configs:
    """One tenant's configurations, over one session."""

    def __init__(self, ask: Ask, tenant: str) -> None:
        self._ask = ask
        self.tenant = tenant
        self._watches: dict[_Watch, None] = {}
        self._new: list[_Watch] = []
        """Those that the server was not told of yet."""
        self._telling = asyncio.Lock()
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def read(self, name: Name) -> str | None:
        """Return its text, None when there is none."""
        text, _ = await self._read(name)
        return text

    async def watch(self, name: Name) -> AsyncGenerator[str | None]:
        """Give the text as it is now, and then whenever it has changed."""
        watch = _Watch(name)
        self._watches[watch] = None
        try:
            text, watch.md5 = await self._read(name)
            yield text
            while True:
                self._new.append(watch)
                await self._tell_of_new()
                await watch.changed.wait()
                watch.changed.clear()
                before = text
                text, watch.md5 = await self._read(name)
                if text != before:
                    yield text
        finally:
            del self._watches[watch]

    def on_change(self, body: Record) -> None:
        """Take the server's word that one has changed; one that cannot be read gets lost."""
        with contextlib.suppress(UnreadableError):
            changed = fit(body, _Changed, "a change")
            if tenant_of(changed.tenant or "") == self.tenant:
                self._wake({(changed.group, changed.data_id)})

    async def compare(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Compare, for as long as it runs, every so often what is followed."""
        while True:
            await sleep(COMPARE_EVERY)
            try:
                await self._compare(tuple(self._watches))
            except (BadData, RegistryRejected, RegistryUnavailable):
                # Each who follows one asks again for it, and is told the reason.
                self._wake({watch.name for watch in self._watches})

    async def _read(self, name: Name) -> tuple[str | None, str]:
        """Return text and MD5."""
        fields = {"tenant": self.tenant, "group": name.group, "dataId": name.data_id}
        for _ in range(TRIES):
            expected = frozenset({NOT_FOUND, CHANGING})
            async with self._reading:  # thousands at once would outlast the patience for each
                reply = await self._ask("ConfigQueryRequest", fields, name.group, expected)
            if reply.error == NOT_FOUND:
                return None, ""
            if reply.error == 0:
                found = _fit(reply.body, _Found, f"configuration {name.data_id}")
                return found.content or "", found.md5 or ""
            await asyncio.sleep(PAUSE)
        raise BadData(f"configuration {name.data_id} of {name.group} is being written all the time")

    async def _tell_of_new(self) -> None:
        """Tell the server of those that are new: many that begin together go in one question."""
        async with self._telling:
            new, self._new = self._new, []
            try:
                await self._compare(new)
            except BaseException:
                self._new += new  # those who wait for the lock tell of them, or fail as well
                raise

    async def _compare(self, watches: Iterable[_Watch]) -> None:
        """Have changes of them told, and note those that have changed already."""
        waiting = [watch for watch in watches if watch in self._watches]
        for start in range(0, len(waiting), AT_ONCE):
            contexts = [
                {
                    "tenant": self.tenant,
                    "group": watch.name.group,
                    "dataId": watch.name.data_id,
                    "md5": watch.md5,
                }
                for watch in waiting[start : start + AT_ONCE]
            ]
            fields = {"listen": True, "configListenContexts": contexts}
            reply = await self._ask("ConfigBatchListenRequest", fields, "")
            compared = _fit(reply.body, _Compared, "its answer to ConfigBatchListenRequest")
            self._wake({(each.group, each.data_id) for each in compared.differing or ()})

    def _wake(self, names: AbstractSet[tuple[str, str]]) -> None:
        for watch in self._watches:
            if watch.name in names:
                watch.changed.set()


def _fit(body: Record, kind: type[T], what: str) -> T:
    try:
        return fit(body, kind, what)
    except UnreadableError as error:
        raise RegistryUnavailable(str(error)) from None
