"""All is listed at first with what belongs to it, and nobody is waited for without end."""

import asyncio

import pytest
import structlog
from unit.zookeeper.pieces import listing, url
from unit.zookeeper.trees import Registry, Tree, captured

from meshbridge import Context, Listing, Removed
from meshbridge.testing import Recorder, context
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
        self.telling = Telling("/", self.registry.holdings, context, self.told.append, ())
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


@pytest.mark.parametrize(
    ("tree", "chosen", "missed"),
    [
        ({}, (), ["root dubbo", "root services"]),
        ({"/dubbo": b"", "/services": b""}, (), ["root dubbo", "root services"]),
        (listing(url(1)), (), []),
        (listing(url(1)), ("/dubbo", "/services"), ["root services"]),
        (listing(url(1)), ("/dubbo",), []),
    ],
)
async def test_roots_below_which_nothing_stands_are_named(
    tree: Tree, chosen: tuple[str, ...], missed: list[str]
) -> None:
    """Those read by default only where nothing stands below any; most estates use one of them."""
    told, recorder = await first_listing(tree, chosen)
    assert [str(each) for each in told.unreadable] == missed
    assert [str(each.subject) for each in recorder.reports] == missed
    assert all("is not there" in each.reason for each in recorder.reports)


async def test_a_root_is_missed_no_longer_once_something_stands_below_it() -> None:
    registry, recorder = Registry(), Recorder()
    telling = Telling("/", registry.holdings, context(recorder.report), recorder.emit, ("/dubbo",))
    async with asyncio.TaskGroup() as tasks:
        for root in registry.roots.all:
            registry.tell(root)
        telling.settled()
        await telling.list_all(telling.look, after_gap=False)
        following = tasks.create_task(telling.keep_telling(telling.look))
        registry.tree = listing(url(1))
        registry.tell("/dubbo")
        telling.settled()
        await recorder.until(lambda: len(recorder.updates) > 1, 5, "an update")
        following.cancel()
    gone = [each for each in recorder.updates if isinstance(each, Removed)]
    assert [str(each.service_id) for each in gone] == ["root dubbo"]


async def first_listing(tree: Tree, chosen: tuple[str, ...]) -> tuple[Listing, Recorder]:
    """Return what is listed of a tree at first, and what is reported."""
    registry, recorder = Registry(), Recorder()
    registry.tree = tree
    telling = Telling("/", registry.holdings, context(recorder.report), recorder.emit, chosen)
    for root in registry.roots.all:
        registry.tell(root)
    telling.settled()
    async with asyncio.timeout(5):
        await telling.list_all(telling.look, after_gap=False)
    (listed,) = recorder.updates
    assert isinstance(listed, Listing)
    return listed, recorder
