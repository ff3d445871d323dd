"""Bar 6 for Eureka, which knows no sessions: leases that end, and a bridge that sleeps too long."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from robustness.bed import Bed, Instances
from robustness.eureka import options
from robustness.findings import Bar
from robustness.registries import LATER, later
from robustness.test_registry_faults import following, taking

from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from meshbridge_xds.envoy.names import cluster_name
from rig.eureka import Eureka
from rig.eureka_crowd import EurekaCrowd, host
from rig.waiting import until

pytestmark = pytest.mark.asyncio
SERVICES = 300
ROUNDS = 30
TOLD = 2.0
"""Seconds for which a change is told here; 180 where nobody says otherwise."""
FORGETS = {
    "EUREKA_SERVER_RETENTIONTIMEINMSINDELTAQUEUE": f"{TOLD * 1000:.0f}",
    "EUREKA_SERVER_DELTARETENTIONTIMERINTERVALINMS": "500",
}
"""Spring's words for that, in the server's environment."""
INTERVAL, WHOLE = 1.0, 5.0
"""Seconds between two deltas, and between two readings of everything."""
LASTS, RENEWS = 3, 2.0
"""Seconds of a lease, twice as long once renewed; and in which everyone renews his."""
HOLD = 30.0
"""Seconds of ``hold-service``, for which the last instance of a service is held."""
LEAVING = 60
"""Services of those who do not come back: less than ``max-loss``."""


@dataclass
class Followed:
    """A registry, its bridge, and what a subscriber heard after its first answers."""

    server: Eureka
    crowd: EurekaCrowd
    leaving: EurekaCrowd
    """Who holds a few services of its own."""
    bed: Bed
    heard: list[DeltaDiscoveryResponse]

    async def held(self) -> float:
        """Return how many instances are held."""
        return await self.bed.metric("^meshbridge_registry_held_instances")

    async def shows(self, port: int) -> bool:
        """Whether ``later`` is served with an instance at this port, and no other."""
        answer = await self.bed.get(f"/api/services/{host(LATER)}")
        return re.findall(r'"http-80": ?(\d+)', answer) == [str(port)]


def crowd(count: int, name: str = "service") -> dict[str, Instances]:
    """Return services of that name with an instance each."""
    return {
        f"{name}-{number}": [(f"10.4.{number // 250}.{1 + number % 250}", 8080)]
        for number in range(count)
    }


@asynccontextmanager
async def followed(directory: Path, *, lasts: int, renews: float) -> AsyncGenerator[Followed]:
    """Start it all; all leases last as long as is said."""
    services, leaving = crowd(SERVICES), crowd(LEAVING, "leaving")
    async with (
        Eureka(directory) as server,
        EurekaCrowd(server.address, directory, renews=renews, lasts=lasts) as staying,
        EurekaCrowd(server.address, directory, name="leavers", renews=0.5, lasts=1) as leavers,
    ):
        await staying.fill({**services, LATER: later(0)})
        await leavers.fill(leaving)
        registry = {
            **options(server.address, INTERVAL),
            "full-interval": f"{WHOLE:g}s",
            "guard": {"settle": "10s"},
        }
        bed = Bed(directory, registry=registry)
        async with bed.bridge:
            await bed.bridge.process.ready(bed.is_ready, within=90)
            names = [cluster_name(host(name), 80) for name in (*services, *leaving, LATER)]
            async with following(bed, names) as heard:
                yield Followed(server, staying, leavers, bed, heard)
            bed.must_run()


async def test_a_bridge_that_slept_longer_than_changes_are_told_shows_what_it_missed(
    tmp_path: Path, bar: Callable[[str], Bar], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One instance takes the place of another, of which Eureka's hash says nothing."""
    for name, value in FORGETS.items():
        monkeypatch.setenv(name, value)
    with bar("6, the bridge sleeps longer than changes are told") as it:
        chance = it.chance()
        async with followed(tmp_path, lasts=90, renews=14.0) as m:
            seconds, untold = list[float](), 0
            for number in range(1, ROUNDS + 1):
                m.bed.bridge.process.pause()
                try:
                    await m.crowd.set(LATER, later(number))
                    await asyncio.sleep(TOLD + chance.uniform(0.6, 1.6))
                    untold += LATER.upper() not in await m.server.delta()
                finally:
                    m.bed.bridge.process.resume()
                (_, port) = later(number)[0]
                _, took = await until(lambda: m.shows(port), bool, within=30)  # noqa: B023
                seconds.append(took)
                if number % 10 == 0:
                    it.say(f"{number} rounds, {took:.1f} s for the last one")
            it.void_unless(untold == ROUNDS, f"only {untold} changes were told no more")
            slowest = WHOLE + INTERVAL + 1
            what = f"slowest of {ROUNDS} changes that were missed"
            it.at_most(what, max(seconds), slowest, "s")
            it.at_most("held at the end", await m.held(), 0.0)
            it.none(f"of {len(m.heard)} responses, that take something away", [*taking(m.heard)])
            it.none("losses held", m.bed.bridge.events("loss held"))
            it.none("complaints in the bridge's log", m.bed.complaints())


async def test_who_lost_his_lease_is_not_dropped_if_he_returns_and_is_if_he_does_not(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Eureka evicts those who do not renew; some register again, others never do."""
    with bar("6, leases end") as it:
        async with followed(tmp_path, lasts=LASTS, renews=RENEWS) as m:
            m.crowd.process.pause()
            try:
                held, _ = await until(m.held, lambda now: now > SERVICES / 3, within=30)
            finally:
                m.crowd.process.resume()
            it.at_least("held while their leases are over", int(held), SERVICES // 3)
            await m.crowd.settle()
            _, took = await until(m.held, lambda now: not now, within=30)
            it.at_most("from their return until nothing is held", took, INTERVAL + 1, "s")
            it.none(f"of {len(m.heard)} responses, that take something away", [*taking(m.heard)])

            m.heard.clear()
            await m.leaving.process.kill()
            await until(m.held, lambda now: now == LEAVING, within=20)
            begun = time.monotonic()
            await until(m.held, lambda now: not now, within=HOLD + 15)
            took = time.monotonic() - begun
            it.at_least("seconds for which those who stay away are held", took, HOLD - 1, "s")
            it.at_most("seconds after which they are dropped", took, HOLD + 1, "s")
            await asyncio.sleep(1.0)
            dropped = {each.split()[0] for each in taking(m.heard)}
            wanted = {cluster_name(host(name), 80) for name in crowd(LEAVING, "leaving")}
            it.at_least("services of theirs that are dropped", len(dropped & wanted), LEAVING)
            it.none("services of others that are dropped", sorted(dropped - wanted))
            it.none("complaints in the bridge's log", m.bed.complaints())
