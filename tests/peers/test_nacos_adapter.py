"""The Nacos adapter against a real Nacos of each release: what happens there is said here soon."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from meshbridge import Adapter, Context, Health, Instance, ServiceId
from meshbridge_nacos import Nacos as NacosAdapter
from meshbridge_nacos import Options
from rig.nacos import Nacos
from rig.registrant import Registrant
from rig.watching import Watched, watching

pytestmark = pytest.mark.asyncio

SCOPE = "public/DEFAULT_GROUP"
PUSHED = 3.0
"""Seconds for a push: Nacos itself waits 0.6 s, and the machine may be busy."""


def adapter(server: Nacos, **options: object) -> Callable[[Context], Adapter]:
    fields = {"servers": [server.address], "discover-every": "1s"} | options
    return lambda context: NacosAdapter("shop", Options.model_validate(fields), context)


def watch(server: Nacos, **options: object) -> AbstractAsyncContextManager[Watched]:
    return watching(adapter(server, **options))


def one(**fields: object) -> Callable[[tuple[Instance, ...] | None], bool]:
    """Say that there is exactly one instance, with these fields."""
    return lambda found: (
        found is not None
        and len(found) == 1
        and all(getattr(found[0], name) == value for name, value in fields.items())
    )


def nobody(found: tuple[Instance, ...] | None) -> bool:
    return not found


async def test_the_first_word_is_a_whole_listing(each_nacos: Nacos, tmp_path: Path) -> None:
    async with Registrant("a", each_nacos.address, tmp_path) as registrant:
        await registrant.register(
            "whole", "10.1.0.1", 8080, weight=2.5, metadata={"version": "v1"}, cluster="hz"
        )
        async with watch(each_nacos) as watched:
            listing = await watched.listed(SCOPE)
            assert watched.said[0] is listing
            assert not listing.after_gap
            (service,) = [each for each in listing.services if each.id.name == "whole"]
    (instance,) = service.instances
    assert service.id == ServiceId("", "", "whole")
    assert (instance.address, instance.ports[0].number) == ("10.1.0.1", 8080)
    assert (instance.weight, instance.health, instance.zone) == (2.5, Health.HEALTHY, "hz")
    assert instance.metadata == (("version", "v1"),)


async def test_a_change_of_weight_or_metadata_is_said(each_nacos: Nacos, tmp_path: Path) -> None:
    async with (
        watch(each_nacos) as watched,
        Registrant("a", each_nacos.address, tmp_path) as registrant,
    ):
        await watched.listed(SCOPE)
        await registrant.register("changing", "10.1.0.2", 8080, metadata={"version": "v1"})
        await watched.has("changing", one(weight=1.0))
        await registrant.register(
            "changing", "10.1.0.2", 8080, weight=3, metadata={"version": "v1"}
        )
        await watched.has("changing", one(weight=3.0), within=PUSHED)
        await each_nacos.update(
            "changing",
            "10.1.0.2",
            8080,
            ephemeral=True,
            weight="0",
            metadata=json.dumps({"version": "v2"}),
        )
        changed = one(weight=0.0, metadata=(("version", "v2"),))
        await watched.has("changing", changed, within=PUSHED)


async def test_an_instance_that_is_switched_off_is_not_there(
    each_nacos: Nacos, tmp_path: Path
) -> None:
    """Nacos leaves a disabled instance out of what it tells subscribers."""
    async with (
        watch(each_nacos) as watched,
        Registrant("a", each_nacos.address, tmp_path) as registrant,
    ):
        await registrant.register("switched", "10.1.0.3", 8080)
        await watched.has("switched", one())
        await each_nacos.update("switched", "10.1.0.3", 8080, ephemeral=True, enabled="false")
        await watched.has("switched", nobody, within=PUSHED)
        await each_nacos.update("switched", "10.1.0.3", 8080, ephemeral=True, enabled="true")
        await watched.has("switched", one(), within=PUSHED)


async def test_a_killed_registrant_takes_its_instance_along(
    each_nacos: Nacos, tmp_path: Path
) -> None:
    async with (
        watch(each_nacos) as watched,
        Registrant("a", each_nacos.address, tmp_path) as registrant,
        Registrant("b", each_nacos.address, tmp_path) as other,
    ):
        await registrant.register("killed", "10.1.0.4", 8080)
        await other.register("killed", "10.1.0.5", 8080)
        await watched.has("killed", lambda found: len(found or ()) == 2)
        await registrant.kill()
        await watched.has("killed", one(address="10.1.0.5"), within=PUSHED)
        await other.deregister("killed", "10.1.0.5", 8080)
        await watched.has("killed", nobody, within=PUSHED)


async def test_groups_and_namespaces_are_scopes_of_their_own(
    each_nacos: Nacos, tmp_path: Path
) -> None:
    async with (
        Registrant("a", each_nacos.address, tmp_path, namespace="prod") as registrant,
        watch(
            each_nacos, namespaces=["public", "prod"], groups=["DEFAULT_GROUP", "blue"]
        ) as watched,
    ):
        for scope in ("public/DEFAULT_GROUP", "public/blue", "prod/DEFAULT_GROUP", "prod/blue"):
            await watched.listed(scope)
        await registrant.register("apart", "10.1.0.6", 8080, group="blue")
        await watched.has(str(ServiceId("prod", "blue", "apart")), one())
        assert watched.instances(str(ServiceId("", "", "apart"))) is None


async def test_a_service_that_nacos_forgets_is_removed(each_nacos: Nacos) -> None:
    async with watch(each_nacos) as watched:
        await each_nacos.register("forgotten", "10.1.0.7", 8080)
        await watched.has("forgotten", lambda found: found is not None)
        await each_nacos.deregister("forgotten", "10.1.0.7", 8080)
        await watched.has("forgotten", lambda found: found == (), within=PUSHED)
        await each_nacos.remove_service("forgotten")
        await watched.has("forgotten", lambda found: found is None, within=2 + PUSHED)
