"""A real Eureka answers an instance as its clients are told, freezes, and forgets."""

import asyncio
import time
from pathlib import Path

import pytest
from peers.conftest import make_eureka

from rig.bed import versions
from rig.eureka import Eureka
from rig.waiting import until

pytestmark = pytest.mark.asyncio

APP = "shop"
A, B = ("10.1.0.1", 8080), ("10.1.0.2", 8080)
CLOSED = 15.0
"""Seconds from its start for which it is closed: also a slow start ends before."""


async def statuses(server: Eureka) -> dict[str, str]:
    """Return the status of each instance, by address."""
    listed = await server.applications()
    return {each["ipAddr"]: each["status"] for app in listed.values() for each in app}


async def addresses(server: Eureka) -> set[str] | None:
    """Return the addresses of all instances; None while it is closed."""
    try:
        return set(await statuses(server))
    except OSError as refused:
        if "answered 403" in str(refused):
            return None
        raise


async def an_instance_lives(server: Eureka) -> None:
    """Let one leave as it should, and another fall silent."""
    await server.register(APP, *A, metadata={"version": "v1"})
    await server.register(APP, *B, lease=5)
    assert await statuses(server) == {"10.1.0.1": "UP", "10.1.0.2": "UP"}
    await server.set_status(APP, *A, "OUT_OF_SERVICE")
    await server.set_metadata(APP, *A, zone="z1")
    (listed,) = [each for each in (await server.applications())["SHOP"] if each["ipAddr"] == A[0]]
    assert listed["status"] == "OUT_OF_SERVICE"
    assert listed["metadata"] == {"version": "v1", "zone": "z1"}
    await server.clear_status(APP, *A)
    await until(lambda: statuses(server), lambda found: found == {"10.1.0.1": "UP"}, within=30)
    assert await server.renew(APP, *A)
    assert not await server.renew(APP, *B)
    await server.deregister(APP, *A)
    assert await statuses(server) == {}
    assert {each["actionType"] for each in (await server.delta())["SHOP"]} == {"DELETED"}


async def test_it_lists_an_instance_while_that_lives_and_none_after_a_crash(tmp_path: Path) -> None:
    async with make_eureka(tmp_path) as server:
        assert versions("maven")["cloud"] == "2025.0.0"
        assert await server.version() == "2.0.4 (Spring Cloud Netflix 4.3.0)"
        await an_instance_lives(server)

        await server.register(APP, *A)
        server.pause()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await server.applications()
        server.resume()
        assert await statuses(server) == {"10.1.0.1": "UP"}

        await server.kill()
        await server.start()
        assert await statuses(server) == {}
        await server.stop()
        assert server.process.exit_code == 143
        server.wipe()
        assert not server.home.exists()


async def test_it_can_be_closed_at_first_and_then_late_with_what_it_answers(tmp_path: Path) -> None:
    """Closed as one that got nothing from its peers; late as one that nobody has tuned.

    It keeps whoever fell silent, too, as one that takes this for a fault of the network.
    """
    server = make_eureka(tmp_path, cached=2.0, closed_for=CLOSED, self_preservation=True)
    try:
        await until(lambda: starts_closed(server), bool, within=3 * CLOSED)
        await server.register(APP, *B, vip="front", lease=1)
        registered = time.monotonic()

        async def silent_for() -> float:
            return time.monotonic() - registered

        await until(lambda: addresses(server), lambda found: found == {B[0]}, within=2 * CLOSED)
        await until(lambda: is_late(server), bool, within=30)
        await until(lambda: addresses(server), lambda found: found == {B[0]}, within=15)
        (listed,) = (await server.applications())["SHOP"]
        assert listed["vipAddress"] == "front"
        # Without self-preservation it would be gone after its lease of 1 s and a look each second.
        await until(silent_for, lambda seconds: seconds > 5, within=6)
        assert await addresses(server) == {B[0]}
    finally:
        await server.stop()


async def starts_closed(server: Eureka) -> bool:
    """Start it, again if it runs; return whether it was seen closed.

    It is not where the start took so long that it may have been open before it was asked.
    """
    await server.stop()
    hidden = time.monotonic() + CLOSED
    await server.start()
    found, _ = await until(
        lambda: addresses(server),
        lambda found: found is None or time.monotonic() > hidden,
        within=CLOSED,
    )
    return found is None


async def is_late(server: Eureka) -> bool:
    """Register one and take it back as soon as it is listed; return whether it still is listed.

    It is not where the cache happened to be brought up to date in between.
    """
    await server.register(APP, *A)
    await until(lambda: addresses(server), lambda found: found == {A[0], B[0]}, within=15)
    await server.deregister(APP, *A)
    return await addresses(server) == {A[0], B[0]}
