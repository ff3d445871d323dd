"""Bar 6 for Eureka, which knows no sessions: leases that end, and a bridge that sleeps too long."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from robustness.bed import Bed
from robustness.eureka import options
from robustness.findings import Bar
from robustness.leaving import LEAVING, SERVICES, Followed, crowd
from robustness.registries import LATER, later
from robustness.test_registry_faults import following

from meshbridge_xds.envoy.names import cluster_name
from rig import eureka_crowd
from rig.eureka import Eureka
from rig.eureka_crowd import EurekaCrowd
from rig.waiting import until

pytestmark = pytest.mark.asyncio
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


@dataclass
class FollowedEureka(Followed):
    """What a Eureka's bridge says."""

    server: Eureka
    crowd: EurekaCrowd

    def host(self, service: str) -> str:
        """Return the host of a service."""
        return eureka_crowd.host(service)


@asynccontextmanager
async def followed(directory: Path, *, lasts: int, renews: float) -> AsyncGenerator[FollowedEureka]:
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
            names = [
                cluster_name(eureka_crowd.host(name), 80) for name in (*services, *leaving, LATER)
            ]
            async with following(bed, names) as heard:
                yield FollowedEureka(bed, heard, leavers, server, staying)
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
                seconds.append(await m.shown(number))
                if number % 10 == 0:
                    it.say(f"{number} rounds, {seconds[-1]:.1f} s for the last one")
            it.void_unless(untold == ROUNDS, f"only {untold} changes were told no more")
            slowest = WHOLE + INTERVAL + 1
            what = f"slowest of {ROUNDS} changes that were missed"
            it.at_most(what, max(seconds), slowest, "s")
            await m.lost_nothing(it)


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
            it.at_most("from their return until nothing is held", await m.back(), INTERVAL + 1, "s")
            m.takes_nothing_away(it)
            await m.leave(it)
