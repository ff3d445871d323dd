"""The law of watching, for all seeds: what is told in the end is what a fresh reading tells."""

from collections.abc import Callable
from pathlib import Path

import pytest
from peers.zookeeper_watch_law import CHANGES, SERVICES, SOON, Estate, hold_to_the_law
from robustness.findings import Bar

from rig.zookeeper import ZooKeeper
from rig.zookeeper_session import Session

pytestmark = pytest.mark.asyncio
SEEDS = 50


async def test_after_every_burst_with_cut_connections_what_is_told_is_what_there_is(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """6,000 changes over 2,000 services each time, with the connection cut at random moments."""
    with bar("watch law of ZooKeeper") as it:
        async with ZooKeeper(tmp_path) as server, Session(server.address) as session:
            estate = Estate(session, "/law")
            await estate.fill(SERVICES)
            cuts, behind = 0, list[float]()
            for seed in range(SEEDS):
                burst = await hold_to_the_law(estate, server.port, seed)
                cuts += burst.cuts
                behind.append(burst.behind)
                if seed % 10 == 9:
                    it.say(f"{seed + 1} seeds, {cuts} cuts")
            it.void_unless(cuts > SEEDS, f"{cuts} cuts only")
            it.at_least(f"seeds of {CHANGES:,} changes that ended in the truth", len(behind), SEEDS)
            it.at_most("slowest to tell it after the last change", max(behind), SOON, "s")
