"""The real istiod while something starts again: nothing is pushed, and nothing said too early."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from peers.bed.matrix import (
    Instance,
    Registry,
    Source,
    all_in_step,
    at_rest,
    entries,
    file,
    hosts,
    starting,
)
from robustness.bed import Bed
from robustness.istiod_mesh import WITHHELD, unanswered

from rig.envoy import Envoy
from rig.istiod import Istiod, sidecar
from rig.observing import refuses
from rig.ports import free_port
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio")]

WITHIN = 30.0
"""istiod seeks a lost source after about as long again as it was away."""
V1, V2 = Instance("10.1.0.1", 8081), Instance("10.1.0.2", 8081)


@asynccontextmanager
async def serving(bed: Bed, directory: Path, wanted: Mapping[str, int]) -> AsyncGenerator[Istiod]:
    """Run the bridge, and an istiod that knows all of it; the bridge may end meanwhile."""
    async with bed.bridge:
        await bed.ready()
        async with Istiod(directory, [bed.mcp]) as istiod:
            await until(partial(hosts, istiod), lambda seen: seen == wanted, within=WITHIN)
            yield istiod
            assert istiod.warnings() == []
    assert bed.complaints() == []


async def start_without(it: Registry, bed: Bed) -> None:
    """Start the bridge anew while its registry is away."""
    await bed.bridge.process.kill()
    await it.go()
    bed.bridge.process.start()
    await until(partial(_stale, bed), bool, within=WITHIN)


async def _stale(bed: Bed) -> str:
    return "" if refuses(bed.status) else await bed.stale()


@pytest.mark.usefixtures("envoy")
async def test_a_bridge_that_starts_again_causes_no_push(tmp_path: Path) -> None:
    """With the same content no event in istiod and none at its Envoy; a change causes both."""
    async with file(tmp_path) as it:
        await it.hold({"orders": (V1, V2), "pay": (V1,)})
        bed = Bed(tmp_path, registry=it.options, publish={"ports": {"http": free_port()}})
        async with (
            serving(bed, tmp_path, {"orders.file": 2, "pay.file": 1}) as istiod,
            Envoy(tmp_path, sidecar(istiod)) as envoy,
        ):
            await until(envoy.is_live, bool, within=WITHIN)
            work, before = await at_rest(istiod), await entries(istiod)
            assert any(name.startswith("pilot_xds_pushes") for name in work)

            await bed.bridge.process.kill()
            await it.hold({"orders": (V1, V2), "pay": (V1,)})
            bed.bridge.process.start()
            await bed.ready()
            await all_in_step(bed)
            assert await at_rest(istiod) == work
            assert await entries(istiod) == before

            await it.hold({"orders": (V1,), "pay": (V1,)})
            await until(partial(hosts, istiod), lambda seen: seen["orders.file"] == 1, within=5)
            after = await at_rest(istiod)
            pushes = 'pilot_xds_pushes{type="eds"}'
            assert after[pushes] == work[pushes] + 1


async def test_an_istiod_that_starts_again_takes_everything_again(tmp_path: Path) -> None:
    """Also what changed meanwhile, and the other istiod of the same bridge does not notice."""
    async with file(tmp_path) as it:
        await it.hold({"orders": (V1, V2), "pay": ()})
        bed = Bed(tmp_path, registry=it.options)
        async with (
            serving(bed, tmp_path, {"orders.file": 2, "pay.file": 0}) as one,
            Istiod(tmp_path, [bed.mcp], name="other") as other,
        ):
            await until(partial(entries, other), bool, within=WITHIN)
            assert await other.stored() == await one.stored()
            work = await at_rest(one)
            await other.kill()
            await other.start()
            assert await other.stored() == await one.stored()
            assert await at_rest(one) == work

            await other.kill()
            await it.hold({"orders": (V1,), "stock": (V2,)})
            now = {"orders.file": 1, "stock.file": 1}
            await until(partial(hosts, one), lambda seen: seen == now, within=WITHIN)
            await other.start()
            assert await other.stored() == await one.stored()


async def test_with_stored_state_a_start_without_the_registry_is_like_any_other(
    source: Source, tmp_path: Path
) -> None:
    """An istiod that was there gets no event, and one that starts now gets everything."""
    async with source as it:
        await it.hold({"orders": (V1, V2)})
        bed = Bed(tmp_path, registry=it.options, keeping={"state": str(tmp_path / "state")})
        async with serving(bed, tmp_path, {f"orders.{it.domain}": 2}) as istiod:
            work, before = await at_rest(istiod), await entries(istiod)
            await asyncio.sleep(1.2)  # it stores once a second, and is killed
            await start_without(it, bed)
            async with Istiod(tmp_path, [bed.mcp], name="fresh") as fresh:
                await all_in_step(bed, 2)
                assert await bed.stale()
                assert await entries(fresh) == before
            assert await entries(istiod) == before
            assert await at_rest(istiod) == work


async def test_without_stored_state_services_are_withheld_until_they_are_known(
    source: Source, tmp_path: Path
) -> None:
    """All other kinds are answered; istiod keeps what it had, and a new one is not ready."""
    async with source as it:
        await it.hold({"orders": (V1, V2)})
        bed = Bed(tmp_path, registry=it.options)
        async with serving(bed, tmp_path, {f"orders.{it.domain}": 2}) as istiod:
            work, before = await at_rest(istiod), await entries(istiod)
            await start_without(it, bed)
            fresh = Istiod(tmp_path, [bed.mcp], name="fresh")
            async with starting(fresh) as start:
                both = [WITHHELD, WITHHELD]
                await until(partial(unanswered, bed), lambda seen: seen == both, within=WITHIN)
                assert not start.done()
                assert not await fresh.is_up()
                assert refuses(fresh.discovery)
                assert await entries(istiod) == before
                assert not await bed.is_ready()

                await it.come_back()
                await asyncio.wait_for(start, WITHIN)
                await all_in_step(bed, 2)
                assert await entries(fresh) == before
            assert await entries(istiod) == before
            assert await at_rest(istiod) == work


async def test_a_registry_that_is_not_required_is_not_waited_for(
    source: Source, tmp_path: Path
) -> None:
    """An istiod that starts meanwhile is ready with nothing, and gets its services later."""
    async with source as it:
        await it.hold({"orders": (V1, V2)})
        await it.go()
        bed = Bed(tmp_path, registry={**it.options, "required": False})
        async with serving(bed, tmp_path, {}) as istiod:
            assert await bed.stale()
            await it.come_back()
            wanted = {f"orders.{it.domain}": 2}
            await until(partial(hosts, istiod), lambda seen: seen == wanted, within=WITHIN)
