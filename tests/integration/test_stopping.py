"""SIGTERM at every stage of a real process' life, with streams open and with what will not end."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import grpc
import grpc.aio
import msgspec
import pytest
from robustness.bed import Bed, document, replace
from robustness.subscriber import StateClient, channel, open_stream

from meshbridge.admin.client import ask
from meshbridge.admin.operations import STATE, Nothing
from meshbridge_xds.envoy.names import CDS
from rig.bridge import Bridge
from rig.distribution import install
from rig.ports import free_port
from rig.waiting import until

pytestmark = pytest.mark.asyncio
with_proc = pytest.mark.skipif(sys.platform != "linux", reason="sees in /proc what hears signals")
PROMISED = 10.0
"""Seconds from SIGTERM to the end of the process."""
COMPLAINTS = (
    "Traceback",
    "never retrieved",
    "is pending",
    "unclosed",
    "was never awaited",
    "Fatal",
)
LEFT = "left behind: it has not ended in time"
SERVICE_ENTRY = "networking.istio.io/v1/ServiceEntry"

STUBBORN = """
import asyncio, threading, time
from datetime import timedelta
from meshbridge import Listing
from meshbridge.settings import Section

class Registry:
    Options = Section
    settle = timedelta(0)
    scopes = ("all",)
    def __init__(self, name, options, context):
        del name, options, context

async def take_no_cancellation():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

class Hanging(Registry):
    '''Takes no cancellation.'''
    async def watch(self, emit):
        emit(Listing("all", ()))
        await take_no_cancellation()

class Outlet:
    '''Takes no cancellation either.'''
    Options = Section
    formats = ()
    def __init__(self, options):
        del options
    def subscribers(self):
        return ()
    async def serve(self, snapshots, context):
        del snapshots, context
        await take_no_cancellation()

class Blocking(Registry):
    '''Blocks the loop when it is cancelled.'''
    async def watch(self, emit):
        emit(Listing("all", ()))
        try:
            await asyncio.sleep(3600)
        finally:
            time.sleep(600)

class Threaded(Registry):
    '''Leaves a thread that the interpreter waits for.'''
    async def watch(self, emit):
        emit(Listing("all", ()))
        threading.Thread(target=time.sleep, args=(600,), name="forgotten").start()
        await asyncio.sleep(3600)

class Stuck(Registry):
    '''Blocks the loop as soon as everything is open.'''
    async def watch(self, emit):
        print("stuck", flush=True)
        time.sleep(600)

class Mute(Registry):
    '''Never says anything.'''
    async def watch(self, emit):
        print("mute", flush=True)
        await asyncio.sleep(3600)
"""
KINDS = ("hanging", "blocking", "threaded", "stuck", "mute")


@pytest.fixture(autouse=True)
def _tell_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "default::ResourceWarning")


@pytest.fixture
def stubborn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the adapters that will not end."""
    entries = {
        "meshbridge.adapters": {kind: f"stubborn:{kind.title()}" for kind in KINDS},
        "meshbridge.outlets": {"hung": "stubborn:Outlet"},
    }
    folder = install(
        tmp_path / "strangers", "stubborn", modules={"stubborn": STUBBORN}, entry_points=entries
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    """Return a bridge that will serve a few services from a file."""
    made = Bed(tmp_path)
    replace(made.file, document({f"service-{n}": [(f"10.1.0.{n}", 80)] for n in range(1, 20)}))
    return made


def configuration(**changes: object) -> dict[str, object]:
    """Return one that needs nothing else, with these keys instead."""
    return {
        "version": 1,
        "registries": [{"name": "shop", "adapter": "file", "path": "services.yaml"}],
        "outlets": {"xds": {"listen": "127.0.0.1:0"}, "mcp": {"listen": "127.0.0.1:0"}},
        "status": {"listen": "127.0.0.1:0"},
        **changes,
    }


def bridge_of(kind: str, directory: Path) -> Bridge:
    """Return a bridge whose registry is of the stubborn kind, or whose outlet is."""
    if kind == "outlet":
        mute, hung = [{"name": "shop", "adapter": "mute"}], {"hung": None}
        return Bridge(directory, configuration(registries=mute, outlets=hung), name=kind)
    registries = [{"name": "shop", "adapter": kind}]
    return Bridge(directory, configuration(registries=registries), name=kind)


def complaints(bridge: Bridge) -> list[str]:
    return [line for line in bridge.process.log.splitlines() if any(w in line for w in COMPLAINTS)]


async def ends(bridge: Bridge, number: signal.Signals = signal.SIGTERM) -> float:
    """Ask it to end, and see that it does well; return the seconds."""
    begun = time.monotonic()
    bridge.process.send(number)
    assert await bridge.process.exited(within=PROMISED) == 0
    assert complaints(bridge) == []
    return time.monotonic() - begun


@asynccontextmanager
async def streams(target: str, number: int) -> AsyncGenerator[list[StateClient]]:
    """Hold so many streams, ten on a connection, each with all clusters or ServiceEntries."""
    async with AsyncExitStack() as stack:
        clients: list[StateClient] = []
        for _ in range(number // 10):
            connected = await stack.enter_async_context(channel(target))
            clients += [StateClient(open_stream(connected, delta=False)) for _ in range(10)]
        for client in clients:
            await client.ask(CDS)
        await asyncio.gather(*(client.read() for client in clients))
        yield clients


async def test_a_drain_turns_away_who_comes_and_ends_who_is_there(bed: Bed) -> None:
    """A hundred streams; status says so at once, new streams are refused, open ones ended."""
    async with bed.bridge:
        await bed.ready()
        async with streams(bed.xds, 100) as clients, channel(bed.xds) as connected:
            await connected.channel_ready()
            bed.bridge.process.send(signal.SIGTERM)

            async def told() -> tuple[str, str]:
                return await asyncio.gather(bed.get("/readyz"), bed.get("/livez"))

            (ready, live), _ = await until(told, lambda seen: "draining" in seen[0], within=1)
            assert ready.startswith("draining: ")
            assert live.startswith("ok")
            assert not await bed.is_ready()
            late = StateClient(open_stream(connected, delta=False))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asked(late)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
            async with asyncio.timeout(5):
                codes = {await client.call.code() for client in clients}
            assert codes == {grpc.StatusCode.UNAVAILABLE}
            assert await bed.bridge.process.exited(within=PROMISED) == 0
    assert complaints(bed.bridge) == []
    assert bed.bridge.events(LEFT) == []


async def asked(client: StateClient) -> None:
    await client.ask(CDS)
    await client.read()


async def test_subscribers_that_never_read_hold_nothing_up(bed: Bed) -> None:
    """Fifty, each with megabytes on the way; and a status client that reads nothing either."""
    many = {
        f"service-{n}": [(f"10.{n % 250}.{place}.1", 80) for place in range(8)] for n in range(3000)
    }
    replace(bed.file, document(many))
    async with bed.bridge, AsyncExitStack() as stack:
        await bed.ready()
        held: list[object] = []
        for number in range(50):
            target, url = ((bed.xds, CDS), (bed.mcp, SERVICE_ENTRY))[number % 2]
            connected = await stack.enter_async_context(channel(target))
            client = StateClient(open_stream(connected, delta=False))
            await client.ask(url)
            held.append(client)
        host, _, port = bed.status.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET /api/services HTTP/1.1\r\nHost: a\r\n\r\n")
        sent = "^meshbridge_.*_streams$"
        await until(lambda: bed.metric(sent), lambda found: found == 50, within=20)
        took = await ends(bed.bridge)
        assert took < PROMISED
        writer.close()


@pytest.mark.usefixtures("stubborn")
async def test_what_does_not_end_is_named_and_left_behind(tmp_path: Path) -> None:
    """An outlet and an adapter that take no cancellation, one that blocks the loop, one thread."""
    kinds = ("outlet", "hanging", "blocking", "threaded")
    async with AsyncExitStack() as stack:
        bridges = [
            await stack.enter_async_context(bridge_of(kind, tmp_path / kind)) for kind in kinds
        ]
        for bridge in bridges:
            await until(partial(is_at_work, bridge), bool, within=20)
        await asyncio.gather(*(ends(bridge) for bridge in bridges))
    lines = {kind: bridge.events(LEFT) for kind, bridge in zip(kinds, bridges, strict=True)}
    # The core gives such an adapter up by itself, and says so.
    assert "does not end when it is cancelled" in bridges[1].process.log or lines.pop("hanging")
    assert {kind: len(found) for kind, found in lines.items() if found} == dict.fromkeys(
        ("outlet", "blocking", "threaded"), 1
    )
    assert lines["outlet"][0]["tasks"] == ["outlet hung"]
    assert "registry shop" in str(lines["blocking"][0]["tasks"])
    assert lines["threaded"][0]["threads"] == ["forgotten"]


async def is_at_work(bridge: Bridge) -> bool:
    return bool(bridge.events("first snapshot")) or "mute" in bridge.process.log


async def events(bridge: Bridge, event: str) -> list[dict[str, object]]:
    return bridge.events(event)


@with_proc
@pytest.mark.usefixtures("stubborn")
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once_even_if_the_loop_is_blocked(
    tmp_path: Path, second: signal.Signals
) -> None:
    """By the system: 143 or 130 in a shell."""
    async with bridge_of("stuck", tmp_path) as bridge:
        await until(lambda: said(bridge, "stuck"), bool, within=20)
        bridge.process.send(signal.SIGTERM)
        # Nothing tells that the first was taken: the loop is blocked. Handlers say so.
        await until(lambda: handles(bridge, second), lambda seen: not seen, within=20)
        begun = time.monotonic()
        bridge.process.send(second)
        assert await bridge.process.exited(within=2) == -second
        assert time.monotonic() - begun < 1


async def said(bridge: Bridge, word: str) -> bool:
    return word in bridge.process.log


async def handles(bridge: Bridge, number: signal.Signals) -> bool:
    """Whether the process itself takes the signal."""
    status = await asyncio.to_thread(Path(f"/proc/{bridge.process.pid}/status").read_text)
    (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.usefixtures("stubborn")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_well_before_its_first_answer(tmp_path: Path, number: signal.Signals) -> None:
    async with bridge_of("mute", tmp_path) as bridge:
        await until(lambda: said(bridge, "mute"), bool, within=20)
        assert await ends(bridge, number) < 3


@with_proc
async def test_it_ends_well_while_it_starts(tmp_path: Path) -> None:
    """From the moment that it hears signals; before, it ends by the signal as any program."""
    (tmp_path / "services.yaml").write_text("services: []")
    codes: list[int] = []
    for step in range(12):
        async with Bridge(tmp_path, configuration(), name=f"start-{step}") as bridge:
            if step % 2:
                await until(partial(handles, bridge, signal.SIGTERM), bool, within=20)
                await asyncio.sleep(step * 0.01)
                await ends(bridge)
            else:
                await asyncio.sleep(step * 0.03)
                bridge.process.send(signal.SIGTERM)
                codes.append(await bridge.process.exited(within=PROMISED))
    assert set(codes) <= {0, -signal.SIGTERM}


async def test_a_running_bridge_says_how_its_registries_stand_through_its_admin_socket(
    tmp_path: Path,
) -> None:
    """The same as /api/registries; the socket is gone when the bridge is."""
    (tmp_path / "services.yaml").write_text("services: [{name: a, instances: []}]")
    path = tmp_path / "state" / "admin.sock"
    async with Bridge(tmp_path, configuration(admin="./state/admin.sock")) as bridge:
        status = await bridge.address("status")
        await until(lambda: events(bridge, "first snapshot"), bool, within=20)
        (answer,) = await ask([path], STATE, Nothing(), list[dict[str, object]])
        async with aiohttp.request("GET", f"http://{status}/api/registries") as response:
            listed = msgspec.json.decode(await response.read(), type=list[dict[str, object]])
        await ends(bridge)
    assert answer.value is not None
    moving = {"seconds"}
    assert [
        {key: value for key, value in each.items() if key not in moving} for each in answer.value
    ] == [{key: value for key, value in each.items() if key not in moving} for each in listed]
    assert os.listdir(path.parent) == []  # noqa: PTH208 - a look, not a walk
    (missing,) = await ask([path], STATE, Nothing(), list[dict[str, object]])
    assert missing.refusal is not None
    assert str(path) in missing.refusal.reason


def colliding(key: str) -> Mapping[str, object]:
    """Return a configuration in which only this key's place is one that another may have."""
    if key == "admin":
        return configuration(admin="./state/admin.sock")
    listen = {"listen": f"127.0.0.1:{free_port()}"}
    section, _, outlet = key.partition(".")
    return configuration(**{section: {outlet: listen} if outlet else listen})


@pytest.mark.parametrize("key", ["outlets.mcp", "outlets.xds", "status", "admin"])
async def test_of_two_started_at_the_same_moment_exactly_one_runs(tmp_path: Path, key: str) -> None:
    """Five times for each key; the other ends with 2 and a line with the key and the place."""
    (tmp_path / "services.yaml").write_text("services: []")
    for turn in range(5):
        content = colliding(key)
        twins = [Bridge(tmp_path, content, name=f"{key}-{turn}-{side}") for side in "ab"]
        async with twins[0], twins[1]:
            await until(partial(ended_or_up, twins), lambda seen: seen == 2, within=20)
            (out,) = [each for each in twins if not each.process.running]
            (up,) = [each for each in twins if each.process.running]
            assert out.process.exit_code == 2
            assert out.events("first snapshot") == []
            (line,) = [each for each in out.process.log.splitlines() if each.startswith("error: ")]
            name = key if key == "admin" else f"{key}.listen"
            assert line.startswith(f"error: {name}: ")
            assert ("state/admin.sock" if key == "admin" else "127.0.0.1:") in line
            await ends(up)


async def ended_or_up(twins: list[Bridge]) -> int:
    return sum(not each.process.running or bool(each.events("first snapshot")) for each in twins)


async def test_two_of_one_configuration_never_refuse_each_other_both(tmp_path: Path) -> None:
    """All ports are the same: whoever gets the first one gets all."""
    (tmp_path / "services.yaml").write_text("services: []")
    for turn in range(5):
        listens = [{"listen": f"127.0.0.1:{free_port()}"} for _ in range(3)]
        content = configuration(outlets={"xds": listens[0], "mcp": listens[1]}, status=listens[2])
        twins = [Bridge(tmp_path, content, name=f"twin-{turn}-{side}") for side in "ab"]
        async with twins[0], twins[1]:
            await until(partial(ended_or_up, twins), lambda seen: seen == 2, within=20)
            assert sorted(each.process.running for each in twins) == [False, True]
