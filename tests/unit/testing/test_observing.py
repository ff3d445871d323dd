"""Observers read what the real programs answered, and know silence from an empty answer."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sized
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from unit.testing.short import BARE

from meshbridge.cli.demo.traffic import Answer, Load
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import (
    ServiceEntry,
    ServicePort,
)
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry
from meshbridge.testing.checker import assert_holds
from meshbridge.testing.history import (
    Endpoint,
    Event,
    History,
    Request,
    Same,
    Sample,
    Unreachable,
    View,
)
from meshbridge.testing.history_lines import from_lines
from rig.observing import (
    Addressed,
    BridgeObserver,
    EnvoyObserver,
    StoreObserver,
    istiod_observers,
    kept,
    loading,
    note_answers,
    observing,
)
from rig.observing_formats import Bytes, bridge_view, configz_view, envoy_view, shards_view
from rig.ports import free_port
from rig.scripted_istiod import ScriptedIstiod, Stored
from rig.waiting import until

pytestmark = pytest.mark.asyncio
CAPTURED = Path(__file__).with_name("captured")
SHOP = frozenset(
    {
        Endpoint("orders.file", "127.0.0.1:8081"),
        Endpoint("orders.file", "127.0.0.1:8082"),
        Endpoint("pay.file", "10.1.0.1:8080"),
        Endpoint("pay.file", "10.1.0.1:20880"),
        Endpoint("pay.file", "[fd00::1]:8080"),
    }
)
"""What the registry held from which all of this was captured; its service ``empty`` had none."""


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (bridge_view, "bridge-services"),
        (envoy_view, "envoy-clusters"),
        (envoy_view, "envoy-clusters-of-istiod"),
        (configz_view, "istiod-configz"),
        (shards_view, "istiod-endpointShardz"),
    ],
)
async def test_all_observers_of_one_registry_show_the_same(
    read: Callable[[Bytes], View], name: str
) -> None:
    """In one form, whatever else they answer."""
    view = read((CAPTURED / f"{name}.json").read_bytes())
    assert view.endpoints == SHOP
    assert view.resting == frozenset()


async def test_versions_are_those_of_each_host() -> None:
    """Of all ServiceEntries of a host together: a host with two kinds of instances has two."""
    bridge = bridge_view((CAPTURED / "bridge-services.json").read_bytes())
    istiod = configz_view((CAPTURED / "istiod-configz.json").read_bytes())
    assert bridge.versions["orders.file"] == "0d8127776fdd1e26"
    assert istiod.versions["orders.file"] == "d8913408072f9ada"
    assert istiod.versions["pay.file"] == "0c7d87e8f99d8d89+8f870ef6198d5fa2"
    assert (
        bridge.versions.keys()
        == istiod.versions.keys()
        == {
            "orders.file",
            "pay.file",
            "empty.file",
        }
    )


async def test_endpoints_that_envoy_gives_no_requests_are_at_rest() -> None:
    """By what it was told, or by its own checks; clusters of its own count for nothing."""
    view = envoy_view((CAPTURED / "envoy-clusters-sick.json").read_bytes())
    assert view.endpoints - view.resting == {
        Endpoint("sick.file", "127.0.0.1:1"),  # healthy
        Endpoint("sick.file", "127.0.0.1:5"),  # degraded
    }
    assert view.resting == {
        Endpoint("sick.file", "127.0.0.1:2"),  # unhealthy
        Endpoint("sick.file", "127.0.0.1:3"),  # draining
        Endpoint("sick.file", "127.0.0.1:4"),  # timed out, which it calls unhealthy
        Endpoint("checked.file", "127.0.0.1:6"),  # its own check fails
    }


async def test_endpoints_that_istiod_calls_unhealthy_are_at_rest() -> None:
    text = (CAPTURED / "istiod-endpointShardz.json").read_text()
    sick = text.replace('"HealthStatus": 0', '"HealthStatus": 1', 1)
    assert sick != text
    assert len(shards_view(sick).resting) == 1
    assert shards_view('{"a.file": {"shop": {"Shards": {"External/Kubernetes": null}}}}') == View(
        frozenset()
    )


async def test_a_port_that_an_endpoint_does_not_name_is_the_services_own() -> None:
    """As istiod takes it."""
    spec = '{"hosts": ["a.file"], "ports": [{"name": "http-80", "number": 80}]'
    entry = f'{{"kind": "ServiceEntry", "metadata": {{"name": "a"}}, "spec": {spec},'
    view = configz_view(f'[{entry} "endpoints": [{{"address": "10.0.0.1"}}]}}}}]')
    assert view.endpoints == {Endpoint("a.file", "10.0.0.1:80")}
    other = configz_view('[{"kind": "Sidecar", "metadata": {"name": "a"}, "spec": {"hosts": 1}}]')
    assert other == View(frozenset())


@asynccontextmanager
async def answering(
    answer: Callable[[], web.Response], after: Callable[[], float] = lambda: 0.0
) -> AsyncGenerator[str]:
    """Answer everything with what the function returns, after so many seconds; 202 at the end."""
    ended = asyncio.Event()

    async def handle(_: web.Request) -> web.Response:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), after())
        response = answer()
        if response.status == 202:
            await ended.wait()
        return response

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        ended.set()
        await runner.cleanup()


async def more_than(number: int, things: Sized) -> None:
    async def there() -> int:
        return len(things)

    await until(there, lambda found: found > number, within=10)


def listing() -> web.Response:
    return web.Response(body=(CAPTURED / "bridge-services.json").read_bytes())


async def test_an_observer_that_shows_the_same_is_noted_at_every_look() -> None:
    """So that a look that did not take place can be told from one that saw nothing new."""
    history = History()
    async with answering(listing) as address, observing(history, BridgeObserver(address), rate=50):
        await more_than(6, history.events)
    first, *others = history.events
    assert isinstance(first, Sample)
    assert first.view.endpoints == SHOP
    assert all(isinstance(each, Same) for each in others)
    assert len(others) > 5


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda: web.Response(status=503, text="[]"), "status 503"),
        (lambda: web.Response(status=202, text="[]"), "no answer in 0.4 s"),
    ],
)
async def test_an_observer_without_an_answer_is_unreachable_and_not_empty(
    answer: Callable[[], web.Response], why: str
) -> None:
    history = History()
    async with (
        answering(answer) as address,
        observing(history, BridgeObserver(address), patience=0.4),
    ):
        pass
    assert [type(each) for each in history.events] == [Unreachable, Unreachable]
    assert [each.why for each in history.events if isinstance(each, Unreachable)] == [why, why]


@dataclass
class Pace:
    """How fast an observer answers, which a test may change."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_an_observer_that_answers_late_at_the_end_is_judged_by_that_answer() -> None:
    """A busy machine makes it late, and it shows what the registry has."""
    history, pace = History(BARE), Pace()
    history.begins_with(SHOP)
    async with (
        answering(listing, pace) as address,
        observing(history, BridgeObserver(address)),
    ):
        pace.seconds = 0.6
    last = history.events[-1]
    assert isinstance(last, Same)
    assert last.at - last.asked >= 0.6
    assert_holds(history)


async def test_an_observer_that_never_answers_at_the_end_fails_the_run_with_its_reason() -> None:
    """However long it showed what the registry has before."""
    history, pace = History(BARE), Pace()
    history.begins_with(SHOP)
    async with (
        answering(listing, pace) as address,
        observing(history, BridgeObserver(address), patience=0.7),
    ):
        pace.seconds = 60
    with pytest.raises(
        AssertionError, match=r"^at the end .*\n  bridge cannot be asked: no answer"
    ):
        assert_holds(history)
    last = history.events[-1]
    assert isinstance(last, Unreachable)
    assert last.why == "no answer in 0.7 s"


@pytest.mark.parametrize(
    ("away", "noted"),
    [(frozenset[str](), (Sample, Same)), (frozenset({"bridge"}), (Unreachable,))],
)
async def test_only_an_observer_that_a_fault_takes_away_must_answer_fast(
    away: frozenset[str], noted: tuple[type[Event], ...]
) -> None:
    """To find it silent is a look; to give up asking any other only loses its answer."""
    history = History(replace(BARE, away=away))
    async with (
        answering(listing, lambda: 0.6) as address,
        observing(history, BridgeObserver(address)),
    ):
        await asyncio.sleep(1.5)
    _, *between, last = history.events
    assert between
    assert all(isinstance(each, noted) for each in between)
    assert isinstance(last, (Sample, Same))


async def test_all_the_questions_of_one_look_share_its_patience() -> None:
    """An Envoy is asked two; else it was silent for twice as long as a look may take."""
    history = History()
    async with (
        answering(lambda: web.Response(text="LIVE"), lambda: 0.3) as address,
        observing(history, EnvoyObserver(Admin(address)), patience=0.5),
    ):
        pass
    whys = [each.why for each in history.events if isinstance(each, Unreachable)]
    assert whys == ["no answer in 0.4 s", "no answer in 0.5 s"]


@dataclass
class Admin:
    """Where an Envoy would be asked."""

    admin: str


async def test_an_envoy_that_starts_is_unreachable_until_it_is_ready() -> None:
    """Else its clusters, which are not there yet, would count as lost."""
    answers = iter(
        [
            web.Response(status=503, text="PRE_INITIALIZING"),
            web.Response(text="LIVE"),
            web.Response(body=(CAPTURED / "envoy-clusters.json").read_bytes()),
        ]
    )
    history = History()
    async with (
        answering(lambda: next(answers)) as address,
        observing(history, EnvoyObserver(Admin(address))),
    ):
        pass
    unready, ready = history.events
    assert isinstance(unready, Unreachable)
    assert unready.why == "status 503"
    assert isinstance(ready, Sample)
    assert ready.view.endpoints == SHOP


async def test_an_observer_that_refuses_is_unreachable() -> None:
    history = History()
    async with observing(history, *istiod_observers(f"http://127.0.0.1:{free_port()}")):
        pass
    assert {each.observer for each in history.events if isinstance(each, Unreachable)} == {
        "istiod",
        "istiod shards",
    }


async def test_the_store_of_a_played_istiod_shows_the_same_as_that_of_a_real_one() -> None:
    """A host's ServiceEntries count together in both."""
    ports = [ServicePort(name="http-80", number=80)]
    first, second = (
        Stored(
            version=version,
            created_at=0,
            labels={},
            annotations={},
            spec=ServiceEntry(
                hosts=["pay.file"],
                ports=ports,
                endpoints=[WorkloadEntry(address=address, ports={"http-80": 8080})],
            ),
        )
        for version, address in (("2", "10.1.0.1"), ("1", "10.1.0.2"))
    )
    played, history = ScriptedIstiod("", store={"shop/a": first, "shop/b": second}), History()
    async with observing(history, StoreObserver(played)):
        pass
    (sample, same) = history.events
    assert isinstance(sample, Sample)
    assert sample.view.endpoints == {
        Endpoint("pay.file", "10.1.0.1:8080"),
        Endpoint("pay.file", "10.1.0.2:8080"),
    }
    assert sample.view.versions == {"pay.file": "1+2"}
    assert isinstance(same, Same)


async def test_an_answer_that_cannot_be_read_fails_the_run() -> None:
    async with answering(lambda: web.Response(text='{"error": 1}')) as address:
        with pytest.raises(ExceptionGroup) as raised:
            async with observing(History(), BridgeObserver(address)):
                await asyncio.sleep(1)
    assert raised.group_contains(msgspec.ValidationError, depth=1)


async def test_the_answers_of_a_load_become_requests() -> None:
    """Who answered is told by the address it was registered with."""
    history = History()
    async with Addressed("a") as backend:
        load = Load(backend.port, "orders.file", 200)
        async with loading(history, load, "orders.file"):
            await more_than(5, load.answers)
    assert len(history.events) == len(load.answers) > 5
    assert {each.by for each in history.events if isinstance(each, Request)} == {backend.address}
    note_answers(history, "orders.file", [Answer(1, 2, "a", "")], {"a": "10.0.0.1:80"})
    note_answers(history, "orders.file", [Answer(1, 2, "", "status 503")], {"a": "10.0.0.1:80"})
    assert history.events[-2:] == [
        Request("orders.file", 1, 2, "10.0.0.1:80"),
        Request("orders.file", 1, 2, "", "status 503"),
    ]


async def test_a_history_is_kept_when_the_run_fails(tmp_path: Path) -> None:
    history, file = History(), tmp_path / "history.jsonl"
    history.begin("kill")
    with pytest.raises(OSError, match="refused"), kept(history, file):
        raise OSError("refused")
    assert from_lines(file.read_text().splitlines()).events == history.events
