"""Thousands of services whose instances live in a Eureka as its clients do, in one process."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from meshbridge.testing.process import Process
from rig.obedient import Obedient

MAIN = Path(__file__).with_name("eureka_crowd_main.py")
RENEWS = 14.0
"""Seconds in which everyone renews its lease once; 30 where nobody says otherwise."""
LASTS = 90
"""Seconds that a lease lasts, twice as long once it was renewed."""

Places = Sequence[tuple[str, int]]
"""Where the instances of a service are."""


def host(service: str) -> str:
    """Return the host of a service of the crowd."""
    return f"{service}.eureka"


class EurekaCrowd(Obedient):
    """Instances of many services, each of which renews its lease in a turn of its own.

    One whose lease the server does not know registers again there and then, and one that does not
    reach the server waits for its next turn: so after a restart they come back evenly within
    ``renews`` seconds. While it is paused nobody renews and nobody comes back.
    """

    def __init__(
        self,
        server: str,
        directory: Path,
        *,
        name: str = "crowd",
        renews: float = RENEWS,
        lasts: int = LASTS,
    ) -> None:
        """Describe it; ``server`` is ``host:port``."""
        process = Process(
            name,
            [sys.executable, MAIN, server, str(renews), str(lasts)],
            directory=directory,
            input=True,
        )
        super().__init__(process, within=120)

    async def fill(self, services: Mapping[str, Places]) -> None:
        """Hold these services as well, and register all at the pace."""
        told = {name: list(places) for name, places in services.items()}
        await self.order(do="hold", services=told)
        await self.refill()

    async def refill(self) -> None:
        """Register all at the pace; returns when that is done."""
        await self.order(do="fill")

    async def empty(self) -> None:
        """Deregister all, who do not come back before they are told to."""
        await self.order(do="empty")

    async def pace(self, first: float, last: float) -> None:
        """Register the first service so many seconds after one is told to, and the last one."""
        await self.order(do="pace", first=float(first), last=float(last))

    async def set(self, service: str, places: Places) -> None:
        """Let a service have these instances instead, at once; waits for the server."""
        await self.order(do="set", service=service, instances=list(places))

    async def settle(self) -> None:
        """Wait until the server lists all."""
        await self.order(do="settle")
