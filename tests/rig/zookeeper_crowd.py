"""Thousands of services that applications hold in ZooKeeper, and that come back slowly."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from meshbridge.testing.process import Process
from rig.obedient import Obedient
from rig.zookeeper_nodes import Node, provider, spring

MAIN = "rig.zookeeper_crowd_main"
LASTS = 20.0
"""Seconds that a session of the crowd lasts without a word; Dubbo asks for 60."""
MEMBERS = 8
"""Applications, each with a session of its own."""

Places = Sequence[tuple[str, int]]
"""Where the instances of a service are."""


def is_application(service: str) -> bool:
    """Whether a service is an application of Spring Cloud; the others are Dubbo interfaces."""
    return service.endswith("7")


def host(service: str) -> str:
    """Return the host of a service of the crowd."""
    return f"{service}.zookeeper" if is_application(service) else f"{service}.dubbo"


class ZooKeeperCrowd(Obedient):
    """Ephemeral nodes of many services over a few sessions, in a process.

    It comes back as Dubbo does. A connection that was lost is sought, and the same session goes on
    where the server still knows it. A new session registers all again, spread over the seconds
    that :meth:`pace` said, and first deletes what the old one left. Who was not connected for as
    long as a session lasts begins a new one, as Curator does: only that goes to a server which
    knows less than the old one had seen. While it is paused nothing comes back.
    """

    def __init__(
        self, server: str, directory: Path, *, name: str = "crowd", lasts: float = LASTS
    ) -> None:
        """Describe it; ``server`` is ``host:port``."""
        process = Process(
            name,
            [sys.executable, "-m", MAIN, server, str(lasts), str(MEMBERS)],
            directory=directory,
            environment={"PYTHONPATH": str(Path(__file__).parents[1])},
            input=True,
        )
        super().__init__(process, within=120)

    async def fill(self, services: Mapping[str, Places]) -> None:
        """Hold these services as well, and register all at the pace."""
        told = {name: _nodes(name, places) for name, places in services.items()}
        await self.order(do="hold", services=told)
        await self.order(do="fill")

    async def refill(self) -> None:
        """Register all at the pace; returns when that is done."""
        await self.order(do="fill")

    async def empty(self) -> None:
        """Deregister all; the services stay, without instances."""
        await self.order(do="empty")

    async def pace(self, first: float, last: float) -> None:
        """Register the first service so many seconds after a connection, and the last one."""
        await self.order(do="pace", first=float(first), last=float(last))

    async def set(self, service: str, places: Places) -> None:
        """Let a service have these instances instead, at once; waits for a connection."""
        await self.order(do="set", service=service, nodes=_nodes(service, places))

    async def settle(self) -> None:
        """Wait until the server answers every member, and each has registered all it holds."""
        await self.order(do="settle")

    async def flap(self) -> None:
        """Let all sessions end without a word of farewell; new ones begin at once."""
        await self.order(do="flap")


def _nodes(service: str, places: Places) -> list[tuple[str, str]]:
    made: list[Node] = [
        spring(service, address, port)
        if is_application(service)
        else provider(service, "rest", address, port)
        for address, port in places
    ]
    return [(each.path, each.data.decode()) for each in made]
