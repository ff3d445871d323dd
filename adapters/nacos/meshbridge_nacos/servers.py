"""Which servers there are, and which of them to try next."""

import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence

from pydantic_core import PydanticCustomError

from meshbridge import RegistryUnavailable
from meshbridge_nacos.options import Server, parse_server

EVERY = 30.0
"""Seconds for which what an address server said is good, as for Nacos' own clients."""

_NAME = re.compile(r"[A-Za-z0-9._:\[\]\-]+")
"""What a server's name and port are made of, so that no page of a proxy is taken for a list."""

Ask = Callable[[], Awaitable[str]]
"""Returns the text of the address server's list. Raises RegistryUnavailable."""


class Servers:
    """The servers of one cluster: those that are configured, or those an address server names."""

    def __init__(
        self,
        fixed: Sequence[Server],
        ask: Ask | None,
        clock: Callable[[], float],
        warn: Callable[[str], None],
    ) -> None:
        self._known = tuple(fixed)
        self._ask = ask
        self._clock = clock
        self._warn = warn
        self._asked: float | None = None
        self._last: Server | None = None
        self._sent = ""
        """Where the last server sent us, as ``host:port``."""

    @property
    def may_change(self) -> bool:
        """Whether an address server is asked."""
        return self._ask is not None

    def known(self) -> tuple[Server, ...]:
        """Return those that are known now, in the order in which they are written."""
        return self._known

    async def order(self) -> tuple[Server, ...]:
        """Return all of them in the order in which to try them.

        The one that we were sent to comes first, then what follows the one tried last. Raises
        RegistryUnavailable when an address server never said anything.
        """
        await self.refresh()
        known, sent, self._sent = self._known, self._sent, ""
        if self._last in known:
            begin = known.index(self._last) + 1
            known = known[begin:] + known[:begin]
        host = sent.rpartition(":")[0]
        return tuple(sorted(known, key=lambda each: (str(each) != sent, each.host != host)))

    def tried(self, server: Server) -> None:
        """Note which one was used."""
        self._last = server

    def send_to(self, place: str) -> None:
        """Note where a server wants us: tried first next time, if it is one of those we know.

        A known server of the same host will do, as for Nacos' own client, which looks at nothing
        else (nacos: RpcClient.start): a server may not know by which port we reach another.
        """
        self._sent = place

    async def refresh(self) -> None:
        """Ask the address server, if there is one and that is due.

        What it said before holds while it cannot be asked. Raises RegistryUnavailable when it
        never said anything.
        """
        now = self._clock()
        if self._ask is None or (self._asked is not None and now - self._asked < EVERY):
            return
        try:
            self._known = read_list(await self._ask()) or self._known
        except RegistryUnavailable as unavailable:
            if not self._known:
                raise
            self._warn(str(unavailable))
        if not self._known:
            raise RegistryUnavailable("the address server names no server of Nacos")
        self._asked = now


def read_list(text: str) -> tuple[Server, ...]:
    """Return the servers that an address server names, one a line; what is none is passed over."""
    found: dict[Server, None] = {}
    for line in text.splitlines():
        word = line.strip().removeprefix("http://").removeprefix("https://")
        if _NAME.fullmatch(word):
            with contextlib.suppress(PydanticCustomError):
                found[parse_server(word)] = None
    return tuple(found)
