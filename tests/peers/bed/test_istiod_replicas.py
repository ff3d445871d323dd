"""Two replicas and the real istiod: which of them it is connected to makes no difference."""

from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest
from peers.bed.matrix import all_in_step, at_rest
from robustness.bed import Bed, replace
from robustness.istiod_mesh import unanswered
from robustness.test_replicas import Record, by_mcp, registration, seed_of, shuffled

from meshbridge.testing import FaultProxy
from rig.envoy import Envoy
from rig.istiod import Istiod, sidecar
from rig.ports import free_port
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio", "envoy")]

HASH_SEEDS = ("1", "4242")
SERVICES = 60
MOVES = 4
WITHIN = 30.0


async def run(stack: AsyncExitStack, bed: Bed, hash_seed: str, past: str) -> None:
    """Start a replica that holds something else at first."""
    replace(bed.file, past)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", hash_seed)
        await stack.enter_async_context(bed.bridge)
    await bed.ready()


async def serves(bed: Bed, services: int) -> None:
    """Wait until it serves so many and makes nothing more of what it read."""
    seen: list[tuple[float, float]] = [(0.0, 0.0)]

    async def look() -> bool:
        made = await bed.metric("^meshbridge_snapshots_total$")
        seen.append((await bed.metric("^meshbridge_services$"), made))
        return seen[-1] == seen[-2] and seen[-1][0] == services

    await until(look, bool, within=WITHIN, every=0.2)


async def test_moving_istiod_from_replica_to_replica_causes_no_push(tmp_path: Path) -> None:
    """They have other hash seeds, orders and pasts; every byte and every version is the same."""
    chance = Random(12)  # noqa: S311 - no secret
    final = [registration(chance, number) for number in range(SERVICES)]
    port, names = free_port(), ("one", "two")
    ports = {protocol: free_port() for protocol in ("http", "grpc", "dubbo")}
    async with AsyncExitStack() as stack:
        beds = [replica(tmp_path, name, ports) for name in names]
        for bed, hash_seed in zip(beds, HASH_SEEDS, strict=True):
            past = [registration(chance, n) for n in chance.sample(range(2 * SERVICES), 20)]
            await run(stack, bed, hash_seed, shuffled(chance, past))
        assert {seed_of(bed) for bed in beds} == set(HASH_SEEDS)
        await hold(beds, chance, final)
        one, two = [await by_mcp(bed) for bed in beds]
        assert one == two
        assert sum(map(len, one.values())) > 20_000

        ways = [FaultProxy("127.0.0.1", _port(bed.mcp), port=port) for bed in beds]
        for way in ways:
            stack.push_async_callback(way.stop)
        await ways[0].start()
        istiod = await stack.enter_async_context(Istiod(tmp_path, [ways[0].address]))
        envoy = await stack.enter_async_context(Envoy(tmp_path, sidecar(istiod)))
        await until(envoy.is_live, bool, within=WITHIN)
        work, stored = await at_rest(istiod), await istiod.stored()
        assert len({each.hosts for each in stored}) == SERVICES
        assert any(name.startswith("pilot_xds_pushes") for name in work)

        for move in range(1, MOVES + 1):
            before, after = (move - 1) % 2, move % 2
            await ways[before].stop()
            await ways[after].start()
            await all_in_step(beds[after])
            assert await unanswered(beds[before]) == []
            assert await at_rest(istiod) == work
            assert await istiod.stored() == stored

        await hold(beds, chance, final[1:])

        async def changed() -> set[tuple[str, ...]]:
            return {each.hosts for each in stored} - {each.hosts for each in await istiod.stored()}

        await until(changed, lambda seen: len(seen) == 1, within=WITHIN)
        assert await at_rest(istiod) != work
        assert istiod.warnings() == []


def replica(directory: Path, name: str, ports: dict[str, int]) -> Bed:
    """Describe one; its guard lets everything go, so that its past may be any."""
    registry = {
        "adapter": "file",
        "path": str(directory / f"{name}-services.yaml"),
        "guard": {"max-loss": "100%"},
    }
    return Bed(directory, registry=registry, name=name, publish={"ports": ports})


async def hold(beds: list[Bed], chance: Random, services: list[Record]) -> None:
    """Let each replica's file hold the services, in an order of its own."""
    for bed in beds:
        replace(bed.file, shuffled(chance, services))
    for bed in beds:
        await serves(bed, len(services))


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
