"""A crowd of registrants comes back to a real ZooKeeper as Dubbo with Curator does."""

import asyncio
import re
import shutil
import time
from pathlib import Path

import pytest
from peers.conftest import make_zookeeper

from rig.waiting import until
from rig.zookeeper import ZooKeeper
from rig.zookeeper_crowd import ZooKeeperCrowd

pytestmark = pytest.mark.asyncio

LASTS = 9.0
"""Seconds that a session of these crowds lasts: more than ZooKeeper may take to be back."""
SERVICES = {f"service-{number}": [("10.1.0.1", 8000 + number)] for number in range(100)}
SERVICES["pair"] = [("10.1.0.2", 8000), ("10.1.0.3", 8000)]
ALL = len(SERVICES) + 1


@pytest.fixture
def server(tmp_path: Path) -> ZooKeeper:
    return make_zookeeper(tmp_path)


async def held(server: ZooKeeper) -> dict[str, str]:
    """Return the ephemeral nodes with the number of the session that holds them."""
    try:
        dump = await server.ask("dump")
    except OSError:
        return {}
    owner, found = "", dict[str, str]()
    for line in dump.partition("Sessions with Ephemerals")[2].splitlines():
        if session := re.match(r"(0x[0-9a-f]+):", line):
            owner = session[1]
        elif line.startswith("\t/"):
            found[line.strip()] = owner
    return found


async def there(server: ZooKeeper, *, within: float) -> dict[str, str]:
    """Wait until all is there."""
    found, _ = await until(lambda: held(server), lambda seen: len(seen) == ALL, within=within)
    return found


async def test_a_crowd_goes_on_with_its_sessions_after_a_restart_and_begins_new_ones_after_a_wipe(
    server: ZooKeeper, tmp_path: Path
) -> None:
    """A client that has seen more than the server knows is refused until it begins anew."""
    async with server, ZooKeeperCrowd(server.address, tmp_path, lasts=LASTS) as crowd:
        await crowd.fill(SERVICES)
        first = await there(server, within=10)
        assert len({*first.values()}) == 8, "applications have sessions of their own"
        pair = [owner for path, owner in first.items() if "/pair/" in path]
        assert len({*pair}) == 2, "instances are of different applications"
        assert sum("/services/" in path for path in first) == 10

        await server.kill()
        await server.start()
        await crowd.settle()
        assert await held(server) == first

        killed = time.monotonic()
        await server.kill()
        server.wipe()
        await server.start()
        assert await held(server) == {}
        second = await there(server, within=LASTS + 10)
        assert time.monotonic() - killed > LASTS / 2
        assert second.keys() == first.keys()


async def test_a_crowd_comes_back_to_an_older_state_and_replaces_what_it_left_there(
    server: ZooKeeper, tmp_path: Path
) -> None:
    async with server, ZooKeeperCrowd(server.address, tmp_path, lasts=LASTS) as crowd:
        half = dict(list(SERVICES.items())[:50])
        await crowd.fill(half)
        older = tmp_path / "older"
        await server.stop()
        shutil.copytree(server.home, older)
        await server.start()
        await crowd.settle()
        await crowd.fill(SERVICES)
        newest = await there(server, within=10)

        await server.kill()
        server.wipe()
        shutil.copytree(older, server.home)
        await server.start()
        assert len(await held(server)) == 50
        back = await there(server, within=LASTS + 10)
        await crowd.settle()
    assert back.keys() == newest.keys()
    assert not {*back.values()} & {*newest.values()}


async def test_a_crowd_comes_back_at_its_pace_when_its_sessions_end(
    server: ZooKeeper, tmp_path: Path
) -> None:
    async with server, ZooKeeperCrowd(server.address, tmp_path, lasts=LASTS) as crowd:
        await crowd.fill(SERVICES)
        await crowd.set("pair", [("10.1.0.9", 8000), ("10.1.0.3", 8000)])
        first = await there(server, within=10)
        assert sum("10.1.0.9" in path for path in first) == 1
        await crowd.pace(2.0, 3.0)
        begun = time.monotonic()
        await crowd.flap()
        await until(lambda: held(server), lambda seen: not seen, within=5)
        await crowd.settle()
        assert 2.5 < time.monotonic() - begun < 7.5
        assert (await held(server)).keys() == first.keys()
        crowd.process.pause()
        await until(lambda: held(server), lambda seen: not seen, within=LASTS + 5)
        crowd.process.resume()
        await asyncio.sleep(0)
        await there(server, within=LASTS + 10)
