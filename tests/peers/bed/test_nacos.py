"""A real Nacos of either release keeps what is persistent, freezes, and forgets."""

import asyncio
from pathlib import Path

import pytest
from peers.conftest import make_nacos

from rig.bed import versions
from rig.nacos import Nacos
from rig.waiting import until

pytestmark = pytest.mark.asyncio

KEPT = ("kept", "10.1.0.1", 8080)
BRIEF = ("brief", "10.1.0.2", 8080)


async def metadata(server: Nacos, service: str) -> list[dict[str, str]]:
    return [each["metadata"] for each in await server.instances(service)]


async def lives_until_it_is_wiped(server: Nacos) -> None:
    """Let it crash with a persistent and an ephemeral instance, then forget both."""
    await server.register(*KEPT, metadata={"version": "v1"})
    await server.register(*BRIEF, ephemeral=True)
    await server.update(*KEPT, metadata='{"zone": "z1"}')
    both = [{"version": "v1", "zone": "z1"}]
    await until(lambda: metadata(server, "kept"), lambda found: found == both, within=10)
    await until(lambda: metadata(server, "brief"), lambda found: found == [{}], within=10)

    server.pause()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await server.instances("kept")
    server.resume()
    assert await metadata(server, "kept") == both

    await server.kill()
    await server.start()
    await until(lambda: metadata(server, "kept"), lambda found: found == both, within=10)
    assert await metadata(server, "brief") == []
    await server.stop()
    assert server.process.exit_code == 143
    server.wipe()
    assert not server.home.exists()


async def test_release_2_keeps_persistent_instances_until_it_is_wiped(tmp_path: Path) -> None:
    async with make_nacos(tmp_path, release=2) as server:
        assert await server.version() == versions("maven")["nacos2"]
        await lives_until_it_is_wiped(server)
        await server.start()
        assert await metadata(server, "kept") == []


async def test_release_3_keeps_persistent_instances_in_what_is_wiped(tmp_path: Path) -> None:
    """Its start is slow: that nothing is left is seen in its home, not from a third one."""
    async with make_nacos(tmp_path, release=3) as server:
        assert await server.version() == versions("maven")["nacos3"]
        await lives_until_it_is_wiped(server)
