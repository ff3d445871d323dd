"""The outlets that serve: each is begun, replaced or ended while the others go on."""

import re
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final, Never

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from structlog.typing import FilteringBoundLogger

from meshbridge.bridge import Bridge
from meshbridge.cli.parts import Open, Parts, Serve, Ways
from meshbridge.errors import ConfigurationError
from meshbridge.logs import listening
from meshbridge.outlet import Outlet, OutletContext
from meshbridge.problems import Said
from meshbridge.settings.comparing import Fate, Plan
from meshbridge.settings.model import OutletSettings, Settings, StatusOptions

ENDS: Final = 4.0
"""Seconds that outlets have to end: a grace for their streams, and as much again for what hangs."""

_ATTEMPTS: Final = 2
"""To serve otherwise: beside the old one, and in its place."""


class Outlets(Collector):
    """All outlets, with their metrics: an outlet that is replaced counts anew."""

    def __init__(
        self, bridge: Bridge, logger: FilteringBoundLogger, metrics: CollectorRegistry, parts: Parts
    ) -> None:
        """Begin with none; each becomes a part of its own."""
        self._bridge, self._logger, self._parts = bridge, logger, parts
        self.serving: dict[str, Outlet] = {}
        """Those that serve, by name."""
        self._serving: dict[str, _Serving] = {}
        metrics.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all outlets."""
        for each in list(self._serving.values()):
            yield from each.metrics.collect()

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: outlets come and go."""
        return iter(())

    async def begin(self, settings: OutletSettings) -> None:
        """Open an outlet's ports. Raises what it fails with."""
        serving = _Serving(settings, self._bridge, self._logger)
        self._note(settings.name, serving)
        try:
            await self._parts.open(_part(settings.name), serving.serve)
        except BaseException:
            self._forget(settings.name, serving)
            raise

    async def replace(self, old: OutletSettings, new: OutletSettings) -> None:
        """Let an outlet go on with other options. Raises ConfigurationError; then it is as before.

        Its subscribers connect again, and keep what they have meanwhile.
        """
        before = self._serving[new.name]
        made: list[_Serving] = []

        def serving(settings: OutletSettings) -> Serve:
            async def serve(say: Open) -> None:
                made.append(_Serving(settings, self._bridge, self._logger))
                await made[-1].serve(say)

            return serve

        ways = Ways(serving(new), serving(old), before.is_in_the_way)
        try:
            await self._parts.replace(_part(new.name), ways, within=ENDS)
        except BaseException:
            if len(made) > _ATTEMPTS:  # it had to end, and was begun again
                self._note(new.name, made[-1])
            raise
        else:
            self._note(new.name, made[-1])
        finally:
            for each in (before, *made):
                each.said.take_back(but=self._serving[new.name].said)

    async def end(self, name: str) -> None:
        """End an outlet: its subscribers keep what they have."""
        await self._parts.end(_part(name), within=ENDS)
        self._forget(name, self._serving[name])

    def _note(self, name: str, serving: "_Serving") -> None:
        self._serving[name], self.serving[name] = serving, serving.outlet

    def _forget(self, name: str, serving: "_Serving") -> None:
        serving.said.take_back()
        del self._serving[name], self.serving[name]


class _Serving:
    """One outlet with what it says and counts."""

    def __init__(
        self, settings: OutletSettings, bridge: Bridge, logger: FilteringBoundLogger
    ) -> None:
        self.outlet = settings.outlet_type(settings.options)
        self.metrics = CollectorRegistry()
        self._name, self._bridge = settings.name, bridge
        self._logger = logger.bind(outlet=settings.name)
        self.said = Said(bridge.problems)
        self._ports: set[str] = set()

    def is_in_the_way(self, error: ConfigurationError) -> bool:
        """Whether an error names a port that this one has."""
        return any(
            re.search(rf":{port}\b", fault) for port in self._ports for fault in error.faults
        )

    async def serve(self, say: Open) -> Never:
        """Serve; what the outlet says about its configuration gets the place where that stands."""
        log = listening(self._logger)

        def opened(name: str, address: str) -> None:
            self._ports.add(address.rpartition(":")[2])
            log(name, address)
            say()

        context = OutletContext(time.monotonic, self._logger, self.metrics, opened, self.said.put)
        try:
            await self.outlet.serve(self._bridge.snapshots, context)
        except ConfigurationError as error:
            place = f"outlets.{self._name}"
            raise ConfigurationError(
                *(each if each.startswith(place) else f"{place}: {each}" for each in error.faults)
            ) from error


async def go_over(
    plan: Plan,
    before: Settings,
    after: Settings,
    outlets: Outlets,
    status: Callable[[StatusOptions | None, StatusOptions | None], Awaitable[None]],
) -> None:
    """Let outlets and status server be those of another configuration, or all as before.

    Raises ConfigurationError, and whatever an outlet's author raises.
    """
    old = {each.name: each for each in before.outlets}
    new = {each.name: each for each in after.outlets}
    undo: list[Callable[[], Awaitable[None]]] = []
    try:
        for each in plan.outlets:
            if each.fate is Fate.ADDED:
                await outlets.begin(new[each.name])
                undo.append(partial(outlets.end, each.name))
            elif each.fate is Fate.RESTARTED:
                await outlets.replace(old[each.name], new[each.name])
                undo.append(partial(outlets.replace, new[each.name], old[each.name]))
        if before.status != after.status:
            await status(before.status, after.status)
    except BaseException:
        for back in reversed(undo):
            await back()
        raise
    for each in plan.outlets:
        if each.fate is Fate.REMOVED:
            await outlets.end(each.name)


def _part(name: str) -> str:
    return f"outlet {name}"
