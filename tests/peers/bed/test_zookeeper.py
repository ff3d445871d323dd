"""A real ZooKeeper keeps what was written, freezes, forgets, and does not mind another one."""

import re
from pathlib import Path

import pytest
from peers.conftest import unavailable

from meshbridge.testing import ProcessFailed
from rig.bed import Missing, versions
from rig.zookeeper import ZooKeeper

pytestmark = pytest.mark.asyncio


def make(directory: Path, *, name: str = "zookeeper", extended_types: bool = True) -> ZooKeeper:
    try:
        return ZooKeeper(directory, name=name, extended_types=extended_types)
    except Missing as missing:
        unavailable(missing)


async def nodes(server: ZooKeeper) -> int:
    found = re.search(r"Node count: (\d+)", await server.ask("srvr"))
    assert found
    return int(found[1])


async def test_what_was_written_outlives_a_crash_until_it_is_wiped(tmp_path: Path) -> None:
    async with make(tmp_path) as server:
        assert await server.version() == versions("maven")["zookeeper"]
        empty = await nodes(server)
        await server.shell("create", "-t", "600000", "/kept", "through the crash")
        await server.kill()
        await server.start()
        assert await nodes(server) == empty + 1
        assert "through the crash" in await server.shell("get", "/kept")
        await server.stop()
        assert server.process.exit_code == 143
        server.wipe()
        await server.start()
        assert await nodes(server) == empty


async def test_one_that_is_paused_answers_nobody_until_it_goes_on(tmp_path: Path) -> None:
    async with make(tmp_path) as server:
        server.pause()
        with pytest.raises(TimeoutError):
            await server.ask("ruok", within=1.0)
        assert not await server.is_up()
        server.resume()
        assert await server.ask("ruok", within=5.0) == "imok"


async def test_two_of_them_stand_side_by_side_and_each_is_as_it_was_told(tmp_path: Path) -> None:
    async with (
        make(tmp_path, name="one") as one,
        make(tmp_path, name="other", extended_types=False) as other,
    ):
        assert one.port != other.port
        assert "dataDir=" + str(tmp_path / "one" / "data") in await one.ask("conf")
        assert "dataDir=" + str(tmp_path / "other" / "data") in await other.ask("conf")
        with pytest.raises(ProcessFailed, match="Unimplemented for /brief"):
            await other.shell("create", "-t", "600000", "/brief", "a time to live")
