"""A TCP proxy for any hop, in which a test breaks the network on purpose and mends it again."""

import asyncio
import socket
from types import TracebackType
from typing import Self

from meshbridge.testing.fault_proxy_connection import Connection, Plan, stopped
from meshbridge.testing.fault_proxy_counts import Counts
from meshbridge.testing.faults import Fault, Refuse

BACKLOG = 128


class FaultProxy:
    """Forwards a port to a target, and does to the connections what a test injects.

    ::

        async with FaultProxy("127.0.0.1", registry.port) as proxy:
            ...  # an adapter that is given proxy.port
            await proxy.inject(Hang(direction=Direction.TO_CLIENT, after=100))
            ...
            assert proxy.counts.to_client.hangs == 1
            await proxy.mend()

    Faults concern connections that exist as well as new ones. Several at once add up; where they
    contradict each other, Reset comes before Truncate, and Truncate before Hang. A connection that
    a fault has ended stays ended. Leaving the context closes every connection.
    """

    def __init__(
        self, target_host: str, target_port: int, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Describe it; ``host`` is an IP address, and port 0 one that is free."""
        self.host = host
        self.port = port
        """The port it takes connections on; it keeps it when it is started again."""
        self._plan = Plan((target_host, target_port))
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._connections: dict[Connection, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        """Take connections."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the port and every connection."""
        await self.stop()

    @property
    def address(self) -> str:
        """Return ``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def counts(self) -> Counts:
        """What it did, over all its starts; goes on counting."""
        return self._plan.counts

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is injected now."""
        return self._plan.faults

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._connections)

    async def start(self) -> None:
        """Take connections, as far as the faults let it; raises OSError if the port is taken."""
        if self._socket is not None:
            raise RuntimeError(f"the proxy on {self.address} was started already")
        self._bind()
        await self._apply()

    async def stop(self) -> None:
        """Close the port and every connection, whatever state it is in."""
        try:
            await self._deafen()
        finally:
            self._unbind()
            ended = dict(self._connections)
            for connection in ended:
                connection.end()
            if ended:
                await asyncio.wait(ended.values())
            self._connections.clear()
        for task in ended.values():
            task.result()

    async def inject(self, *faults: Fault) -> None:
        """Let these faults happen from now on, besides those injected before.

        Bytes that arrive from now on feel them, and what they end at once has ended on return.
        """
        self._plan.faults += faults
        await self._apply()

    async def mend(self) -> None:
        """Let no fault happen from now on; what a Hang, Delay or Throttle held back arrives."""
        self._plan.faults = ()
        await self._apply()

    async def _apply(self) -> None:
        if self._socket is None:
            return
        refuses = any(isinstance(fault, Refuse) for fault in self._plan.faults)
        if refuses and self._accepting is not None:
            await self._deafen()
            self._unbind()
            self._bind()
            self._plan.counts.refusals += 1
        elif not refuses and self._accepting is None:
            self._socket.listen(BACKLOG)
            self._accepting = asyncio.create_task(self._accept(self._socket))
        for connection in self._connections:
            connection.apply()
        ending = [task for connection, task in self._connections.items() if connection.over]
        if ending:
            await asyncio.wait(ending)

    def _bind(self) -> None:
        """Own the port. While nobody listens the system refuses, and gives it to nobody else."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        bound = socket.socket(family)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self.host, self.port))
            bound.settimeout(0)
        except OSError:
            bound.close()
            raise
        self._socket = bound
        self.port = int(bound.getsockname()[1])

    def _unbind(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _deafen(self) -> None:
        """Take no more connections."""
        if self._accepting is not None:
            accepting, self._accepting = self._accepting, None
            await stopped(accepting)

    async def _accept(self, listener: socket.socket) -> None:
        # Not asyncio's server, nor its sock_accept: both have moments at which a connection is
        # taken and belongs to nobody yet.
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        loop.add_reader(listener, called.set)
        try:
            while await called.wait():
                called.clear()
                try:
                    taken, _ = listener.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    continue  # the client has gone again
                self._take(taken)
        finally:
            loop.remove_reader(listener)

    def _take(self, taken: socket.socket) -> None:
        taken.settimeout(0)
        connection = Connection(taken, self._plan)
        self._plan.counts.taken += 1
        task = self._connections[connection] = asyncio.create_task(connection.run())

        def forget(ended: asyncio.Task[None]) -> None:
            if ended.cancelled() or ended.exception() is None:  # a failure is for stop() to raise
                self._connections.pop(connection, None)

        task.add_done_callback(forget)
