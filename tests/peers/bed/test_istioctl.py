"""What `dump --format istio` writes is good for istioctl, and so for `kubectl apply`."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

import pytest

from meshbridge.plugins import installed
from meshbridge.snapshot import Snapshot
from meshbridge_mcp import Mcp
from rig.istiod import istioctl
from rig.odd_services import odd_services
from rig.scripted_eureka import FULL, ScriptedEureka
from rig.scripted_eureka_faults import answers
from rig.scripted_nacos import Host, ScriptedNacos
from rig.zookeeper import ZooKeeper
from rig.zookeeper_session import Session

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio")]

CORPUS = Path(__file__).parents[2] / "corpus"
READ = ("nacos2", "nacos3")
"""The parts of the corpus that the adapter of Nacos reads."""
OF_ZOOKEEPER = (
    "meshbridge.peers.greeter.dubbo",
    "meshbridge.peers.greeter.v-1-0-0.g-g1.dubbo",
    "meshbridge.peers.stock.dubbo",
    "meshbridge.peers.stock.v-1-0-0.g-g1.dubbo",
    "orders.zookeeper",
    "provider.zookeeper",
)
"""What comes of the corpus of ZooKeeper."""
OF_EUREKA = ("out-of-service", "spring-cloud", "two-services")
"""The scenes of the corpus of Eureka in which anything is registered."""
EXPECTED = {
    "IST0134": "a host with a TCP port and without a virtual address: what `addresses: none` asks",
}
"""What istioctl may complain of, by its codes, and why that is no fault of ours."""


def services(part: str) -> dict[str, list[Host]]:
    """Return what a registry held in a part of the corpus, by the names of services."""
    found: dict[str, list[Host]] = {}
    for path in sorted((CORPUS / part).glob("*/subscribed.json")):
        info = cast("dict[str, object]", json.loads(path.read_text())["serviceInfo"])
        found[str(info["name"])] = cast("list[Host]", info["hosts"])
    return found


async def dump(part: str, directory: Path, addresses: str) -> Path:
    """Return where the dump of a part lies, as the command wrote it."""
    async with ScriptedNacos() as nacos:
        for name, hosts in services(part).items():
            nacos.services[name] = {(str(at), at): host for at, host in enumerate(hosts)}
        registry = {
            "name": "shop",
            "adapter": "nacos",
            "servers": [nacos.address],
            "publish": {"addresses": addresses},
        }
        return await dumped(directory, registry)


async def dumped(directory: Path, registry: Mapping[str, object]) -> Path:
    """Return where the dump of a registry lies, as the command wrote it."""
    configuration = directory / "meshbridge.yaml"
    configuration.write_text(json.dumps({"version": 1, "registries": [registry]}))
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "meshbridge", "dump", "-c", configuration),
        *("--format", "istio"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0, complaints.decode()
    dump = directory / "dump.yaml"
    dump.write_bytes(said)
    return dump


async def complaints(path: Path) -> list[str]:
    """Return the codes of all that istioctl has to say of a file, once each."""
    said = await istioctl("analyze", "--use-kube=false", "-A", "-o", "json", path)
    found, _ = json.JSONDecoder().raw_decode(said)  # a sentence for people follows
    return sorted({each["code"] for each in cast("list[dict[str, str]]", found)})


@pytest.mark.parametrize("part", READ)
async def test_what_real_registries_hold_is_dumped_without_a_complaint(
    part: str, tmp_path: Path
) -> None:
    """Each service of the corpus is a resource, valid by itself and among the others."""
    whole = await dump(part, tmp_path, "virtual")
    assert whole.read_text().count("kind: ServiceEntry\n") >= len(services(part))
    assert "valid" in await istioctl("validate", "-f", whole)
    assert await complaints(whole) == []


async def test_what_a_real_zookeeper_holds_is_dumped_without_a_complaint(tmp_path: Path) -> None:
    """All scenes of the corpus at once, each below roots of its own."""
    scenes = sorted((CORPUS / "zookeeper").glob("*.json"))
    async with ZooKeeper(tmp_path) as server, Session(server.address) as session:
        for scene in scenes:
            for node in cast("list[dict[str, str]]", json.loads(scene.read_text())):
                await session.write(f"/{scene.stem}{node['path']}", (node["text"] or "").encode())
        registry = {
            "name": "shop",
            "adapter": "zookeeper-dubbo",
            "servers": [server.address],
            "interface-roots": [f"/{scene.stem}/dubbo" for scene in scenes],
            "application-roots": [f"/{scene.stem}/services" for scene in scenes],
        }
        whole = await dumped(tmp_path, registry)
    text = whole.read_text()
    assert [host for host in OF_ZOOKEEPER if f"- {host}\n" not in text] == []
    assert "valid" in await istioctl("validate", "-f", whole)
    assert await complaints(whole) == []


@pytest.mark.parametrize("scene", OF_EUREKA)
async def test_what_a_real_eureka_holds_is_dumped_without_a_complaint(
    scene: str, tmp_path: Path
) -> None:
    """Its own words, served again."""
    told = (CORPUS / "eureka" / scene / "apps.json").read_bytes()
    async with ScriptedEureka() as eureka:
        eureka.misbehave(answers(200, told), FULL)
        whole = await dumped(
            tmp_path, {"name": "shop", "adapter": "eureka", "servers": [eureka.url]}
        )
    held = json.loads(told)["applications"]["application"]
    assert whole.read_text().count("kind: ServiceEntry\n") >= len(held) > 0
    assert "valid" in await istioctl("validate", "-f", whole)
    assert await complaints(whole) == []


async def test_without_virtual_addresses_tcp_ports_are_all_that_is_complained_of(
    tmp_path: Path,
) -> None:
    """That istioctl can complain is seen here too."""
    whole = await dump("nacos3", tmp_path, "none")
    assert "valid" in await istioctl("validate", "-f", whole)
    assert await complaints(whole) == sorted(EXPECTED)


async def test_the_dump_of_odd_services_is_valid(tmp_path: Path) -> None:
    """Whatever can be sent to istiod can be written for people, and read by Go's YAML."""
    odd = odd_services(2, 1000)
    snapshot = Snapshot(MappingProxyType({each.host: each for each in odd}))
    whole = tmp_path / "dump.yaml"
    whole.write_text(Mcp(Mcp.Options()).render(snapshot, "istio"))
    assert "valid" in await istioctl("validate", "-f", whole)


async def test_every_part_of_the_corpus_is_tried_here() -> None:
    """An adapter that comes with another one is to be tried, too."""
    parts = {each.name for each in CORPUS.iterdir() if each.is_dir()}
    assert parts == {*READ, "zookeeper", "eureka"}
    adapters = {each.name for each in installed("adapters")}
    assert adapters == {"eureka", "file", "nacos", "zookeeper-dubbo"}
