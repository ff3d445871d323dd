"""One session's work on a namespace: each group is followed by itself, and fails by itself."""

import asyncio
from collections.abc import Callable
from typing import Never

from meshbridge_nacos.admin_api import AdminApi
from meshbridge_nacos.asking import Questions
from meshbridge_nacos.dubbo import Registrations
from meshbridge_nacos.fuzzy import FuzzyWatch, Notice
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.options import ALL
from meshbridge_nacos.scope import Scope
from meshbridge_nacos.standing import FORBIDDEN, Pauses
from meshbridge_nacos.subscriptions import AT_ONCE, ScopeName, Subscriptions
from meshbridge_nacos.surroundings import Surroundings, begin_in, failure_of


class Sitting:
    """What is followed over one session."""

    def __init__(
        self,
        around: Surroundings,
        questions: Questions,
        inboxes: dict[str, Inbox],
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Follow nothing yet; ``inboxes`` get an inbox for each group, for its pushes."""
        self.questions = questions
        self.on_new_group: Callable[[str], None] | None = None
        """Takes a group that is heard of and not followed now, where all are to be."""
        self._around = around
        self._inboxes = inboxes
        self._tasks = tasks
        self._admin = AdminApi(questions) if around.admin else None
        self._fuzzy = FuzzyWatch(questions, around.context.logger, self._notice)
        self._scopes: dict[str, Scope] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)

    def begin(self, name: ScopeName) -> None:
        """Follow a group until the session ends."""
        begin_in(self._tasks, self._keep(name))

    def leave(self) -> None:
        """Let go of all that was followed, when the session is over.

        What refers to itself would be left to the garbage collector, and be out of its sight.
        """
        self._scopes.clear()
        self.on_new_group = None
        self._fuzzy.end()

    async def watch_all_groups(self) -> None:
        """Hear of whatever appears in the namespace."""
        services = {group: scope.services for group, scope in self._scopes.items()}
        if self._fuzzy.takes(sum(map(len, services.values()))):
            known = [(group, name) for group, names in services.items() for name in names]
            await self._fuzzy.watch(ALL, known)

    async def _keep(self, name: ScopeName) -> Never:
        pauses, clock = Pauses(refused=FORBIDDEN), self._around.context.clock
        while True:
            begun = clock()
            failure = await failure_of(self._follow(name))
            self._scopes.pop(name.group, None)
            self._around.fail([str(name)], failure)
            await self._around.context.sleep(pauses.after(failure, clock() - begun))

    async def _follow(self, name: ScopeName) -> Never:
        around, group = self._around, name.group
        inbox = self._inboxes[group] = Inbox()
        subscriptions = Subscriptions(
            name, self.questions, self._admin, inbox, around.context, self._gate
        )
        new = Registrations(name.namespace, name.group)
        held = around.registrations.setdefault(str(name), new)
        scope = Scope(held, self.questions, subscriptions, around.context, around.emit)

        def on_listed() -> None:
            around.note_listed(str(name))
            self._scopes[group] = scope
            # Where all groups are to be read, one watch is for all.
            if self.on_new_group is None and self._fuzzy.takes(len(scope.services)):
                known = [(group, each) for each in scope.services]
                begin_in(self._tasks, self._fuzzy.watch(group, known))

        await scope.follow(around.every, after_gap=str(name) in around.listed, on_listed=on_listed)
        raise AssertionError("a scope is followed until that fails")

    def _notice(self, notice: Notice) -> None:
        scope = self._scopes.get(notice.group)
        if scope is None:
            if notice.appeared and self.on_new_group is not None:
                self.on_new_group(notice.group)
        elif notice.appeared:
            scope.appeared(notice.name)
        else:
            scope.vanished(notice.name)
