"""Watches the configured roots of a ZooKeeper ensemble over one session, as one scope."""

import asyncio
from datetime import timedelta
from typing import ClassVar, Never

from pydantic import BaseModel

from meshbridge import Context, Emit
from meshbridge.errors import foremost
from meshbridge_zookeeper_dubbo.fetching import Fetching
from meshbridge_zookeeper_dubbo.holdings import Holdings
from meshbridge_zookeeper_dubbo.options import Options as ZooKeeperOptions
from meshbridge_zookeeper_dubbo.reading import MOST_QUESTIONS, follow
from meshbridge_zookeeper_dubbo.roots import Roots
from meshbridge_zookeeper_dubbo.session import Session, connected
from meshbridge_zookeeper_dubbo.session_client import check_version
from meshbridge_zookeeper_dubbo.session_reasons import OversizedAnswer
from meshbridge_zookeeper_dubbo.telling import Telling

REFILL = timedelta(seconds=15)
"""A client of Dubbo or Spring Cloud registers again within this time once a server is back."""


class ZooKeeperDubbo:
    """What Dubbo and Spring Cloud have registered in one ensemble; all roots are one scope.

    One attempt is one connection's life: when it ends, ``watch`` raises RegistryUnavailable, is
    called again by the supervisor and lists everything with ``after_gap``.
    """

    Options: ClassVar[type[BaseModel]] = ZooKeeperOptions
    domain = "zookeeper"
    settle = REFILL

    def __init__(self, name: str, options: BaseModel, context: Context) -> None:
        """Raise ConfigurationError where another kazoo than the repaired one is installed."""
        if not isinstance(options, ZooKeeperOptions):
            found = type(options).__name__
            raise TypeError(f"{name}: needs zookeeper-dubbo options, got {found}")
        check_version()
        self._options = options
        self._context = context
        self._roots = Roots(options.interface_roots, options.application_roots)
        self.scopes = (" ".join(self._roots.all),)
        self._last: Holdings | None = None
        """What was listed last: what comes next comes after a gap."""
        self._together = MOST_QUESTIONS
        """Nodes that are asked for in one request."""

    async def watch(self, emit: Emit) -> Never:
        """Tell what the roots hold until cancelled.

        Raises RegistryRejected or RegistryUnavailable, and nothing else of ZooKeeper or kazoo.
        """
        try:
            async with connected(self._options, self._context.logger) as session:
                await self._follow(session, emit)
        except ExceptionGroup as failed:
            error = foremost(failed)
            if isinstance(error, OversizedAnswer):
                self._together = 1  # alone, each node may be small enough
            raise error from failed
        raise AssertionError("a tree is followed until that fails")

    async def _follow(self, session: Session, emit: Emit) -> None:
        holdings = Holdings(self._roots, dials=self._options.dial_instances, before=self._last)
        telling = Telling(self.scopes[0], holdings, self._context, emit, self._options.chosen_roots)
        fetching = Fetching(
            holdings.applications, self._roots, self._options, self._context, telling.look
        )
        async with asyncio.TaskGroup() as tasks:
            reading = follow(
                session, self._roots.all, self._roots, telling, together=self._together
            )
            tasks.create_task(reading)
            tasks.create_task(fetching.run())
            await telling.list_all(fetching.look, after_gap=self._last is not None)
            last, self._last = self._last, holdings
            if last is not None:
                await telling.free(last)
            await telling.keep_telling(fetching.look)
