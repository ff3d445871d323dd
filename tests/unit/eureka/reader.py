"""An adapter that watches scripted servers on a clock of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
import structlog

from meshbridge import (
    Changed,
    Context,
    Listing,
    RegistryRejected,
    RegistryUnavailable,
    Update,
)
from meshbridge.testing import Clock, Recorder
from meshbridge_eureka import Eureka, Options
from rig.scripted_eureka import ScriptedEureka

POLL = 1.0


class Reader:
    """An adapter that watches on a clock of its own, from one failure on to the next."""

    def __init__(self, clock: Clock, *servers: ScriptedEureka, **options: object) -> None:
        """Ask these servers, as written or by zone if ``options`` say so."""
        self.clock, self.recorder = clock, Recorder()
        self.log = structlog.testing.LogCapture()
        logger = structlog.wrap_logger(None, processors=[self.log])
        given = {"servers": [each.url for each in servers], "interval": "1s", **options}
        told = self.recorder
        context = Context(clock, clock.sleep, told.report, logger, told.trouble)
        self.adapter = Eureka("shop", Options.model_validate(given), context)
        self.failures: list[Exception] = []
        self.troubled: list[set[str]] = []
        """Of what it said that it is in trouble when it told each update."""

    async def watch(self) -> None:
        """Watch again and again, as the supervisor does."""
        while True:
            try:
                await self.adapter.watch(self._take)
            except (RegistryUnavailable, RegistryRejected) as error:
                self.failures.append(error)
                await self.clock.sleep(1)

    def _take(self, update: Update) -> None:
        self.troubled.append(set(self.recorder.troubles))
        self.recorder.emit(update)

    async def polls(self, number: float = 1) -> None:
        """Let it ask so many times."""
        await self.clock.sleep(number * POLL)

    @property
    def said(self) -> list[object]:
        """What it has told."""
        return list(self.recorder.updates)

    def events(self, level: str) -> list[str]:
        """The events it has logged at a level."""
        return [each["event"] for each in self.log.entries if each["log_level"] == level]


Scenario = Callable[[Reader], Awaitable[None]]


def play(scenario: Scenario, *servers: ScriptedEureka, **options: object) -> None:
    """Run a scenario beside an adapter of these servers."""
    clock = Clock(idle=0.05)

    async def run() -> None:
        for each in servers:
            await each.start()
        reader = Reader(clock, *servers, **options)
        task = asyncio.create_task(reader.watch())
        try:
            await reader.polls(0.5)
            await scenario(reader)
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for each in servers:
                await each.stop()

    clock.run(run())


def filled(number: int = 3) -> ScriptedEureka:
    """Return a server with so many instances of orders."""
    server = ScriptedEureka()
    for last in range(1, number + 1):
        server.registry.register("orders", f"10.0.0.{last}", 80)
    return server


def addresses(update: object) -> list[str]:
    """Return the addresses that an update tells of its first service."""
    service = update.services[0] if isinstance(update, Listing) else cast("Changed", update).service
    return [each.address for each in service.instances]
