"""Bar D: whatever happens to the bridge, a real istiod never loses what is registered."""

import asyncio
import json
import random
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

import psutil
import pytest
from robustness.bed import Bed, Instances, document, replace
from robustness.eureka import EurekaUnderTest, eureka
from robustness.findings import Bar
from robustness.istiod_mesh import (
    BACK,
    LOOKS,
    OTHERS,
    WITHHELD,
    Run,
    Watch,
    endpoints,
    running,
    unanswered,
)
from robustness.mesh import QUIET, judge_history
from robustness.nacos import NacosUnderTest, nacos
from robustness.zookeeper import ZooKeeperUnderTest, zookeeper

from meshbridge.admin.client import ask
from meshbridge.admin.reloading import RELOAD, Reload, Reloaded
from meshbridge.configuration import Result
from meshbridge.testing import Rules
from rig.bridge import Bridge
from rig.istiod import Istiod
from rig.waiting import until

pytestmark = pytest.mark.asyncio
KILLS = 20
FAULTS = KILLS + 8
UNKNOWN = 5.0
"""Seconds for which a bridge that knows nothing is watched to say nothing."""
EVENTS = r"^pilot_(xds_pushes|inbound_updates|push_triggers|services)\b"
RULES = Rules(
    span=QUIET - 0.1,
    gap=1.0,
    faults=FAULTS,
    observers=frozenset({"bridge", "envoy", "istiod", "istiod shards"}),
    away=frozenset({"bridge"}),
)
Wipeable = EurekaUnderTest | NacosUnderTest | ZooKeeperUnderTest
Making = Callable[[Path, Mapping[str, Instances]], AbstractAsyncContextManager[Wipeable]]
WIPED: Mapping[str, Making] = {
    "nacos": partial(nacos, 2),
    "zookeeper": zookeeper,
    "eureka": eureka,
}


async def test_nothing_makes_the_bridge_delete_what_is_registered(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """Its end, its start, its replacement, bad records and bad configurations, under load."""
    with bar("D, never a wrong delete") as it:
        async with running(tmp_path, it, RULES) as run:
            before = await run.istiod.metrics(EVENTS)
            async with run.watch.looking():
                await kill_again_and_again(run, it.chance())
                await start_without_the_registry(run)
                await start_knowing_nothing(run)
                await replace_by_another(run)
                await feed_bad_records(run)
                await reload_with_mistakes(run)
            after = await run.istiod.metrics(EVENTS)
            watch = run.watch
            it.at_least("resources in istiod's store", len(watch.held), OTHERS + 1)
            it.at_least("looks at them a second", watch.looks / watch.seconds, 0.9 * LOOKS)
            it.none(f"resources gone or not the same in {watch.looks:,} looks", watch.wrong)
            it.none("counted by istiod: events and pushes", sorted(after.items() ^ before.items()))
            it.none("istiod's complaints", run.istiod.warnings())
            it.none("complaints in the bridge's log", run.bed.complaints())
            it.void_unless(await a_real_deletion_is_seen(run), "the watch sees no deletion")
        judge_history(it, run.history)


@pytest.mark.parametrize("kind", WIPED)
async def test_a_bridge_that_knows_nothing_waits_while_its_registry_refills(
    kind: str, tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """It starts without stored state when that was wiped and lists nothing, then more and more."""
    with bar(f"D, never a wrong delete, {kind} wiped") as it:
        services = {f"service-{n}": [(f"10.2.{n}.1", 8080)] for n in range(OTHERS)}
        async with WIPED[kind](tmp_path, services) as registry:
            bed = Bed(tmp_path, registry={**registry.options, "guard": {"settle": "8s"}})
            async with bed.bridge:
                await bed.ready()
                async with Istiod(tmp_path, [bed.mcp]) as istiod:
                    watch = Watch(istiod)
                    async with watch.looking():
                        await wipe_and_refill(registry, bed, it)
                    it.at_least("resources in istiod's store", len(watch.held), OTHERS + 1)
                    what = f"resources gone or not the same in {watch.looks:,} looks"
                    it.none(what, watch.wrong)
                    it.none("istiod's complaints", istiod.warnings())
            it.none("complaints in the bridge's log", bed.complaints())


async def wipe_and_refill(registry: Wipeable, bed: Bed, it: Bar) -> None:
    """Let the bridge start while the registry is empty, and its registrants come back later."""
    (wiped,) = [each for each in registry.faults() if each.name == "wiped"]
    await bed.bridge.process.kill()
    it.void_unless(await wiped.begin(), "the registry was not seen to be away")
    await wiped.mend()
    it.void_unless(not await registry.has("service-0"), "it was not wiped")
    bed.bridge.process.start()
    await until(lambda: unanswered(bed), lambda seen: seen == [WITHHELD], within=BACK)
    await asyncio.sleep(UNKNOWN)
    said = WITHHELD - set[str]().union(*(await unanswered(bed) or []))
    it.none("kinds made of services that were answered while none is listed", sorted(said))
    await wiped.returns()
    await registry.refilled()
    _, took = await until(lambda: unanswered(bed), lambda seen: seen == [set()], within=60)
    it.at_most("from the end of the refill to istiod having acknowledged", took, 45.0, "s")


async def kill_again_and_again(run: Run, chance: random.Random) -> None:
    """Mostly when all is well, sometimes while the bridge still starts."""
    seconds: list[float] = []
    for number in range(1, KILLS + 1):
        async with run.fault("kill -9 of the bridge") as saw:
            saw(await run.kill())
            run.bed.bridge.process.start()
            if chance.random() < 0.2 and number < KILLS:
                await asyncio.sleep(chance.uniform(0.1, 1.0))
            else:
                seconds.append(await run.back())
                run.it.say(f"{number} kills, istiod is back after {seconds[-1]:.2f} s")
                await asyncio.sleep(chance.uniform(0, 0.4))
    run.it.at_most("slowest kill to istiod having acknowledged", max(seconds), 10.0, "s")


async def start_without_the_registry(run: Run) -> None:
    """What is stored is served at once; istiod sees no difference."""
    async with run.fault("start without the registry") as saw, away(run):
        await run.kill()
        run.bed.bridge.process.start()
        await run.back()
        saw(await run.bed.stale())
        await asyncio.sleep(UNKNOWN)
        run.it.none(
            "kinds unanswered with stored state", sorted(*(await unanswered(run.bed) or []))
        )


async def start_knowing_nothing(run: Run) -> None:
    """Neither registry nor stored state: nothing is said of services until they are known."""
    async with run.fault("start knowing nothing") as saw:
        async with away(run):
            await run.kill()
            shutil.rmtree(run.folder / "state")
            run.bed.bridge.process.start()
            await until(lambda: unanswered(run.bed), lambda seen: seen == [WITHHELD], within=20)
            saw(not await run.bed.is_ready() and await run.bed.get("/readyz"))
            await asyncio.sleep(UNKNOWN)
            said = WITHHELD - set[str]().union(*(await unanswered(run.bed) or []))
            run.it.none("kinds made of services that were answered", sorted(said))
        await run.back()


@asynccontextmanager
async def away(run: Run) -> AsyncGenerator[None]:
    """Let the registry's file be elsewhere."""
    elsewhere = run.bed.file.with_suffix(".away")
    run.bed.file.rename(elsewhere)
    yield
    elsewhere.rename(run.bed.file)


async def replace_by_another(run: Run) -> None:
    """Another process, hash seed, order of the file and no state, on the same address; and back."""
    bridge = run.bed.bridge
    configuration = json.loads(bridge.configuration.read_text())
    file = run.folder / "other-services.yaml"
    replace(file, document(dict(reversed(list(run.services.items())))))
    configuration["registries"][0]["path"] = str(file)
    del configuration["state"], configuration["admin"]
    other = Bridge(run.folder, configuration, name="other")
    try:
        async with run.fault("replacement by another replica") as saw:
            await bridge.process.stop()
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PYTHONHASHSEED", str(run.it.chance("hash seed").randrange(1, 2**32)))
                other.process.start()
            await run.back()
            seed = psutil.Process(other.process.pid).environ()["PYTHONHASHSEED"]
            saw(not bridge.process.running and f"its hash seed is {seed}")
        async with run.fault("replacement by the first again") as saw:
            await other.process.stop()
            bridge.process.start()
            await run.back()
            saw(not other.process.running and f"its pid is {bridge.process.pid}")
    finally:
        await other.process.stop()


async def feed_bad_records(run: Run) -> None:
    """Records beside the good ones, and in their place, that cannot be read or served."""
    good = document(run.services)
    content = cast("dict[str, list[dict[str, object]]]", json.loads(good))
    listed = content["services"]
    cast("list[dict[str, object]]", listed[1]["instances"])[0]["weight"] = "heavy"
    listed[2]["instances"] = "none"
    listed[3]["metadata"] = [1, 2]
    listed += [{"name": "订单"}, {"nmae": "typo"}, dict(listed[4])]
    async with run.fault("bad records") as saw:
        replace(run.bed.file, json.dumps(content))
        found, _ = await until(lambda: problems(run.bed), lambda seen: len(seen) >= 6, within=10)
        saw(f"problems of {sorted(found)}")
        await asyncio.sleep(UNKNOWN)
        await run.kill()
        run.bed.bridge.process.start()
        await run.back()
        replace(run.bed.file, good)
        await until(lambda: problems(run.bed), lambda seen: not seen, within=10)


async def problems(bed: Bed) -> set[str]:
    """Return the subjects of what is wrong with the registry's records."""
    found = cast("list[dict[str, str]]", json.loads(await bed.get("/api/problems")))
    return {each["subject"] for each in found if each["kind"] in {"unreadable", "invalid-name"}}


async def reload_with_mistakes(run: Run) -> None:
    """A typo, half a file, and one that would leave nothing: all are refused."""
    file = run.bed.bridge.configuration
    good = file.read_text()
    for name, text, expected in (
        ("a typo", good.replace('"adapter"', '"adaptor"'), Result.INVALID),
        ("half a configuration", good[: len(good) // 2], Result.INVALID),
        ("a configuration without services", _without(good), Result.REFUSED),
    ):
        async with run.fault(name) as saw:
            replace(file, text)
            came_to = await reloaded(run)
            saw(came_to is expected and f"the reload came to {came_to}")
            await asyncio.sleep(1.0)
    replace(file, good)
    assert await reloaded(run) is Result.UNCHANGED


def _without(text: str) -> str:
    configuration = cast("dict[str, list[dict[str, dict[str, object]]]]", json.loads(text))
    configuration["registries"][0]["publish"]["include"] = ["nothing-*"]
    return json.dumps(configuration)


async def reloaded(run: Run) -> Result | str:
    """Let the bridge reload; return what that came to."""
    (answer,) = await ask([run.folder / "a.sock"], RELOAD, Reload(), Reloaded)
    return answer.value.result if answer.value is not None else str(answer.refusal)


async def a_real_deletion_is_seen(run: Run) -> bool:
    """Delete a service from the registry, and see that such a watch would have seen it."""
    gone = {"other-7": run.services["other-7"]}
    left = {name: each for name, each in run.services.items() if name not in gone}
    watch = Watch(run.istiod)
    async with watch.looking():
        with run.history.writing(removes=endpoints(gone)):
            replace(run.bed.file, document(left))
        await asyncio.sleep(2.0)
    return {each.partition("/")[2].partition(".")[0] for each in watch.wrong} == {"other-7"}
