"""A Spring Cloud caller with its own registry client, in a pod of the mesh that it does not know.

It finds the instances in Nacos by itself, chooses one by itself and calls its address. The sidecar
routes that again, by the documents that istiod has from a user, to services that it has from us.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from peers.bed.pod import PLAIN, reached, sidecar_in

from rig.application import running
from rig.bridge import Bridge
from rig.istiod import Istiod
from rig.nacos import Nacos
from rig.network import Namespace
from rig.ports import free_port
from rig.spring import Answer, Member, SpringService
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio", "envoy")]

HERE = "127.0.0.1"
SERVICE, HOST = "goods", "goods.nacos"
SOON = 30.0
"""Seconds for a change to reach a caller on a machine that is busy."""
NETWORKING = "networking.istio.io/v1"
METADATA = {"name": SERVICE, "namespace": "shop"}
MARK = "x-routed-by"
"""The header that the document sets on each request that it routes."""


def write(rules: Path, name: str, *documents: Mapping[str, object]) -> None:
    """Put a file of documents into the folder that istiod watches."""
    whole = rules / f"{name}.new"
    whole.write_text("\n---\n".join(json.dumps(each) for each in documents))
    whole.replace(rules / f"{name}.yaml")


def subsets(*versions: str) -> Mapping[str, object]:
    """Return what a user writes by hand: each version is a subset."""
    named = [{"name": version, "labels": {"version": version}} for version in versions]
    return {
        "apiVersion": NETWORKING,
        "kind": "DestinationRule",
        "metadata": METADATA,
        "spec": {"host": HOST, "subsets": named},
    }


def split(addresses: Sequence[str], **weights: int) -> Mapping[str, object]:
    """Return what a user writes by hand: the weights of subsets, for all names of the host."""
    routes = [
        {"destination": {"host": HOST, "subset": subset}, "weight": weight}
        for subset, weight in weights.items()
    ]
    marked = {"request": {"set": {MARK: "document"}}}
    return {
        "apiVersion": NETWORKING,
        "kind": "VirtualService",
        "metadata": METADATA,
        "spec": {"hosts": [HOST, *addresses], "http": [{"route": routes, "headers": marked}]},
    }


def bridged(nacos: Nacos) -> Mapping[str, object]:
    """Return the configuration of the bridge."""
    registry = {
        "name": "shop",
        "adapter": "nacos",
        "servers": [nacos.address],
        "discover-every": "1s",
        "publish": {"include": [SERVICE], "addresses": "endpoints"},
        # The first answer need not wait: nothing refills here, and the registry may be empty.
        "guard": {"settle": "0s", "allow-empty": True},
    }
    return {
        "version": 1,
        "registries": [registry],
        "outlets": {"mcp": {"listen": f"{HERE}:0"}},
        "status": {"listen": f"{HERE}:0"},
    }


async def calls(caller: SpringService, number: int) -> list[Answer]:
    """Let it call so often; every call must be answered."""
    answers = [await caller.call(SERVICE) for _ in range(number)]
    assert [answer.error for answer in answers if answer.status != 200] == []
    return answers


def versions(answers: list[Answer]) -> Counter[str]:
    return Counter(answer.who.version for answer in answers)


def marks(answers: list[Answer]) -> set[str]:
    """Return what the instances saw of the document's header; empty where there was none."""
    return {answer.who.headers.get(MARK, "") for answer in answers}


async def test_a_spring_cloud_caller_obeys_a_split_it_does_not_know_of(
    nacos: Nacos, network: Namespace, addresses: tuple[str, str], tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    # The subsets first, as istiod wants it: a route to one that it has not sent yet is a 503.
    write(rules, "before", PLAIN, subsets("v1", "v2"))
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        bridge = await enter(Bridge(tmp_path, bridged(nacos)))
        istiod = await enter(Istiod(tmp_path, [await bridge.address("mcp"), f"fs://{rules}"]))
        await enter(network)
        await enter(sidecar_in(network, istiod, tmp_path))
        inside = Member(
            kind="nacos",
            registry=await enter(reached(nacos, network)),
            name="page",
            service="page",
            host=network.inside,
        )
        page = SpringService(tmp_path, inside, before=network.command())
        goods = replace(inside, registry=nacos.address, service=SERVICE, port=free_port())
        v1, v2 = (
            SpringService(tmp_path, replace(goods, name=name, version=name, host=address))
            for name, address in zip(("v1", "v2"), addresses, strict=True)
        )
        for address in addresses:
            network.reach(address)
        await enter(running(v1, v2, page))

        async def sent() -> dict[str, int]:
            entries = await istiod.stored("ServiceEntry")
            return {HOST: sum(len(each.endpoints) for each in entries if HOST in each.hosts)}

        await until(sent, {HOST: 2}.__eq__, within=SOON)

        before = await calls(page, 20)
        write(rules, "split", split(addresses, v1=90, v2=10))
        await until(lambda: calls(page, 1), lambda made: marks(made) == {"document"}, within=SOON)
        routed = await calls(page, 200)

    assert marks(before) == {""}
    assert {*versions(before)} == {"v1", "v2"}
    called = {answer.who.headers["host"] for answer in routed}
    assert called == {v1.address, v2.address}, "it calls as it did without the mesh"
    assert marks(routed) == {"document"}
    assert versions(routed).total() == 200
    assert 0.01 <= versions(routed)["v2"] / 200 <= 0.22
    assert istiod.warnings() == []
