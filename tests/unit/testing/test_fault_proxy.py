"""The proxy does on real sockets what it is told, counts it, and leaves nothing behind."""

import asyncio
import socket

import pytest
from unit.testing.fault_bench import AT_MOST, HERE, bench, unread

from meshbridge.testing import (
    Corrupt,
    Delay,
    Direction,
    Fault,
    FaultProxy,
    Flip,
    Hang,
    Refuse,
    Reset,
    Truncate,
    fault_proxy_connection,
)
from meshbridge.testing.fault_proxy_stream import Stream
from rig.ports import free_port

pytestmark = pytest.mark.asyncio

THERE, BACK = Direction.TO_SERVER, Direction.TO_CLIENT
SIZE = 32_000_000


async def test_bytes_and_the_end_of_each_direction_go_through() -> None:
    """The end of one direction leaves the other open."""
    async with bench() as made:
        client, server = await made.connect()
        await client.say(b"question")
        client.writer.write_eof()
        assert await server.hear() == b"question"
        await server.say(b"answer")
        assert await client.hear(6) == b"answer"
        server.writer.write_eof()
        assert await client.hear() == b""
        await made.sees(lambda: made.proxy.connections, 0)
        counts = made.proxy.counts
        assert (counts.taken, counts.reset, counts.truncated) == (1, 0, 0)
        assert (counts.to_server.forwarded, counts.to_client.forwarded) == (8, 6)
        assert counts.to_server.altered == counts.to_client.altered == 0
        assert counts.to_server.dropped == counts.to_client.dropped == 0


async def test_much_goes_through_unchanged_both_ways_at_once() -> None:
    data = bytes(range(256)) * 20_000
    async with bench() as made:
        client, server = await made.connect()
        sent = asyncio.gather(client.say(data), server.say(data[::-1]))
        heard = await asyncio.gather(server.hear(len(data)), client.hear(len(data)))
        await sent
        assert list(heard) == [data, data[::-1]]


async def test_refuse_lets_nobody_in_and_the_port_stays_its_own() -> None:
    async with bench() as made:
        client, server = await made.connect()
        await made.proxy.inject(Refuse())
        with pytest.raises(ConnectionRefusedError):
            await made.call()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((HERE, made.proxy.port))
        await client.say(b"goes on")
        assert await server.hear(7) == b"goes on"
        assert (made.proxy.counts.taken, made.proxy.counts.refusals) == (1, 1)
        await made.proxy.mend()
        again, _ = await made.connect()
        assert again.writer.get_extra_info("peername") == (HERE, made.proxy.port)


async def test_refuse_and_reset_together_are_an_outage() -> None:
    async with bench() as made:
        client, server = await made.connect()
        await made.proxy.inject(Refuse(), Reset())
        assert made.proxy.connections == 0, "what ends at once has ended on return"
        assert await client.is_reset()
        assert await server.is_reset()
        with pytest.raises(ConnectionRefusedError):
            await made.call()
        await made.proxy.mend()
        await made.connect()
        assert (made.proxy.counts.taken, made.proxy.counts.reset) == (2, 1)


@pytest.mark.parametrize(
    ("direction", "told"),
    [(Direction.BOTH, (True, True)), (THERE, (False, True)), (BACK, (True, False))],
)
async def test_reset_reaches_the_ends_it_names_and_the_other_sees_a_close(
    direction: Direction, told: tuple[bool, bool]
) -> None:
    async with bench() as made:
        client, server = await made.connect()
        await made.proxy.inject(Reset(direction=direction))
        assert (await client.is_reset(), await server.is_reset()) == told
        assert made.proxy.counts.reset == 1


async def test_a_new_connection_is_reset_before_the_target_hears_of_it() -> None:
    async with bench(Reset()) as made:
        client = await made.call()
        assert await client.is_reset()
        assert (len(made.target.peers), made.proxy.counts.reset) == (0, 1)


async def test_reset_after_some_bytes_lets_those_through_first() -> None:
    async with bench(Reset(direction=BACK, after=100_000)) as made:
        client, server = await made.connect()
        server.writer.write(bytes(300_000))
        assert await client.hear(100_000) == bytes(100_000)
        assert await client.is_reset()
        assert made.proxy.counts.to_client.forwarded == 100_000


async def test_reset_needs_not_wait_for_a_client_that_does_not_read() -> None:
    """And what it takes back is counted as dropped, not as forwarded."""
    async with bench() as made, unread(made):
        server = await made.target.peer()
        flow = made.proxy.counts.to_client
        sent = 0
        while flow.forwarded == sent:
            await server.say(bytes(50_000))
            sent += 50_000
            for _ in range(50):
                await asyncio.sleep(0)  # so that all of it comes as far as it can
        await made.proxy.inject(Reset())
        assert made.proxy.connections == 0
        assert await server.is_reset()
        assert made.proxy.counts.reset == 1
        assert flow.dropped > 50_000
        assert flow.forwarded + flow.dropped == sent


async def test_what_waits_behind_a_few_unsent_bytes_follows_once_they_have_left() -> None:
    """The end of a small rest tells the connection, too."""
    some = 40_000  # asyncio's own write buffers keep silent about a rest up to 64 KiB
    async with bench() as made, unread(made) as client:
        server = await made.target.peer()
        flow = made.proxy.counts.to_client
        sent = 0
        while flow.forwarded == sent:
            await server.say(bytes(some))
            sent += some
            for _ in range(50):
                await asyncio.sleep(0)  # so that all of it comes as far as it can
        assert flow.forwarded == sent - some
        heard = 0
        async with asyncio.timeout(AT_MOST):
            while heard < sent:
                heard += len(await asyncio.get_running_loop().sock_recv(client, 2**20))
        assert flow.forwarded == heard == sent


async def test_hang_holds_back_bytes_and_mend_lets_them_through() -> None:
    """Of a connection that exists, in the direction and from the byte it names."""
    async with bench() as made:
        client, server = await made.connect()
        await server.say(b"before")
        assert await client.hear(6) == b"before"
        await made.proxy.inject(Hang(direction=BACK, after=8))
        await server.say(b"and after")
        assert await client.hear(2) == b"an"
        await client.say(b"still goes")
        assert await server.hear(10) == b"still goes"
        await made.sees(lambda: made.proxy.counts.to_client.hangs, 1)
        assert await client.hears_nothing()
        await made.proxy.mend()
        assert await client.hear(7) == b"d after"
        assert made.proxy.counts.to_client.dropped == 0
        assert made.proxy.counts.to_server.hangs == 0


async def test_hang_takes_new_connections_and_reaches_no_target() -> None:
    async with bench(Hang()) as made:
        client = await made.call()
        await client.say(b"anyone?")
        await made.sees(lambda: made.proxy.counts.to_server.hangs, 1)
        assert len(made.target.peers) == 0
        await made.proxy.mend()
        assert await (await made.target.peer()).hear(7) == b"anyone?"


async def test_hang_keeps_a_close_and_a_reset_to_itself() -> None:
    async with bench() as made:
        client, server = await made.connect()
        other, other_server = await made.connect()
        await made.proxy.inject(Hang(direction=BACK))
        server.writer.write_eof()
        other_server.reset()
        await made.sees(lambda: made.proxy.counts.to_client.hangs, 2)
        assert await client.hears_nothing()
        assert await other.hears_nothing()
        await made.proxy.mend()
        assert await client.hear() == b""
        assert await other.is_reset()
        assert made.proxy.counts.reset == 0, "that was the server"


async def test_a_hang_can_turn_into_an_end() -> None:
    async with bench(Hang()) as made:
        client = await made.call()
        await client.say(b"lost")
        await made.sees(lambda: made.proxy.counts.to_server.hangs, 1)
        await made.proxy.inject(Reset(direction=BACK))
        assert await client.is_reset()
        await made.sees(lambda: made.proxy.connections, 0)
        assert made.proxy.counts.to_server.dropped == 4


async def test_what_a_hang_holds_back_is_bounded_and_all_of_it_arrives() -> None:
    """The sender has to wait, as it would for a receiver that does not read."""
    async with bench(Hang(direction=BACK)) as made:
        client, server = await made.connect()
        await server.sends_not_all_of(SIZE)
        await made.proxy.mend()
        assert len(await client.hear(SIZE)) == SIZE


async def test_what_waits_for_a_client_that_does_not_read_is_bounded() -> None:
    async with bench() as made, unread(made):
        await (await made.target.peer()).sends_not_all_of(SIZE)


@pytest.mark.parametrize("after", [0, 1, 100_000])
async def test_truncate_lets_through_exactly_so_many_bytes_and_closes(
    after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after them is dropped, each byte of it counted."""
    monkeypatch.setattr(fault_proxy_connection, "LINGER", 60.0)  # however busy the machine is
    async with bench() as made:
        client, server = await made.connect()
        await made.proxy.inject(Truncate(direction=BACK, after=after))
        server.writer.write(bytes(1_000_000))
        assert await client.hear() == bytes(after)
        assert await server.hear() == b""
        client.writer.close()
        server.writer.close()
        await made.sees(lambda: made.proxy.connections, 0)
        counts = made.proxy.counts
        assert (counts.truncated, counts.reset) == (1, 0)
        assert counts.to_client.forwarded == after
        assert counts.to_client.dropped == 1_000_000 - after


async def test_what_is_flipped_is_what_was_asked_for() -> None:
    async with bench() as made:
        client, server = await made.connect()
        await made.proxy.inject(Flip(at=4, mask=0x20, direction=THERE))
        await client.say(b"GET /")
        await server.say(b"GET /")
        assert await server.hear(5) == b"GET \x0f"
        assert await client.hear(5) == b"GET /"
        assert made.proxy.counts.to_server.altered == 1
        assert made.proxy.counts.to_client.altered == 0


async def test_a_seed_spoils_the_same_bytes_of_each_connection() -> None:
    data = bytes(10_000)
    async with bench(Corrupt(every=1000, seed=7)) as made:
        heard: list[bytes] = []
        for size in (10_000, 700):
            client, server = await made.connect()
            for begin in range(0, len(data), size):
                await client.say(data[begin : begin + size])
            heard.append(await server.hear(len(data)))
        assert heard[0] == heard[1]
        assert sum(byte != 0 for byte in heard[0]) == 10
        assert made.proxy.counts.to_server.altered == 20


async def test_a_client_that_resets_is_a_reset_for_the_server() -> None:
    async with bench() as made:
        client, server = await made.connect()
        client.reset()
        assert await server.is_reset()
        assert made.proxy.counts.reset == 0


async def test_a_target_that_is_not_there_is_a_reset_and_counted() -> None:
    proxy = FaultProxy(HERE, free_port())
    async with proxy:
        reader, writer = await asyncio.open_connection(HERE, proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.transport.abort()
        assert proxy.counts.unreachable == 1
        assert proxy.counts.reset == 0


@pytest.mark.parametrize("fault", [Hang(), Hang(direction=BACK), Delay(seconds=600)])
async def test_the_end_of_the_context_ends_what_hangs(fault: Fault) -> None:
    """The look for leaks after each test sees what was left."""
    async with bench(Hang()) as made:
        await made.proxy.mend()
        client, server = await made.connect()
        await made.proxy.inject(fault)
        await client.say(b"a")
        await server.say(b"b")
        await made.proxy.stop()
        assert made.proxy.connections == 0
        with pytest.raises(ConnectionRefusedError):
            await made.call()


async def test_the_end_of_the_context_ends_a_connection_to_a_target_that_does_not_answer() -> None:
    with socket.socket() as silent, socket.socket() as first, socket.socket() as second:
        silent.bind((HERE, 0))
        silent.listen(0)
        for filler in (first, second):
            filler.settimeout(0)
            filler.connect_ex(silent.getsockname())
        async with FaultProxy(*silent.getsockname()) as proxy:
            _, writer = await asyncio.open_connection(HERE, proxy.port)
            assert proxy.connections == 1
        writer.transport.abort()


async def test_a_stopped_proxy_starts_again_on_its_port() -> None:
    proxy = FaultProxy(HERE, 1, port=free_port())
    port = proxy.port
    for _ in range(2):
        await proxy.start()
        assert proxy.port == port
        with pytest.raises(RuntimeError, match="was started already"):
            await proxy.start()
        await proxy.stop()
    await proxy.stop()


async def test_a_port_that_is_taken_is_an_error_that_leaves_nothing() -> None:
    with socket.socket() as other:
        other.bind((HERE, 0))
        other.listen()
        proxy = FaultProxy(HERE, 1, port=other.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await proxy.start()


async def test_it_listens_on_ipv6_too() -> None:
    async with bench() as made, FaultProxy(HERE, made.target.port, host="::1") as proxy:
        assert proxy.address == f"[::1]:{proxy.port}"
        _, writer = await asyncio.open_connection("::1", proxy.port)
        writer.write(b"six")
        assert await (await made.target.peer()).hear(3) == b"six"
        writer.transport.abort()


async def test_faults_add_up_until_they_are_mended() -> None:
    async with bench(Flip(at=0)) as made:
        await made.proxy.inject(Flip(at=1))
        assert list(made.proxy.faults) == [Flip(at=0), Flip(at=1)]
        assert made.proxy.address == f"{HERE}:{made.proxy.port}"
        await made.proxy.mend()
        assert not made.proxy.faults


async def test_a_fault_of_its_own_is_raised_when_it_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it did not do, a test must not take for done."""

    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Stream, "next", broken)
    target = await asyncio.start_server(lambda _, writer: writer.close(), HERE, 0)
    async with target:
        proxy = FaultProxy(*target.sockets[0].getsockname())
        await proxy.start()
        reader, writer = await asyncio.open_connection(HERE, proxy.port)
        assert await reader.read() == b""
        writer.transport.abort()
        with pytest.raises(KeyError, match="a bug"):
            await proxy.stop()
