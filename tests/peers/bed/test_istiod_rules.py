"""What we let through the real istiod takes, and what it would refuse we repair or do not send."""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from meshbridge.service import Endpoint, Port, Service
from meshbridge_mcp.istio import USUAL, Shape, entries
from meshbridge_mcp.mirror import held as read_back
from meshbridge_mcp.mirror import told
from meshbridge_mcp.resource import Encoded, encode
from meshbridge_mcp.server import Options
from meshbridge_mcp.validate import repair
from meshbridge_xds.resources import Resource
from rig.envoy import Envoy, bootstrap
from rig.istiod import Istiod
from rig.odd_services import odd_services, with_names
from rig.serving import ANYWHERE, resources_served, services_served
from rig.verdicts import KEPT, STRICTER, cases, table, verdicts
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio")]

PATIENCE = aiohttp.ClientTimeout(total=60)

SEED = 1
ODD = 10_000
BROKEN = 2_000
VARIANTS = 25
SEEN_BY_ENVOY = 500
IN_OTHER_SHAPES = 400


async def configurations(istiod: Istiod) -> bytes:
    """Return what its store holds, tens of megabytes here: more than its usual patience is for."""
    async with (
        aiohttp.ClientSession(timeout=PATIENCE) as session,
        session.get(f"http://{istiod.debug}/debug/configz") as answer,
    ):
        return await answer.read()


def versions(configz: bytes) -> dict[tuple[str, str], str]:
    """Return the version of each resource in a store by namespace and name."""
    found = cast("list[dict[str, dict[str, str]]]", json.loads(configz))
    return {
        (each["namespace"], each["name"]): each["resourceVersion"]
        for each in (resource["metadata"] for resource in found)
    }


def sent(services: Iterable[Service], shape: Shape = USUAL) -> dict[tuple[str, str], Encoded]:
    """Return what goes out of these services by namespace and name."""
    return {
        (document.namespace, document.name): encode(document)
        for service in services
        for document in entries(service, shape).documents
    }


def comparable(service: Service) -> Service:
    """Return it without its version, and in an order that does not depend on its parts."""
    return replace(service, endpoints=tuple(sorted(service.endpoints, key=repr)), version="")


def given_back(services: Iterable[Service]) -> dict[str, Service]:
    """Return what istiod is to give back of these services, by host."""
    legal = [left for each in services if (left := repair(each).service) is not None]
    back = [whole for each in legal if (whole := told(each)) is not None]
    return {each.host: comparable(each) for each in back}


async def test_istiod_takes_all_that_is_sent_of_ten_thousand_odd_services(tmp_path: Path) -> None:
    """It has each under our version, gives back what it was told, and complains of none."""
    services = odd_services(SEED, ODD)
    expected = {key: each.version for key, each in sent(services).items()}
    assert len({each.host for each in services}) == ODD
    async with services_served(services) as address, Istiod(tmp_path, [address]) as istiod:
        found = await configurations(istiod)
        assert versions(found) == expected
        given = read_back(found)
        assert {each.host: comparable(each) for each in given.services} == given_back(services)
        assert len(given.services) == ODD
        assert istiod.warnings() == []
    assert istiod.process.exit_code == 0


async def test_istiod_takes_the_other_shapes_of_services_too(tmp_path: Path) -> None:
    """Endpoints that are resources of their own, and some whose address is a DNS name."""
    services = with_names(odd_services(SEED, IN_OTHER_SHAPES))
    options = Options(listen=ANYWHERE, names="resolve", endpoints="workload-entries")
    documents = sent(services, Shape(inline=False, names=True))
    async with services_served(services, options) as address, Istiod(tmp_path, [address]) as istiod:
        found = await configurations(istiod)
        assert versions(found) == {key: each.version for key, each in documents.items()}
        assert istiod.warnings() == []
    assert {b'"WorkloadEntry"' in found, b'"DNS"' in found} == {True}


async def test_what_we_let_through_istiod_takes_and_what_it_refuses_we_do_not_send(
    tmp_path: Path,
) -> None:
    """Each broken service is told unrepaired, as a copy of it is repaired: both say the same of it.

    Where we are stricter that has a reason, and where the rig's own copy of istio's rules, by which
    the scripted istiod judges, says another thing than the real one, that copy is wrong.
    """
    made = cases(SEED, VARIANTS)
    assert len(made) >= BROKEN
    raw = [case.raw for case in made if case.raw is not None]
    repaired = sent(case.service for case in made)
    everything = [
        Resource(each.name, each.version, each.resource) for each in (*raw, *repaired.values())
    ]
    async with resources_served(everything) as address, Istiod(tmp_path, [address]) as istiod:
        store = versions(await configurations(istiod))
        warned = len(istiod.warnings())
    found = verdicts(made, store)
    shown = table(found)
    sys.stdout.write(shown)  # `pytest -rP` shows it

    assert {key: store.get(key) for key in repaired} == {
        key: each.version for key, each in repaired.items()
    }, "what is repaired is taken"
    wrong = [f"{each.ours}, istiod {each.istiod}: {each.case}" for each in found]
    assert [it for it, each in zip(wrong, found, strict=True) if not each.is_explained] == [], shown
    foretold = [(each.istiod == "takes") == each.case.foretold for each in found]
    assert [it for it, right in zip(wrong, foretold, strict=True) if not right] == []
    assert warned == sum(each.istiod == "refuses" for each in found), "one line for each refusal"

    bites = Counter(each.case.rule for each in found if each.ours != KEPT)
    assert [rule.name for rule in {each.case.rule for each in found} if not bites[rule]] == [
        rule.name for rule in {each.case.rule for each in found} if rule.harmless
    ], shown
    used = {reason for each in found if not each.agrees for reason in each.reasons}
    assert used == set(STRICTER), "a reason that is no longer one"


@pytest.mark.usefixtures("envoy")
async def test_an_envoy_takes_all_that_istiod_makes_of_odd_services(tmp_path: Path) -> None:
    """It has a cluster for each port of each host, and refuses no endpoint."""
    services = [replace(each, export_to=()) for each in odd_services(SEED, SEEN_BY_ENVOY)]
    expected = {
        f"outbound|{port.number}||{service.host}"
        for service in services
        for port in (repair(service).service or service).ports
    }
    async with (
        services_served(services) as address,
        Istiod(tmp_path, [address]) as istiod,
        Envoy(tmp_path, gateway(istiod)) as envoy,
    ):

        async def missing() -> set[str]:
            lines = (await envoy.get("/clusters")).splitlines()
            return expected - {line.partition("::")[0] for line in lines}

        await until(missing, lambda names: not names, within=20, every=0.2)
        warming = "cluster_manager.warming_clusters"
        await until(lambda: envoy.stats(f"^{warming}$"), lambda it: it == {warming: 0}, within=20)
        assert {name for name, times in (await envoy.stats("rejected$")).items() if times} == set()
        assert [line for line in istiod.log.splitlines() if "ACK ERROR" in line] == []


def gateway(istiod: Istiod) -> dict[str, object]:
    """Return the bootstrap of an Envoy that has no listener: a sidecar opens all these ports."""
    return bootstrap(
        istiod.discovery,
        api="DELTA_GRPC",
        node="router~10.1.2.3~gateway-1.istio-system~istio-system.svc.cluster.local",
        cluster="gateway.istio-system",
        metadata={
            "NAMESPACE": "istio-system",
            "CLUSTER_ID": "Kubernetes",
            "ISTIO_VERSION": "1.31.0",
            "LABELS": {"app": "gateway"},
        },
    )


async def test_two_endpoints_of_one_address_and_port_are_both_kept_and_take_their_share_twice(
    tmp_path: Path,
) -> None:
    """Whatever a registry says twice is balanced twice: repeating it is not refused."""
    twice = Endpoint("10.1.0.1", (("http-80", 8080),))
    service = Service(
        host="twice.nacos",
        namespace="shop",
        ports=(Port(80, "http", "http-80"),),
        endpoints=(twice, replace(twice, weight=7), Endpoint("10.1.0.2", (("http-80", 8080),))),
    )
    async with services_served([service]) as address, Istiod(tmp_path, [address]) as istiod:

        async def shards() -> str:
            return json.dumps(await istiod.get("/debug/endpointShardz"))

        seen, _ = await until(shards, lambda text: "10.1.0.2" in text, within=10)
        assert seen.count('"10.1.0.1"') == 2
        assert istiod.warnings() == []
