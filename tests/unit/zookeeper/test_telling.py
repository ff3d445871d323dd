"""All is listed at first with what belongs to it, and nobody is waited for without end."""

import asyncio

import pytest
import structlog
from unit.zookeeper.trees import Registry, captured

from meshbridge import Context, Listing
from meshbridge.testing import Recorder
from meshbridge_zookeeper_dubbo.telling import PATIENCE, Telling

pytestmark = pytest.mark.asyncio

GREETER = "meshbridge.peers.Greeter"


class Listed:
    """What is listed of a tree whose only instance must be asked."""

    def __init__(self) -> None:
        self.registry = Registry(dials=True)
        self.registry.tree = captured("dubbo3-instance")
        self.told: list[object] = []
        self.pauses: list[float] = []
        self.late = asyncio.Event()
        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        context = Context(lambda: 0.0, self.sleep, Recorder().report, logger)
        self.telling = Telling("/", self.registry.holdings, context, self.told.append)
        for root in self.registry.roots.all:
            self.registry.tell(root)
        self.telling.settled()

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.late.wait()

    async def listing(self, task: asyncio.Task[None]) -> dict[str, int]:
        """Return how many instances each service has in the first listing."""
        async with asyncio.timeout(5):
            await task
        (listing,) = self.told
        assert isinstance(listing, Listing)
        return {str(each.id): len(each.instances) for each in listing.services}

    async def listed(self) -> asyncio.Task[None]:
        """Begin to list, and wait until it waits."""
        wanted = asyncio.Event()

        def fetch() -> None:
            wanted.set()
            if self.registry.define():
                self.telling.look()

        task = asyncio.create_task(self.telling.list_all(fetch, after_gap=False))
        await wanted.wait()
        await asyncio.sleep(0)
        assert (self.told, self.pauses) == ([], [PATIENCE])
        return task


async def test_who_must_be_asked_is_waited_for() -> None:
    it = Listed()
    task = await it.listed()
    applications = it.registry.holdings.applications
    applications.fail(("provider", next(iter(applications.revisions.unasked))[1]), "no")
    it.telling.look()
    assert await it.listing(task) == {GREETER: 2, "meshbridge.peers.Stock": 2, "provider": 1}


async def test_who_does_not_answer_in_time_is_listed_as_far_as_is_known() -> None:
    it = Listed()
    task = await it.listed()
    it.late.set()
    assert (await it.listing(task))[GREETER] == 2


async def test_whoever_is_cancelled_meanwhile_leaves_nothing_behind() -> None:
    it = Listed()
    task = await it.listed()
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1
