"""A bridge under `meshbridge run` with both kinds of subscribers, and requests through Envoy."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import aiohttp
import grpc.aio
from robustness.bed import Bed, Connected, Instances, document, replace
from robustness.findings import Bar

from meshbridge.cli.demo.traffic import Load
from meshbridge.testing import Endpoint, History, Rules, check
from meshbridge_xds.envoy.names import CDS
from rig.envoy import Api, Envoy, bootstrap
from rig.observing import (
    Addressed,
    BridgeObserver,
    EnvoyObserver,
    StoreObserver,
    kept,
    loading,
    observing,
)
from rig.scripted_istiod import ScriptedIstiod
from rig.waiting import until

RATE = 220.0
"""Requests a second that are sent; 200 must be answered."""
HOST = "orders.file"
QUIET = 3.0
"""Seconds of load before the first fault and after the last."""


@dataclass
class Mesh:
    """The processes, and what the file held at first."""

    bed: Bed
    envoy: Envoy
    istiod: ScriptedIstiod
    load: Load
    services: Mapping[str, Instances]
    backends: Sequence[Addressed] = ()
    """The instances of ``orders``."""

    async def acknowledged(self) -> set[str]:
        """Return the outlets whose subscriber has acknowledged all that it was sent."""
        try:
            found = await self.bed.subscribers()
        except (aiohttp.ClientError, OSError):
            return set()
        return {each.outlet for each in found if _has_acknowledged(each)}

    async def everybody_is_back(self) -> set[str]:
        """Wait until Envoy and istiod have acknowledged what this process answered.

        Returns the versions of all ServiceEntries together: one, unless they change.
        """
        await until(self.acknowledged, lambda seen: seen == {"xds", "mcp"}, within=15)
        return {
            found.accepted
            for each in await self.bed.subscribers()
            for found in each.types
            if found.type.endswith("/ServiceEntry")
        }

    @asynccontextmanager
    async def recorded(self, rules: Rules, file: Path) -> AsyncGenerator[History]:
        """Send the load and look at all three until the block ends; note it all, and keep it."""
        history = History(rules)
        everyone = (
            BridgeObserver(self.bed.status),
            EnvoyObserver(self.envoy),
            StoreObserver(self.istiod),
        )
        with kept(history, file):
            history.begins_with(self.endpoints())
            async with observing(history, *everyone), loading(history, self.load, HOST):
                yield history

    def endpoints(self) -> set[Endpoint]:
        """Return what the file held at first."""
        return {
            Endpoint.of(f"{name}.file", address, port)
            for name, instances in self.services.items()
            for address, port in instances
        }

    def judge_load(self, it: Bar, begun: float, first: float) -> None:
        """Hold the requests against their bar; ``first`` is when the first fault came."""
        answers = self.load.answers
        end = max(each.done for each in answers)
        before, after = self._rate(begun, first), self._rate(end - QUIET, end)
        enough = min(before, after) >= 200
        it.void_unless(enough, f"load of {before:.0f} and {after:.0f} requests/s")
        it.at_least("requests answered a second before and after", min(before, after), 200.0, "1/s")
        failures = Counter(each.failure for each in answers if each.failure)
        what = f"failed requests of {len(answers):,}"
        it.none(what, list(failures.elements()))

    def _rate(self, start: float, end: float) -> float:
        good = sum(not each.failure and start <= each.done < end for each in self.load.answers)
        return good / (end - start)


def judge_history(it: Bar, history: History) -> None:
    """Hold what a history says against its rules; a void one ends the test."""
    verdict = check(history)
    it.void_unless(not verdict.voids, "; ".join((*verdict.voids, *verdict.findings())))
    rate = min(each.rate for each in verdict.loads)
    it.at_least("requests sent a second before and after", rate, history.rules.rate, "1/s")
    it.none(f"failed requests of {verdict.requests:,}", verdict.failed)
    it.none("requests answered by who never was an instance", verdict.strangers)
    it.none("endpoints lost by the bridge, Envoy or istiod", verdict.lost)
    slowest = max(verdict.slowest(each) or 0.0 for each in ("bridge", "envoy", "istiod"))
    it.at_most("slowest to show what the registry has again", slowest, history.rules.converge, "s")
    it.none("observers that never did", verdict.late)
    it.none("observers that differ from the registry at the end", verdict.differences)
    it.none("versions that changed though nothing was written", verdict.restless)


def _has_acknowledged(who: Connected) -> bool:
    """Whether the type that everything hangs on was answered, and all answers acknowledged."""
    roots = [
        each.accepted
        for each in who.types
        if each.type == CDS or each.type.endswith("/ServiceEntry")
    ]
    return bool(roots) and all(roots) and all(each.sent == each.accepted for each in who.types)


@asynccontextmanager
async def staying(istiod: ScriptedIstiod) -> AsyncGenerator[None]:
    """Connect again whenever the connection breaks."""

    async def stay() -> None:
        while True:
            try:
                async with istiod.connected():
                    await asyncio.Event().wait()
            except* (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(stay())
        try:
            yield
        finally:
            task.cancel()


PATIENCE = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}}
"""The pauses before Envoy asks again that docs/envoy.yaml recommends."""


def patient_bootstrap(bed: Bed, api: Api) -> dict[str, object]:
    """Return the rig's bootstrap with these pauses."""
    plain = json.dumps(bootstrap(bed.xds, api=api))
    service = '{"cluster_name": "control-plane"}'
    patient = json.dumps({"cluster_name": "control-plane", "retry_policy": PATIENCE})
    assert service in plain
    return cast("dict[str, object]", json.loads(plain.replace(service, patient)))


@asynccontextmanager
async def mesh(
    directory: Path, api: Api, *, others: int = 40, traffic: Sequence[int] = (), live: bool = True
) -> AsyncGenerator[Mesh]:
    """Start it all; ``orders`` has three live instances, the ``others`` none that anyone calls.

    ``live`` waits until Envoy has accepted everything.
    """
    bed = Bed(directory, traffic=traffic)
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(Addressed(name)) for name in "abc"]
        services: dict[str, Instances] = {
            f"other-{number}": [(f"10.1.{number}.{place}", 8080) for place in range(1, 6)]
            for number in range(others)
        }
        services["orders"] = [("127.0.0.1", each.port) for each in backends]
        replace(bed.file, document(services))
        await stack.enter_async_context(bed.bridge)
        await bed.ready()
        istiod = ScriptedIstiod(bed.mcp)
        await stack.enter_async_context(staying(istiod))
        envoy = await stack.enter_async_context(Envoy(directory, patient_bootstrap(bed, api)))
        load = Load(bed.traffic[-1], HOST, RATE)
        m = Mesh(bed, envoy, istiod, load, services, backends)
        await istiod.until(lambda: istiod.is_ready and len(istiod.hosts()) == others + 1, within=20)
        if live:
            await m.everybody_is_back()
            await until(envoy.is_live, bool, within=10)
        yield m
