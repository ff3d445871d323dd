"""compose/compose.yaml as plain processes: calls follow weights, and all is as the file says.

No container is started here: the images are Compose's own part, and compose/README.md says so.
"""

import asyncio
from collections.abc import Iterator

import aiohttp
import psutil
import pytest
from peers.conftest import unavailable

from rig.bed import Missing
from rig.compose_counts import FAILED
from rig.compose_local import SERVICES, WEIGHT, Watching, play, table
from rig.compose_processes import Local, prepared, translated
from rig.dubbo import Call

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("envoy")]

SECONDS = 4


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """Return all of it, started; only the last two tests end parts."""
    try:
        with prepared(tmp_path_factory.mktemp("compose"), print) as local:
            try:
                asyncio.run(local.start())
                yield local
            finally:
                asyncio.run(local.end())
    except Missing as missing:
        unavailable(missing)


def program(local: Local, name: str) -> psutil.Process:
    return psutil.Process(local.processes[name].pid)


async def test_calls_of_dubbo_and_of_spring_follow_the_weights_in_nacos(local: Local) -> None:
    before, after = await play(local, SECONDS)

    told = "\n".join(table([before, after]))
    assert before.holds, told
    assert after.holds, told
    assert [each.weight for each in after.shares] == [1, WEIGHT, 1, WEIGHT]
    assert all(each.calls for each in (*before.shares, *after.shares)), told


async def test_the_consumer_was_answered_by_both_providers_and_no_call_failed(local: Local) -> None:
    log = local.processes["dubbo-consumer"].log
    lines = log[: log.rfind("\n")].splitlines()

    calls = [Call.model_validate_json(line) for line in lines if line.startswith('{"order":')]

    assert [call for call in calls if not call.ok] == []
    assert {call.answer.name for call in calls if call.answer} == {*SERVICES["dubbo"][1]}
    assert {call.answer.protocol for call in calls if call.answer} == {"tri"}


async def test_the_bridge_has_nothing_to_complain_of(local: Local) -> None:
    url = f"http://{local.services['meshbridge'].address}:15014/api/problems"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert await answer.json() == []


async def test_each_process_listens_on_the_ports_of_the_file_and_on_no_other(local: Local) -> None:
    for name, service in local.services.items():
        found = {
            (each.laddr.ip.removeprefix("::ffff:"), each.laddr.port)
            for each in program(local, name).net_connections("tcp")
            if each.status == psutil.CONN_LISTEN
        }
        assert found == {(service.address, port) for port in service.expose}, name


async def test_each_process_runs_the_command_of_the_file_in_its_environment(local: Local) -> None:
    for name, service in local.services.items():
        if name == "nacos":
            continue  # whose image has a script of its own
        running = program(local, name)
        words = [str(word) for word in translated(service, service.command)]
        assert running.cmdline()[-len(words) :] == words
        environment = running.environ()
        for key, value in service.environment.items():
            assert environment[key].startswith(value)


async def test_an_instance_that_is_gone_is_not_well_and_gets_no_calls(local: Local) -> None:
    checked = [name for name, service in local.services.items() if service.healthcheck]
    assert {name: await local.is_well(name) for name in checked} == dict.fromkeys(checked, True)

    ones, twos = zip(*(instances for _, instances in SERVICES.values()), strict=True)
    for name in twos:
        await local.processes[name].kill()
        assert not await local.is_well(name)

    async with asyncio.timeout(60):
        async for seen in Watching(local.processes["watch"]).seconds():
            if {name for name, number in seen.items() if number and name != FAILED} == {*ones}:
                break


async def test_a_failed_call_of_the_consumer_is_counted(local: Local) -> None:
    """Nobody is left to answer it, and the Spring caller's calls are answered."""
    dubbo, (spring, _) = (instances for _, instances in SERVICES.values())
    for name in dubbo:
        if local.processes[name].running:
            await local.processes[name].kill()

    async with asyncio.timeout(60):
        async for seen in Watching(local.processes["watch"]).seconds():
            if seen[FAILED] and seen[spring] and not any(seen[name] for name in dubbo):
                break
