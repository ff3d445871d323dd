"""Has the service definitions of applications read, when it is time, and read again.

An application writes them before it registers an instance. So they are read when an instance
comes, soon once more, as some interfaces may be exported later, and then ever more rarely.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

from meshbridge_zookeeper_dubbo.applications import Applications
from meshbridge_zookeeper_dubbo.definitions_walk import Walk
from meshbridge_zookeeper_dubbo.pace import Pace
from meshbridge_zookeeper_dubbo.persistent import Read, Result
from meshbridge_zookeeper_dubbo.retrying import longest
from meshbridge_zookeeper_dubbo.roots import Roots

TOGETHER: Final = 32
"""Nodes that are asked for in one request."""
Ask: TypeAlias = Callable[[Sequence[Read]], Awaitable[Sequence[Result]]]
"""Asks the registry, and returns its answers in the order of the questions."""


class Defining:
    """Says when to read, and does it over a connection that others open."""

    def __init__(
        self,
        applications: Applications,
        roots: Roots,
        read_soon: Callable[[str], None],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """Be ready; ``read_soon`` has :meth:`read` called for an application.

        ``later`` calls back after at most so many seconds.
        """
        self._applications = applications
        self._roots = roots
        self._read_soon = read_soon
        self._later = later
        self._turns: dict[str, int] = {}
        """How often each application's were read since there was a reason to."""

    def look(self, application: str) -> None:
        """Have an application's definitions read: at once if they are waited for, or before long.

        However many of its instances come in a row, it is not read for each of them.
        """
        turn = self._turns.get(application)
        if turn is None or self._applications.definitions.awaited(application):
            self._turns[application] = 0
            self._read_soon(application)
        elif turn > 1:
            self._turns[application] = 1
            self._wait([application])

    async def read(self, ask: Ask, these: Sequence[str]) -> None:
        """Read what these applications' definitions tell; raises what ``ask`` does."""
        definitions = self._applications.definitions
        wanted = {each: sorted(told) for each in these if (told := definitions.wanted(each))}
        walk = Walk(self._roots, wanted)
        while reads := walk.next(TOGETHER):
            # A definition of a thousand types takes longer than others can wait.
            await asyncio.to_thread(walk.take, await ask(reads))
        pace = Pace()
        for application, defined in walk.defined():
            self._applications.define(application, defined)
            await pace.breathe()
        self._done(these)

    def fail(self, failed: Mapping[str, str]) -> None:
        """Take why these applications' definitions could not be read."""
        for application, reason in failed.items():
            self._applications.fail_to_define(application, reason)
        self._done(list(failed))

    def _done(self, these: Sequence[str]) -> None:
        """Have them read again after a while, as long as they are wanted."""
        for application in these:
            self._turns[application] = self._turns.get(application, 0) + 1
        self._wait(these)

    def _wait(self, these: Sequence[str]) -> None:
        turns = {application: self._turns[application] for application in these}
        if turns:
            self._later(longest(min(turns.values())), lambda: self._again(turns))

    def _again(self, turns: Mapping[str, int]) -> None:
        for application, turn in turns.items():
            if self._turns.get(application) != turn:
                continue  # it is read at another time
            if self._applications.definitions.wanted(application):
                self._read_soon(application)
            else:
                del self._turns[application]
