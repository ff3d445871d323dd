"""Watches one namespace over one session after another; each of its groups fails by itself."""

import asyncio
from typing import Never

from meshbridge import BadData, RegistryRejected
from meshbridge_nacos.admin_api import AdminApi
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.options import ALL
from meshbridge_nacos.parse import Record
from meshbridge_nacos.sitting import Sitting
from meshbridge_nacos.standing import FORBIDDEN, Pauses
from meshbridge_nacos.subscriptions import ScopeName
from meshbridge_nacos.surroundings import Surroundings, failure_of

SHARE = 10
"""How many times longer the list of all groups is left alone than reading it takes: it is as long
as services are many."""
REMEDY = "name the groups in place of *, or let the user list services in the admin API"


class Namespace:
    """One namespace, with the groups to read in it.

    Where all groups are to be read, the scope ``<namespace>/*`` stands for the list of them: it
    holds no service, is listed once all groups were, and is stale while the list cannot be read.
    """

    def __init__(self, namespace: str, groups: tuple[str, ...], around: Surroundings) -> None:
        """Know the groups that are named; nothing is read yet."""
        self._around = around
        self._namespace = namespace
        self._names: dict[str, ScopeName] = {}
        self._list = str(ScopeName(namespace, ALL)) if ALL in groups else ""
        """The scope that stands for the list of groups, if they are not named."""
        if self._list:
            around.standing.add(self._list)
        else:
            for group in groups:
                self._add(group)

    @property
    def scopes(self) -> tuple[str, ...]:
        """All that are known so far."""
        return (*map(str, self._names.values()), *filter(None, [self._list]))

    async def keep(self) -> Never:
        """Watch until cancelled; raises the registry's failure when nothing else is read either."""
        pauses, clock = Pauses(), self._around.context.clock
        while True:
            begun = clock()
            failure = await failure_of(self._over_one_session())
            self._around.fail(self.scopes, failure)
            await self._around.context.sleep(pauses.after(failure, clock() - begun))

    async def _over_one_session(self) -> Never:
        inboxes: dict[str, Inbox] = {}

        def on_push(group: str, name: str, info: Record) -> None:
            if group in inboxes:
                inboxes[group].put(name, info)

        async with (
            self._around.open_session(self._namespace, on_push) as questions,
            asyncio.TaskGroup() as tasks,
        ):
            sitting = Sitting(self._around, questions, inboxes, tasks)
            try:
                for name in self._names.values():
                    sitting.begin(name)
                if self._list:
                    sitting.on_new_group = lambda group: self._begin_new(sitting, group)
                    tasks.create_task(self._keep_list(sitting))
                await asyncio.Event().wait()
            finally:
                sitting.leave()
                inboxes.clear()  # what is pushed from now on is for nobody
        raise AssertionError("a session is left when something fails")

    async def _keep_list(self, sitting: Sitting) -> Never:
        """Look for new groups, and go on doing so when that fails."""
        pauses, clock = Pauses(refused=FORBIDDEN), self._around.context.clock
        while True:
            begun = clock()
            failure = await failure_of(self._follow_list(sitting))
            self._around.fail([self._list], failure)
            await self._around.context.sleep(pauses.after(failure, clock() - begun))

    async def _follow_list(self, sitting: Sitting) -> Never:
        admin, clock = AdminApi(sitting.questions), self._around.context.clock
        listed = False
        while True:
            begun = clock()
            try:
                groups = await admin.groups()
            except (BadData, RegistryRejected) as refused:
                raise type(refused)(f"{refused}; {REMEDY}") from None
            took = clock() - begun
            for group in sorted(groups):
                self._begin_new(sitting, group)
            if not listed:
                await self._around.standing.spoken_of([str(name) for name in self._names.values()])
                self._around.list_nothing(self._list)
                await sitting.watch_all_groups()
                listed = True
            await self._around.context.sleep(max(self._around.every, SHARE * took))

    def _begin_new(self, sitting: Sitting, group: str) -> None:
        """Follow a group, unless that is done."""
        if group not in self._names:
            sitting.begin(self._add(group))

    def _add(self, group: str) -> ScopeName:
        # A group is kept until the namespace goes or the watch ends, also while it has no service:
        # a restarted server knows none before its registrants are back.
        self._names[group] = name = ScopeName(self._namespace, group)
        self._around.standing.add(str(name))
        return name
