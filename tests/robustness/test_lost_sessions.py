"""Bar 6: a session that ends, the bridge's own or a provider's, is no news about services."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from robustness.bed import Bed
from robustness.findings import Bar
from robustness.leaving import LEAVING, SERVICES, Followed, crowd
from robustness.registries import LATER
from robustness.test_registry_faults import following
from robustness.zookeeper import ZooKeeperUnderTest, zookeeper

from meshbridge_xds.envoy.names import cluster_name
from rig.waiting import until
from rig.zookeeper_crowd import ZooKeeperCrowd

pytestmark = pytest.mark.asyncio
ROUNDS = 50
BRIEF = 1.0
"""Seconds that the bridge's session lasts while it is stopped again and again."""
RECOVERY = 5.0
"""Seconds after the bridge goes on in which a change shows that it has missed."""
BACK = (1.0, 8.0)
"""Seconds in which the providers that lost their sessions register again: less than that."""


@dataclass
class FollowedZooKeeper(Followed):
    """What a ZooKeeper's bridge says."""

    registry: ZooKeeperUnderTest

    def host(self, service: str) -> str:
        """Return the host of a service."""
        return self.registry.host(service)

    async def session(self) -> str:
        """Return the bridge's session as ZooKeeper knows it; empty while it has none.

        Its proxy is of this process, and nothing else here calls ZooKeeper. The number of sessions
        would not do: on a slow machine others lose theirs, too.
        """
        calling = {
            each.laddr.port
            for each in psutil.Process().net_connections("tcp")
            if getattr(each.raddr, "port", 0) == self.registry.server.port
        }
        dump = await self.registry.server.ask("cons", within=5)
        known = re.findall(r"^ /[\d.]+:(\d+)\[.*\bsid=(0x[0-9a-f]+)", dump, re.MULTILINE)
        return next((session for port, session in known if int(port) in calling), "")


@asynccontextmanager
async def followed(directory: Path, session: float) -> AsyncGenerator[FollowedZooKeeper]:
    """Start it all; the bridge's session lasts as long as is said."""
    services, leaving = crowd(SERVICES), crowd(LEAVING, "leaving")
    async with (
        zookeeper(directory, services) as registry,
        ZooKeeperCrowd(registry.server.address, directory, name="leavers", lasts=BRIEF) as leavers,
    ):
        await leavers.fill(leaving)
        bed = Bed(directory, registry={**registry.options, "session-timeout": f"{session:g}s"})
        async with bed.bridge:
            await bed.bridge.process.ready(bed.is_ready, within=90)
            everyone = (*services, *leaving, LATER)
            names = [cluster_name(registry.host(name), 80) for name in everyone]
            async with following(bed, names) as heard:
                yield FollowedZooKeeper(bed, heard, leavers, registry)
            bed.must_run()


async def test_a_bridge_that_lost_its_session_shows_what_it_missed_and_drops_nothing(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """It is stopped for longer than its session lasts, and goes on."""
    with bar("6, the bridge's session expires") as it:
        chance = it.chance()
        async with followed(tmp_path, BRIEF) as m:
            lost, seconds = set[str](), list[float]()
            for number in range(1, ROUNDS + 1):
                own, _ = await until(m.session, bool, within=10)
                m.bed.bridge.process.pause()
                try:
                    await m.registry.change()
                    await until(m.session, lambda now: now != own, within=10)  # noqa: B023
                    await asyncio.sleep(chance.uniform(0, 0.5))
                finally:
                    m.bed.bridge.process.resume()
                seconds.append(await m.shown(number))
                lost.add(own)
                if number % 10 == 0:
                    it.say(f"{number} rounds, {seconds[-1]:.1f} s for the last one")
            it.void_unless(len(lost) == ROUNDS, f"{len(lost)} sessions were lost only")
            it.at_most(f"slowest of {ROUNDS} changes that were missed", max(seconds), RECOVERY, "s")
            await m.lost_nothing(it)


async def test_providers_whose_sessions_flap_are_not_dropped_and_those_who_stay_away_are(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """All ephemeral nodes go at once; some registrants come back, others never do."""
    with bar("6, the providers' sessions flap") as it:
        async with followed(tmp_path, 10.0) as m:
            await m.registry.crowd.pace(*BACK)
            await m.registry.crowd.flap()
            held, _ = await until(m.held, bool, within=10)
            it.void_unless(held, "nothing was missing")
            await m.registry.crowd.settle()
            it.at_most("from their return until nothing is held", await m.back(), 2.0, "s")
            m.takes_nothing_away(it)
            await m.leave(it)
