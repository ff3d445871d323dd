"""Real applications of Dubbo 2.7 that register as applications, as the ZooKeeper adapter reads it.

They do so with ``registry-type=service`` in their registry's URL. No instance tells a revision of
what it exports then, though its metadata are there under one: the mapping has to tell, and the
service definitions which group and version.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from peers.conftest import unavailable

from meshbridge import Changed
from meshbridge_zookeeper_dubbo import Options, ZooKeeperDubbo
from rig.bed import Missing
from rig.dubbo import Offer, Provider
from rig.watching import watching
from rig.zookeeper import ZooKeeper
from rig.zookeeper_session import Session

pytestmark = pytest.mark.asyncio

GREETER, STOCK = "meshbridge.peers.Greeter", "meshbridge.peers.Stock"


@pytest.mark.parametrize(
    ("option", "mappings"),
    [
        ("", "/dubbo/config/mapping"),
        ("-Ddubbo.application.parameters=[{mapping-type:metadata}]", "/dubbo/mapping"),
    ],
)
async def test_an_application_of_dubbo_2_7_is_known_by_each_of_its_mappings(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, mappings: str
) -> None:
    try:
        server = ZooKeeper(tmp_path)
        registry = f"zookeeper://{server.address}?registry-type=service"
        old = Provider(tmp_path, Offer(name="old", host=host, release=2, registry=registry))
    except Missing as missing:
        unavailable(missing)
    options = Options.model_validate({"servers": [server.address]})
    async with server, watching(lambda context: ZooKeeperDubbo("a", options, context)) as watched:
        await watched.listed("/dubbo /services")
        monkeypatch.setenv("JAVA_TOOL_OPTIONS", option)
        async with old:
            for interface in (GREETER, STOCK):
                await watched.has(
                    interface, lambda found: [each.id for each in found or ()] == [old.url("dubbo")]
                )
            await watched.has("old", bool)
            assert set(watched.filled()) == {GREETER, STOCK, "old"}
            async with Session(server.address) as session:
                assert await session.children(f"{mappings}/{GREETER}") == ["old"]
        await watched.has("old", lambda found: not found)
        assert watched.filled() == {}


@pytest.mark.parametrize("release", [2, 3])
@pytest.mark.parametrize(
    ("group", "version", "names", "variant"),
    [
        ("blue", "1.0.0", "1.0.0/blue", ("blue@@", "#1.0.0")),
        ("blue", "", "blue", ("blue@@", "")),
        ("", "1.0.0", "1.0.0", ("", "#1.0.0")),
    ],
)
async def test_what_is_guessed_of_an_application_has_its_group_and_version(
    *,
    host: str,
    tmp_path: Path,
    release: Literal[2, 3],
    group: str,
    version: str,
    names: str,
    variant: tuple[str, str],
) -> None:
    """Also of Dubbo 3, of those that keep their interfaces to themselves."""
    try:
        server = ZooKeeper(tmp_path)
        kind = Offer(name="shop", host=host, release=release, group=group, version=version)
        registry = f"zookeeper://{server.address}"
        offer = (
            replace(kind, registry=f"{registry}?registry-type=service")
            if release == 2
            else replace(kind, registry=registry, mode="instance")
        )
        provider = Provider(tmp_path, offer)
    except Missing as missing:
        unavailable(missing)
    before, after = variant
    interfaces = {f"{before}{each}{after}" for each in (GREETER, STOCK)}
    options = Options.model_validate({"servers": [server.address]})
    async with server, watching(lambda context: ZooKeeperDubbo("a", options, context)) as watched:
        await watched.listed("/dubbo /services")
        async with provider:
            for interface in interfaces:
                await watched.has(
                    interface,
                    lambda found: [each.id for each in found or ()] == [provider.url("dubbo")],
                )
            assert set(watched.filled()) == {*interfaces, "shop"}
            async with Session(server.address) as session:
                definitions = f"/dubbo/metadata/{GREETER}/{names}/provider"
                assert await session.children(definitions) == ["shop"]
            async with watching(lambda context: ZooKeeperDubbo("b", options, context)) as late:
                listing = await late.listed("/dubbo /services")
                assert {str(each.id) for each in listing.services} == {*interfaces, "shop"}
        await watched.has("shop", lambda found: not found)
        assert watched.filled() == {}
        plain = {GREETER, STOCK}
        assert not any(
            str(each.service.id) in plain for each in watched.said if isinstance(each, Changed)
        ), "no host without group and version has ever been there"
