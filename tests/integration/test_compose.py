"""What stands in compose/ is what programs take: Envoy, bash and, where it is there, Compose."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import cast

import pytest
from unit.deploy.shipped import at, each

from rig.backends import Backend
from rig.compose_file import FILE, FOLDER, read
from rig.envoy import find_envoy
from rig.ports import free_port

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
