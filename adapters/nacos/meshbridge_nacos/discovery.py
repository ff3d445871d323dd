"""Watches all namespaces of a registry: each by itself, as they come and go."""

import asyncio
from dataclasses import dataclass
from typing import Never

from meshbridge import BadData, RegistryRejected
from meshbridge_nacos.admin_api import AdminApi
from meshbridge_nacos.namespace import Namespace
from meshbridge_nacos.options import ALL, PUBLIC
from meshbridge_nacos.parse import Record
from meshbridge_nacos.standing import FORBIDDEN, Pauses
from meshbridge_nacos.surroundings import Surroundings, begin_in, failure_of

REMEDY = "name the namespaces in place of *, or let the user list them in the admin API"


@dataclass(frozen=True, slots=True)
class _Kept:
    namespace: Namespace
    task: asyncio.Task[Never]


class Discovery:
    """The namespaces of one registry, during one watch.

    Where all are to be read, the scope ``*`` stands for the list of them: it holds no service, is
    listed once all of them were, and is stale while the list cannot be read.
    """

    def __init__(self, groups: tuple[str, ...], around: Surroundings) -> None:
        """Watch nothing yet."""
        self._groups = groups
        self._around = around
        self._kept: dict[str, _Kept] = {}

    async def watch(self, namespaces: tuple[str, ...]) -> Never:
        """Watch these until cancelled, or all of them (``*``).

        Raises the registry's failure when nothing of it can be read.
        """
        if ALL in namespaces:
            self._around.standing.add(ALL)
        # Each is known before one is watched, so that the first to fail is not taken for all.
        known = [(each, self._make(each)) for each in namespaces if each != ALL]
        async with asyncio.TaskGroup() as tasks:
            for name, namespace in known:
                self._begin(name, namespace, tasks)
            if ALL in namespaces:
                tasks.create_task(self._keep_list(tasks))
        raise AssertionError("namespaces are watched until that fails")

    def _make(self, name: str) -> Namespace:
        return Namespace(name, self._groups, self._around)

    def _begin(self, name: str, namespace: Namespace, tasks: asyncio.TaskGroup) -> None:
        task = begin_in(tasks, namespace.keep())
        if task is not None:
            self._kept[name] = _Kept(namespace, task)

    async def _keep_list(self, tasks: asyncio.TaskGroup) -> Never:
        pauses, clock = Pauses(refused=FORBIDDEN), self._around.context.clock
        while True:
            begun = clock()
            failure = await failure_of(self._follow_list(tasks))
            self._around.fail([ALL], failure)
            await self._around.context.sleep(pauses.after(failure, clock() - begun))

    async def _follow_list(self, tasks: asyncio.TaskGroup) -> Never:
        """Follow the list over one session."""
        before: frozenset[str] | None = None
        async with self._around.open_session(PUBLIC, _ignore) as questions:
            admin = AdminApi(questions)
            while True:
                now = await _namespaces(admin)
                for name in sorted(now - self._kept.keys()):
                    self._begin(name, self._make(name), tasks)
                if now == before:  # what two lists in a row do not have is gone
                    for name in sorted(self._kept.keys() - now):
                        await self._end(name)
                if before is None:
                    scopes = [
                        each for kept in self._kept.values() for each in kept.namespace.scopes
                    ]
                    await self._around.standing.spoken_of(scopes)
                    self._around.list_nothing(ALL)
                before = now
                await self._around.context.sleep(self._around.every)

    async def _end(self, name: str) -> None:
        kept = self._kept.pop(name)
        kept.task.cancel()
        await asyncio.wait([kept.task])
        for scope in kept.namespace.scopes:
            self._around.forget(scope)


async def _namespaces(admin: AdminApi) -> frozenset[str]:
    try:
        return await admin.namespaces()
    except (BadData, RegistryRejected) as refused:
        raise type(refused)(f"{refused}; {REMEDY}") from None


def _ignore(group: str, name: str, info: Record) -> None:
    """Take a push of a session that subscribes to nothing."""
