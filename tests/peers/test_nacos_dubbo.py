"""Real Dubbo providers in a real Nacos, of both releases each, as the Nacos adapter reads them."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from peers.conftest import unavailable

from meshbridge import Instance, Listing
from meshbridge_nacos import Nacos as NacosAdapter
from meshbridge_nacos import Options
from rig.application import running
from rig.bed import Missing
from rig.dubbo import Consumer, Need, Offer, Provider
from rig.nacos import Nacos
from rig.watching import Watched, watching

pytestmark = pytest.mark.asyncio

SCOPE = "public/DEFAULT_GROUP"
GREETER, STOCK = "meshbridge.peers.Greeter", "meshbridge.peers.Stock"
BOTH = ("dubbo", "tri")
SOON = 20.0
"""Seconds until a change is told: a list, Nacos' push, and a machine that may be busy."""


@pytest.fixture
def offer(each_nacos: Nacos, host: str, tmp_path: Path) -> Callable[..., Provider]:
    """Return what makes a provider, which is not started."""

    def make(name: str, *, query: str = "", **fields: object) -> Provider:
        registry = f"nacos://{each_nacos.address}{query}"
        try:
            return Provider(tmp_path, Offer(name=name, host=host, registry=registry, **fields))  # type: ignore[arg-type]
        except Missing as missing:
            unavailable(missing)

    return make


@asynccontextmanager
async def watch(server: Nacos) -> AsyncGenerator[Watched]:
    """Watch, from the first listing on."""
    options = Options.model_validate({"servers": [server.address], "discover-every": "1s"})
    async with watching(lambda context: NacosAdapter("shop", options, context)) as watched:
        await watched.listed(SCOPE)
        yield watched


def came(watched: Watched) -> dict[str, tuple[Instance, ...]]:
    """Return what has instances now and had none in the first listing: others register, too."""
    first = next(each for each in watched.said if isinstance(each, Listing))
    others = {str(each.id) for each in first.services if each.instances}
    return {name: held for name, held in watched.filled().items() if name not in others}


def at(*urls: str, **fields: object) -> Callable[[tuple[Instance, ...] | None], bool]:
    """Say that these are all instances, with these fields."""
    return lambda found: (
        sorted(each.id for each in found or ()) == sorted(urls)
        and all(
            getattr(each, key) == value for each in found or () for key, value in fields.items()
        )
    )


def weighs(weight: float) -> Callable[[tuple[Instance, ...] | None], bool]:
    return lambda found: [each.weight for each in found or ()] == [weight]


async def test_interfaces_are_services_by_their_own_group_and_version(
    each_nacos: Nacos, offer: Callable[..., Provider]
) -> None:
    new = offer(
        "new",
        mode="interface",
        protocols=BOTH,
        group="g1",
        version="1.0.0",
        weight=50,
        region="hz",
        zone="z1",
    )
    old = offer("old", release=2, weight=200)
    async with watch(each_nacos) as watched, running(new, old):
        urls = [new.url(each) for each in BOTH]
        for interface in (GREETER, STOCK):
            named = f"g1@@{interface}#1.0.0"
            await watched.has(named, at(*urls, weight=0.5, zone="hz/z1"), within=SOON)
            await watched.has(interface, at(old.url("dubbo"), weight=2.0), within=SOON)
        assert came(watched).keys() == {
            *(f"g1@@{each}#1.0.0" for each in (GREETER, STOCK)),
            GREETER,
            STOCK,
        }
        await new.kill()
        await watched.has(f"g1@@{GREETER}#1.0.0", at(), within=SOON)
        await watched.has(GREETER, at(old.url("dubbo")))
    assert watched.reports == []


async def test_an_application_that_registers_both_ways_is_told_once(
    each_nacos: Nacos, offer: Callable[..., Provider]
) -> None:
    both = offer("both", mode="all", protocols=BOTH, group="g2", weight=50)
    async with watch(each_nacos) as watched, both:
        urls = [both.url(each) for each in BOTH]
        endpoint = f"{both.offer.host}:{both.ports['dubbo']}"
        for interface in (GREETER, STOCK):
            await watched.has(f"g2@@{interface}", at(*urls, weight=0.5), within=SOON)
        await watched.has("both", at(endpoint, weight=0.5), within=SOON)
        (instance,) = watched.filled()["both"]
        assert [port.protocol for port in instance.ports] == list(BOTH)
        assert came(watched).keys() == {f"g2@@{GREETER}", f"g2@@{STOCK}", "both"}
        await each_nacos.update(
            f"providers:{GREETER}::g2",
            both.offer.host,
            both.ports["tri"],
            ephemeral=True,
            enabled="false",
        )
        await watched.has(f"g2@@{GREETER}", at(both.url("dubbo")), within=SOON)
        await both.stop()
        for name in (f"g2@@{GREETER}", f"g2@@{STOCK}", "both"):
            await watched.has(name, at(), within=SOON)
    assert watched.reports == []


async def test_metadata_in_the_configuration_tell_what_an_application_serves(
    each_nacos: Nacos, offer: Callable[..., Provider]
) -> None:
    remote = offer(
        "remote",
        mode="instance",
        metadata="remote",
        protocols=BOTH,
        group="g3",
        version="2.0.0",
        weight=300,
        tag="gray",
    )
    async with watch(each_nacos) as watched, remote:
        urls = [remote.url(each) for each in BOTH]
        for interface in (GREETER, STOCK):
            await watched.has(f"g3@@{interface}#2.0.0", at(*urls, weight=3.0), within=SOON)
        await watched.has("remote", weighs(3.0), within=SOON)
        (instance,) = watched.filled()["remote"]
        assert (instance.weight, dict(instance.metadata)["dubbo.tag"]) == (3.0, "gray")
        async with watch(each_nacos) as later:
            assert later.filled().items() >= came(watched).items()
    assert watched.reports == []


@pytest.mark.parametrize("release", [2, 3])
async def test_mapping_and_definitions_tell_where_nothing_else_does(
    each_nacos: Nacos, offer: Callable[..., Provider], release: int
) -> None:
    query = "?registry-type=service" if release == 2 else ""
    silent = offer(
        f"silent{release}",
        release=release,
        query=query,
        mode=None if release == 2 else "instance",
        group="g4",
    )
    async with silent, watch(each_nacos) as watched:
        # Dubbo's client registers the application before it has published the last mapping.
        for interface in (GREETER, STOCK):
            await watched.has(f"g4@@{interface}", at(silent.url("dubbo")), within=SOON)
        async with watch(each_nacos) as later:
            for interface in (GREETER, STOCK):
                assert at(silent.url("dubbo"))(later.instances(f"g4@@{interface}"))


async def test_consumers_are_no_services_and_are_known(
    each_nacos: Nacos, offer: Callable[..., Provider], host: str, tmp_path: Path
) -> None:
    asked = offer("asked", release=2, group="g5")
    registry = f"nacos://{each_nacos.address}"
    caller = Consumer(
        tmp_path, Need(name="asking", host=host, release=2, registry=registry, group="g5")
    )
    async with asked, caller, watch(each_nacos) as watched:
        listing = await watched.listed(SCOPE)
        services = {str(each.id): each for each in listing.services}
        assert not any("consumers" in name for name in services)
        (consumer,) = services[f"g5@@{GREETER}"].consumers
        assert (consumer.address, consumer.application) == (host, "asking")
