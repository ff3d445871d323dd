"""Replicas: processes with other hash seeds, file orders and pasts serve the same bytes."""

import json
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import cast

import psutil
import pytest
from robustness.bed import Bed, replace
from robustness.findings import Bar
from robustness.subscriber import DeltaClient, StateClient, channel, open_stream

from meshbridge.protos.gen.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshbridge.protos.gen.envoy.config.listener.v3.listener_pb2 import Listener
from meshbridge_xds.envoy.names import CDS, EDS, LDS, RDS
from rig.ports import free_port
from rig.scripted_istiod import NOW, ScriptedIstiod
from rig.waiting import until

pytestmark = pytest.mark.asyncio
SERVICES = 300
REPLICAS = 3
Record = dict[str, object]
Bytes = dict[str, bytes]
"""Whole responses, by what was asked."""


def registration(chance: random.Random, number: int) -> Record:
    """Return a service with all that could come out in another order."""
    instances = [
        {
            "address": f"10.{number % 256}.{chance.randrange(256)}.{1 + place}",
            "ports": [
                {"port": 8000 + chance.randrange(9), "protocol": "http"},
                {"port": 20880, "protocol": "dubbo"},
                {"port": 50051, "protocol": "grpc"},
            ][: chance.randrange(1, 4)],
            "weight": chance.choice([1, 2, 0.5]),
            "zone": chance.choice(["", "h", "i", "r/h"]),
            "metadata": {f"key-{key}": f"v{chance.randrange(3)}" for key in range(6)},
        }
        for place in range(chance.randrange(6))
    ]
    metadata = {f"about-{key}": str(chance.randrange(9)) for key in range(5)}
    return {"name": f"Service_{number}.a", "metadata": metadata, "instances": instances}


def shuffled(chance: random.Random, services: list[Record]) -> str:
    """Return a file with the same content in another order of everything but equals."""

    def turned(record: Record) -> Record:
        keys = list(record)
        chance.shuffle(keys)
        return {key: record[key] for key in keys}

    def instance(record: Record) -> Record:
        return {**turned(record), "metadata": turned(cast("Record", record["metadata"]))}

    def service(record: Record) -> Record:
        listed = cast("list[Record]", record["instances"])
        instances = [instance(each) for each in listed]
        chance.shuffle(instances)
        metadata = turned(cast("Record", record["metadata"]))
        return turned({**record, "metadata": metadata, "instances": instances})

    reordered = [service(each) for each in services]
    chance.shuffle(reordered)
    return json.dumps({"services": reordered})


async def test_replicas_serve_the_same_bytes_and_versions(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Over xds in both variants and over mcp, whatever each replica has gone through."""
    with bar("12, identical replicas") as it:
        chance = it.chance()
        final = [registration(chance, number) for number in range(SERVICES)]
        hash_seeds = [str(chance.randrange(1, 2**32)) for _ in range(REPLICAS)]
        traffic = (free_port(),)
        answers: list[Bytes] = []
        istiod, events = ScriptedIstiod(""), list[int]()
        async with AsyncExitStack() as stack:
            beds = [replica(tmp_path, n, traffic) for n in range(REPLICAS)]
            for bed, hash_seed in zip(beds, hash_seeds, strict=True):
                await start(stack, bed, hash_seed, chance, final)
            seen = {seed_of(bed) for bed in beds}
            it.void_unless(seen == set(hash_seeds), f"the processes have the hash seeds {seen}")
            for bed in beds:
                replace(bed.file, shuffled(chance, final))
            for bed in beds:
                await served(bed)
                answers.append(await everything(bed))
                istiod.target = bed.mcp
                before = len(istiod.acknowledged)
                async with istiod.connected():
                    await istiod.until(partial(has_answered, istiod, before + len(NOW)))
                events.append(len(istiod.events))
            it.none("complaints in the logs", [each for bed in beds for each in bed.complaints()])
        judge(it, answers, events)


def has_answered(istiod: ScriptedIstiod, wanted: int) -> bool:
    return len(istiod.acknowledged) >= wanted


def judge(it: Bar, answers: list[Bytes], events: list[int]) -> None:
    thin = [key for key, each in answers[0].items() if "xds" in key and len(each) < 500]
    it.void_unless(not thin, f"there was next to nothing to compare of {thin}")
    size = sum(len(each) for each in answers[0].values())
    it.at_least("replicas with hash seeds, orders and pasts of their own", len(answers), REPLICAS)
    it.at_least("bytes of responses compared", size, 100_000)
    differ = [key for key in answers[0] if len({each[key] for each in answers}) > 1]
    it.none(f"responses (of {len(answers[0])}) that differ in a byte or a version", differ)
    changes = [after - events[0] for after in events]
    it.note(
        "changes of istiod's store as it moves between them",
        str(max(changes)),
        "0",
        held=events[0] >= SERVICES and max(changes) == 0,
    )


def replica(directory: Path, number: int, traffic: tuple[int, ...]) -> Bed:
    """Describe one whose guard lets everything go: its past may be any, and is none of the test."""
    name = f"bridge-{number}"
    registry = {
        "adapter": "file",
        "path": str(directory / f"{name}-services.yaml"),
        "guard": {"max-loss": "100%"},
    }
    return Bed(directory, registry=registry, name=name, traffic=traffic)


async def start(
    stack: AsyncExitStack, bed: Bed, hash_seed: str, chance: random.Random, final: list[Record]
) -> None:
    """Start a replica that holds something else at first."""
    past = [registration(chance, n) for n in chance.sample(range(2 * SERVICES), SERVICES // 2)]
    replace(bed.file, shuffled(chance, past))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", hash_seed)
        await stack.enter_async_context(bed.bridge)
    await bed.ready()
    for _ in range(3):
        replace(bed.file, shuffled(chance, chance.sample(final, SERVICES // 3)))
        await until(
            lambda: bed.metric("^meshbridge_services$"), lambda n: n == SERVICES // 3, within=10
        )


def seed_of(bed: Bed) -> str:
    return psutil.Process(bed.bridge.process.pid).environ()["PYTHONHASHSEED"]


async def served(bed: Bed) -> None:
    """Wait until the last file is served and nothing more is made of it."""

    async def look() -> tuple[float, float]:
        made = await bed.metric("^meshbridge_snapshots_total$")
        return await bed.metric("^meshbridge_services$"), made

    before: tuple[float, float] = (0.0, 0.0)
    for _ in range(200):
        now, _ = await until(look, lambda got: got[0] >= SERVICES, within=10)
        if now == before:
            return
        before = now
    raise AssertionError(f"it never comes to rest: {before}")


async def everything(bed: Bed) -> Bytes:
    """Ask for everything in a fixed order and return the responses as they came."""
    return {**await by_state(bed), **await by_difference(bed), **await by_mcp(bed)}


async def by_state(bed: Bed) -> Bytes:
    found: Bytes = {}
    async with channel(bed.xds) as connected:
        client = StateClient(open_stream(connected, delta=False))
        names: dict[str, list[str]] = {}
        for url in (CDS, EDS, LDS, RDS):
            await client.ask(url, names.get(url, ()))
            response = await client.read()
            assert response.type_url == url
            await client.ask(url, names.get(url, ()), after=response)
            found[f"xds state {url}"] = response.SerializeToString(deterministic=True)
            values = [each.value for each in response.resources]
            if url == CDS:
                names[EDS] = [Cluster.FromString(each).name for each in values]
            if url == LDS:
                names[RDS] = [f"{Listener.FromString(each).name}" for each in values]
        client.call.cancel()
    return found


async def by_difference(bed: Bed) -> Bytes:
    found: Bytes = {}
    async with channel(bed.xds) as connected:
        client = DeltaClient(open_stream(connected, delta=True))
        for url in (CDS, EDS, LDS, RDS):
            source = {EDS: CDS, RDS: LDS}.get(url)
            await client.ask(url, sorted(client.held[source]) if source else ())
            response = await client.take()
            assert response.type_url == url
            found[f"xds delta {url}"] = response.SerializeToString(deterministic=True)
        client.call.cancel()
    return found


async def by_mcp(bed: Bed) -> Bytes:
    found: Bytes = {}
    async with channel(bed.mcp) as connected:
        client = StateClient(open_stream(connected, delta=False))
        for url in NOW:
            await client.ask(url)
            response = await client.read()
            assert response.type_url == url
            await client.ask(url, after=response)
            found[f"mcp {url}"] = response.SerializeToString(deterministic=True)
        client.call.cancel()
    return found
