"""A real ZooKeeper's tree is read and followed; all that is told in the end is what it holds.

Each test runs with persistent watches and as if the server were older than 3.6.
"""

import asyncio
import random

import pytest
from peers.zookeeper_following import following, options, read_all

from meshbridge import RegistryUnavailable
from meshbridge.testing import FaultProxy, Reset
from rig.zookeeper import ZooKeeper
from rig.zookeeper_session import Session

pytestmark = pytest.mark.asyncio


@pytest.fixture
def chroot(request: pytest.FixtureRequest) -> str:
    """Return a path of the test's own."""
    return "/" + "".join(each if each.isalnum() else "-" for each in request.node.name)


either = pytest.mark.parametrize("single", [False, True], ids=["persistent", "single"])


@either
async def test_all_that_is_there_is_told_first(
    zookeeper: ZooKeeper, chroot: str, *, single: bool
) -> None:
    async with Session(zookeeper.address) as writer:
        for path in ("/dubbo/a/providers/1", "/dubbo/a/consumers", "/services/app/x"):
            await writer.write(f"{chroot}{path}", path.encode())
        chosen = options(zookeeper.address, chroot=chroot)
        async with following(chosen, single=single) as heard:
            await heard.is_whole()
            assert heard.tree == {
                "/dubbo/a": None,
                "/dubbo/a/providers": b"",
                "/dubbo/a/providers/1": b"/dubbo/a/providers/1",
                "/dubbo/a/consumers": b"/dubbo/a/consumers",
                "/services/app": None,
                "/services/app/x": b"/services/app/x",
            }


@either
async def test_roots_may_come_later_go_and_come_again(
    zookeeper: ZooKeeper, chroot: str, *, single: bool
) -> None:
    """Even the chroot is not there at first."""
    async with (
        Session(zookeeper.address) as writer,
        following(options(zookeeper.address, chroot=chroot), single=single) as heard,
    ):
        await heard.is_whole()
        assert heard.tree == {}
        for content in (b"one", b"two"):
            await writer.write(f"{chroot}/services/app/x", content)
            await heard.holds({"/services/app": None, "/services/app/x": content})
            for path in ("/services/app/x", "/services/app", "/services", ""):
                await writer.remove(f"{chroot}{path}")
            await heard.holds({})


@either
async def test_changes_are_told(zookeeper: ZooKeeper, chroot: str, *, single: bool) -> None:
    base = f"{chroot}/dubbo/a/providers"
    async with Session(zookeeper.address) as writer:
        await writer.write(f"{base}/1", b"one")
        async with following(options(zookeeper.address, chroot=chroot), single=single) as heard:
            await heard.is_whole()
            holds = {"/dubbo/a": None, "/dubbo/a/providers": b"", "/dubbo/a/providers/1": b"one"}
            await heard.holds(holds)
            await writer.write(f"{base}/2", b"two")
            await heard.holds(holds | {"/dubbo/a/providers/2": b"two"})
            await writer.write(f"{base}/2", b"three")
            await heard.holds(holds | {"/dubbo/a/providers/2": b"three"})
            await writer.remove(f"{base}/2")
            await heard.holds(holds)
            await writer.write(f"{chroot}/dubbo/b")
            await heard.holds(holds | {"/dubbo/b": None})


@either
async def test_a_storm_leaves_what_a_fresh_read_shows(
    zookeeper: ZooKeeper, chroot: str, *, single: bool
) -> None:
    """It begins before the reading does, and each node comes and goes several times."""
    chance = random.Random(chroot)  # noqa: S311 - to be repeated, not to be secret

    async def change(writer: Session, interface: str) -> None:
        """Write and remove nodes of one interface, sometimes all of it."""
        instances = [f"{interface}/providers/{number}" for number in range(5)]
        for _ in range(60):
            if chance.random() < 0.6:
                await writer.write(chance.choice(instances), chance.randbytes(3))
                continue
            removed = [chance.choice(instances)]
            if chance.random() < 0.3:
                removed = [*instances, f"{interface}/providers", interface]
            for path in removed:
                await writer.remove(path)

    async with Session(zookeeper.address) as writer, asyncio.TaskGroup() as tasks:
        interfaces = [f"{chroot}/dubbo/{number}" for number in range(20)]
        changes = [tasks.create_task(change(writer, interface)) for interface in interfaces]
        await asyncio.sleep(0.05)  # some of it has happened
        async with following(options(zookeeper.address, chroot=chroot), single=single) as heard:
            await asyncio.wait(changes)
            expected = await read_all(writer, chroot, ["/dubbo"])
            assert len(expected) > 20
            await heard.until(lambda: heard.tree.keys() == expected)


@either
async def test_what_is_told_is_said_to_be_one_state_even_if_changes_never_pause(
    zookeeper: ZooKeeper, chroot: str, *, single: bool
) -> None:
    async def write_on(writer: Session) -> None:
        for turn in range(1_000_000):
            await writer.write(f"{chroot}/services/app/x", str(turn).encode())

    async with Session(zookeeper.address) as writer, asyncio.TaskGroup() as tasks:
        writing = [tasks.create_task(write_on(writer)) for _ in range(5)]
        async with following(options(zookeeper.address, chroot=chroot), single=single) as heard:
            await heard.is_whole()
            seen = heard.settlings
            await heard.until(lambda: heard.settlings > seen + 3)
        for task in writing:
            task.cancel()


@either
async def test_nothing_is_left_of_fifty_connections_that_were_cut(
    zookeeper: ZooKeeper, chroot: str, *, single: bool
) -> None:
    """At any moment; what is left, the check of threads and descriptors finds."""
    async with Session(zookeeper.address) as writer:
        for number in range(50):
            await writer.write(f"{chroot}/dubbo/{number}/providers/1")
    async with FaultProxy("127.0.0.1", zookeeper.port) as proxy:
        chosen = options(proxy.address, chroot=chroot)
        for turn in range(50):
            async with following(chosen, single=single) as heard:
                await proxy.inject(Reset(after=turn * 60))
                assert isinstance(await heard.end(), RegistryUnavailable)
            await proxy.mend()
        async with following(chosen, single=single) as heard:
            await heard.is_whole()
            assert len(heard.tree) == 150
