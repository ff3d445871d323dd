"""Nothing that changes the network outlives its test, nor a run that is killed."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from peers.conftest import unavailable

from rig.addresses import NET_ADMIN, ip, lives, require_rights, second_address
from rig.making import Missing
from rig.network import Namespace, NoNamespaces, sweep
from rig.waiting import until

TESTS = str(Path(__file__).resolve().parents[2])


@pytest.fixture(autouse=True)
def allowed() -> None:
    """Skip by name where no namespaces can be made."""
    try:
        Namespace()
    except NoNamespaces as missing:
        unavailable(missing)


def network() -> str:
    """Return all that a namespace or an address could leave behind."""
    words = (("netns", "list"), ("-o", "link"), ("-o", "address"), ("route", "show"))
    return "".join(ip(*each) for each in words)


def _name(pid: int) -> Callable[[], Awaitable[str]]:
    """Look at what a process is; empty once it is none."""

    async def look() -> str:
        return psutil.Process(pid).name() if lives(pid) else ""

    return look


def _status(pid: int) -> Callable[[], Awaitable[str]]:
    async def look() -> str:
        return psutil.Process(pid).status()

    return look


@pytest.mark.asyncio
async def test_nothing_of_a_namespace_is_left_even_after_an_error() -> None:
    namespace = Namespace()
    words: list[str] = []

    async def scenario() -> None:
        async with namespace:
            words[:] = [namespace.name, f"mb{os.getpid()}-", namespace.inside, namespace.outside]
            assert [word for word in words if word in network()] == words
            raise KeyError("of the test")

    with pytest.raises(KeyError, match="of the test"):
        await scenario()
    text = network()
    assert not [word for word in words if word in text]


def test_a_second_address_is_one_of_its_own_and_goes_again() -> None:
    with second_address() as one, second_address() as two:
        assert one != two
        for each in (one, two):
            with socket.socket() as bound:
                bound.bind((each, 0))
    text = network()
    assert not [each for each in (one, two) if f" {each}/" in text]
    with socket.socket() as bound, pytest.raises(OSError, match="assign"):
        bound.bind((one, 0))


def test_a_second_address_goes_after_an_error() -> None:
    given: list[str] = []

    def scenario() -> None:
        with second_address() as address:
            given.append(address)
            assert f" {address}/" in network()
            raise KeyError("of the test")

    with pytest.raises(KeyError, match="of the test"):
        scenario()
    assert f" {given[0]}/" not in network()


KILLED = """
import asyncio, sys
from pathlib import Path
from meshbridge.testing import Process
from rig.addresses import second_address
from rig.network import Namespace

async def main():
    async with Namespace() as namespace:
        with second_address() as address:
            command = namespace.command("sleep", "600")
            process = Process("sleep", command, directory=Path(sys.argv[1]))
            process.start()
            print(namespace.name, address, process.pid, flush=True)
            await asyncio.sleep(600)

asyncio.run(main())
"""


def test_sweep_takes_away_what_a_killed_run_left_and_nothing_else(tmp_path: Path) -> None:
    """What runs inside has ended with the run: the leash holds into a namespace."""
    environment = {**os.environ, "PYTHONPATH": TESTS}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with (
        second_address() as mine,
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as run,
    ):
        try:
            assert run.stdout is not None
            name, address, child = run.stdout.readline().decode().split()
            asyncio.run(until(_name(int(child)), lambda process: process == "sleep", within=10))
            spared = sweep()
        finally:
            run.kill()
        run.wait()
        asyncio.run(until(_name(int(child)), lambda process: process == "", within=10))
        left = [name, f"mb{run.pid}-1", f" {address}/"]
        text = network()
        assert [each for each in left if each in text] == left
        swept = sweep()
        text = network()
        assert not [each for each in left if each in text]
        assert f" {mine}/" in text
    things = {name, f"mb{run.pid}-1", address}
    assert not things & set(spared), "their owner lived"
    assert things <= set(swept)


RUN = """
import subprocess, sys, time
from rig.addresses import second_address
from rig.network import Namespace
from rig.reaper import Run

Run.begin()
namespace = Namespace()
namespace._make()
with second_address() as address:
    print(namespace.name, address, flush=True)
    time.sleep(600)
"""


def test_the_reaper_of_a_killed_run_takes_its_network_away() -> None:
    environment = {**os.environ, "PYTHONPATH": TESTS}
    with subprocess.Popen(
        [sys.executable, "-c", RUN], stdout=subprocess.PIPE, env=environment
    ) as run:
        try:
            assert run.stdout is not None
            name, address = run.stdout.readline().decode().split()
            left = [name, f"mb{run.pid}-1", f" {address}/"]
            assert [each for each in left if each in network()] == left
        finally:
            run.kill()

    async def found() -> list[str]:
        text = network()
        return [each for each in left if each in text]

    asyncio.run(until(found, lambda seen: not seen, within=20))


def test_a_process_that_has_ended_and_was_not_waited_for_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        status = asyncio.run(
            until(_status(child.pid), lambda seen: seen == psutil.STATUS_ZOMBIE, within=10)
        )
        assert not lives(child.pid), status
    assert lives(os.getpid())


def test_what_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Missing, match=r"^no 62 \(run as root.*need a tunnel cannot run"):
        require_rights("a tunnel", NET_ADMIN, 62)  # which no kernel has
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoNamespaces, match=r"`ip`.*apt-get install iproute2.*network namespaces"):
        Namespace()
    with pytest.raises(Missing, match=r"`ip`.*iproute2.*address"), second_address():
        pass
    assert sweep() == []
