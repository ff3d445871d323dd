"""The Eureka adapter against a real Eureka server: what it says is what the server holds."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from peers.conftest import make_eureka, shared, unavailable

from meshbridge import (
    Adapter,
    Changed,
    Context,
    Health,
    Instance,
    InstancePort,
    Listing,
    Update,
)
from meshbridge_eureka import Eureka as EurekaAdapter
from meshbridge_eureka import Options, over_http, parse
from rig.application import running
from rig.bed import Missing
from rig.eureka import EVICTION, Eureka
from rig.spring import Member, SpringService
from rig.times import timed
from rig.waiting import until
from rig.watching import Watched, watching

pytestmark = pytest.mark.asyncio

SCOPE = "applications"
INTERVAL = 1.0
CACHED = 2.0
"""Seconds of the response cache of a server that has one; 30 where nobody says otherwise."""
BUSY = 3.0
"""Seconds more that a change may take where the processor is busy."""
LEASE = 8
"""Seconds in which an instance that never renews is listed, also by a server with a cache."""
CLOSED = 12.0
"""Seconds from its start for which a server is closed that got nothing from its peers."""
Found = tuple[Instance, ...] | None


@pytest.fixture(scope="module", params=[0.0, CACHED], ids=["no-cache", "cache"])
def each(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Eureka, float]]:
    """Return a running server and the seconds of its cache; each test has names of its own."""
    cached: float = request.param
    with shared(make_eureka(tmp_path_factory.mktemp("eureka"), cached=cached)) as server:
        yield server, cached


def watch(server: Eureka, **options: object) -> AbstractAsyncContextManager[Watched]:
    """Watch as the bridge does, only more often."""
    fields = {"servers": [f"http://{server.address}/eureka"], "interval": f"{INTERVAL:g}s"}

    def adapter(context: Context) -> Adapter:
        return EurekaAdapter("shop", Options.model_validate(fields | options), context)

    return watching(adapter)


def health(**expected: Health) -> Callable[[Found], bool]:
    """Say that there are exactly these versions, and how they are."""
    return lambda found: (
        {dict(one.metadata)["version"]: one.health for one in found or ()} == expected
    )


def only(watched: Watched, service: str) -> Instance:
    """Return the one instance of a service."""
    found = watched.instances(service)
    assert found is not None
    (instance,) = found
    return instance


def gone(found: Found) -> bool:
    return not found


async def test_each_change_is_told_as_soon_as_the_server_tells_it(
    each: tuple[Eureka, float],
) -> None:
    """Taken out of service by hand, given other metadata, deregistered, evicted, the last one too.

    Each is told within the interval and the server's cache.
    """
    server, cached = each
    within, where = INTERVAL + cached + BUSY, f"cache {cached:g} s"
    v1, v2 = ("shop", "10.1.0.1", 8080), ("shop", "10.1.0.2", 8080)
    up, off = Health.HEALTHY, Health.DISABLED
    await server.register(*v1, metadata={"version": "v1"})
    async with watch(server) as watched:
        await watched.has("shop", health(v1=up))
        with timed("Eureka's adapter: registered", where):
            await server.register(*v2, metadata={"version": "v2"}, lease=LEASE)
            await watched.has("shop", health(v1=up, v2=up), within=within)
        assert len([said for said in watched.said if isinstance(said, Listing)]) == 1
        # Who never renews keeps its lease only once.
        await until(
            lambda: evictions(server, v2),
            lambda times: times == 1,
            within=LEASE + 3 * EVICTION + BUSY,
        )
        with timed("Eureka's adapter: evicted", where):
            await watched.has("shop", health(v1=up), within=within)
        with timed("Eureka's adapter: out of service", where):
            await server.set_status(*v1, "OUT_OF_SERVICE")
            await watched.has("shop", health(v1=off), within=within)
        with timed("Eureka's adapter: in service again", where):
            await server.clear_status(*v1)
            await watched.has("shop", health(v1=up), within=within)
        with timed("Eureka's adapter: other metadata", where):
            await server.set_metadata(*v1, version="v3")
            await watched.has("shop", health(v3=up), within=within)
        with timed("Eureka's adapter: deregistered", where):
            await server.deregister(*v1)
            await watched.has("shop", gone, within=within)
        assert watched.failures == []
        assert watched.reports == []


async def evictions(server: Eureka, instance: tuple[str, str, int]) -> int:
    return server.evicted(*instance)


@pytest.mark.parametrize("each", [0.0], ids=["no-cache"], indirect=True)
async def test_an_instance_is_what_was_registered(each: tuple[Eureka, float]) -> None:
    """With the port that it has switched on, by every name that callers know it by."""
    server, _ = each
    await server.register(
        "front_end",
        "10.1.1.1",
        8080,
        metadata={"version": "v1", "my_key": "under_score", "zone": "z1"},
        vip="Front,front-old",
        secure_port=8443,
        plain=False,
    )
    await server.register("both", "10.1.1.2", 8080, secure_port=8443)
    await server.register("cloud", "10.1.1.3", 8080, availability_zone="us-east-1c")
    async with watch(server) as watched, watch(server, names="application") as by_application:
        await watched.has("front", bool)
        instance = only(watched, "front")
        assert instance.address == "10.1.1.1"
        assert instance.ports == (InstancePort(8443, "https", secure=True),)
        assert dict(instance.metadata)["my_key"] == "under_score", "as it was written"
        assert dict(instance.metadata)["version"] == "v1"
        assert instance.zone == "z1"
        assert only(watched, "front-old") == instance
        assert {port.number: port.secure for port in only(watched, "both").ports} == {
            8080: False,
            8443: True,
        }
        assert only(watched, "cloud").zone == "us-east-1c"
        names = {name for name in watched.filled() if name.startswith("front")}
        assert names == {"front", "front-old"}

        await by_application.has("front_end", bool)
        assert only(by_application, "front_end") == instance
        assert not by_application.instances("front")


@pytest.mark.parametrize("each", [0.0], ids=["no-cache"], indirect=True)
async def test_no_status_but_up_is_told_as_healthy(each: tuple[Eureka, float]) -> None:
    server, _ = each
    said = {"UP": "v1", "DOWN": "v2", "STARTING": "v3", "OUT_OF_SERVICE": "v4", "UNKNOWN": "v5"}
    for number, (status, version) in enumerate(said.items()):
        metadata = {"version": version}
        await server.register("states", f"10.1.2.{number}", 80, status=status, metadata=metadata)
    async with watch(server) as watched:
        told = health(
            v1=Health.HEALTHY,
            v2=Health.UNHEALTHY,
            v3=Health.DISABLED,
            v4=Health.DISABLED,
            v5=Health.UNHEALTHY,
        )
        await watched.has("states", told)


async def test_a_server_that_is_not_there_or_closed_is_an_outage(tmp_path: Path) -> None:
    """When we start it is down; then it answers 403, as it got nothing from its peers."""
    server = make_eureka(tmp_path, closed_for=CLOSED)

    async def reasons() -> str:
        return " ".join(map(str, watched.failures))

    async with watch(server) as watched:
        await until(reasons, bool, within=BUSY)
        try:
            await server.start()
            await server.register("orders", "10.1.0.1", 8080)
            await until(reasons, lambda said: "403" in said, within=CLOSED)
            assert watched.said == []
            listing = await watched.listed(SCOPE, within=2 * CLOSED)
            assert [str(service.id) for service in listing.services] == ["orders"]
        finally:
            await server.stop()


async def test_what_was_told_outlives_a_server_that_hangs_and_one_that_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is empty when it starts again, and says so as data: that is told as after a gap.

    Real clients register again; who does not is gone.
    """
    monkeypatch.setattr(over_http, "SILENCE", 1.0)
    server = make_eureka(tmp_path)
    member = Member(
        kind="eureka", registry=server.address, name="a", service="orders", heartbeat=1, fetch=1
    )
    try:
        service = SpringService(tmp_path, member)
    except Missing as missing:
        unavailable(missing)

    async def failures() -> int:
        return len(watched.failures)

    def listings() -> int:
        return sum(isinstance(each, Listing) for each in watched.said)

    async with server, watch(server) as watched, service:
        await server.register("mortal", "10.1.0.9", 8080)
        for name in ("orders", "mortal"):
            await watched.has(name, bool)
        before, known = watched.filled(), len(watched.said)

        server.pause()
        await until(failures, bool, within=INTERVAL + 1 + BUSY)
        told = listings()
        server.resume()
        listing = await watched.listed(SCOPE, times=told + 1)
        assert listing.after_gap
        assert watched.filled() == before

        await server.kill()
        failed, told = len(watched.failures), listings()
        await until(failures, lambda times: times > failed, within=INTERVAL + 1 + BUSY)
        assert watched.filled() == before
        assert not any(loses(update, len(before)) for update in watched.said[known:])
        await server.start()
        listing = await watched.listed(SCOPE, times=told + 1)
        assert listing.after_gap
        await watched.has("mortal", gone)
        await watched.has("orders", bool)
        assert only(watched, "orders").ports == before["orders"][0].ports
        assert watched.reports == []


def loses(update: Update, services: int) -> bool:
    """Say whether it takes away any of so many services."""
    match update:
        case Listing():
            return len(update.services) < services
        case Changed():
            return not update.service.instances
        case _:
            return True


async def test_whose_lease_is_over_is_degraded_while_the_server_preserves_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told without the minutes for which a server's answers may hide that somebody renews."""
    monkeypatch.setattr(parse, "LATE", 0)
    seconds = {"full-interval": f"{INTERVAL:g}s"}
    async with make_eureka(tmp_path, self_preservation=True) as server:
        await server.register("shop", "10.1.0.1", 8080, metadata={"version": "v1"})
        await server.register("shop", "10.1.0.2", 8080, metadata={"version": "v2"}, lease=2)
        async with watch(server, **seconds) as watched:
            await watched.has("shop", health(v1=Health.HEALTHY, v2=Health.HEALTHY))
            await watched.has("shop", health(v1=Health.HEALTHY, v2=Health.DEGRADED))
            assert server.evicted("shop", "10.1.0.2", 8080) == 0
            await server.renew("shop", "10.1.0.2", 8080)
            # Which shows once something changes: until then the server repeats what it said.
            await server.set_metadata("shop", "10.1.0.1", 8080, zone="z1")
            await watched.has("shop", health(v1=Health.HEALTHY, v2=Health.HEALTHY))


async def test_of_two_servers_the_other_one_is_asked_when_one_goes(tmp_path: Path) -> None:
    """What it holds is listed as after a gap: it may know less."""
    one, other = (make_eureka(tmp_path / name) for name in ("one", "other"))
    urls = {"servers": [f"http://{each.address}/eureka" for each in (one, other)]}
    async with running(one, other):
        for server, version in ((one, "v1"), (other, "v2")):
            await server.register("orders", "10.1.0.1", 8080, metadata={"version": version})
        async with watch(one, **urls) as watched:
            await watched.has("orders", health(v1=Health.HEALTHY))
            await one.kill()
            await watched.has("orders", health(v2=Health.HEALTHY), within=INTERVAL + BUSY)
            assert (await watched.listed(SCOPE, times=2)).after_gap
            assert watched.failures == []
