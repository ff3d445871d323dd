"""What the contract's tests look at more than once."""

from meshbridge.adapter import Changed, Listing
from meshbridge.registration import RegisteredService, ServiceId
from meshbridge.testing.stage import Stage

HERE = "127.0.0.1"
"""The address of every instance that the contract registers."""


def ports(services: dict[str, RegisteredService], name: str) -> set[int]:
    """Return the first ports of the instances of one service."""
    found = services.get(name)
    return {instance.ports[0].number for instance in found.instances} if found else set()


def unreadable(stage: Stage) -> set[ServiceId | tuple[ServiceId, str]]:
    """Return what the last update that names anything unreadable names."""
    for update in reversed(stage.recorder.updates):
        if isinstance(update, (Listing, Changed)) and update.unreadable:
            return set(update.unreadable)
    return set()


def check_spoilt(stage: Stage) -> None:
    """See that one instance of orders is spoilt, said with its reason, and nothing else."""
    assert stage.failures == 0, "one unreadable record is no outage"
    assert (HERE, 8091) in stage.addresses("carts")
    named = unreadable(stage)
    services = {each if isinstance(each, ServiceId) else each[0] for each in named}
    assert {service.name for service in services} == {"orders"}
    if not any(isinstance(each, ServiceId) for each in named):
        assert (HERE, 8082) in stage.addresses("orders")
    reported = {each.subject: each for each in stage.recorder.reports}
    assert named <= set(reported), "each unreadable record is reported"
    assert all(each.reason and each.remedy for each in reported.values())
