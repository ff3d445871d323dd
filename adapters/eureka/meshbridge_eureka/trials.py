"""Tries the servers that are not read, so that one that would not answer is known before an outage.

A status is all that they are asked for, once in each full interval; who failed when it was read, or
tells no status, is read, one after the other.
"""

import asyncio
import math
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Final, Never

from meshbridge import BadData, Context, RegistryRejected, RegistryUnavailable
from meshbridge.contained import contained, spent
from meshbridge.outage import reason_of
from meshbridge.steps import in_turns
from meshbridge_eureka.options import Server
from meshbridge_eureka.over_http import Http
from meshbridge_eureka.parse import Names
from meshbridge_eureka.view import View

PATIENCE: Final = 1.0
"""Seconds that a first listing waits for what servers answer that are not read."""
_REMEDY: Final = "see what is wrong there, or take it out of servers"
_REPORT: Final = "report it as a fault of meshbridge, with the lines of the log"


class Trials:
    """What is known of the servers of one cluster: which of them do not answer as they should."""

    def __init__(
        self, servers: Collection[Server], names: Names, context: Context, every: float
    ) -> None:
        """Begin with nothing known. Of a single server its outage tells everything."""
        self._servers = servers if len(servers) > 1 else ()
        self._names: Names = names
        self._context = context
        self._every = every
        self._wrong = set[Server]()
        self._unread = set[Server]()
        """Those that failed when they were read, of which a status would tell too little."""
        self._read: Server | None = None
        self._untried: tuple[Server, ...] = ()
        self._asked = set[Server]()
        """Those that have not answered yet."""
        self._faults = dict[Server, type[Exception]]()
        """What of ours ended the last trial of a server, and is in the log."""
        self._one_by_one = asyncio.Lock()
        """Held while a server is read, which costs the memory of a whole registry."""
        self._due = -math.inf
        self._wanted, self._over = asyncio.Event(), asyncio.Event()

    def failed(self, server: Server, error: Exception) -> None:
        """Say what a server answered instead of what it should when it was read."""
        if server in self._servers:
            self._unread.add(server)
            self._say(server, error)

    def answered(self, server: Server, failed: Collection[Server]) -> None:
        """Take it that a server is read, and others ``failed``; now and then the rest is tried."""
        self._read = server
        self._is_fine(server)
        now = self._context.clock()
        if now >= self._due:
            self._due = now + self._every
            self._untried = tuple(
                each for each in self._servers if each != server and each not in failed
            )
            self._wanted.set()

    async def told(self) -> None:
        """Wait until those that were tried first have answered; say it of who needs long."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._over.wait()
        except TimeoutError:
            for server in self._asked:
                self._say(server, RegistryUnavailable(f"no answer within {PATIENCE:g} s so far"))

    async def run(self, http: Http, path: str, query: Mapping[str, str]) -> Never:
        """Try them whenever it is time for that."""
        self._wanted.clear()
        self._due = -math.inf  # what was begun before may have been broken off
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            async with asyncio.TaskGroup() as tasks:
                for server in self._untried:
                    tasks.create_task(self._try(http, server, path, query), name=f"try {server}")
            self._over.set()

    async def _try(self, http: Http, server: Server, path: str, query: Mapping[str, str]) -> None:
        error = await contained(self._attempt(http, server, path, query))
        if error is None:
            self._is_fine(server)
            return
        is_read = server == self._read  # since it was asked
        if isinstance(error, (RegistryUnavailable, RegistryRejected, BadData)):
            self._faults.pop(server, None)
            if not is_read:
                self._say(server, error)
        else:
            self._log(server, error)
            if not is_read:
                self._trouble(server, f"it could not be tried: {reason_of(error)}", _REPORT)
        spent(error)

    async def _attempt(
        self, http: Http, server: Server, path: str, query: Mapping[str, str]
    ) -> None:
        if server not in self._unread:
            with self._asking(server):
                if await http.attempt(server, path, query):
                    return
        async with self._one_by_one:
            with self._asking(server):
                answer = await http.get(server, path, query, "")
            if answer is not None:
                await in_turns(View(self._names).full(answer.body))

    @contextmanager
    def _asking(self, server: Server) -> Generator[None]:
        self._asked.add(server)
        try:
            yield
        finally:
            self._asked.discard(server)

    def _log(self, server: Server, error: Exception) -> None:
        """Log a fault of ours, once while it lasts."""
        if self._faults.get(server) is not type(error):
            self._faults[server] = type(error)
            self._context.logger.error("server not tried", server=str(server), exc_info=error)

    def _say(self, server: Server, error: Exception) -> None:
        reason, _, remedy = (str(error) or type(error).__name__).partition("; ")
        self._trouble(server, reason, remedy or _REMEDY)

    def _trouble(self, server: Server, reason: str, remedy: str) -> None:
        self._wrong.add(server)
        self._context.trouble(_subject(server), reason, remedy)

    def _is_fine(self, server: Server) -> None:
        self._unread.discard(server)
        self._faults.pop(server, None)
        if server in self._wrong:
            self._wrong.discard(server)
            self._context.trouble(_subject(server), "")


def _subject(server: Server) -> str:
    return f"server {server}"
