"""Thousands of services whose instances one process holds in a registry, and brings back slowly."""

from collections.abc import Mapping, Sequence

from rig.obedient import Obedient

Places = Sequence[tuple[str, int]]
"""Where the instances of a service are."""


class AnyCrowd(Obedient):
    """Instances of many services, of whatever kind the registry is.

    They come back after an outage, spread over the seconds that :meth:`pace` said; while the
    process is paused nothing comes back.
    """

    async def fill(self, services: Mapping[str, Places]) -> None:
        """Hold these services as well, and register all at the pace."""
        told = {name: self.told(name, places) for name, places in services.items()}
        await self.order(do="hold", services=told)
        await self.refill()

    async def refill(self) -> None:
        """Register all at the pace; returns when that is done."""
        await self.order(do="fill")

    async def empty(self) -> None:
        """Deregister all; what becomes of the services is the registry's business."""
        await self.order(do="empty")

    async def pace(self, first: float, last: float) -> None:
        """Register the first service so many seconds after it may begin to, and the last one."""
        await self.order(do="pace", first=float(first), last=float(last))

    async def set(self, service: str, places: Places) -> None:
        """Let a service have these instances instead, at once; waits for the server."""
        await self.order(do="set", service=service, instances=self.told(service, places))

    async def settle(self) -> None:
        """Wait until all that it holds is registered."""
        await self.order(do="settle")

    def told(self, service: str, places: Places) -> Sequence[tuple[str, object]]:
        """Return how the process is told of a service's instances."""
        del service
        return list(places)
