"""Real Spring Cloud services in a real Eureka, and who answers those that call them through Envoy.

Envoy knows only what the bridge tells it, or what istiod makes of that. Of the two callers one is
an unmodified `@LoadBalanced` application that calls instances' addresses, the other one names the
host. What changes must have reached them within the bridge's interval, the time of the server's
response cache, and a second; the table of times shows what it took, and a machine that is busy with
other things is given three seconds more before the test fails.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from peers.bed.eureka_mesh import INTERVAL, SERVICE, SERVING, Mesh, meshed
from peers.bed.heard import SOON, heard
from peers.conftest import unavailable

from rig.application import running, stop_all
from rig.bed import Missing
from rig.eureka import EVICTION, Eureka
from rig.network import Namespace
from rig.ports import free_port
from rig.spring import Member, SpringService
from rig.times import timed
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("envoy")]

CACHED = 2.0
"""Seconds of the response cache where there is one; 30 where nobody says otherwise."""
REST = 1.0
"""Seconds for all else than the interval and the cache."""
BUSY = 3.0
"""Seconds more that a busy machine may take."""
LEASE = 2
"""Seconds; Eureka keeps whoever fell silent for twice as long."""


@dataclass(frozen=True, slots=True)
class Story:
    """A Eureka, real services, and who calls them."""

    server: Eureka
    within: float
    """Seconds after which a change must have reached callers."""
    where: str
    mesh: Mesh
    v1: SpringService
    v2: SpringService
    again: SpringService
    """The first one on another port; not started."""

    async def follow(self, event: str, since: float, *wanted: str) -> None:
        """Wait until both callers are answered by these; raises AssertionError if that is late."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.follows(event, since, *wanted))
            tasks.create_task(self._hears(f"{event}, @LoadBalanced", since, wanted, balanced=True))

    async def follows(self, event: str, since: float, *wanted: str) -> None:
        """Wait for the one that names the host only."""
        await self._hears(f"{event}, by name", since, wanted, balanced=False)

    async def _hears(
        self, event: str, since: float, wanted: Sequence[str], *, balanced: bool
    ) -> None:
        call = self.mesh.by_address if balanced else self.mesh.by_name
        with timed(f"Eureka: {event}", self.where, since=since):
            await heard(call, *wanted)
        took = time.monotonic() - since
        late = f"{event}: followed after {took:.2f} s, not {self.within:g} s"
        assert took <= self.within + BUSY, late


def services(
    server: Eureka, addresses: tuple[str, str], folder: Path
) -> tuple[SpringService, SpringService, SpringService]:
    """Return two instances of the goods, and the first one as it starts again elsewhere."""
    one = Member(
        kind="eureka",
        registry=server.address,
        name="v1",
        service=SERVICE,
        host=addresses[0],
        port=free_port(),
        metadata=SERVING,
        heartbeat=1,
        lease=LEASE,
    )
    two = replace(one, name="v2", host=addresses[1])
    again = replace(one, name="v1-again", port=free_port())
    return SpringService(folder, one), SpringService(folder, two), SpringService(folder, again)


def at(service: SpringService) -> tuple[str, str, int]:
    """Return what Eureka knows it by."""
    return SERVICE, service.member.host, service.port


@pytest.mark.parametrize(
    ("cached", "by_istiod"),
    [(0.0, False), (CACHED, False), (0.0, True)],
    ids=["no-cache", "cache", "istiod"],
)
async def test_traffic_follows_spring_cloud_services_on_eureka(
    request: pytest.FixtureRequest,
    network: Namespace,
    addresses: tuple[str, str],
    tmp_path: Path,
    *,
    cached: float,
    by_istiod: bool,
) -> None:
    if by_istiod:
        request.getfixturevalue("istio")
    try:
        server = Eureka(tmp_path, cached=cached)
        v1, v2, again = services(server, addresses, tmp_path)
    except Missing as missing:
        unavailable(missing)
    where = "istiod" if by_istiod else f"cache {cached:g} s"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(server)
        mesh = await stack.enter_async_context(
            meshed(server, network, (v1, v2, again), tmp_path, by_istiod=by_istiod)
        )
        await stack.enter_async_context(running(v1, v2, mesh.page))
        stack.push_async_callback(stop_all, again)
        for call in (mesh.by_name, mesh.by_address):
            await heard(call, "v1", "v2")
        story = Story(server, INTERVAL + cached + REST, where, mesh, v1, v2, again)
        await envoy_chooses_again_whom_the_application_has_chosen(story)
        await who_is_taken_out_of_service_is_not_called(story)
        await whose_metadata_exclude_it_is_not_called_by_name(story)
        await who_starts_again_on_another_port_is_called_there(story)
        await who_was_killed_is_not_called_once_eureka_evicts_it(story)
        if not cached and not by_istiod:
            await nobody_notices_that_eureka_has_forgotten_everything(story)


async def envoy_chooses_again_whom_the_application_has_chosen(it: Story) -> None:
    """A call of an address is one of the host: any of its instances may answer."""
    names = {each.address: each.member.name for each in (it.v1, it.v2)}

    async def another_one() -> bool:
        if secrets.randbelow(2):  # so that both do not take their turns in the same order
            await it.mesh.by_name()
        routed = await it.mesh.routed()
        return routed is not None and names[routed[0]] != routed[1]

    await until(another_one, bool, within=10, every=0)


async def who_is_taken_out_of_service_is_not_called(it: Story) -> None:
    since = time.monotonic()
    await it.server.set_status(*at(it.v2), "OUT_OF_SERVICE")
    await it.follow("out of service", since, "v1")
    since = time.monotonic()
    await it.server.clear_status(*at(it.v2))
    await it.follow("in service again", since, "v1", "v2")


async def whose_metadata_exclude_it_is_not_called_by_name(it: Story) -> None:
    """The bridge is configured so; an application that goes by Eureka alone is not asked here."""
    since = time.monotonic()
    await it.server.set_metadata(*at(it.v2), serving="no")
    await it.follows("metadata exclude it", since, "v1")
    since = time.monotonic()
    await it.server.set_metadata(*at(it.v2), serving="yes")
    await it.follows("metadata include it", since, "v1", "v2")


async def who_starts_again_on_another_port_is_called_there(it: Story) -> None:
    await it.v1.stop()
    await it.again.start()
    await it.follow("on another port", time.monotonic(), "v1-again", "v2")


async def who_was_killed_is_not_called_once_eureka_evicts_it(it: Story) -> None:
    await it.v2.kill()

    async def evicted() -> int:
        return it.server.evicted(*at(it.v2))

    await until(evicted, bool, within=2 * LEASE + 3 * EVICTION + BUSY)
    await it.follow("kill -9, evicted", time.monotonic(), "v1-again")


async def nobody_notices_that_eureka_has_forgotten_everything(it: Story) -> None:
    """It crashes and starts again with an empty registry, in which the instance then registers."""
    answered = Counter[str]()

    async def keep_calling() -> None:
        while True:
            answered[await it.mesh.by_name()] += 1
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(keep_calling())
        await it.server.kill()
        await it.server.start()
        await until(it.server.applications, lambda held: "GOODS" in held, within=SOON)
        await asyncio.sleep(INTERVAL)
        calling.cancel()
    assert answered.keys() == {"v1-again"}
    with timed("Eureka: out of service, after a restart", it.where):
        await it.server.set_status(*at(it.again), "OUT_OF_SERVICE")
        await heard(it.mesh.by_name, "503")
