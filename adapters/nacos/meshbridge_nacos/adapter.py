"""Watches the configured namespaces and groups of a Nacos cluster, one connection per namespace."""

import asyncio
import warnings
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Never

from pydantic import BaseModel

from meshbridge import Context, Emit, RegistryUnavailable
from meshbridge.errors import foremost
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.login import Login
from meshbridge_nacos.options import Options as NacosOptions
from meshbridge_nacos.scope import Scope, ScopeName

if TYPE_CHECKING:
    from meshbridge_nacos.session import Session

REFILL = timedelta(seconds=20)
"""Clients register again up to 18 s after a restart (2,000 services over one connection)."""


class Nacos:
    """A Nacos cluster. A scope is a namespace with a group, written ``public/DEFAULT_GROUP``.

    One attempt is one connection's life: when it ends, ``watch`` raises RegistryUnavailable, is
    called again by the supervisor, tries the next server and lists everything with ``after_gap``.
    """

    Options: ClassVar[type[BaseModel]] = NacosOptions
    settle = REFILL

    def __init__(self, name: str, options: BaseModel, context: Context) -> None:
        if not isinstance(options, NacosOptions):
            raise TypeError(f"{name}: needs nacos options, got {type(options).__name__}")
        # The SDK costs 0.5 s and 80 MB: only those who configure Nacos pay, and here, not later,
        # because an import would hold up the loop that serves.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the SDK's use of pydantic
            from meshbridge_nacos import repairs, session  # noqa: PLC0415
        repairs.check_version()
        self._connected = session.connected
        self._options = options
        self._context = context
        self._names = {
            namespace: tuple(ScopeName(namespace, group) for group in options.groups)
            for namespace in options.namespaces
        }
        self.scopes = tuple(str(each) for names in self._names.values() for each in names)
        self._login = (
            Login(options.servers, options.username, options.password, context.clock)
            if options.username
            else None
        )
        self._listed: set[str] = set()
        """Scopes listed before: what comes next comes after a gap."""
        self._first = 0
        """The position of the server to try first."""

    async def watch(self, emit: Emit) -> Never:
        """Tell what the namespaces hold until cancelled.

        Raises RegistryRejected or RegistryUnavailable, and nothing else of Nacos or its SDK.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                for namespace in self._options.namespaces:
                    tasks.create_task(self._watch_namespace(namespace, emit))
        except ExceptionGroup as failed:
            raise foremost(failed) from failed
        raise AssertionError("a namespace is watched until that fails")

    async def _watch_namespace(self, namespace: str, emit: Emit) -> None:
        names = self._names[namespace]
        inboxes = {name.group: Inbox() for name in names}
        every = self._options.list_interval.total_seconds()
        async with (
            self._any_server(namespace, inboxes) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for name in names:
                scope = Scope(name, session, inboxes[name.group], self._context, emit)
                await scope.list_all(after_gap=str(name) in self._listed)
                self._listed.add(str(name))
                tasks.create_task(scope.follow_pushes())
                tasks.create_task(scope.follow_lists(every))

    @asynccontextmanager
    async def _any_server(
        self, namespace: str, inboxes: dict[str, Inbox]
    ) -> "AsyncGenerator[Session]":
        """Give a session with the first server that answers, beginning after the last one used."""
        servers = self._options.servers
        reasons: list[str] = []
        login, sleep = self._login, self._context.sleep
        for turn in range(self._first, self._first + len(servers)):
            server = servers[turn % len(servers)]
            async with AsyncExitStack() as stack:
                connected = self._connected(server, namespace, login, inboxes, sleep)
                try:
                    session = await stack.enter_async_context(connected)
                except RegistryUnavailable as unavailable:
                    reasons.append(str(unavailable))
                    continue
                self._first = turn + 1
                yield session
                return
        raise RegistryUnavailable("; ".join(reasons))
