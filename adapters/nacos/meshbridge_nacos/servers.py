"""Which servers there are, and which of them to try next."""

from collections.abc import Awaitable, Callable, Sequence

from pydantic_core import PydanticCustomError

from meshbridge import RegistryUnavailable
from meshbridge_nacos.options import Server, parse_server

EVERY = 30.0
"""Seconds for which what an address server said is good, as for Nacos' own clients."""

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
        self._next = ""
        """The host that the last server sent us to."""

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
        known, sent, self._next = self._known, self._next, ""
        if self._last in known:
            begin = known.index(self._last) + 1
            known = known[begin:] + known[:begin]
        return tuple(sorted(known, key=lambda server: server.host != sent)) if sent else known

    def tried(self, server: Server) -> None:
        """Note which one was used."""
        self._last = server

    def send_to(self, host: str) -> None:
        """Note where a server wants us: tried first next time, if it is one of those we know.

        Its host is compared, not its port, as Nacos' own client does (nacos: RpcClient.start).
        """
        self._next = host

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
        self._asked = now
        if not self._known:
            raise RegistryUnavailable("the address server names no server of Nacos")


def read_list(text: str) -> tuple[Server, ...]:
    """Return the servers that an address server names, one a line; what is none is passed over."""
    found: dict[Server, None] = {}
    for line in text.splitlines():
        try:
            found[parse_server(line.strip().removeprefix("http://").removeprefix("https://"))] = (
                None
            )
        except PydanticCustomError:
            continue
    return tuple(found)
