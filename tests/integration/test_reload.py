"""Configurations that change under a running process: what each touches, and what it refuses."""

import asyncio
import json
import re
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import msgspec
import pytest
from robustness.bed import document
from robustness.subscriber import StateClient, channel, open_stream

from meshbridge.admin.client import ask
from meshbridge.admin.reloading import RELOAD, Reload, Reloaded
from meshbridge.configuration import Result
from meshbridge_xds.envoy.names import CDS, LDS
from rig.bridge import Bridge
from rig.distribution import install
from rig.observing import refuses
from rig.ports import free_port
from rig.waiting import until

pytestmark = pytest.mark.asyncio

COUNTED = """
import asyncio
from datetime import timedelta
from meshbridge import Instance, InstancePort, Listing, RegisteredService, ServiceId
from meshbridge.settings import Section

class Options(Section):
    first: int = 0
    count: int = 1

class Counted:
    '''Lists services by numbers, and says each session that it opens.'''
    Options = Options
    settle = timedelta(0)
    scopes = ("all",)

    def __init__(self, name, options, context):
        self.name, self.options = name, options

    async def watch(self, emit):
        print(f"session of {self.name}", flush=True)
        numbers = range(self.options.first, self.options.first + self.options.count)
        emit(Listing("all", tuple(
            RegisteredService(ServiceId("", "", f"s{number}"), (
                Instance(f"i{number}", f"10.1.0.{number}", (InstancePort(80, "http"),)),
            ))
            for number in numbers
        )))
        await asyncio.Event().wait()
"""


class Service(msgspec.Struct):
    """What ``/api/services`` says of one."""

    host: str
    version: str


class Running:
    """A bridge whose configuration can be written anew."""

    def __init__(self, directory: Path) -> None:
        """Choose its ports."""
        self.xds, self.status = free_port(), free_port()
        self.admin = directory / "admin.sock"
        self.directory = directory
        self.bridge = Bridge(directory, self.configuration(registry("a", 0, 12)))

    def configuration(
        self, *registries: Mapping[str, object], xds: int | None = None, **changes: object
    ) -> dict[str, object]:
        """Return a configuration with these registries."""
        return {
            "version": 1,
            "registries": registries,
            "outlets": {"xds": {"listen": f"127.0.0.1:{xds or self.xds}"}},
            "status": {"listen": f"127.0.0.1:{self.status}"},
            "admin": str(self.admin),
            "state": str(self.directory / "state"),
            **changes,
        }

    def write(self, configuration: Mapping[str, object] | str) -> None:
        """Write it in one step, as people are told to."""
        text = configuration if isinstance(configuration, str) else json.dumps(configuration)
        new = self.bridge.configuration.with_suffix(".new")
        new.write_text(text)
        new.replace(self.bridge.configuration)

    async def reload(self, *, accept_loss: bool = False) -> Reloaded:
        """Ask for a reload, and return what came of it."""
        (answer,) = await ask([self.admin], RELOAD, Reload(accept_loss), Reloaded)
        assert answer.value is not None, answer.refusal
        return answer.value

    async def services(self) -> dict[str, str]:
        """Return the hosts that are served, with their versions; nothing while there are none."""
        body = await self.get("/api/services")
        if body.startswith("{"):
            return {}
        return {each.host: each.version for each in msgspec.json.decode(body, type=list[Service])}

    async def get(self, path: str) -> str:
        """Return what the status server answers; nothing while it is away."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.status}{path}") as answer,
            ):
                return await answer.text()
        except aiohttp.ClientConnectionError:
            return "{}"

    async def serves(self, count: int) -> dict[str, str]:
        """Wait until so many hosts are served."""
        seen, _ = await until(self.services, lambda each: len(each) == count, within=20)
        return seen

    async def reloads(self, result: Result) -> float:
        """Return how many reloads came to this."""
        name = f'meshbridge_configuration_reloads_total{{result="{result}"}}'
        found = re.search(rf"^{re.escape(name)} (\S+)$", await self.get("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def sessions(self) -> list[str]:
        """Return whose sessions were opened, in order."""
        return re.findall(r"^session of (\w+)$", self.bridge.process.log, re.MULTILINE)

    def complaints(self) -> list[str]:
        """Return what only a fault of the bridge writes."""
        words = ("Traceback", "never retrieved", "was never awaited", "left behind")
        lines = self.bridge.process.log.splitlines()
        return [line for line in lines if any(word in line for word in words)]


def registry(name: str, first: int, count: int, **changes: object) -> dict[str, object]:
    """Configure one that lists so many services."""
    return {"name": name, "adapter": "counted", "first": first, "count": count, **changes}


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """Return a bridge that may use the adapter which counts."""
    folder = install(
        tmp_path / "strangers",
        "counted",
        modules={"counted": COUNTED},
        entry_points={"meshbridge.adapters": {"counted": "counted:Counted"}},
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    return Running(tmp_path / "run")


async def test_a_changed_file_touches_only_what_changed(running: Running) -> None:
    """No session, no version and no stream but those that it names."""
    async with running.bridge:
        before = await running.serves(12)
        async with channel(f"127.0.0.1:{running.xds}") as connected:
            client = StateClient(open_stream(connected, delta=False))
            await client.ask(CDS)
            await client.read()
            ports = {"ports": {"http": 8080}}
            b = registry("b", 20, 3, publish={"domain": "more"})
            running.write(running.configuration(registry("a", 0, 12), b))
            after = await running.serves(15)
            assert {host: after[host] for host in before} == before
            assert running.sessions() == ["a", "b"]
            b["publish"] = {"domain": "more", **ports}
            running.write(running.configuration(registry("a", 0, 12), b))
            seen, _ = await until(
                running.services, lambda each: each["s20.more"] != after["s20.more"], within=10
            )
            assert {host: seen[host] for host in before} == before
            assert running.sessions() == ["a", "b"]
            assert not client.call.done(), "the outlet was not touched"
        assert running.complaints() == []


async def test_a_wrong_file_changes_nothing_and_is_said(running: Running) -> None:
    async with running.bridge:
        before = await running.serves(12)
        for wrong in ("registries: [", json.dumps(running.configuration(registries=[])), ""):
            running.write(wrong)
            told = await running.reload()
            assert told.result is Result.INVALID
            assert all("meshbridge" in each or "bridge.yaml" in each for each in told.lines)
        assert "configuration: " in await running.get("/readyz")
        assert await running.services() == before
        running.write(running.configuration(registry("a", 0, 12), state="other"))
        told = await running.reload()
        assert told.result is Result.INVALID
        assert told.lines[0].startswith("state: found")
        running.write(running.configuration(registry("a", 0, 12)))
        assert (await running.reload()).result is Result.UNCHANGED
        assert "configuration: " not in await running.get("/readyz")
        assert running.sessions() == ["a"]
        assert running.complaints() == []


async def test_what_takes_too_much_is_refused_until_it_is_accepted(running: Running) -> None:
    both = registry("a", 0, 12), registry("b", 20, 8, publish={"domain": "more"})
    running.write(running.configuration(*both))
    async with running.bridge:
        before = await running.serves(20)
        running.write(running.configuration(both[1]))
        told = await running.reload()
        assert told.result is Result.REFUSED
        assert "12 of 20 hosts" in told.lines[0]
        assert "s0.counted: gone" in told.lines
        assert await running.services() == before
        assert (await running.reload(accept_loss=True)).result is Result.APPLIED
        assert set(await running.services()) == {f"s{n}.more" for n in range(20, 28)}
        assert running.sessions() == ["a", "b"]


async def test_at_a_restart_the_refused_file_answers_nothing_until_it_is_mended(
    running: Running,
) -> None:
    both = registry("a", 0, 12), registry("b", 20, 8, publish={"domain": "more"})
    running.write(running.configuration(*both))
    async with running.bridge:
        before = await running.serves(20)
        await until(stored(running), bool, within=10)
        await running.bridge.process.stop()
        running.write(running.configuration(both[1]))
        running.bridge.process.start()
        said, _ = await until(
            lambda: running.get("/readyz"), lambda text: "12 of 20 hosts" in text, within=20
        )
        assert said.startswith("not ready")
        assert "--accept-loss" in said
        await asyncio.sleep(1)
        assert await running.services() == {}
        running.write(running.configuration(*both))
        assert await running.serves(20) == before
        assert running.complaints() == []


def stored(running: Running) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return (running.directory / "state" / "state.sqlite-wal").exists()

    return look


async def test_a_storm_of_signals_is_one_wish(running: Running) -> None:
    async with running.bridge:
        before = await running.serves(12)
        for _ in range(50):
            running.bridge.process.send(signal.SIGHUP)
        done, _ = await until(
            lambda: running.reloads(Result.UNCHANGED), lambda count: count >= 1, within=10
        )
        assert done <= 50
        assert await running.services() == before
        assert running.sessions() == ["a"]
        assert running.complaints() == []


async def test_a_listener_moves_and_one_that_is_taken_stays_where_it_is(
    running: Running,
) -> None:
    async with running.bridge:
        await running.serves(12)
        taken = running.configuration(registry("a", 0, 12), xds=running.status)
        running.write(taken)
        told = await running.reload()
        assert told.result is Result.INVALID
        assert str(running.status) in told.lines[0]
        assert not refuses(f"127.0.0.1:{running.xds}")
        moved = free_port()
        running.write(running.configuration(registry("a", 0, 12), xds=moved))
        assert (await running.reload()).result in {Result.APPLIED, Result.UNCHANGED}
        assert not refuses(f"127.0.0.1:{moved}")
        assert refuses(f"127.0.0.1:{running.xds}")
        async with channel(f"127.0.0.1:{moved}") as connected:
            client = StateClient(open_stream(connected, delta=False))
            await client.ask(CDS)
            await client.read()
        assert running.sessions() == ["a"]
        assert running.complaints() == []


async def test_an_outlet_that_changes_on_its_own_port_is_there_again(running: Running) -> None:
    async with running.bridge:
        await running.serves(12)
        changed = running.configuration(registry("a", 0, 12))
        http = [{"listen": f"127.0.0.1:{free_port()}", "ports": [80]}]
        changed["outlets"] = {"xds": {"listen": f"127.0.0.1:{running.xds}", "http": http}}
        running.write(changed)
        assert (await running.reload()).result in {Result.APPLIED, Result.UNCHANGED}
        async with channel(f"127.0.0.1:{running.xds}") as connected:
            client = StateClient(open_stream(connected, delta=False))
            await client.ask(LDS)
            await client.read()
            assert len(client.received[-1].resources) == 1
        assert running.complaints() == []


async def test_during_an_outage_of_a_registry_others_are_changed(running: Running) -> None:
    """The registry that is down keeps what is believed of it, also under other rules."""
    file = running.directory / "services.yaml"
    file.write_text(document({f"f{n}": [("10.2.0.1", 80)] for n in range(12)}))
    down = {"name": "down", "adapter": "file", "path": str(file)}
    running.write(running.configuration(registry("a", 0, 12), down))
    async with running.bridge:
        await running.serves(24)
        file.write_text("services: [half")
        await until(lambda: running.get("/readyz"), lambda text: "stale: " in text, within=10)
        rules = {"publish": {"aliases": ["{service}"]}}
        running.write(running.configuration(registry("a", 0, 11), {**down, **rules}))
        await until(lambda: aliased(running), bool, within=10)
        served = set(await running.services())
        assert {f"f{n}.file" for n in range(12)} <= served
        assert "stale: registry down" in await running.get("/readyz")


async def aliased(running: Running) -> bool:
    return '"aliases":["f0"]' in await running.get("/api/services/f0.file")
