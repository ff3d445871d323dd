"""A loop that does not turn is noticed while it does not, and it is said where it stands."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import Never

from prometheus_client import CollectorRegistry
from unit.runtime.examples import Log, bridge, service

from meshbridge import Context, Emit, Listing
from meshbridge.testing import Clock
from meshbridge.watchdog import PATIENCE, Patience, watchdog

QUICK = Patience(limit=0.06, look=0.01, pause=0.01)


def count(metrics: CollectorRegistry) -> float | None:
    """Return how often the loop was blocked."""
    return metrics.get_sample_value("meshbridge_loop_blocked_total")


def block_until(log: Log, event: str) -> None:
    """Hold the loop up until that was logged; fail if it is not."""
    deadline = time.monotonic() + 20
    while event not in log.events() and time.monotonic() < deadline:
        pass


async def logged(log: Log, event: str) -> None:
    """Let the loop turn until that was logged."""
    async with asyncio.timeout(20):
        while event not in log.events():  # noqa: ASYNC110 - a thread says it, which sets no event
            await asyncio.sleep(0)


def test_a_blocked_loop_is_said_once_with_its_place_and_once_when_it_turns_again() -> None:
    log, metrics = Log(), CollectorRegistry()

    async def scenario() -> None:
        with watchdog(asyncio.get_running_loop(), log.logger(), metrics, QUICK):
            block_until(log, "event loop is blocked")
            await logged(log, "event loop turns again")

    asyncio.run(scenario())
    assert log.events() == ["event loop is blocked", "event loop turns again"]
    blocked, turns = log.entries
    assert "block_until" in str(blocked["at"])
    assert "test_watchdog.py" in str(blocked["at"])
    assert len(blocked["at"]) <= 6
    assert turns["after_seconds"] > 0
    assert count(metrics) == 1


def test_it_names_the_registry_whose_adapter_blocks_the_loop() -> None:
    """Also when a task that the adapter has started does."""
    log, metrics, clock = Log(), CollectorRegistry(), Clock(idle=0.001)

    class Blocks:
        settle = timedelta(0)
        scopes = ("all",)

        def __init__(self, context: Context) -> None:
            self.context = context

        async def watch(self, emit: Emit) -> Never:
            emit(Listing("all", (service("orders", 80),)))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._compute())
            raise AssertionError

        async def _compute(self) -> None:
            block_until(log, "event loop is blocked")
            await asyncio.Event().wait()

    async def scenario() -> None:
        made = bridge(clock, log, Blocks)
        with watchdog(asyncio.get_running_loop(), log.logger(), metrics, QUICK):
            running = asyncio.create_task(made.run())
            await logged(log, "event loop is blocked")
            running.cancel()
            await asyncio.wait([running])

    clock.run(scenario())
    blocked = next(each for each in log.entries if each["event"] == "event loop is blocked")
    assert blocked["registry"] == "r0"
    assert "Blocks._compute" in str(blocked["at"])


def test_a_place_that_blocks_again_is_counted_and_not_said_again() -> None:
    log, metrics = Log(), CollectorRegistry()

    async def scenario() -> None:
        with watchdog(asyncio.get_running_loop(), log.logger(), metrics, QUICK):
            async with asyncio.timeout(20):
                while (count(metrics) or 0) < 3:
                    time.sleep(0.2)  # noqa: ASYNC251 - that is what it does wrong
                    await asyncio.sleep(0.02)

    asyncio.run(scenario())
    assert log.events().count("event loop is blocked") == 1


CHILD = """
import asyncio
from prometheus_client import CollectorRegistry
from meshbridge.logs import configure
from meshbridge.watchdog import watchdog

async def main():
    with watchdog(asyncio.get_running_loop(), configure(), CollectorRegistry()):
        print("watching", flush=True)
        await asyncio.sleep(1.5)

asyncio.run(main())
"""


def test_a_process_that_was_stopped_as_a_whole_is_not_called_blocked() -> None:
    """The watchdog itself stood still meanwhile: however long, it has looked but once."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "watching\n"
        os.kill(child.pid, signal.SIGSTOP)
        time.sleep(1.0)  # for longer than it takes to be called blocked
        os.kill(child.pid, signal.SIGCONT)
        _, said = child.communicate(timeout=20)
    assert said == ""
    assert child.returncode == 0


def test_a_loop_that_has_much_to_do_and_turns_is_left_alone() -> None:
    log, metrics = Log(), CollectorRegistry()

    async def scenario() -> None:
        patience = Patience(limit=5, look=0.01, pause=0.01)
        with watchdog(asyncio.get_running_loop(), log.logger(), metrics, patience):
            until = time.monotonic() + 0.3
            while time.monotonic() < until:  # noqa: ASYNC110 - turning is what it is to do
                await asyncio.sleep(0)

    asyncio.run(scenario())
    assert log.events() == []


def test_it_takes_less_than_a_second_to_notice() -> None:
    """A block begins just after a turn at the latest: then comes the pause, then the limit."""
    assert PATIENCE.pause + PATIENCE.limit + PATIENCE.look < 1
