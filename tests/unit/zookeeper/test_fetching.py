"""What revisions export is asked for once each, beside all else, and again when it fails."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc
import pytest
import structlog
from unit.zookeeper.scripted_instance import REPLY, Scripted, scripted
from unit.zookeeper.trees import Registry, Tree, captured

from meshbridge import Context
from meshbridge.testing import Recorder
from meshbridge_zookeeper_dubbo import Options
from meshbridge_zookeeper_dubbo.fetching import Fetching

pytestmark = pytest.mark.asyncio

KIND = captured("dubbo3-instance")["/services/provider/10.99.0.1:20010"]


def node(it: Scripted, name: str, revision: str = "r1") -> Tree:
    """Return an instance's node that names the stand-in as its metadata service."""
    data = KIND.replace(b'\\"port\\":\\"20020\\"', b'\\"port\\":\\"%d\\"' % it.port)
    data = data.replace(b"10.99.0.1", b"127.0.0.1").replace(b"127.0.0.1:20010", name.encode())
    before, _, rest = data.partition(b'"dubbo.metadata.revision":"')
    _, _, rest = rest.partition(b'"')
    told = b'%s"dubbo.metadata.revision":"%s"%s' % (before, revision.encode(), rest)
    return {f"/services/shop/{name}": told}


class Fetched:
    """A registry, and what is fetched for it."""

    def __init__(self, tree: Tree) -> None:
        self.registry = Registry(dials=True).read(tree)
        self.pauses: list[float] = []
        self.waits = asyncio.Event()
        """Set once it waits to try again."""
        self.again = asyncio.Event()
        """Ends that."""
        self._news = asyncio.Semaphore(0)

    async def news(self) -> None:
        """Wait until one more thing has become known or has failed, and take what is to be said."""
        await self._news.acquire()
        self.registry.say()

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.waits.set()
        await self.again.wait()
        self.again.clear()

    def fetching(self) -> Fetching:
        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        context = Context(lambda: 0.0, self.sleep, Recorder().report, logger)
        options = Options.model_validate({"servers": ["127.0.0.1:1"], "dial-instances": True})
        applications = self.registry.holdings.applications
        done = self._news.release
        return Fetching(applications, self.registry.roots, options, context, done, lambda: 0.5)


@asynccontextmanager
async def fetching(tree: Tree) -> AsyncGenerator[Fetched]:
    fetched = Fetched(tree)
    task = asyncio.create_task(fetched.fetching().run())
    try:
        yield fetched
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_all_instances_of_a_revision_are_known_by_one_question() -> None:
    async with scripted() as it:
        tree = node(it, "a") | node(it, "b") | node(it, "c")
        async with fetching(tree) as fetched:
            await fetched.news()
            assert len(it.asked) == 1
            assert len(fetched.registry["a.B"].instances) == 1  # all three have one address here
            assert fetched.registry.reports == []


async def test_each_revision_is_asked_for_by_itself() -> None:
    async with (
        scripted() as it,
        scripted(REPLY.replace(b"r1", b"r2")) as other,
        fetching(node(it, "a") | node(other, "b", "r2")) as fetched,
    ):
        await fetched.news()
        await fetched.news()
        assert (len(it.asked), len(other.asked)) == (1, 1)


async def test_what_fails_is_reported_and_tried_again_ever_later() -> None:
    async with (
        scripted(grpc.StatusCode.UNIMPLEMENTED) as it,
        fetching(node(it, "a")) as fetched,
    ):
        for turn in range(3):
            await fetched.waits.wait()
            fetched.waits.clear()
            await fetched.news()
            (fault,) = fetched.registry.reports
            assert "it cannot" in fault.reason
            it.answer = REPLY if turn == 2 else it.answer
            fetched.again.set()
        await fetched.news()
        assert fetched.pauses == [1.0, 2.0, 4.0]
        assert fetched.registry.shown()["a.B"]
        assert not any(fetched.registry.unreadable.values())


async def test_what_a_registry_that_is_away_holds_is_tried_again() -> None:
    remote = node(Scripted(1), "a")
    path, data = next(iter(remote.items()))
    tree = {path: data.replace(b'storage-type":"local', b'storage-type":"remote')}
    async with fetching({}) as nothing:
        assert nothing.pauses == []
    fetched = Fetched({})
    fetched.registry.tree = tree
    for root in fetched.registry.roots.all:
        fetched.registry.tell(root)
    fetched.registry.holdings.settled()
    assert list(fetched.registry.holdings.take())
    task = asyncio.create_task(fetched.fetching().run())
    await fetched.waits.wait()
    task.cancel()
    await asyncio.wait([task])
    failures = fetched.registry.holdings.applications.revisions.failures
    assert "127.0.0.1:1" in failures["shop", "r1"]
