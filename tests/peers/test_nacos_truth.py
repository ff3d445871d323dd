"""What is made of the instances of real Nacos servers of both releases is what they hold."""

import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from meshbridge import Adapter, Context, Health, Instance, InstancePort, Listing
from meshbridge_nacos import Nacos as NacosAdapter
from meshbridge_nacos import Options
from rig import nacos_health
from rig.nacos import Nacos
from rig.nacos_health import put_service
from rig.registrant import Registrant
from rig.watching import Watched, watching

pytestmark = pytest.mark.asyncio

SCOPE = "public/DEFAULT_GROUP"
PUSHED = 3.0
"""Seconds for a push: Nacos itself waits 0.6 s, and the machine may be busy."""
ADDRESSES = {"DEFAULT": "10.4.0.1", "hz": "10.4.0.2"}
"""Of the instance in each cluster: over HTTP, Nacos holds an address with its port only once."""
Found = tuple[Instance, ...] | None


def watch(server: Nacos, **options: object) -> AbstractAsyncContextManager[Watched]:
    fields = {"servers": [server.address], "discover-every": "1s"} | options

    def adapter(context: Context) -> Adapter:
        return NacosAdapter("shop", Options.model_validate(fields), context)

    return watching(adapter)


def named(what: str) -> str:
    return f"{what}-{secrets.token_hex(4)}"


def health(**expected: Health) -> Callable[[Found], bool]:
    """Say that there are exactly the instances of these clusters, and how they are."""
    return lambda found: {each.zone or "DEFAULT": each.health for each in found or ()} == expected


async def put_instance(server: Nacos, name: str, cluster: str, *, healthy: bool) -> None:
    """Register one instance of a service in a cluster."""
    address = ADDRESSES[cluster]
    await nacos_health.put_instance(server, name, address, 8080, healthy=healthy, cluster=cluster)


async def test_an_instance_is_what_was_registered(each_nacos: Nacos, tmp_path: Path) -> None:
    name = named("whole")
    async with Registrant("a", each_nacos.address, tmp_path) as registrant:
        await registrant.register(
            name,
            "10.4.1.1",
            8443,
            weight=0.5,
            cluster="hz-1",
            metadata={
                "secure": "true",
                "version": "v1",
                "gray": "true",
                "management.port": "9090",
                "management.endpoints.web.base-path": "/actuator",
                "preserved.register.source": "SPRING_CLOUD",
                "IPv6": "[2001:db8::1]",
            },
        )
        async with watch(each_nacos) as watched:
            await watched.has(name, bool)
            found = watched.instances(name)
            assert found is not None
            (instance,) = found
    assert instance == Instance(
        id="10.4.1.1:8443@hz-1",
        address="10.4.1.1",
        ports=(InstancePort(8443, "https", secure=True),),
        weight=0.5,
        metadata=(
            ("gray", "true"),
            ("management.port", "9090"),
            ("preserved.register.source", "SPRING_CLOUD"),
            ("secure", "true"),
            ("version", "v1"),
        ),
        zone="hz-1",
    )


async def test_an_address_in_two_clusters_is_two_instances(
    each_nacos: Nacos, tmp_path: Path
) -> None:
    name = named("twice")
    async with (
        watch(each_nacos) as watched,
        Registrant("a", each_nacos.address, tmp_path) as registrant,
        Registrant("b", each_nacos.address, tmp_path) as other,
    ):
        await registrant.register(name, "10.4.4.1", 8080)
        await other.register(name, "10.4.4.1", 8080, cluster="hz")
        await watched.has(name, health(DEFAULT=Health.HEALTHY, hz=Health.HEALTHY))
        ids = {each.id for each in watched.instances(name) or ()}
        await other.kill()
        await watched.has(name, health(DEFAULT=Health.HEALTHY), within=PUSHED)
    assert ids == {"10.4.4.1:8080", "10.4.4.1:8080@hz"}


async def test_under_protection_administrators_are_told_the_truth(each_nacos: Nacos) -> None:
    """Nacos calls all of them healthy when too few are."""
    name = named("sick")
    await put_service(each_nacos, name, 0.8, "DEFAULT", "hz")
    await put_instance(each_nacos, name, "DEFAULT", healthy=False)
    await put_instance(each_nacos, name, "hz", healthy=True)
    truth = health(DEFAULT=Health.UNHEALTHY, hz=Health.HEALTHY)
    async with watch(each_nacos) as watched, watch(each_nacos, admin=False) as unaware:
        await watched.has(name, truth)
        await unaware.has(name, health(DEFAULT=Health.DEGRADED, hz=Health.DEGRADED))
        assert truth(first_word(watched, name)), "it is asked for before anything is said"
        await put_instance(each_nacos, name, "hz", healthy=False)
        await watched.has(name, health(DEFAULT=Health.UNHEALTHY, hz=Health.UNHEALTHY))


def first_word(watched: Watched, name: str) -> Found:
    """Return the instances of a service as the first listing has them."""
    listing = next(each for each in watched.said if isinstance(each, Listing))
    return next(each.instances for each in listing.services if each.id.name == name)


async def test_the_last_of_all_instances_leaves_an_empty_service(each_nacos: Nacos) -> None:
    """An empty list is the registry's word, and so is a list without the service."""
    name = named("emptied")
    await each_nacos.register(name, "10.4.2.1", 8080)
    async with watch(each_nacos) as watched:
        await watched.has(name, bool)
        await each_nacos.deregister(name, "10.4.2.1", 8080)
        await watched.has(name, lambda found: found == (), within=PUSHED)
        await each_nacos.remove_service(name)
        await watched.has(name, lambda found: found is None, within=PUSHED)


async def test_an_unhealthy_instance_beside_a_healthy_one_is_told_so(each_nacos: Nacos) -> None:
    name = named("mixed")
    await put_service(each_nacos, name, 0, "DEFAULT", "hz")
    async with watch(each_nacos) as watched:
        await put_instance(each_nacos, name, "DEFAULT", healthy=False)
        await put_instance(each_nacos, name, "hz", healthy=True)
        await watched.has(name, health(DEFAULT=Health.UNHEALTHY, hz=Health.HEALTHY))
