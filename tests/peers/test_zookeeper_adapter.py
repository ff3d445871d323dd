"""The ZooKeeper adapter against a real ZooKeeper and the real applications that register there."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest
from peers.conftest import unavailable
from peers.zookeeper_watch_law import SERVICES, Estate, hold_to_the_law

from meshbridge import Adapter, Changed, Context, Instance, ServiceId
from meshbridge.testing import FaultProxy, Reset
from meshbridge_zookeeper_dubbo import Options, ZooKeeperDubbo, reading
from rig.bed import Missing
from rig.dubbo import Offer, Provider
from rig.server import Server
from rig.spring import Member, SpringService
from rig.waiting import until
from rig.watching import Watched, watching
from rig.zookeeper import ZooKeeper
from rig.zookeeper_nodes import provider as url
from rig.zookeeper_nodes import spring
from rig.zookeeper_session import Session

pytestmark = pytest.mark.asyncio

SCOPE = "/dubbo /services"
GREETER, STOCK = "meshbridge.peers.Greeter", "meshbridge.peers.Stock"
BOTH = ("dubbo", "tri")
AT_ONCE = 3
"""Applications that start at the same time."""


def adapter(server: ZooKeeper, **options: object) -> Callable[[Context], Adapter]:
    fields = {"servers": [server.address]} | options
    return lambda context: ZooKeeperDubbo("shop", Options.model_validate(fields), context)


def watch(server: ZooKeeper, **options: object) -> AbstractAsyncContextManager[Watched]:
    return watching(adapter(server, **options))


async def _all(servers: Sequence[Server], *, start: bool) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(server: Server) -> None:
        async with slots:
            await (server.start() if start else server.kill())

    async with asyncio.TaskGroup() as tasks:
        for each in servers:
            tasks.create_task(one(each))


@pytest.fixture(scope="module")
def providers(
    zookeeper: ZooKeeper, host: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Provider]]:
    """Return running providers, each in a group of its name: one for each way to register."""
    registry = f"zookeeper://{zookeeper.address}"
    offer = Offer(
        name="", host=host, registry=registry, protocols=BOTH, version="1.0", weight=50, tag="gray"
    )
    ways = (
        replace(offer, name="both-local", mode="all", metadata="local"),
        replace(offer, name="both-remote", mode="all", metadata="remote"),
        replace(offer, name="interfaces", mode="interface"),
        replace(offer, name="remote", mode="instance", metadata="remote", zone="z1", region="hz"),
        replace(offer, name="local", mode="instance", metadata="local"),
        replace(offer, name="no-triple", mode="instance", metadata="local", protocols=("dubbo",)),
        replace(offer, name="old", release=2, protocols=("dubbo",)),
    )
    folder = tmp_path_factory.mktemp("providers")
    try:
        made = {each.name: Provider(folder, replace(each, group=each.name)) for each in ways}
    except Missing as missing:
        unavailable(missing)
    try:
        asyncio.run(_all(list(made.values()), start=True))
        yield made
    finally:
        asyncio.run(_all(list(made.values()), start=False))


def ids(provider: Provider) -> list[str]:
    """Return the ids that its instances have at each of its interfaces."""
    return sorted(provider.url(protocol) for protocol in provider.ports)


def only(watched: Watched, service: str) -> tuple[Instance, ...]:
    """Return what the service has, none if it is not there."""
    return watched.instances(service) or ()


def there(provider: Provider) -> Callable[[tuple[Instance, ...] | None], bool]:
    return lambda found: [each.id for each in found or ()] == ids(provider)


@pytest.mark.parametrize(
    "way", ["both-local", "both-remote", "interfaces", "remote", "local", "old"]
)
async def test_a_real_provider_is_known_however_it_registers(
    zookeeper: ZooKeeper, providers: dict[str, Provider], way: str
) -> None:
    """Its endpoints once, with weight and tag; one that keeps its interfaces to itself is asked."""
    provider = providers[way]
    async with watch(zookeeper, **{"dial-instances": True}) as watched:
        for interface in (GREETER, STOCK):
            await watched.has(f"{way}@@{interface}#1.0", there(provider))
            for instance in watched.instances(f"{way}@@{interface}#1.0") or ():
                assert instance.weight == 0.5
                assert dict(instance.metadata)["dubbo.tag"] == "gray"
                assert (instance.zone == "hz/z1") == (way == "remote")
        assert watched.instances(f"{way}@@{GREETER}") is None
        if way not in ("interfaces", "old"):
            (instance,) = only(watched, way)
            assert {port.protocol: port.number for port in instance.ports} == provider.ports
            assert instance.weight == 0.5
        assert watched.reports == []


async def test_without_being_asked_it_is_known_by_mapping_and_definitions(
    zookeeper: ZooKeeper, providers: dict[str, Provider]
) -> None:
    """And so is one without Triple, which cannot be asked in gRPC, in any case."""
    async with watch(zookeeper) as watched:
        for way in ("local", "no-triple"):
            await watched.has(f"{way}@@{GREETER}#1.0", there(providers[way]))
        assert watched.instances(GREETER) is None
    async with watch(zookeeper, **{"dial-instances": True}) as watched:
        await watched.has(f"no-triple@@{STOCK}#1.0", there(providers["no-triple"]))
        assert watched.reports == []


async def test_what_nothing_tells_is_named_with_the_ways_out(
    zookeeper: ZooKeeper, providers: dict[str, Provider]
) -> None:
    """Where the mappings are lost, as with a metadata centre of its own."""
    async with Session(zookeeper.address) as session, watch(zookeeper) as watched:
        await watched.listed(SCOPE)
        for interface in (GREETER, STOCK):
            await session.write(f"/dubbo/mapping/{interface}", b"nobody")

        async def look() -> dict[str, str]:
            return {str(subject): text for subject, text in watched.reports}

        reports, _ = await until(look, lambda found: len(found) == 2, within=10)
        (local,) = (text for subject, text in reports.items() if "name='local'" in subject)
        assert "dial-instances: true" in local
        assert "metadata-type=remote" in local
        (without,) = (text for subject, text in reports.items() if "name='no-triple'" in subject)
        assert "dial-instances" not in without
        assert not watched.instances(f"local@@{GREETER}#1.0")
        await session.write(f"/dubbo/mapping/{STOCK}", b"no-triple")
        await watched.has(f"no-triple@@{STOCK}#1.0", there(providers["no-triple"]))


async def test_the_group_of_a_registry_is_the_root_of_interfaces_and_applications(
    zookeeper: ZooKeeper, host: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    registry = f"zookeeper://{zookeeper.address}?group=acme"
    offer = Offer(name="grouped", host=host, registry=registry, mode="all", protocols=BOTH)
    try:
        provider = Provider(tmp_path_factory.mktemp("grouped"), offer)
    except Missing as missing:
        unavailable(missing)
    roots = {"interface-roots": ["/acme"], "application-roots": ["/acme"]}
    async with watch(zookeeper, **roots) as watched:
        await watched.listed("/acme")
        ((missing_root, _),) = watched.reports
        assert str(missing_root) == "root acme", "Dubbo makes it when it first registers"
        watched.reports.clear()
        try:
            await provider.start()
            await watched.has(GREETER, there(provider))
            await watched.has("grouped", lambda found: len(found or ()) == 1)
            assert set(watched.filled()) == {GREETER, STOCK, "grouped"}
            assert watched.reports == []
        finally:
            await provider.kill()


async def test_a_port_of_two_protocols_is_one_endpoint(
    zookeeper: ZooKeeper, host: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Though the application's metadata tell the second one by itself, too."""
    offer = Offer(
        name="two",
        host=host,
        registry=f"zookeeper://{zookeeper.address}",
        mode="instance",
        metadata="remote",
        group="two",
        params={"ext.protocol": "tri"},
    )
    try:
        provider = Provider(tmp_path_factory.mktemp("two"), offer)
    except Missing as missing:
        unavailable(missing)
    async with watch(zookeeper) as watched:
        try:
            await provider.start()
            await watched.has(f"two@@{GREETER}", there(provider))
            (instance,) = only(watched, f"two@@{GREETER}")
            assert [port.protocol for port in instance.ports] == ["dubbo", "tri"]
        finally:
            await provider.kill()


async def test_metadata_that_come_late_are_found(
    zookeeper: ZooKeeper, providers: dict[str, Provider]
) -> None:
    """They are asked for again after a while, as nobody is told of them."""
    source, chroot = "/dubbo/metadata/remote", "/late"
    async with Session(zookeeper.address) as session, Session(zookeeper.address) as other:
        (revision,) = await session.children(source)
        (node,) = await session.children("/services/remote")
        instance = await session.read(f"/services/remote/{node}")
        metadata = await session.read(f"{source}/{revision}")
        async with watch(zookeeper, chroot=chroot) as watched:
            await watched.listed(SCOPE)
            assert [str(root) for root, _ in watched.reports] == ["root dubbo", "root services"]
            watched.reports.clear()
            await other.write(f"{chroot}/services/remote/{node}", instance)
            await watched.has("remote", lambda found: len(found or ()) == 1)

            async def look() -> list[str]:
                return [text for _, text in watched.reports]

            (reason,), _ = await until(look, bool, within=10)
            assert f"{source}/{revision} is not there" in reason
            await other.write(f"{chroot}{source}/{revision}", metadata)
            await watched.has(f"remote@@{GREETER}#1.0", there(providers["remote"]))


async def test_what_may_not_be_read_any_more_stays_as_it_was(
    zookeeper: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the connection lasts and after it, until it may be read again."""
    monkeypatch.setattr(reading, "CHECK_EVERY", 0.05)
    monkeypatch.setattr(reading, "CHECKED_WITHIN", 0.5)
    chroot, grouped = "/guarded", "blue@@com.guarded.A#1.0"
    words = {"group": "blue", "version": "1.0"}
    nodes = [url("com.guarded.A", "dubbo", f"10.0.0.{at}", 20880, words) for at in (1, 2, 3)]
    nodes += [url("com.guarded.B", "dubbo", "10.0.0.1", 20880), spring("shop", "10.0.0.9", 80)]
    closed = [chroot + "/dubbo/com.guarded.A/providers", chroot + nodes[-1].path]

    async def allow(what: str) -> None:
        for path in closed:
            await zookeeper.shell("setAcl", path, f"world:anyone:{what}")

    async with (
        Session(zookeeper.address) as session,
        FaultProxy("127.0.0.1", zookeeper.port) as proxy,
    ):
        for node in nodes:
            await session.write(chroot + node.path, node.data)
        server = {"servers": [f"127.0.0.1:{proxy.port}"]}
        async with watch(zookeeper, chroot=chroot, **server) as watched:
            await watched.listed(SCOPE)
            before = watched.filled()
            assert len(before[grouped]) == 3
            await allow("cdwa")

            async def look() -> int:
                return len(watched.reports)

            await until(look, bool, within=10)  # of the list; data are read when they change
            assert watched.filled() == before
            await proxy.inject(Reset())
            await proxy.mend()
            listing = await watched.listed(SCOPE, times=2)
            assert watched.filled() == before
            instance = nodes[-1].path.rpartition("/")[2]
            shop = ServiceId("", "", "shop")
            named = {ServiceId("", "blue", "com.guarded.A", "1.0"), (shop, instance)}
            assert set(listing.unreadable) == {subject for subject, _ in watched.reports} == named
            await session.write(
                chroot + url("com.guarded.A", "dubbo", "10.0.0.4", 20880, words).path
            )
            await allow("cdrwa")
            await watched.has(grouped, lambda found: len(found or ()) == 4)

            async def readable() -> bool:
                said = (each for each in watched.said if isinstance(each, Changed))
                return any(each.service.id == shop and not each.unreadable for each in said)

            await until(readable, bool, within=10)


async def test_what_is_too_large_together_is_read_one_by_one(zookeeper: ZooKeeper) -> None:
    """As where each of many interfaces has many providers."""
    chroot = "/heavy"
    async with Session(zookeeper.address) as session:
        methods = ",".join(f"method{number}" for number in range(3000))
        for number in range(80):
            node = url(f"com.heavy.S{number}", "dubbo", "10.0.0.1", 20880, {"methods": methods})
            assert 64 * len(node.path) > 1024 * 1024
            await session.write(chroot + node.path)
        async with watch(zookeeper, chroot=chroot, **{"max-reply": "1MiB"}) as watched:
            listing = await watched.listed(SCOPE)
            assert sum(len(each.instances) for each in listing.services) == 80
            assert len(watched.failures) == 1
            assert "raise max-reply" in str(watched.failures[0])


async def test_a_real_spring_cloud_service_is_known_until_it_goes(
    zookeeper: ZooKeeper, tmp_path_factory: pytest.TempPathFactory
) -> None:
    member = Member(
        kind="zookeeper",
        registry=zookeeper.address,
        name="a",
        service="orders",
        version="v1",
        zone="z1",
    )
    try:
        service = SpringService(tmp_path_factory.mktemp("spring"), member)
    except Missing as missing:
        unavailable(missing)
    async with watch(zookeeper) as watched:
        await watched.listed(SCOPE)
        async with service:
            await watched.has("orders", bool)
            (instance,) = only(watched, "orders")
            assert (instance.address, instance.ports[0].number) == (member.host, service.port)
            assert dict(instance.metadata)["version"] == "v1"
            assert instance.zone == "z1"
        await watched.has("orders", lambda found: found == ())


async def test_after_a_burst_with_cut_connections_what_is_told_is_what_there_is(
    zookeeper: ZooKeeper,
) -> None:
    async with Session(zookeeper.address) as session:
        estate = Estate(session, "/law")
        await estate.fill(SERVICES)
        for seed in range(5):
            burst = await hold_to_the_law(estate, zookeeper.port, seed)
            assert burst.outages > 1
