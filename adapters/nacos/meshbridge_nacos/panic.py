"""Puts the truth about health in place of what protection makes of it; pure.

Under protection a server calls every instance of a service healthy, and says so beside them. Such
instances are read as DEGRADED; what administrators are told of them is the truth.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from meshbridge import Health, Instance, RegisteredService, ServiceId
from meshbridge.steps import Steps
from meshbridge_nacos.parse import DEFAULT_CLUSTER, SLICE, reading

Truth = Mapping[str, Health]
"""The health of instances by their id."""


def truth(identity: ServiceId, records: Iterable[object]) -> Steps[Truth]:
    """Return what the records of instances say for administrators; bad ones say nothing."""
    told = yield from reading(identity, {"hosts": list(records)})
    return {each.id: each.health for each in told.service.instances}


def clusters(service: RegisteredService) -> tuple[str, ...]:
    """Return the clusters that the service's instances are in: administrators ask for each."""
    return tuple(sorted({each.zone or DEFAULT_CLUSTER for each in service.instances}))


def corrected(service: RegisteredService, known: Truth) -> Steps[RegisteredService]:
    """Return a service under protection with the truth: who is not known of is DEGRADED."""
    instances: list[Instance] = []
    for position, each in enumerate(service.instances):
        if position % SLICE == SLICE - 1:
            yield
        health = known.get(each.id, Health.DEGRADED)
        instances.append(each if each.health is health else replace(each, health=health))
    return replace(service, instances=tuple(instances))
