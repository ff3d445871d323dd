"""A snapshot is made between updates, however the loop's turns fall."""

import asyncio
import itertools

import pytest
import structlog
from unit.runtime.examples import service

from meshbridge import Listing
from meshbridge.guard import Guard, GuardRules
from meshbridge.lane import Lane
from meshbridge.lane_surroundings import LaneSurroundings
from meshbridge.pipeline import Joint
from meshbridge.problems import Problems
from meshbridge.publish import Registry
from meshbridge.turns import SLICE, Turns


def listing(scope: str, count: int) -> Listing:
    """List so many services, named after their scope."""
    return Listing(scope, tuple(service(f"{scope}-{number}", 80) for number in range(count)))


async def sizes_seen(looks_per_slice: int, many: int) -> list[int]:
    """Return how many services each snapshot holds while one listing follows another at once.

    Each look at the clock takes a part of a slice: that and the size of the listing in the middle
    say at which points turns of the loop end.
    """
    ticks = itertools.count()
    turns = Turns(lambda: next(ticks) * SLICE / looks_per_slice)

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    problems = Problems()
    joint = Joint(lambda: True, problems, sleep)
    around = LaneSurroundings(
        lambda: 0.0, lambda: 1.5, sleep, structlog.get_logger(), problems, turns
    )
    lane = Lane(Registry("shop", 0), Guard(GuardRules()), joint, around)
    seen: list[int] = []

    async def look() -> None:
        snapshot = None
        while sum(seen[-1:]) < 1 + many + 12:
            snapshot = await joint.snapshots.after(snapshot)
            seen.append(len(snapshot.services))

    async with asyncio.TaskGroup() as tasks:
        endless, looking = tasks.create_task(joint.run()), tasks.create_task(look())
        for update in (listing("one", 1), listing("many", many), listing("few", 12)):
            await lane.work_off(update)
        assert lane.updated == dict.fromkeys(("one", "many", "few"), 1.5)
        await looking
        endless.cancel()
    return seen


@pytest.mark.parametrize("many", range(16, 40))
def test_no_snapshot_holds_a_part_of_a_listing(many: int) -> None:
    """Also when the next listing begins in the turn of the loop in which the last one ended."""
    for looks_per_slice in range(14, 22):
        seen = asyncio.run(sizes_seen(looks_per_slice, many))
        assert set(seen) <= {1, 1 + many, 1 + many + 12}
