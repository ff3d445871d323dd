"""A real Dubbo consumer behind an Envoy that knows only istiod: providers change, no call fails.

The consumer is as it was before there was a mesh, but for what it calls: the host, by a name that
leads to Envoy. (Dubbo puts an address of the machine in place of 127.0.0.1, where Envoy is not.)
dubbo:// is plain TCP to Envoy: a connection stays with its provider until that ends it. Dubbo 3
fails its calls for a while once its last connection is lost, so this one has several.
"""

import json
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from peers.bed.dubbo_market import PATIENT
from peers.bed.pod import in_turns
from peers.conftest import unavailable

from rig.application import running
from rig.bed import Missing
from rig.bridge import Bridge
from rig.dubbo import Call, Calling, Consumer, Need, Offer, Provider
from rig.envoy import Envoy
from rig.istiod import Istiod, sidecar
from rig.ports import free_port
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio", "envoy")]

HERE = "127.0.0.1"
HOST = "greeter.file"
CONNECTIONS = 8
"""Of the consumer: enough that each of two providers gets some where they take turns."""
SOON = 30.0
"""Seconds for a change to reach Envoy, and calls to be made, on a machine that is busy."""


def register(services: Path, *providers: Provider) -> None:
    """Let the registry's file hold these and no other."""
    instances = [
        {"address": each.offer.host, "port": each.ports["dubbo"], "protocol": "dubbo"}
        for each in providers
    ]
    new = services.with_suffix(".new")
    new.write_text(json.dumps({"services": [{"name": "greeter", "instances": instances}]}))
    new.replace(services)


def numbers(*providers: Provider) -> set[int]:
    return {each.ports["dubbo"] for each in providers}


def known(envoy: Envoy) -> Callable[[], Awaitable[set[int]]]:
    """Return a look at the ports of the providers that Envoy would give a new connection to."""

    async def seen() -> set[int]:
        listed = await envoy.get("/clusters")
        line = rf"^outbound\|\d+\|\|{re.escape(HOST)}::[\d.]+:(\d+)::health_flags::healthy$"
        return {int(port) for port in re.findall(line, listed, re.MULTILINE)}

    return seen


def since(calling: Calling, at: float) -> Callable[[], Awaitable[list[Call]]]:
    """Return a look at the calls that began after that."""

    async def made() -> list[Call]:
        return [call for call in calling.made if call.at > at]

    return made


def by(calls: list[Call]) -> set[str]:
    return {call.answer.name for call in calls if call.answer is not None}


async def test_no_call_of_a_dubbo_consumer_fails_while_one_provider_joins_and_another_leaves(
    host: str, tmp_path: Path
) -> None:
    services, port = tmp_path / "services.yaml", free_port()
    publish = {"ports": {"dubbo": port}}
    registry = {"name": "market", "adapter": "file", "path": str(services), "publish": publish}
    configuration = {
        "version": 1,
        "registries": [registry],
        "outlets": {"mcp": {"listen": f"{HERE}:0"}},
        "status": {"listen": f"{HERE}:0"},
    }
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "in-turns.yaml").write_text(json.dumps(in_turns(HOST)))
    names = tmp_path / "hosts"
    names.write_text(f"{HERE} {HOST}\n")
    need = Need(name="web", host=host, url=f"dubbo://{HOST}:{port}", timeout=PATIENT, retries=2)
    need = replace(need, params={"connections": str(CONNECTIONS)})
    try:
        old, staying, new = (
            Provider(tmp_path, Offer(name=name, host=host)) for name in ("old", "staying", "new")
        )
        consumer = Consumer(tmp_path, need, hosts=names)
    except Missing as missing:
        unavailable(missing)
    register(services, old, staying)

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        bridge = await enter(Bridge(tmp_path, configuration))
        sources = [await bridge.address("mcp"), f"fs://{rules}"]
        istiod = await enter(Istiod(tmp_path, sources))
        envoy = await enter(Envoy(tmp_path, sidecar(istiod)))
        await until(known(envoy), numbers(old, staying).__eq__, within=SOON)
        await enter(running(old, staying, new))
        await enter(consumer)
        calling = await enter(consumer.calling(every=0.02))
        first, _ = await until(since(calling, 0), lambda made: len(made) >= 50, within=SOON)

        register(services, old, staying, new)
        await until(known(envoy), numbers(old, staying, new).__eq__, within=SOON)
        register(services, staying, new)
        await until(known(envoy), numbers(staying, new).__eq__, within=SOON)
        await old.stop()
        stopped = time.monotonic()
        last, _ = await until(since(calling, stopped), lambda made: len(made) >= 50, within=SOON)

    assert [call.error for call in calling.made if not call.ok] == []
    assert by(first) == {"old", "staying"}
    assert by(last) == {"staying", "new"}
    assert istiod.warnings() == []
