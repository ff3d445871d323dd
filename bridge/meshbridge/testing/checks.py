"""What the contract's tests look at more than once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from meshbridge.adapter import Changed, Listing
from meshbridge.registration import RegisteredService, ServiceId
from meshbridge.testing.stage import Stage

HERE = "127.0.0.1"
"""The address of every instance that the contract registers."""


@dataclass(slots=True)
class Trap:
    """A port that nobody has a reason to connect to."""

    port: int
    calls: int = 0
    """How many did."""


@asynccontextmanager
async def trap() -> AsyncGenerator[Trap]:
    """Listen at :data:`HERE` and hang up on whoever calls."""

    async def called(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        set_.calls += 1
        writer.close()

    server = await asyncio.start_server(called, HERE, 0)
    async with server:
        _, port = server.sockets[0].getsockname()
        set_ = Trap(int(port))
        yield set_


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
