"""Thousands of services that one application holds in Nacos, and that come back slowly."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from meshbridge.testing.process import Process
from rig.obedient import Obedient

MAIN = Path(__file__).with_name("crowd_main.py")

Places = Sequence[tuple[str, int]]
"""Where the instances of a service are."""


class Crowd(Obedient):
    """Ephemeral instances of many services over one gRPC connection, in a process.

    Each reconnection registers all of them again, spread over the seconds that :meth:`pace` said;
    it is sought at most 5 s after the server is back, as the SDK does. Not by the SDK's own redo,
    which brings all at once and at an unknown moment. While it is paused nothing comes back.
    """

    def __init__(self, server: str, directory: Path, *, name: str = "crowd") -> None:
        """Describe it; ``server`` is ``host:port``."""
        process = Process(
            name, [sys.executable, MAIN, server, directory / name], directory=directory, input=True
        )
        super().__init__(process, within=60)

    async def fill(self, services: Mapping[str, Places]) -> None:
        """Hold these services as well, and register all at the pace."""
        await self.order(do="hold", services={name: list(each) for name, each in services.items()})
        await self.order(do="fill")

    async def refill(self) -> None:
        """Register all at the pace; returns when that is done."""
        await self.order(do="fill")

    async def empty(self) -> None:
        """Deregister all; Nacos lists the services without instances for about a minute."""
        await self.order(do="empty")

    async def pace(self, first: float, last: float) -> None:
        """Register the first service so many seconds after a connection, and the last one."""
        await self.order(do="pace", first=float(first), last=float(last))

    async def set(self, service: str, places: Places) -> None:
        """Let a service have these instances instead, at once; waits for a connection."""
        await self.order(do="set", service=service, instances=list(places))

    async def settle(self) -> None:
        """Wait until all is registered on the newest connection."""
        await self.order(do="settle")
