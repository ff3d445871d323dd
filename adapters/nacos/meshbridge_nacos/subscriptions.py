"""Keeps a group's subscriptions: what each service was last, and what to make of each new word.

Whatever a push leaves open is resolved by asking, not by clocks: one that is older than what is
known (``lastRefTime`` going back: the server's clock was set, or a push was overtaken by an answer)
and one under protection.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from meshbridge import BadData, Context, RegistryRejected, RegistryUnavailable, ServiceId
from meshbridge.steps import after_reading, in_turns, spare
from meshbridge_nacos.admin_api import AdminApi
from meshbridge_nacos.asking import Questions
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.panic import Truth, clusters, corrected, truth
from meshbridge_nacos.parse import (
    Reading,
    Record,
    is_protected,
    mark,
    reading,
    service_id,
    size_of,
    told_at,
)

AT_ONCE = 64
"""Subscriptions asked for at the same time."""
MOST_ANSWERS = 3
"""Answers that are asked for while older pushes come in between."""


@dataclass(frozen=True, slots=True)
class ScopeName:
    """A namespace and a group of it."""

    namespace: str
    group: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.group}"


@dataclass(frozen=True, slots=True)
class Told:
    """What a service is, as the server said last."""

    reading: Reading | str
    """Or why it cannot be read."""
    at: int | None = None
    """When the server made it, by its clock in milliseconds."""
    protected: bool = False
    mark: int | None = None
    """By what the same instances are known again."""

    @property
    def is_refused(self) -> bool:
        """Whether it was not told at all."""
        return isinstance(self.reading, str)

    @property
    def is_empty(self) -> bool:
        """Whether nobody is there."""
        return isinstance(self.reading, Reading) and not self.reading.service.instances

    def is_newer_than(self, info: Record) -> bool:
        """Whether the server made this after that, by its own clock."""
        at = told_at(info)
        return self.at is not None and at is not None and at < self.at


class Next(enum.Enum):
    """What has to follow a push."""

    NOTHING = enum.auto()
    ASK = enum.auto()
    """It was not noted: the service has to be asked for."""
    CHECK = enum.auto()
    """It was noted, but its health is no truth."""


class Subscriptions:
    """One session's subscriptions to services of one group."""

    def __init__(
        self,
        name: ScopeName,
        questions: Questions,
        admin: AdminApi | None,
        inbox: Inbox,
        context: Context,
        gate: asyncio.Semaphore,
    ) -> None:
        """Subscribe to nothing yet.

        Args:
            name: The namespace and the group.
            questions: The session.
            admin: None where administrators are not to be asked.
            inbox: Where the group's pushes come in.
            context: The registry's surroundings.
            gate: Lets so many questions out at a time, of all groups.
        """
        self.told: dict[str, Told] = {}
        """By the service's own name; its keys are what is subscribed to."""
        self._name = name
        self._questions = questions
        self._admin = admin
        self._inbox = inbox
        self._context = context
        self._gate = gate
        self._one_by_one = asyncio.Lock()
        """Two that ask for one service would take each other's pushes."""
        self._asking: set[str] = set()
        """Services being subscribed to: their pushes are kept until the answer is there."""
        self._in_doubt = False
        """Whether administrators could not be asked the last time."""
        self._truth: dict[str, Truth] = {}
        """Of services under protection, as administrators were told last."""

    @property
    def asks_admin(self) -> bool:
        """Whether administrators' questions are asked."""
        return self._admin is not None

    async def ask(self, names: Iterable[str]) -> None:
        """Subscribe to services, also once more, and note what they are.

        One that is let go meanwhile stays so.
        """
        asked = tuple(names)
        again = {name for name in asked if name in self.told}
        done = 0

        async def work(name: str) -> None:
            nonlocal done
            if name in again and name not in self.told:
                return
            self._asking.add(name)
            try:
                now = await self._ask(name)
            finally:
                self._asking.discard(name)
            if name in again and name not in self.told:
                await self.let_go(name)  # the question has subscribed to it once more
                return
            self.told[name] = now
            done += 1
            spare(done, 2 * AT_ONCE)
            if (later := self._inbox.take_one(name)) is not None:
                self._inbox.put(name, later)  # nobody was told of it while it was kept

        async with self._one_by_one:
            await _for_each(asked, work)

    async def pushes(self) -> dict[str, Record]:
        """Wait for pushes of services that are not being asked for; return the newest of each."""
        return await self._inbox.take(self._asking)

    async def take(self, name: str, info: Record) -> Next:
        """Note what was pushed of a service; say what has to follow."""
        before = self.told.get(name)
        if before is None:
            return Next.NOTHING  # no longer subscribed to
        if before.is_newer_than(info):
            return Next.ASK
        now = await self._understand(name, info, before)
        if self.told.get(name) is not before:  # it was asked for meanwhile, or let go
            return Next.ASK if name in self.told else Next.NOTHING
        self.told[name] = now
        return Next.CHECK if now.protected and self._admin is not None else Next.NOTHING

    async def check(self, names: Iterable[str]) -> None:
        """Note the truth about the health of services that are under protection."""

        async def work(name: str) -> None:
            if (told := self.told.get(name)) is None:
                return
            checked = await self._checked(name, told)
            if self.told.get(name) is told:  # else there is a newer word, which is checked too
                self.told[name] = checked

        await _for_each(names, work)

    async def let_go(self, name: str) -> None:
        """Have no more changes pushed of a service that is gone."""
        self._truth.pop(name, None)
        try:
            await self._questions.unsubscribe(self._name.group, name)
        except (BadData, RegistryRejected) as refused:  # to whom it is forbidden nothing is pushed
            self._context.logger.debug("unsubscribe refused", service=name, reason=str(refused))

    def forget(self) -> None:
        """Know of nothing any more: the session is over."""
        self.told.clear()
        self._truth.clear()
        self._inbox.clear()

    def identity(self, name: str) -> ServiceId:
        """Return the identity of a service of the group."""
        return service_id(self._name.namespace, self._name.group, name)

    async def _ask(self, name: str) -> Told:
        info: Record | None = None
        refusal = ""
        for _ in range(MOST_ANSWERS):
            info, refusal = await self._answer(name)
            # A first answer is read before the subscription is noted (nacos: SubscribeService-
            # RequestHandler.handle): what was pushed after it is newer. A repeated one may have
            # overtaken an older push.
            pushed = self._inbox.take_one(name)
            if pushed is None:
                break
            if info is None or not _is_older(pushed, info):
                info = pushed
                break
        if info is None:
            return Told(refusal)
        return await self._checked(name, await self._understand(name, info, self.told.get(name)))

    async def _answer(self, name: str) -> tuple[Record | None, str]:
        """Return what the service is now, or why the server does not say."""
        self._inbox.take_one(name)  # what still waits belongs to an earlier subscription
        try:
            async with self._gate:
                return await self._questions.subscribe(self._name.group, name), ""
        except BadData as bad:
            return None, str(bad)

    async def _checked(self, name: str, told: Told) -> Told:
        """Return it with the truth about its health, as far as administrators are told."""
        if isinstance(told.reading, str) or not told.protected or self._admin is None:
            self._truth.pop(name, None)
            return told
        group, service = self._name.group, told.reading.service
        try:
            records = await self._admin.instances(group, name, clusters(service))
        except (BadData, RegistryRejected, RegistryUnavailable) as refused:
            if isinstance(refused, RegistryRejected):
                self._admin = None  # it will not be allowed the next time either
            if not self._in_doubt:  # once is enough, until it is known again
                self._context.logger.info(
                    "health under protection stays unknown",
                    scope=str(self._name),
                    service=name,
                    reason=str(refused),
                )
            self._in_doubt = True
            return told
        self._in_doubt = False
        self._truth[name] = await in_turns(truth(service.id, records))
        return await self._with_truth(name, told)

    async def _understand(self, name: str, info: Record, before: Told | None) -> Told:
        at, now = told_at(info), mark(info)
        await after_reading(size_of(info))
        if before is not None and now is not None and before.mark == now:
            return replace(before, at=at)
        known = before.reading if before is not None else ""
        instances = () if isinstance(known, str) else known.service.instances
        try:
            found = await in_turns(reading(self.identity(name), info, instances))
        except BadData as bad:
            return Told(str(bad), at, mark=now)
        return await self._with_truth(name, Told(found, at, is_protected(info), now))

    async def _with_truth(self, name: str, told: Told) -> Told:
        known = self._truth.get(name) if told.protected else None
        if known is None or isinstance(told.reading, str):
            return told
        service = await in_turns(corrected(told.reading.service, known))
        return replace(told, reading=replace(told.reading, service=service))


async def _for_each(names: Iterable[str], work: Callable[[str], Awaitable[None]]) -> None:
    """Do something for all names, in their order, for many of them at the same time."""
    every = list(names)
    waiting = iter(every)

    async def take_turns() -> None:
        for name in waiting:
            await work(name)

    async with asyncio.TaskGroup() as tasks:
        for _ in every[:AT_ONCE]:
            tasks.create_task(take_turns())


def _is_older(info: Record, other: Record) -> bool:
    at, than = told_at(info), told_at(other)
    return at is not None and than is not None and at < than
