"""A person sees what is held, and lets exactly that go."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from unit.runtime.examples import Log, Scripted, service

from meshbridge import Context, Emit, Listing, RegisteredService, ServiceId, Stale
from meshbridge.admin import AdminRefusal
from meshbridge.admin.client import Answer as Told
from meshbridge.admin.operations import operations
from meshbridge.admin.releasing import RELEASE, Answer, Which
from meshbridge.bridge import Bridge, RegistryRuntime
from meshbridge.cli import release
from meshbridge.publish import Registry
from meshbridge.releasing import Announced
from meshbridge.settings.guard import GuardOptions
from meshbridge.testing import Clock

T = TypeVar("T")
Ask = Callable[..., Awaitable[Answer]]
FULL = (service("bills", 81), service("orders", 81, 82, 83))


def silent(_: Emit) -> None:
    """Say nothing."""


def run(
    scenario: Callable[[Bridge, Ask, Emit], Awaitable[T]],
    *first: RegisteredService,
    scope: str = "all",
    settle: timedelta = timedelta(0),
    required: bool = True,
) -> T:
    """Run a bridge whose registry ``shop`` lists ``first``, or says nothing if that is nothing."""
    clock, adapters, done = Clock(), list[Scripted](), list[T]()

    def make(context: Context) -> Scripted:
        def say(emit: Emit) -> None:
            emit(Listing("all", first))

        adapters.append(Scripted(context, say if first else silent))
        adapters[-1].scopes, adapters[-1].settle = (scope,), settle
        return adapters[-1]

    async def main() -> None:
        guard = GuardOptions.model_validate({"min-size": 2})
        runtime = RegistryRuntime(Registry("shop", 0), make, required, guard)
        late = RegistryRuntime(Registry("late", 1), lambda context: Scripted(context, silent))
        runtimes = [runtime] if required else [runtime, late]
        bridge = Bridge(runtimes, clock, clock.sleep, Log().logger(), unix=clock)
        task = asyncio.create_task(bridge.run())
        await clock.sleep(1)
        known = operations(bridge)

        async def ask(*which: str, seconds: float | None = None) -> Answer:
            registry, scope, name = (*which, None, None, None)[:3]
            question = Which(registry, scope, name, seconds)
            raw = await known[RELEASE](msgspec.json.encode(question))
            await clock.sleep(1)
            return msgspec.json.decode(raw, type=Answer)

        emit = adapters[0].emit
        assert emit is not None
        done.append(await scenario(bridge, ask, emit))
        task.cancel()
        await asyncio.wait({task})

    clock.run(main())
    return done[0]


async def wiped(emit: Emit) -> None:
    emit(Listing("all", ()))
    await asyncio.sleep(1)


def endpoints(bridge: Bridge) -> int:
    newest = bridge.snapshots.newest
    assert newest is not None
    return sum(len(each.endpoints) for each in newest.services.values())


def test_what_is_held_is_listed_with_since_and_how_much() -> None:
    async def scenario(_: Bridge, ask: Ask, emit: Emit) -> Answer:
        await wiped(emit)
        return await ask()

    held = run(scenario, *FULL).held
    assert held is not None
    (scope,) = held.scopes
    assert (scope.registry, scope.scope, scope.phase, scope.held, scope.of) == (
        *("shop", "all", "in loss"),
        *(4, 4),
    )
    assert scope.since == "1970-01-01T00:16:41Z"
    assert [(each.service, each.instances) for each in scope.services] == [
        ("bills", ("10.0.0.1:81",)),
        ("orders", ("10.0.0.1:81", "10.0.0.1:82", "10.0.0.1:83")),
    ]


@pytest.mark.parametrize(
    ("which", "gone"), [(("shop",), 4), (("shop", "all"), 4), (("shop", "all", "orders"), 3)]
)
def test_only_what_was_named_is_let_go_and_said(which: tuple[str, ...], gone: int) -> None:
    async def scenario(bridge: Bridge, ask: Ask, emit: Emit) -> tuple[Answer, int]:
        await wiped(emit)
        return await ask(*which), endpoints(bridge)

    answer, left = run(scenario, *FULL)
    assert answer.released is not None
    assert (answer.released.instances, left) == (gone, 4 - gone)
    assert answer.released.services[-1].service == "orders"
    assert answer.released.services[-1].left == 0


def test_releasing_nothing_is_fine() -> None:
    async def scenario(bridge: Bridge, ask: Ask, _: Emit) -> tuple[Answer, int]:
        return await ask("shop"), endpoints(bridge)

    answer, left = run(scenario, *FULL)
    assert answer.released is not None
    assert (answer.released.instances, answer.released.accepted, left) == (0, (), 4)


def test_while_the_configuration_is_refused_it_is_listed_as_what_is_waited_for() -> None:
    async def scenario(bridge: Bridge, ask: Ask, _: Emit) -> Answer:
        bridge.configuration.withheld = ("it would take away 12 of 20 hosts", "orders.x: gone")
        return await ask()

    answer = run(scenario)
    assert answer.held is not None
    assert answer.held.waiting[0].startswith(
        "waiting: the configuration is refused: it would take away 12 of 20 hosts; mend the file"
    )


def test_an_unread_scope_waits_no_longer_once_it_is_released() -> None:
    async def scenario(bridge: Bridge, ask: Ask, _: Emit) -> tuple[Answer, Answer]:
        before = await ask()
        assert bridge.snapshots.newest is None
        after = await ask("shop", "all")
        assert endpoints(bridge) == 0
        return before, after

    before, after = run(scenario)
    assert before.held is not None
    assert before.held.waiting[0].startswith("waiting: registry shop, all was not read yet")
    assert after.released is not None
    assert after.released.accepted == ("all",)
    assert after.released.lost == ("all",)


def test_a_release_that_accepts_what_is_not_there_says_what_that_costs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proxies that still run with what they had been told lose it."""

    async def scenario(_: Bridge, ask: Ask, __: Emit) -> list[Answer]:
        return [await ask(), await ask("shop"), await ask("shop")]

    answers = iter(run(scenario))

    def told(*_: object, **__: object) -> tuple[list[Told[Answer]], int]:
        return [Told(Path("a.sock"), next(answers))], 0

    monkeypatch.setattr(release, "ask_bridges", told)
    for which in (None, "shop", "shop"):
        assert release.release_held([], (which, None, None), None, "text") == 0
    before, *after = capsys.readouterr().out.splitlines()
    assert before.endswith(
        "goes on without it: either way proxies lose all its hosts until it is read"
    )
    assert after == [
        "shop: nothing was held",
        (
            "shop, all: the first answer waits for it no longer; nothing is known of it, so "
            "proxies lose all its hosts"
        ),
        "shop: nothing was held",
    ], "once: then nobody waits any more"


def test_nobody_waited_for_a_registry_that_is_not_required() -> None:
    async def scenario(bridge: Bridge, ask: Ask, _: Emit) -> Answer:
        answer = await ask("shop")
        assert bridge.snapshots.newest is None, "another one is waited for"
        return answer

    answer = run(scenario, required=False)
    assert answer.released is not None
    assert (answer.released.accepted, answer.released.lost) == ((), ())


def test_a_scope_that_stands_for_others_is_accepted_without_a_loss() -> None:
    """Nothing is known of it ever; what its registry holds is known by the names of the others."""

    async def scenario(_: Bridge, ask: Ask, emit: Emit) -> tuple[Answer, Answer]:
        emit(Listing("*", ()))
        await asyncio.sleep(1)
        return await ask("shop", "all"), await ask("shop", "*")

    one, star = run(scenario, *FULL, scope="*", settle=timedelta(seconds=75))
    assert one.released is not None
    assert one.released.accepted == (), "nobody waits for what the options do not name"
    assert star.released is not None
    assert (star.released.accepted, star.released.lost) == (("*",), ())


@pytest.mark.parametrize("name", ["prod/DEFAULT_GROUP", "prod/*"])
def test_an_empty_scope_is_accepted_with_a_loss_whatever_else_its_registry_holds(name: str) -> None:
    """It stands for no other one, or for none that holds anything: its hosts were its own."""

    async def scenario(_: Bridge, ask: Ask, emit: Emit) -> Answer:
        emit(Listing(name, ()))
        await asyncio.sleep(1)
        return await ask("shop", name)

    answer = run(scenario, *FULL, scope=name, settle=timedelta(seconds=75))
    assert answer.released is not None
    assert (answer.released.accepted, answer.released.lost) == ((name,), (name,))


def test_nothing_is_lost_by_a_release_after_the_first_answer() -> None:
    async def scenario(_: Bridge, ask: Ask, emit: Emit) -> Answer:
        emit(Stale("all", "down"))
        return await ask("shop")

    answer = run(scenario, *FULL)
    assert answer.released is not None
    assert (answer.released.accepted, answer.released.lost) == ((), ())


def test_a_release_whose_command_is_interrupted_midway_is_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("meshbridge.turns.SLICE", 0.0)  # the loop turns between all small steps

    async def scenario(bridge: Bridge, _: Ask, emit: Emit) -> tuple[int, int]:
        await wiped(emit)
        hosts = list(bridge.snapshots.newest.services) if bridge.snapshots.newest else []
        question = msgspec.json.encode(Which("shop"))
        asking = asyncio.ensure_future(operations(bridge)[RELEASE](question))
        while all(map(bridge.catalog.service, hosts)):  # noqa: ASYNC110 - something is taken away
            await asyncio.sleep(0)
        assert any(map(bridge.catalog.service, hosts)), "and not all of it"
        asking.cancel()
        await asyncio.wait({asking})
        await asyncio.sleep(1)
        return endpoints(bridge), bridge.registries()[0].scopes[0].held

    assert run(scenario, *(service(f"s{each}", 80) for each in range(24))) == (0, 0)


def test_an_announced_loss_passes_at_once_and_is_listed_until_it_is_over() -> None:
    async def scenario(bridge: Bridge, ask: Ask, emit: Emit) -> tuple[Answer, int, Answer]:
        said = await ask("shop", "all", seconds=60)
        assert said.released is not None
        assert said.released.until == "1970-01-01T00:17:41Z"
        running = await ask()
        await wiped(emit)
        left = endpoints(bridge)
        await asyncio.sleep(60)
        return running, left, await ask()

    running, left, over = run(scenario, *FULL)
    assert running.held is not None
    assert running.held.announced == (Announced("shop", "all", "", "1970-01-01T00:17:41Z"),)
    assert left == 0
    assert over.held is not None
    assert over.held.announced == ()


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (("shpo",), 'no registry of this bridge is called "shpo"; did you mean "shop"?'),
        (("shop", "al"), 'no scope of shop is called "al"; did you mean "all"?'),
        (
            ("shop", "all", "bill"),
            'no service of shop, "all", is called "bill"; did you mean "bills"?',
        ),
        (
            ("shop", "all", "stock"),
            '2 services of shop, "all", are called "stock"; name one whole: "a/stock", "b/stock"',
        ),
    ],
)
def test_what_is_not_known_is_refused_with_the_nearest_name(
    which: tuple[str, ...], said: str
) -> None:
    twice = (RegisteredService(ServiceId(each, "", "stock")) for each in ("a", "b"))

    async def scenario(_: Bridge, ask: Ask, __: Emit) -> AdminRefusal:
        with pytest.raises(AdminRefusal) as caught:
            await ask(*which)
        return caught.value

    refusal = run(scenario, *FULL, *twice)
    assert (refusal.reason, refusal.code) == (said, 2)


def test_what_is_like_nothing_is_refused_with_the_command_that_finds_this_bridge() -> None:
    async def scenario(bridge: Bridge, ask: Ask, _: Emit) -> AdminRefusal:
        bridge.configuration.socket = "/run/mesh bridge/a.sock"
        with pytest.raises(AdminRefusal) as caught:
            await ask("zzz")
        return caught.value

    assert run(scenario, *FULL).reason == (
        'no registry of this bridge is called "zzz"; '
        "`meshbridge release --admin '/run/mesh bridge/a.sock'` lists all held"
    )
