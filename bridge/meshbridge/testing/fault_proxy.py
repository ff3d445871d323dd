"""A TCP proxy for any hop, in which a test breaks the network on purpose and mends it again."""

import asyncio
import socket

from meshbridge.testing.fault_proxy_connection import Connection, Plan
from meshbridge.testing.fault_proxy_counts import Counts
from meshbridge.testing.fault_proxy_port import Port
from meshbridge.testing.faults import Fault, Refuse
from meshbridge.testing.startable import Startable

LAST_PORT = 0xFFFF


class FaultProxy(Startable):
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
        """Describe it; ``host`` is an IP address, and port 0 one that is free.

        Raises ValueError for a target that no connection could ever be tried to.
        """
        _check_target(target_host, target_port)
        self._plan = Plan((target_host, target_port))
        self._port = Port(host, port, self._take, self._plan.counts)
        self._refusing = False
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._changing = asyncio.Lock()
        """Held by whoever changes its state: each change is complete before the next begins."""

    @property
    def host(self) -> str:
        """The address it takes connections on."""
        return self._port.host

    @property
    def port(self) -> int:
        """The port it takes connections on; it keeps it when it is started again."""
        return self._port.number

    @property
    def address(self) -> str:
        """Return ``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def counts(self) -> Counts:
        """What it did, over all its starts; goes on counting.

        Raises what it failed with, if it can take no connection any more.
        """
        self._port.check()
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
        async with self._changing:
            if self._port.opened:
                raise RuntimeError(f"the proxy on {self.address} was started already")
            self._port.open()
            self._refusing = False
            await self._apply()

    async def stop(self) -> None:
        """Close the port and every connection, whatever state it is in; raises what failed."""
        async with self._changing:
            failure = self._port.close()
            ended = dict(self._connections)
            for connection in ended:
                connection.end()
            if ended:
                await asyncio.wait(ended.values())
            self._connections.clear()
        if failure is not None:
            raise failure
        for task in ended.values():
            task.result()

    async def inject(self, *faults: Fault) -> None:
        """Let these faults happen from now on, besides those injected before.

        Bytes that arrive from now on feel them, and what they end at once has ended on return.
        Raises what it failed with, if it can take no connection any more.
        """
        async with self._changing:
            self._port.check()
            self._plan.faults += faults
            await self._apply()

    async def mend(self) -> None:
        """Let no fault happen from now on; what a Hang, Delay or Throttle held back arrives.

        Raises what it failed with, if it can take no connection any more.
        """
        async with self._changing:
            self._port.check()
            self._plan.faults = ()
            await self._apply()

    async def _apply(self) -> None:
        if not self._port.opened:
            return
        refuses = any(isinstance(fault, Refuse) for fault in self._plan.faults)
        if not refuses:
            self._port.listen()
        elif not self._refusing:
            self._port.refuse()
            self._plan.counts.refusals += 1
        self._refusing = refuses
        for connection in self._connections:
            connection.apply()
        ending = [task for connection, task in self._connections.items() if connection.over]
        if ending:
            await asyncio.wait(ending)

    def _take(self, taken: socket.socket) -> None:
        taken.settimeout(0)
        connection = Connection(taken, self._plan)
        self._plan.counts.taken += 1
        task = self._connections[connection] = asyncio.create_task(connection.run())

        def forget(ended: asyncio.Task[None]) -> None:
            if ended.cancelled() or ended.exception() is None:  # a failure is for stop() to raise
                self._connections.pop(connection, None)

        task.add_done_callback(forget)


def _check_target(host: str, port: int) -> None:
    """Find now what would otherwise be an error in the middle of each connection."""
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"target_host must be a host's name or address, is {host!r}") from error
    if not 0 <= port <= LAST_PORT:
        raise ValueError(f"target_port must be from 0 to {LAST_PORT}, is {port}")
