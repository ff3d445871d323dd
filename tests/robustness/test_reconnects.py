"""Bar 13: whoever comes back is told what went away meanwhile, in both variants and as istiod."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
import structlog
from prometheus_client import CollectorRegistry
from robustness.findings import Bar
from robustness.subscriber import DeltaClient, StateClient, channel, open_stream

from meshbridge.outlet import OutletContext
from meshbridge.problems import Problems
from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from meshbridge.service import Service
from meshbridge.snapshot import EMPTY, Snapshots
from meshbridge_mcp import Mcp
from meshbridge_mcp.server import Options
from meshbridge_xds import XdsOptions
from meshbridge_xds.envoy.names import CDS, EDS, cluster_name
from rig.control_plane import LOOPBACK, control_plane, endpoint, service
from rig.scripted_istiod import ScriptedIstiod

pytestmark = pytest.mark.asyncio
ROUNDS = 400
"""Each is one return of an incremental client, of a state-of-the-world one, and of istiod."""
HOSTS = [f"s{number}.test" for number in range(16)]
BARRIER = "type.test/no.such.Type"
"""Answered after all that was due before it: what comes later is too late."""
Contents = dict[str, set[str]]
"""``address:port`` of each host."""


@dataclass
class World:
    """What is registered, as the model: nothing of the product computes it."""

    chance: random.Random
    hosts: Contents = field(default_factory=Contents)

    def change(self) -> None:
        """Add, change and remove some hosts, sometimes all of them."""
        for host in HOSTS:
            match self.chance.randrange(5):
                case 0:
                    self.hosts.pop(host, None)
                case 1 | 2:
                    self.hosts[host] = {self._endpoint() for _ in range(self.chance.randrange(4))}
                case _:
                    pass
        if self.chance.random() < 0.03:
            self.hosts.clear()

    def _endpoint(self) -> str:
        return f"10.0.0.{1 + self.chance.randrange(9)}:{8000 + self.chance.randrange(3)}"

    def services(self) -> dict[str, Service]:
        """Return what the outlets are given."""
        return {host: _service(host, each) for host, each in self.hosts.items()}

    def clusters(self) -> Contents:
        """Return what Envoy must hold: endpoints by cluster."""
        return {cluster_name(host, 80): each for host, each in self.hosts.items()}


def _service(host: str, endpoints: set[str]) -> Service:
    parts = [each.partition(":") for each in sorted(endpoints)]
    return service(host, *(endpoint(int(port), address=address) for address, _, port in parts))


@dataclass
class Server:
    """Both outlets on the same snapshots."""

    snapshots: Snapshots
    xds: str
    mcp: str


@asynccontextmanager
async def serving(world: World) -> AsyncGenerator[Server]:
    """Serve as a bridge that has just started."""
    snapshots = Snapshots()
    snapshots.publish(EMPTY.with_changes(world.services()))
    async with (
        control_plane(XdsOptions(listen=LOOPBACK), snapshots=snapshots) as plane,
        serving_mcp(snapshots) as mcp,
    ):
        yield Server(snapshots, plane.address, mcp)


@asynccontextmanager
async def serving_mcp(snapshots: Snapshots) -> AsyncGenerator[str]:
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    outlet = Mcp(Options(listen=LOOPBACK))
    context = OutletContext(
        clock=time.monotonic,
        logger=structlog.get_logger(),
        metrics=CollectorRegistry(),
        listening=lambda _, where: bound.set_result(where),
        problems=Problems().put,
    )
    async with asyncio.TaskGroup() as tasks:
        served = tasks.create_task(outlet.serve(snapshots, context))
        try:
            async with asyncio.timeout(10):
                yield await bound
        finally:
            served.cancel()


@dataclass
class Returning:
    """The three that come back, with what they hold."""

    incremental: dict[str, dict[str, tuple[str, bytes]]] = field(
        default_factory=lambda: {CDS: {}, EDS: {}}
    )
    state: dict[str, bytes] = field(default_factory=dict[str, bytes])
    istiod: ScriptedIstiod = field(default_factory=lambda: ScriptedIstiod(""))


async def test_whoever_comes_back_is_told_what_went_away_meanwhile(
    bar: Callable[[str], Bar],
) -> None:
    """After each return everyone holds exactly what is registered, byte for byte the same."""
    with bar("13, reconnect") as it:
        world, who = World(it.chance()), Returning()
        wrong: list[str] = []
        removals = restarts = 0
        world.change()
        async with AsyncExitStack() as first:
            stack, server = first, await first.enter_async_context(serving(world))
            for number in range(ROUNDS):
                before = set(world.hosts)
                world.change()
                removals += bool(before - set(world.hosts))
                if world.chance.random() < 0.4:
                    restarts += 1
                    await stack.aclose()
                    server = await stack.enter_async_context(serving(world))
                else:
                    publish(server, world)
                wrong += [f"round {number}: {each}" for each in await come_back(server, world, who)]
                if number % 100 == 99:
                    it.say(f"{number + 1} of {ROUNDS} rounds")
        it.void_unless(removals > ROUNDS / 2, f"removals in {removals} rounds only")
        it.void_unless(restarts > ROUNDS / 4, f"{restarts} restarts only")
        it.at_least("returns over real gRPC", 3 * ROUNDS, 1000)
        it.at_least("rounds in which something went away meanwhile", removals, ROUNDS // 2)
        it.at_least("rounds in which the server was a new one", restarts, ROUNDS // 4)
        it.none("returns that did not end in the truth", wrong)


def publish(server: Server, world: World) -> None:
    newest = server.snapshots.newest
    assert newest is not None
    touched: dict[str, Service | None] = dict.fromkeys(newest.services)
    touched.update(world.services())
    server.snapshots.publish(newest.with_changes(touched))


async def come_back(server: Server, world: World, who: Returning) -> list[str]:
    """Let all three return; say who does not hold the truth in the end."""
    wrong: list[str] = []
    expected = world.clusters()
    for name, back in (("incremental", incremental), ("state", state)):
        try:
            await back(server.xds, expected, who)
        except (TimeoutError, EOFError, AssertionError) as error:
            wrong.append(f"{name}: {type(error).__name__} {error}")
    who.istiod.target = server.mcp
    try:
        async with who.istiod.connected():
            await who.istiod.until(lambda: istiod_holds(who.istiod, world.hosts))
    except AssertionError as error:
        wrong.append(f"istiod: {error}")
    bodies = {name: body for name, (_, body) in who.incremental[EDS].items()}
    if not wrong and bodies != who.state:
        wrong.append("the variants differ in their bytes")
    return wrong


def istiod_holds(istiod: ScriptedIstiod, hosts: Contents) -> bool:
    return istiod.hosts() == set(hosts) and all(
        istiod.endpoints(host)["http-80"] == each for host, each in hosts.items()
    )


def endpoints(body: bytes) -> set[str]:
    """Return ``address:port`` of all endpoints of an EDS resource."""
    return {
        f"{at.address}:{at.port_value}"
        for locality in ClusterLoadAssignment.FromString(body).endpoints
        for each in locality.lb_endpoints
        for at in (each.endpoint.address.socket_address,)
    }


async def incremental(target: str, expected: Contents, who: Returning) -> None:
    """Come back with the versions held, as Envoy does; it drops nothing by itself."""
    async with channel(target) as connected:
        client = DeltaClient(open_stream(connected, delta=True), who.incremental)
        names = set(client.held[CDS]) | set(client.held[EDS])
        for url, asked in ((CDS, set[str]()), (EDS, names)):
            known = {name: version for name, (version, _) in client.held[url].items()}
            if url == CDS or asked:
                await client.ask(url, sorted(asked), known=known)

        async def take() -> str:
            response = await client.take()
            new = set(client.held[CDS]) - names
            if response.type_url == CDS and new:
                names.update(new)
                await client.ask(EDS, sorted(new))
            return response.type_url

        def holds() -> bool:
            held = {name: endpoints(body) for name, (_, body) in client.held[EDS].items()}
            return held == expected and client.held[CDS].keys() == expected.keys()

        await take()
        while not holds():
            await take()
        await client.ask(BARRIER)
        while await take() != BARRIER:
            pass
        assert holds(), "it held the truth and lost it"
        client.held.pop(BARRIER, None)
        client.call.cancel()


async def state(target: str, expected: Contents, who: Returning) -> None:
    """Come back asking for all that is held, as Envoy does."""
    async with channel(target) as connected:
        client = StateClient(open_stream(connected, delta=False))
        await client.ask(CDS)
        clusters: set[str] = set()
        while True:
            response = await client.read()
            if response.type_url == CDS:
                clusters = {names_of(each.value) for each in response.resources}
                who.state = {name: body for name, body in who.state.items() if name in clusters}
                await client.ask(CDS, after=response)
                if clusters:
                    await client.ask(EDS, sorted(clusters), after=last_of(client, EDS))
            else:
                who.state |= {names_of(each.value): each.value for each in response.resources}
                await client.ask(EDS, sorted(clusters), after=response)
            held = {name: endpoints(body) for name, body in who.state.items()}
            if clusters == expected.keys() and held == expected:
                break
        client.call.cancel()


def last_of(client: StateClient, url: str) -> DiscoveryResponse | None:
    return next((each for each in reversed(client.received) if each.type_url == url), None)


def names_of(body: bytes) -> str:
    """Return the name of a cluster or of its endpoints: field 1 of both."""
    return ClusterLoadAssignment.FromString(body).cluster_name
