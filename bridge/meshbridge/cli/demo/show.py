"""The order of the demo: which steps there are, and that the first that does not hold ends it."""

from collections.abc import Awaitable
from typing import TypeVar

from meshbridge.cli.demo import outage, steps
from meshbridge.cli.demo.child import ChildFailed
from meshbridge.cli.demo.result import Result
from meshbridge.cli.demo.stage import HOST, Stage
from meshbridge.cli.demo.telling import Telling
from meshbridge.cli.demo.traffic import Load

RATE = 500
"""Requests per second while things change."""

T = TypeVar("T")


class StepFailed(Exception):  # noqa: N818 - it says what happened
    """A step did not hold; what it measured has been told already."""


class Show:
    """The steps on a stage, told one by one."""

    def __init__(self, stage: Stage, telling: Telling) -> None:
        """Play on ``stage`` and tell it to ``telling``."""
        self.number = 0
        """The step that was begun last."""
        self._stage = stage
        self._telling = telling

    async def play(self) -> Load:
        """Play all steps and return the load that ran beside them; raises StepFailed."""
        stage, glyphs = self._stage, self._telling.glyphs
        stage.register(
            await stage.add("orders-1", "v1", 2),
            await stage.add("orders-2", "v1", 2),
            await stage.add("orders-3", "v2", 1),
        )
        self._begin("Services appear: the bridge and Envoy start, the registry has 3 instances")
        self._end(await self._of(steps.services_appear(stage)))
        self._begin(f"{steps.REQUESTS} requests spread by weight")
        self._end(await self._of(steps.spread_by_weight(stage, glyphs)))
        load = Load(stage.ports.http, HOST, RATE)
        self._telling.say(f"\n   From here on {RATE} requests per second run beside every step.")
        async with load.running():
            await self._changes(load)
            await self._outage(load)
        self._begin("What istiod would get of the same services")
        self._end(await self._of(outage.towards_istiod(stage)))
        return load

    async def _changes(self, load: Load) -> None:
        stage, glyphs = self._stage, self._telling.glyphs
        self._begin("A new instance, orders-4 (v2), joins and takes traffic")
        self._end(await self._of(steps.instance_joins(stage, load, glyphs)))
        self._begin("orders-3 turns unhealthy and gets no traffic, then healthy again")
        self._end(await self._of(steps.instance_turns_unhealthy(stage, load)))
        self._begin("orders-1 leaves the registry, then its process is killed")
        self._end(await self._of(steps.instance_goes(stage, load)))

    async def _outage(self, load: Load) -> None:
        stage, glyphs = self._stage, self._telling.glyphs
        self._begin("The bridge is killed (kill -9) under load")
        result, killed = await self._of(outage.bridge_is_killed(stage, load))
        self._end(result)
        self._begin("The bridge returns on the same ports; Envoy is not disturbed")
        self._end(await self._of(outage.bridge_returns(stage, load, killed, glyphs)))

    def _begin(self, title: str) -> None:
        self.number += 1
        self._telling.begin(self.number, title)

    async def _of(self, step: Awaitable[T]) -> T:
        try:
            return await step
        except ChildFailed as failed:
            raise StepFailed(f"Step {self.number} did not hold: {failed}\n") from failed

    def _end(self, result: Result) -> None:
        self._telling.end(result)
        if not result.held:
            raise StepFailed(f"Step {self.number} did not hold.")
