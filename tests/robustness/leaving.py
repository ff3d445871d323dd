"""Registrants of whom some leave for good, and what a bridge and its subscriber make of that."""

import asyncio
import re
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

from robustness.bed import Bed, Instances
from robustness.findings import Bar
from robustness.registries import LATER, later
from robustness.test_registry_faults import taking

from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from meshbridge_xds.envoy.names import cluster_name
from rig.any_crowd import AnyCrowd
from rig.waiting import until

SERVICES: Final = 300
HOLD: Final = 30.0
"""Seconds of ``hold-service``, for which the last instance of a service is held."""
LEAVING: Final = 60
"""Services of those who do not come back: less than ``max-loss``."""


def crowd(count: int, name: str = "service") -> dict[str, Instances]:
    """Return services of that name with an instance each."""
    return {
        f"{name}-{number}": [(f"10.4.{number // 250}.{1 + number % 250}", 8080)]
        for number in range(count)
    }


@dataclass
class Followed(ABC):
    """A registry's bridge, and what a subscriber heard after its first answers."""

    bed: Bed
    heard: list[DeltaDiscoveryResponse]
    leaving: AnyCrowd
    """Who holds a few services of its own, ``leaving-0`` and so on."""

    @abstractmethod
    def host(self, service: str) -> str:
        """Return the host of a service."""

    async def held(self) -> float:
        """Return how many instances are held."""
        return await self.bed.metric("^meshbridge_registry_held_instances")

    async def shown(self, number: int) -> float:
        """Wait until ``later`` is served as after so many changes; return the seconds that took."""
        (_, port) = later(number)[0]

        async def look() -> bool:
            answer = await self.bed.get(f"/api/services/{self.host(LATER)}")
            return re.findall(r'"http-80": ?(\d+)', answer) == [str(port)]

        _, took = await until(look, bool, within=30)
        return took

    async def back(self) -> float:
        """Wait until nothing is held any more; return the seconds that took."""
        _, took = await until(self.held, lambda now: not now, within=30)
        return took

    def takes_nothing_away(self, it: Bar) -> None:
        """See that the subscriber heard of no loss."""
        it.none(f"of {len(self.heard)} responses, that take something away", [*taking(self.heard)])

    async def lost_nothing(self, it: Bar) -> None:
        """See that nothing is missing, and that nobody ever thought so."""
        it.at_most("held at the end", await self.held(), 0.0)
        self.takes_nothing_away(it)
        it.none("losses held", self.bed.bridge.events("loss held"))
        it.none("complaints in the bridge's log", self.bed.complaints())

    async def leave(self, it: Bar) -> None:
        """Let them leave, and see that they are held for a while, and dropped alone."""
        self.heard.clear()
        await self.leaving.process.kill()
        await until(self.held, lambda now: now == LEAVING, within=20)
        begun = time.monotonic()
        await until(self.held, lambda now: not now, within=HOLD + 15)
        took = time.monotonic() - begun
        it.at_least("seconds for which those who stay away are held", took, HOLD - 1, "s")
        it.at_most("seconds after which they are dropped", took, HOLD + 1, "s")
        await asyncio.sleep(1.0)
        dropped = {each.split()[0] for each in taking(self.heard)}
        wanted = {cluster_name(self.host(name), 80) for name in crowd(LEAVING, "leaving")}
        it.at_least("services of theirs that are dropped", len(dropped & wanted), LEAVING)
        it.none("services of others that are dropped", sorted(dropped - wanted))
        it.none("complaints in the bridge's log", self.bed.complaints())
