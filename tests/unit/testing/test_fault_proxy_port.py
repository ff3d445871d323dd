"""The proxy's port takes all who come, refuses when it is told to, and says why if it cannot."""

import asyncio
import errno
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from unit.testing.fault_bench import HERE, bench

from meshbridge.testing import FaultProxy, Refuse, Reset

pytestmark = pytest.mark.asyncio

BURST = 500
RETRANSMITTED = 100
"""Where Linux's struct tcp_info says how many segments had to be sent again."""


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have four sockets for each connection of a burst."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 5 * BURST
    if soft != resource.RLIM_INFINITY:
        most = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def failing(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
    """Let the next calls of accept fail, once each."""
    accept, left = socket.socket.accept, list(errors)

    def failing_accept(listener: socket.socket) -> tuple[socket.socket, object]:
        if left:
            raise left.pop(0)
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", failing_accept)


@pytest.mark.usefixtures("many_files")
async def test_a_burst_of_connections_gets_through_and_nobody_has_to_knock_twice() -> None:
    """All knock before the proxy can take one."""
    loop = asyncio.get_running_loop()
    async with bench() as made, AsyncExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(BURST)]
        for client in clients:
            client.settimeout(0)
        address = (HERE, made.proxy.port)
        await asyncio.gather(*(loop.sock_connect(client, address) for client in clients))
        for client in clients:
            told = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
            assert struct.unpack_from("I", told, RETRANSMITTED) == (0,)
        names = [f"{number:03}".encode() for number in range(BURST)]
        for name, client in zip(names, clients, strict=True):
            await loop.sock_sendall(client, name)
        heard = [await (await made.target.peer()).hear(3) for _ in clients]
        assert sorted(heard) == names
        assert made.proxy.counts.taken == BURST


@pytest.mark.parametrize("shortage", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_a_shortage_is_counted_and_whoever_waits_is_taken_after_it(
    shortage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench() as made:
        failing(monkeypatch, *(OSError(shortage, "short") for _ in range(2)))
        client, server = await made.connect()
        await client.say(b"at last")
        assert await server.hear(7) == b"at last"
        assert (made.proxy.counts.starved, made.proxy.counts.taken) == (2, 1)


async def test_a_proxy_can_refuse_and_stop_during_a_shortage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench() as made:
        failing(monkeypatch, *(OSError(errno.EMFILE, "short") for _ in range(2)))
        waiting = await made.call()
        await made.sees(lambda: made.proxy.counts.starved, 1)
        await made.proxy.inject(Refuse())
        assert await waiting.is_reset()
        await made.proxy.mend()
        waiting = await made.call()
        await made.sees(lambda: made.proxy.counts.starved, 2)
        await made.proxy.stop()
        assert await waiting.is_reset()


async def test_a_client_that_has_gone_before_it_is_taken_harms_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench() as made:
        failing(monkeypatch, ConnectionAbortedError())
        await made.connect()
        assert (made.proxy.counts.taken, made.proxy.counts.starved) == (1, 0)


async def test_a_port_that_has_failed_is_an_error_of_whatever_comes_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is taken any more, which a test must not take for a fault; a start helps."""
    async with bench() as made:
        failing(monkeypatch, OSError(errno.EPERM, "a firewall"))
        client = await made.call()
        with pytest.raises(OSError, match="a firewall"):
            await made.sees(lambda: made.proxy.counts.taken, 1)
        with pytest.raises(OSError, match="a firewall"):
            await made.proxy.inject(Reset())
        with pytest.raises(OSError, match="a firewall"):
            await made.proxy.mend()
        with pytest.raises(OSError, match="a firewall"):
            await made.proxy.stop()
        assert await client.is_reset()
        await made.proxy.start()
        await made.connect()
        assert (made.proxy.counts.taken, made.proxy.faults) == (1, ())


async def test_what_is_injected_and_mended_at_once_happens_one_after_the_other() -> None:
    async with bench() as made:
        await made.connect()
        await asyncio.gather(made.proxy.inject(Refuse()), made.proxy.mend())
        assert made.proxy.faults == ()
        await made.connect()
        await asyncio.gather(made.proxy.mend(), made.proxy.inject(Refuse(), Reset()))
        assert made.proxy.connections == 0
        with pytest.raises(ConnectionRefusedError):
            await made.call()


async def test_a_start_during_a_stop_comes_after_it() -> None:
    """What it then takes is its own: closed, and waited for, by the next stop."""
    async with bench() as made:
        await made.connect()
        await asyncio.gather(made.proxy.stop(), made.proxy.start())
        assert made.proxy.connections == 0
        client, _ = await made.connect()
        await made.proxy.stop()
        assert await client.hear() == b""


async def test_an_inject_that_is_given_up_has_still_happened() -> None:
    async with bench() as made:
        await made.connect()
        injecting = asyncio.create_task(made.proxy.inject(Refuse(), Reset()))
        await asyncio.sleep(0)
        injecting.cancel()
        await asyncio.wait([injecting])
        with pytest.raises(ConnectionRefusedError):
            await made.call()
        await made.proxy.mend()
        await made.connect()


async def test_a_proxy_that_refuses_from_its_start_on_counts_that_once_a_start() -> None:
    proxy = FaultProxy(HERE, 1)
    await proxy.inject(Refuse())
    assert proxy.counts.refusals == 0
    for starts in (1, 2):
        async with proxy:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(HERE, proxy.port)
            await proxy.inject(Refuse())
            assert proxy.counts.refusals == starts


@pytest.mark.parametrize(
    ("host", "port", "complaint"),
    [
        ("a..b", 80, r"target_host must be a host's name or address, is 'a\.\.b'"),
        ("x" * 64, 80, "target_host must be"),
        ("localhost", -1, "target_port must be from 0 to 65535, is -1"),
        ("localhost", 65_536, "target_port must be from 0 to 65535, is 65536"),
    ],
)
async def test_a_target_that_cannot_be_is_an_error_at_once(
    host: str, port: int, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        FaultProxy(host, port)
