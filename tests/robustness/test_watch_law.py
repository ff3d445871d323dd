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
TOGETHER = 10
"""Seeds in one test, so that none takes longer than one may."""


@pytest.mark.parametrize("first", range(0, SEEDS, TOGETHER))
async def test_after_every_burst_with_cut_connections_what_is_told_is_what_there_is(
    first: int, tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """6,000 changes over 2,000 services each time, with the connection cut at random moments."""
    last = first + TOGETHER - 1
    with bar(f"watch law of ZooKeeper, seeds {first} to {last}") as it:
        async with ZooKeeper(tmp_path) as server, Session(server.address) as session:
            estate = Estate(session, "/law")
            await estate.fill(SERVICES)
            cuts, behind = 0, list[float]()
            for seed in range(first, last + 1):
                burst = await hold_to_the_law(estate, server.port, seed)
                cuts += burst.cuts
                behind.append(burst.behind)
            it.void_unless(cuts > TOGETHER, f"{cuts} cuts only")
            what = f"seeds of {CHANGES:,} changes, {cuts} cuts, that ended in the truth"
            it.at_least(what, len(behind), TOGETHER)
            it.at_most("slowest to tell it after the last change", max(behind), SOON, "s")
