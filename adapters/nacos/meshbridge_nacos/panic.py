"""Puts the truth about health in place of what protection makes of it; pure.

Under protection a server calls every instance of a service healthy, and says so beside them. Such
instances are read as DEGRADED; what administrators are told of them is the truth.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from meshbridge import Health, RegisteredService, ServiceId
from meshbridge_nacos.parse import DEFAULT_CLUSTER, read_service

Truth = Mapping[str, Health]
"""The health of instances by their id."""


def truth(identity: ServiceId, records: Iterable[object]) -> Truth:
    """Return what the records of instances say for administrators; bad ones say nothing."""
    instances = read_service(identity, {"hosts": list(records)}).service.instances
    return {each.id: each.health for each in instances}


def clusters(service: RegisteredService) -> tuple[str, ...]:
    """Return the clusters that the service's instances are in: administrators ask for each."""
    return tuple(sorted({each.zone or DEFAULT_CLUSTER for each in service.instances}))


def corrected(service: RegisteredService, known: Truth) -> RegisteredService:
    """Return a service under protection with the truth: who is not known of is DEGRADED."""
    instances = tuple(
        replace(each, health=known.get(each.id, Health.DEGRADED)) for each in service.instances
    )
    return replace(service, instances=instances)
