"""The port of a FaultProxy: its own while it is open, whether it takes connections or refuses."""

import asyncio
import errno
import socket
from collections.abc import Callable

from meshbridge.testing.fault_proxy_counts import Counts

BACKLOG = 4096
"""Connections that the system keeps until they are taken: what it drops beyond, nobody injected."""
BACKOFF = 0.05
"""Seconds until it is tried again to take a connection for which something was short."""
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors that say nothing about the port, and pass."""


class Port:
    """Hands on each connection that comes. Nothing it does waits, so it is never half done."""

    def __init__(
        self, host: str, number: int, take: Callable[[socket.socket], None], counts: Counts
    ) -> None:
        """Describe it; number 0 is one that is free, chosen when it is opened first."""
        self.host = host
        self.number = number
        self._take = take
        self._counts = counts
        self._socket: socket.socket | None = None
        self._listening = False
        self._again: asyncio.TimerHandle | None = None
        self._failure: Exception | None = None

    @property
    def opened(self) -> bool:
        """Whether the port is its own."""
        return self._socket is not None

    def open(self) -> None:
        """Own the port. While nobody listens the system refuses, and gives it to nobody else."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        bound = socket.socket(family)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self.host, self.number))
            bound.settimeout(0)
        except OSError:
            bound.close()
            raise
        self._socket = bound
        self.number = int(bound.getsockname()[1])

    def listen(self) -> None:
        """Take connections, if it is open."""
        if self._socket is not None and not self._listening:
            self._socket.listen(BACKLOG)
            self._listening = True
            self._await(self._socket)

    def refuse(self) -> None:
        """Take no more connections, and let the system refuse them."""
        if self._listening:
            self._unbind()
            self.open()

    def close(self) -> Exception | None:
        """Give the port up; return why it took no more connections, if it failed."""
        self._unbind()
        failure, self._failure = self._failure, None
        return failure

    def check(self) -> None:
        """Raise what it failed with, if it did: that nobody is taken must not pass for a fault."""
        if self._failure is not None:
            raise self._failure

    def _unbind(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        self._listening = False

    def _await(self, listener: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        # Not asyncio's server, nor its sock_accept: both have moments at which a connection is
        # taken and belongs to nobody yet.
        try:
            for _ in range(BACKLOG):  # all that wait; an endless stream of them lets others run
                self._take(listener.accept()[0])
        except (BlockingIOError, ConnectionAbortedError):
            return  # none waits, or one has gone again: if others wait, the loop calls at once
        except Exception as error:  # noqa: BLE001 - kept until someone asks, see check()
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)  # the loop would call without a pause
            if isinstance(error, OSError) and error.errno in SHORTAGES:
                self._counts.starved += 1
                self._again = loop.call_later(BACKOFF, self._await, listener)
            else:
                self._failure = error
