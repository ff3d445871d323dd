"""The wheel works outside the checkout, and a stranger's adapter is one of the family there."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from meshbridge.testing.process import Process
from rig.stranger import ROOT, Stranger

THIRD_PARTY = ROOT / "tests" / "third_party"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """A machine with the wheel and two adapters of strangers, from the wheels kept for it."""
    made = Stranger(tmp_path_factory.mktemp("stranger"))
    made.move_in(THIRD_PARTY / "phonebook", THIRD_PARTY / "leaky")
    for name in ("phonebook", "leaky"):
        shutil.copytree(THIRD_PARTY / name / "tests", made.home / name)
    book = made.home / "book"
    book.mkdir()
    (book / "orders").write_text("10.1.2.3 8081\n10.1.2.4 8081 upstairs\n")
    registry = {"name": "desk", "adapter": "phonebook", "folder": str(book), "interval": "50ms"}
    configuration = {
        "version": 1,
        "registries": [registry],
        "outlets": {"xds": {"listen": "127.0.0.1:0"}, "mcp": {"listen": "127.0.0.1:0"}},
        "status": {"listen": "127.0.0.1:0"},
    }
    (made.home / "meshbridge.yaml").write_text(json.dumps(configuration))
    return made


def test_the_installed_package_is_not_the_checkout(stranger: Stranger) -> None:
    found = stranger.call("python", "-c", "import meshbridge; print(meshbridge.__file__)")
    assert found.returncode == 0, found.stderr
    assert str(ROOT) not in found.stdout
    assert "site-packages" in found.stdout


def test_it_lives_beside_googleapis_common_protos_and_opentelemetry(stranger: Stranger) -> None:
    """Their generated modules and ours hold messages of one name in one process."""
    script = (
        "from google.api import annotations_pb2, http_pb2\n"
        "from google.rpc import status_pb2 as theirs\n"
        "from opentelemetry import trace\n"
        "from meshbridge.protos.gen.google.rpc import status_pb2 as ours\n"
        "from meshbridge.protos.gen.envoy.service.discovery.v3 import discovery_pb2\n"
        "request = discovery_pb2.DiscoveryRequest(error_detail=ours.Status(code=3, message='no'))\n"
        "same = theirs.Status.FromString(request.error_detail.SerializeToString())\n"
        "print(same.message, trace.get_tracer('x') is not None, theirs.Status is ours.Status)\n"
    )
    done = stranger.call("python", "-W", "error", "-c", script)
    assert (done.returncode, done.stdout.split()) == (0, ["no", "True", "False"]), done.stderr


def test_a_strangers_adapter_is_listed_with_its_options(stranger: Stranger) -> None:
    listed = stranger.call("meshbridge", "adapters")
    assert listed.returncode == 0, listed.stderr
    assert "phonebook" in listed.stdout
    assert "meshbridge-phonebook 0.3.1" in listed.stdout
    assert "Where the files are" in listed.stdout


def test_a_strangers_options_are_checked_like_ours(stranger: Stranger) -> None:
    wrong = stranger.home / "wrong.yaml"
    text = (stranger.home / "meshbridge.yaml").read_text()
    wrong.write_text(text.replace('"folder"', '"foldr"'))
    refused = stranger.call("meshbridge", "check", "-c", wrong)
    assert refused.returncode == 2
    assert "registries[0].foldr" in refused.stderr
    assert "folder" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_strangers_registry_is_dumped(stranger: Stranger) -> None:
    dumped = stranger.call("meshbridge", "dump", "-c", "meshbridge.yaml", "--format", "json")
    assert dumped.returncode == 0, dumped.stderr
    (service,) = json.loads(dumped.stdout)
    assert service["host"] == "orders.phonebook"
    assert service["sources"] == [{"registry": "desk", "name": "orders"}]
    assert {each["address"] for each in service["endpoints"]} == {"10.1.2.3", "10.1.2.4"}


def test_a_strangers_registry_is_served(stranger: Stranger, tmp_path: Path) -> None:
    """The running bridge serves what the book says, and what it says next."""

    async def scenario() -> None:
        configuration = stranger.home / "meshbridge.yaml"
        command: list[str | Path] = [stranger.program("meshbridge"), "run", "-c", configuration]
        async with Process("bridge", command, directory=tmp_path) as process:
            status = await _status(process)
            assert await _hosts(status, 1) == {"orders.phonebook"}
            (stranger.home / "book" / "carts").write_text("10.1.2.5 8091\n")
            assert await _hosts(status, 2) == {"orders.phonebook", "carts.phonebook"}
            (stranger.home / "book" / "carts").unlink()
            assert await _hosts(status, 1) == {"orders.phonebook"}

    asyncio.run(scenario())


def test_a_strangers_adapter_keeps_the_contract(stranger: Stranger) -> None:
    done = stranger.call("python", "-m", "pytest", "-p", "no:cacheprovider", "phonebook")
    assert done.returncode == 0, done.stdout
    assert "13 passed, 3 skipped" in done.stdout


def test_a_leaky_adapter_is_caught_by_the_contract(stranger: Stranger) -> None:
    """It fails in the one test that names what it leaves behind, and in no other."""
    path = "import sys; sys.path.insert(0, 'phonebook')"
    run = "import pytest; sys.exit(pytest.main(['-p', 'no:cacheprovider', 'leaky']))"
    done = stranger.call("python", "-c", f"{path}; {run}")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 12 passed, 3 skipped" in done.stdout
    assert "FAILED leaky/test_leaky.py::TestLeaky::test_cancelling_leaves_no_task" in done.stdout


async def _status(process: Process) -> str:
    async def listens() -> bool:
        return '"name": "status"' in process.log

    await process.ready(listens, within=20)
    (line,) = [json.loads(each) for each in process.log.splitlines() if '"status"' in each]
    return f"http://{line['address']}"


async def _hosts(status: str, number: int) -> set[str]:
    """Return the hosts as soon as there are so many."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(10):
        while True:
            async with session.get(f"{status}/api/services") as answer:
                ready = answer.status == 200
                found: object = await answer.json()
            if ready and isinstance(found, list):
                hosts = {str(service["host"]) for service in cast("list[dict[str, object]]", found)}
                if len(hosts) == number:
                    return hosts
            await asyncio.sleep(0.05)
