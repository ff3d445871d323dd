"""What the core counts, as Prometheus metrics: read where it is counted, when somebody asks."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Never

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from meshbridge.bridge import Bridge, RegistryState
from meshbridge.configuration import Result
from meshbridge.outage import Failure

LOOK = 0.1
"""Seconds between two looks at how late the event loop is."""


class CoreMetrics(Collector):
    """Collects the state of a bridge; every number is looked up, none is kept twice."""

    def __init__(self, bridge: Bridge, metrics: CollectorRegistry) -> None:
        """Register with ``metrics``."""
        self._bridge = bridge
        metrics.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they are now."""
        states = self._bridge.registries()
        yield from _of_snapshot(self._bridge)
        yield from _of_registries(states)
        yield from _of_scopes(states)
        yield from _of_problems(self._bridge)
        yield from _of_configuration(self._bridge)

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: names are known once something is there."""
        return iter(())


def _of_snapshot(bridge: Bridge) -> Iterator[Metric]:
    newest = bridge.snapshots.newest
    services = newest.services.values() if newest else ()
    yield GaugeMetricFamily(
        "meshbridge_ready", "1 once the first complete answer could be given.", float(bool(newest))
    )
    yield GaugeMetricFamily("meshbridge_services", "Hosts that are served.", len(services))
    yield GaugeMetricFamily(
        "meshbridge_endpoints",
        "Endpoints that are served.",
        sum(len(service.endpoints) for service in services),
    )
    yield CounterMetricFamily(
        "meshbridge_snapshots", "Snapshots that were made.", bridge.snapshots_made
    )


def _of_registries(states: tuple[RegistryState, ...]) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "meshbridge_registry_up", "1 while the registry is being watched.", labels=["registry"]
    )
    failing = GaugeMetricFamily(
        "meshbridge_registry_failing",
        "1 while the registry is not being watched, by the reason.",
        labels=["registry", "reason"],
    )
    updates = CounterMetricFamily(
        "meshbridge_registry_updates", "Updates that the adapter said.", labels=["registry"]
    )
    restarts = CounterMetricFamily(
        "meshbridge_adapter_restarts", "Times a watch was started again.", labels=["registry"]
    )
    for state in states:
        up.add_metric([state.name], float(state.failure is None))
        for failure in Failure:
            failing.add_metric([state.name, failure.value], float(state.failure is failure))
        updates.add_metric([state.name], state.updates)
        restarts.add_metric([state.name], state.restarts)
    yield from (up, failing, updates, restarts)


def _of_scopes(states: tuple[RegistryState, ...]) -> Iterator[Metric]:
    labels = ["registry", "scope"]
    services = GaugeMetricFamily(
        "meshbridge_registry_services",
        "Services that the scope is believed to hold.",
        labels=labels,
    )
    instances = GaugeMetricFamily(
        "meshbridge_registry_instances", "Instances that they are believed to have.", labels=labels
    )
    listed = GaugeMetricFamily(
        "meshbridge_registry_listed", "1 once the scope was read whole.", labels=labels
    )
    stale = GaugeMetricFamily(
        "meshbridge_registry_stale_seconds",
        "For how long the scope could not be read; 0 while it can.",
        labels=labels,
    )
    held = GaugeMetricFamily(
        "meshbridge_registry_held_instances",
        "Instances that the registry no longer lists and that are served on.",
        labels=labels,
    )
    settling = GaugeMetricFamily(
        "meshbridge_registry_settling",
        "1 while the guard waits for instances to return after a gap or in a loss.",
        labels=labels,
    )
    loss = GaugeMetricFamily(
        "meshbridge_registry_in_loss",
        "1 while more is missing than max-loss allows: it returns, or a person releases it.",
        labels=labels,
    )
    for state in states:
        for scope in state.scopes:
            place = [state.name, scope.scope]
            held.add_metric(place, scope.held)
            settling.add_metric(place, float(scope.guard != "settled"))
            loss.add_metric(place, float(scope.guard == "in loss"))
            services.add_metric(place, scope.services)
            instances.add_metric(place, scope.instances)
            listed.add_metric(place, float(scope.listed))
            stale.add_metric(place, scope.stale_seconds)
    yield from (services, instances, listed, stale, held, settling, loss)


def _of_problems(bridge: Bridge) -> Iterator[Metric]:
    problems = GaugeMetricFamily(
        "meshbridge_problems",
        "Problems that hold now, by registry and kind.",
        labels=["registry", "kind"],
    )
    for (registry, kind), count in sorted(bridge.problems.counts().items()):
        problems.add_metric([registry, kind.value], count)
    yield problems


def _of_configuration(bridge: Bridge) -> Iterator[Metric]:
    reloads = CounterMetricFamily(
        "meshbridge_configuration_reloads",
        "Times the configuration was read again, by what came of it.",
        labels=["result"],
    )
    for result in Result:
        reloads.add_metric([result.value], bridge.configuration.counts[result])
    yield reloads
    refused = bridge.configuration.refused or bridge.configuration.withheld
    yield GaugeMetricFamily(
        "meshbridge_configuration_refused",
        "1 while the configuration file is not in force as it stands.",
        float(bool(refused)),
    )


class LoopLag:
    """How late the event loop is: what everything else has to wait."""

    def __init__(
        self,
        metrics: CollectorRegistry,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Register with ``metrics``."""
        self._clock, self._sleep = clock, sleep
        self._seconds = Histogram(
            "meshbridge_loop_lag_seconds",
            "How late the event loop did what was due, looked at ten times a second.",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
            registry=metrics,
        )

    async def watch(self) -> Never:
        """Look until cancelled."""
        while True:
            due = self._clock() + LOOK
            await self._sleep(LOOK)
            self._seconds.observe(max(0.0, self._clock() - due))
            await asyncio.sleep(0)
