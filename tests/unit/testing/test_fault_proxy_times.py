"""The proxy's faults that take time take just that; by a clock that nobody waits for."""

import asyncio

import pytest
from unit.testing.fault_bench import bench

from meshbridge.testing import Clock, Delay, Direction, Throttle, Truncate

BACK = Direction.TO_CLIENT


def test_delay_lets_everything_arrive_later_and_nothing_wait_for_another() -> None:
    clock = Clock(idle=0.02)

    async def scenario() -> None:
        async with bench(Delay(seconds=30)) as made:
            client, server = await made.connect()
            begun = clock()
            arrivals: list[float] = []

            async def listen() -> None:
                for _ in range(3):
                    await server.reader.readexactly(1)
                    arrivals.append(clock() - begun)

            listening = asyncio.create_task(listen())
            for _ in range(3):
                await client.say(b"x")
                await clock.sleep(10)
            await listening
            assert arrivals == pytest.approx([30, 40, 50], abs=0.5)
            assert made.proxy.counts.to_server.slowed == 3

    clock.run(scenario())


def test_delay_lets_a_reset_arrive_later() -> None:
    clock = Clock(idle=0.02)

    async def scenario() -> None:
        async with bench(Delay(seconds=30)) as made:
            client, server = await made.connect()
            begun = clock()
            client.reset()
            with pytest.raises(ConnectionResetError):
                await server.reader.read()
            assert clock() - begun == pytest.approx(30, abs=0.5)
            assert made.proxy.counts.reset == 0, "that was the client"

    clock.run(scenario())


def test_throttle_lets_so_many_bytes_arrive_in_a_second() -> None:
    clock = Clock(idle=0.02)

    async def scenario() -> None:
        async with bench(Throttle(bytes_per_second=10, direction=BACK, after=100)) as made:
            client, server = await made.connect()
            begun = clock()
            await server.say(bytes(150))
            await client.reader.readexactly(100)
            assert clock() - begun < 1
            await client.reader.readexactly(50)
            assert clock() - begun == pytest.approx(4.9, abs=0.5)
            assert made.proxy.counts.to_client.slowed == 50

    clock.run(scenario())


def test_truncate_does_not_wait_for_ever_for_those_who_do_not_close() -> None:
    clock = Clock(idle=0.02)

    async def scenario() -> None:
        async with bench(Truncate(direction=BACK, after=1)) as made:
            client, server = await made.connect()
            await server.say(b"xy")
            assert await client.hear() == b"x"
            begun = clock()
            await made.sees(lambda: made.proxy.connections, 0, every=0.05)
            assert clock() - begun == pytest.approx(1, abs=0.5)

    clock.run(scenario())
