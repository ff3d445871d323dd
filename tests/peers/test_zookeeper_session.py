"""A connection to a real ZooKeeper: who gets in, what ends it, and that nothing is left of it."""

import asyncio
import base64
import hashlib
import struct
import time
from pathlib import Path

import pytest
import structlog
from aiohttp import web
from peers.conftest import make_zookeeper
from peers.zookeeper_following import following, options

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.testing import Corrupt, Direction, FaultProxy, Hang
from meshbridge_zookeeper_dubbo import reading
from meshbridge_zookeeper_dubbo.session import connected
from rig.ports import free_port
from rig.zookeeper import ZooKeeper
from rig.zookeeper_session import Session

pytestmark = pytest.mark.asyncio

PASSWORD = "hunter2"  # noqa: S105 - nobody's


async def test_the_end_of_the_server_is_noticed_at_once(tmp_path: Path) -> None:
    async with make_zookeeper(tmp_path) as server, Session(server.address) as writer:
        await writer.write("/dubbo/a")
        async with following(options(server.address)) as heard:
            await heard.is_whole()
            await server.kill()
            began = time.monotonic()
            error = await heard.end()
            assert time.monotonic() - began < 1
            assert isinstance(error, RegistryUnavailable)
            assert str(error).startswith(f"{server.address}: ")
        async with following(options(server.address)) as heard:
            assert "Connection refused" in str(await heard.end())
        await server.start()
        async with following(options(server.address)) as heard:
            await heard.is_whole()
            assert heard.tree == {"/dubbo/a": None}


async def test_a_silent_server_is_given_up_within_two_thirds_of_the_session(tmp_path: Path) -> None:
    async with make_zookeeper(tmp_path) as server:
        async with following(options(server.address, **{"session-timeout": "3s"})) as heard:
            await heard.is_whole()
            server.pause()
            began = time.monotonic()
            assert isinstance(await heard.end(), RegistryUnavailable)
            assert time.monotonic() - began < 2.6  # and half a second to say farewell
        server.resume()


async def test_a_silent_server_is_left_quickly(tmp_path: Path) -> None:
    async with make_zookeeper(tmp_path) as server:
        async with following(options(server.address)) as heard:
            await heard.is_whole()
            server.pause()
            began = time.monotonic()
        assert time.monotonic() - began < 1
        server.resume()


async def test_a_root_that_may_not_be_read_is_a_refusal(zookeeper: ZooKeeper) -> None:
    await zookeeper.shell("create", "/guarded")
    await zookeeper.shell("create", "/guarded/root", "", digest_acl("bridge"))
    user = {"username": "bridge", "interface-roots": ["/guarded/root"]}
    for fields, reason in (
        ({"interface-roots": ["/guarded/root"]}, "/guarded/root may not be read; set username"),
        (user | {"password": "wrong"}, "/guarded/root may not be read by bridge, or the password"),
        (
            user | {"password": "wrong", "chroot": "/guarded", "interface-roots": ["/root"]},
            "/guarded/root may not be read by bridge, or the password",
        ),
    ):
        for single in (False, True):
            async with following(options(zookeeper.address, **fields), single=single) as heard:
                error = await heard.end()
                assert isinstance(error, RegistryRejected)
                assert reason in str(error)
                assert heard.settlings == 0
    right = options(zookeeper.address, **user, password=PASSWORD)
    async with following(right) as heard:
        await heard.is_whole()


async def test_a_protected_subtree_spoils_only_itself(zookeeper: ZooKeeper) -> None:
    async with Session(zookeeper.address) as writer:
        await writer.write("/mixed/open/providers/1", b"one")
        await writer.write("/mixed/closed/providers/1", b"one")
    await zookeeper.shell("setAcl", "/mixed/closed", digest_acl("bridge"))
    for single in (False, True):
        chosen = options(zookeeper.address, **{"interface-roots": ["/mixed"]})
        async with following(chosen, single=single) as heard:
            await heard.is_whole()
            assert heard.protected == ["/mixed/closed"]
            assert heard.tree.keys() == {
                "/mixed/open",
                "/mixed/open/providers",
                "/mixed/open/providers/1",
                "/mixed/closed",
            }


async def test_a_child_that_we_may_not_read_comes_and_goes_all_the_same(
    zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name stands in its parent's list, though no watch tells of it (CVE-2024-23944)."""
    monkeypatch.setattr(reading, "CHECK_EVERY", 0.05)
    async with Session(zookeeper.address) as writer:
        await writer.write("/hidden/a/b/open")
        chosen = options(zookeeper.address, **{"interface-roots": ["/hidden"]})
        async with following(chosen) as heard:
            await heard.is_whole()
            await zookeeper.shell("create", "/hidden/a/c", "", digest_acl("bridge"))
            await heard.until(lambda: "/hidden/a/c" in heard.tree)
            assert heard.protected == ["/hidden/a/c"]
            await writer.remove("/hidden/a/c")
            await heard.until(lambda: "/hidden/a/c" not in heard.tree)


async def test_a_port_where_http_is_spoken_is_an_outage_that_says_so() -> None:
    async def never(_: web.BaseRequest) -> web.Response:
        raise AssertionError("what is no HTTP is not handled")

    loop = asyncio.get_running_loop()
    async with await loop.create_server(web.Server(never), "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        async with following(options(f"127.0.0.1:{port}")) as heard:
            error = await heard.end()
    assert isinstance(error, RegistryUnavailable)
    assert "does not speak ZooKeeper's protocol: it answers 'HTTP'" in str(error)


async def test_an_answer_beyond_the_bound_is_an_outage(zookeeper: ZooKeeper) -> None:
    async with Session(zookeeper.address) as writer:
        names = [f"/large/a/providers/{number:0500}" for number in range(2200)]
        await asyncio.gather(*(writer.write(name) for name in names))
    fields = {"interface-roots": ["/large"], "application-roots": []}
    chosen = options(zookeeper.address, **fields, **{"max-reply": "1MiB"})
    async with following(chosen) as heard:
        error = await heard.end()
        assert isinstance(error, RegistryUnavailable)
        assert "raise max-reply" in str(error)
        assert heard.settlings == 0
    async with following(options(zookeeper.address, **fields)) as heard:
        await heard.is_whole()
        assert len(heard.tree) == 2202


async def test_whatever_is_garbled_on_the_way_is_an_outage_or_not_noticed(
    zookeeper: ZooKeeper,
) -> None:
    """No other error leaves it, and nobody waits for ever."""
    async with Session(zookeeper.address) as writer:
        for number in range(30):
            await writer.write(f"/garbled/{number}/providers/1", b"some data")
    chosen_roots = {"interface-roots": ["/garbled"], "session-timeout": "2s"}
    ended = 0
    async with FaultProxy("127.0.0.1", zookeeper.port) as proxy:
        for seed in range(20):
            async with following(options(proxy.address, **chosen_roots)) as heard:
                await proxy.inject(
                    Corrupt(every=400, seed=seed, after=45, direction=Direction.TO_CLIENT)
                )
                try:
                    async with asyncio.timeout(4):
                        await heard.is_whole()
                except (RegistryUnavailable, RegistryRejected):
                    ended += 1
            await proxy.mend()
    assert ended > 5


class Huge(asyncio.Protocol):
    """Stands in for a server that announces two gigabytes, which a real one never does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(struct.pack("!i", 2**31 - 1) + bytes(100))


async def test_nobody_waits_for_two_gigabytes_that_are_announced() -> None:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Huge, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RegistryUnavailable, match="an answer of 2147483647 bytes"):
            async with connected(options(f"127.0.0.1:{port}"), structlog.get_logger()):
                pass


async def test_any_server_that_answers_will_do(zookeeper: ZooKeeper) -> None:
    """One refuses, one takes connections and is silent, one is called by a name nobody knows."""
    async with FaultProxy("127.0.0.1", zookeeper.port) as proxy:
        await proxy.inject(Hang())
        others = (f"127.0.0.1:{free_port()}", proxy.address, "nobody.invalid:1")
        chosen = options(zookeeper.address, *others, **{"session-timeout": "4s"})
        for _ in range(3):
            async with connected(chosen, structlog.get_logger()) as session:
                assert str(session.server) == zookeeper.address
        without = options(*others, **{"session-timeout": "3s"})
        began = time.monotonic()
        with pytest.raises(RegistryUnavailable) as raised:
            async with connected(without, structlog.get_logger()):
                pass
        assert time.monotonic() - began < 4
        assert all(other in str(raised.value) for other in others)


async def test_cancelled_at_any_moment_it_leaves_nothing_behind(zookeeper: ZooKeeper) -> None:
    """What is left, the check of threads, tasks and descriptors finds."""
    chosen = options(zookeeper.address)
    for turn in range(60):
        async with following(chosen) as heard:
            for _ in range(turn):
                await asyncio.sleep(0.0002)
        assert heard.following is not None
        assert heard.following.cancelled()


def digest_acl(user: str) -> str:
    """Return the right to do everything, for one user."""
    digest = hashlib.sha1(f"{user}:{PASSWORD}".encode(), usedforsecurity=False).digest()
    return f"digest:{user}:{base64.b64encode(digest).decode()}:cdrwa"
