"""Real applications of Dubbo 2.7 that register as applications, as the ZooKeeper adapter reads it.

They do so with ``registry-type=service`` in their registry's URL. No instance tells a revision of
what it exports then, though its metadata are there under one: the mapping has to tell.
"""

from pathlib import Path

import pytest
from peers.conftest import unavailable

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
