"""What stands in compose/ is what programs take: Envoy, bash and, where it is there, Compose."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, cast

import aiohttp
import pytest
from unit.deploy.shipped import at, each

from meshbridge_xds.envoy.names import cluster_name, http_listener_name
from rig.backends import Backend
from rig.compose_file import FILE, FOLDER, read
from rig.envoy import Envoy, find_envoy
from rig.ports import free_port
from rig.waiting import until

if TYPE_CHECKING:
    from compose.watch import Counts

SUBNET = "10.1.2"


def test_envoy_takes_the_bootstrap() -> None:
    words = ("--mode", "validate", "--disable-hot-restart", "-c", FOLDER / "envoy.yaml")
    done = subprocess.run(
        [find_envoy(), *words], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "OK" in done.stdout


async def ended(*words: str) -> int:
    child = await asyncio.create_subprocess_exec(
        "bash", FOLDER / "answers.sh", *words, stderr=asyncio.subprocess.DEVNULL
    )
    return await child.wait()


@pytest.mark.asyncio
async def test_a_health_check_holds_if_the_answer_has_the_word() -> None:
    async with Backend("well") as backend:
        here = ("127.0.0.1", str(backend.port))

        assert await ended(*here) == 0
        assert await ended(*here, "/", "well") == 0
        assert await ended(*here, "/", "ill") != 0
    assert await ended("127.0.0.1", str(free_port())) != 0
    assert await ended("127.0.0.1", str(free_port()), "/", "well") != 0


def listener(port: int, named: str, cluster: str) -> dict[str, object]:
    """Return one that gives calls of one host to a cluster, named as ours on another port."""
    kind = "type.googleapis.com/envoy.extensions.filters"
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster}}
    manager = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": http_listener_name(named),
        "route_config": {
            "virtual_hosts": [{"name": "it", "domains": ["known"], "routes": [route]}]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{kind}.http.router.v3.Router"},
            }
        ],
    }
    network = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        "name": named,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [network]}],
    }


@pytest.mark.asyncio
async def test_what_watch_reads_of_envoy_counts_calls_that_no_instance_got(tmp_path: Path) -> None:
    """Dubbo's: those of the Spring caller are counted where they are answered."""
    dubbo = (free_port(), "0.0.0.0:50051", cluster_name("greeter.dubbo", 50051))
    spring = (free_port(), "0.0.0.0:15001", cluster_name("orders.nacos", 80))
    static: dict[str, object] = {
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "static_resources": {
            "listeners": [listener(*each) for each in (dubbo, spring)],
            "clusters": [{"name": name, "type": "STATIC"} for _, _, name in (dubbo, spring)],
        },
    }
    counted = cast("Callable[[str, int], Counts]", run_path(str(FOLDER / "watch.py"))["counted"])
    async with Envoy(tmp_path, static) as envoy, aiohttp.ClientSession() as caller:
        await until(envoy.is_live, bool, within=20)
        before = await asyncio.to_thread(counted, envoy.admin, 0)
        for host, times in {"known": 2, "unknown": 3}.items():
            headers = {"host": host, "content-type": "application/grpc"}
            for port, _, _ in (dubbo, spring) * times:
                async with caller.post(f"http://127.0.0.1:{port}/", headers=headers) as answer:
                    assert answer.headers["grpc-status"] != "0"
        now = await asyncio.to_thread(counted, envoy.admin, 0)

    assert now.since(before) == ({}, 2 + 3)


def test_compose_itself_reads_what_we_read(tmp_path: Path) -> None:
    """Where there is a ``docker-compose`` on the PATH; it needs no container engine for that."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not on this machine: its reading was not compared with ours")
    words = (program, "--file", FILE, "config", "--format", "json")
    done = subprocess.run(
        words,
        env={"SUBNET": SUBNET, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = cast("dict[str, object]", json.loads(done.stdout)["services"])
    services = read(FILE.read_text(encoding="utf-8"), {"SUBNET": SUBNET}).services

    assert {*told} == {*services}
    for name, service in services.items():
        its = told[name]
        assert at(its, "image") == service.image
        assert tuple(cast("list[str]", at(its, "command") or ())) == service.command
        assert _or_nothing(its, "environment") == service.environment
        assert [int(str(it)) for it in each(its, "expose")] == [*service.expose]
        assert {*_or_nothing(its, "depends_on")} == {*service.depends_on}
        assert at(its, "networks", "mesh", "ipv4_address") == service.address
        mounted = {
            str(at(it, "target")): Path(str(at(it, "source"))) for it in each(its, "volumes")
        }
        assert mounted == service.files
        if service.healthcheck:
            assert tuple(each(its, "healthcheck", "test")) == service.healthcheck.test


def _or_nothing(service: object, key: str) -> dict[str, object]:
    """Return the mapping that stands there, an empty one if none does."""
    try:
        return cast("dict[str, object]", at(service, key))
    except KeyError:
        return {}
