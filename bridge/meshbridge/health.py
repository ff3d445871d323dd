"""Decides once, for both outlets, which endpoints are sent and how fit they are said to be."""

from collections.abc import Iterable
from dataclasses import replace

from meshbridge.registration import Health
from meshbridge.service import Endpoint


def decide(endpoints: Iterable[Endpoint], *, keep_last: bool) -> tuple[Endpoint, ...]:
    """Return the endpoints to send of those with the registry's health, in their order.

    While one is HEALTHY, the HEALTHY and the DEGRADED ones go out as they are. Without one, the
    DEGRADED ones, else with ``keep_last`` the UNHEALTHY ones, go out as HEALTHY: proxyless gRPC
    uses only healthy endpoints, and istiod has no notion of health. DRAINING and DISABLED ones
    are never sent. The same holds for a subset's endpoints on their own.
    """
    given = tuple(endpoints)
    found = {endpoint.health for endpoint in given}
    if Health.HEALTHY in found:
        sent = (Health.HEALTHY, Health.DEGRADED)
        return tuple(endpoint for endpoint in given if endpoint.health in sent)
    if Health.DEGRADED in found:
        return _as_healthy(given, Health.DEGRADED)
    return _as_healthy(given, Health.UNHEALTHY) if keep_last else ()


def stand_in(endpoints: Iterable[Endpoint]) -> Health | None:
    """Return the registry's health of those that go out as HEALTHY for want of such ones."""
    found = {endpoint.health for endpoint in endpoints}
    if Health.HEALTHY in found:
        return None
    return next((each for each in (Health.DEGRADED, Health.UNHEALTHY) if each in found), None)


def _as_healthy(endpoints: tuple[Endpoint, ...], health: Health) -> tuple[Endpoint, ...]:
    return tuple(
        replace(endpoint, health=Health.HEALTHY)
        for endpoint in endpoints
        if endpoint.health is health
    )
