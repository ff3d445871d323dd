"""Whatever an adapter does, the other registries are served and its own services are kept."""

import asyncio
import contextvars
import gc
import math
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Never, cast
from weakref import WeakSet

import pytest
import structlog
from structlog.typing import EventDict, FilteringBoundLogger
from unit.runtime.examples import Log, Scripted, bridge, service, sid

from meshbridge import (
    Adapter,
    Changed,
    Context,
    Emit,
    Gone,
    Instance,
    InstancePort,
    Listing,
    RegisteredService,
    RegistryRejected,
    RegistryUnavailable,
    Removed,
    Stale,
)
from meshbridge.adapter import Update
from meshbridge.bridge import Bridge, RegistryState
from meshbridge.errors import foremost
from meshbridge.outage import AdapterFault
from meshbridge.testing import Clock

Make = Callable[[Context], Adapter]
Watching = Callable[["Playing", Emit], Awaitable[None]]


def whole(*names: str, scope: str = "all") -> Listing:
    """Return a listing of services with one instance each."""
    return Listing(scope, tuple(service(name, 80) for name in names))


class Playing:
    """An adapter whose watches are coroutines, one after another; the last one is repeated."""

    settle = timedelta(0)

    def __init__(
        self, context: Context, *watches: Watching, scopes: tuple[str, ...] = ("all",)
    ) -> None:
        """Play ``watches``."""
        self.context, self.scopes = context, scopes
        self._watches = list(watches)
        self.begun = 0
        self.emitted = asyncio.Event()
        self.kept: object = None

    async def watch(self, emit: Emit) -> Never:
        """Play the next one."""
        self.begun += 1
        watching = self._watches.pop(0) if len(self._watches) > 1 else self._watches[0]
        await watching(self, emit)
        raise ValueError("played to its end")


async def forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


async def deaf() -> None:
    """Wait, also when cancelled, until the test is over."""
    while True:
        try:
            await asyncio.sleep(math.inf)
        except asyncio.CancelledError:
            continue


async def good(_: Playing, emit: Emit) -> None:
    """List a service and go on."""
    emit(whole("orders"))
    await forever()


class Stand:
    """A bridge over a registry that misbehaves, r0, and one that does not, r1 with ``carts``."""

    def __init__(self, *watches: Watching, scopes: tuple[str, ...] = ("all",)) -> None:
        self.clock, self.log = Clock(), Log()
        self.made: list[Playing] = []
        self._watches, self._scopes = watches, scopes
        self.emit: Emit | None = None

    def play(self, scenario: Callable[[Bridge], Awaitable[None]]) -> None:
        """Run the bridge while the scenario lasts; it must end within two seconds of its end."""
        self.clock.run(self._play(scenario))

    async def _play(self, scenario: Callable[[Bridge], Awaitable[None]]) -> None:
        made = bridge(self.clock, self.log, self._bad, self._good, optional=frozenset({0}))
        running = asyncio.create_task(made.run())
        await made.snapshots.after(None)
        await scenario(made)
        await self._serves(made)
        running.cancel()
        _, pending = await asyncio.wait([running], timeout=2)
        assert not pending
        assert running.cancelled()

    def _bad(self, context: Context) -> Adapter:
        self.made.append(Playing(context, *self._watches, scopes=self._scopes))
        return self.made[-1]

    def _good(self, context: Context) -> Adapter:
        def script(emit: Emit) -> None:
            emit(whole("carts"))
            self.emit = emit

        return Scripted(context, script)

    async def _serves(self, made: Bridge) -> None:
        """See that the other registry's changes are still served."""
        assert self.emit is not None
        assert made.registries()[1].state == "watching"
        self.emit(Changed("all", service("carts", 81)))
        for _ in range(200):
            await self.clock.sleep(0.01)
            if hosts(made).get("carts.r1") == {81}:
                return
        raise AssertionError(hosts(made))

    def faults(self) -> list[str]:
        """Return the reasons of the adapter's faults that were logged."""
        said = [entry for entry in self.log.entries if entry["event"] == "adapter failed"]
        assert all(entry["registry"] == "r0" for entry in said)
        return [str(entry["reason"]) for entry in said]


def hosts(made: Bridge) -> dict[str, set[int]]:
    """Return the ports of the endpoints of each host that is served."""
    newest = made.snapshots.newest
    assert newest is not None
    return {
        name: {number for each in found.endpoints for number in dict(each.ports).values()}
        for name, found in newest.services.items()
    }


def bad(made: Bridge) -> RegistryState:
    """Return how the registry that misbehaves stands."""
    return made.registries()[0]


# Tasks


def test_a_task_that_outlives_its_watch_is_cancelled_and_named() -> None:
    """Also one that a task of the watch has started; the outage itself is told as well."""
    tasks: list[asyncio.Task[None]] = []

    async def leaks(_: Playing, emit: Emit) -> None:
        async def deeper() -> None:
            tasks.append(asyncio.create_task(forever(), name="poll orders"))

        emit(whole("orders"))
        tasks.append(asyncio.create_task(forever()))
        await asyncio.create_task(deeper())
        raise RegistryUnavailable("down")

    stand = Stand(leaks, good)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(30)
        assert all(task.cancelled() for task in tasks)
        assert bad(made).state == "watching"
        assert hosts(made)["orders.r0"] == {80}

    stand.play(scenario)
    assert len(tasks) == 2
    assert stand.faults() == ["its watch ended and left tasks running: forever, poll orders"]
    assert stand.log.events().count("registry unavailable") == 1
    assert stand.log.events().count("registry available") == 1


def test_tasks_that_end_soon_after_their_watch_are_no_fault() -> None:
    """A library learns from a thread that a call it has cancelled is over."""

    async def ends(playing: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        playing.kept = asyncio.create_task(asyncio.sleep(0.1))
        raise RegistryUnavailable("down")

    stand = Stand(ends)

    async def scenario(_: Bridge) -> None:
        await stand.clock.sleep(10)

    stand.play(scenario)
    assert stand.faults() == []


def test_a_task_of_the_whole_process_is_left_alone() -> None:
    """One that was started in a context of its own, or by somebody else meanwhile."""
    shared: list[asyncio.Task[None]] = []

    async def starts(_: Playing, emit: Emit) -> None:
        loop = asyncio.get_running_loop()
        shared.append(contextvars.Context().run(loop.create_task, forever()))
        shared.append(loop.create_task(forever(), context=contextvars.Context()))
        emit(whole("orders"))
        raise RegistryUnavailable("down")

    stand = Stand(starts, good)

    async def scenario(_: Bridge) -> None:
        await stand.clock.sleep(30)
        assert [task.done() for task in shared] == [False, False]
        for task in shared:
            task.cancel()
        await asyncio.wait(shared)

    stand.play(scenario)
    assert stand.faults() == []


class Held:
    """Something large."""


async def leaks_and_fails(held: WeakSet[Held]) -> None:
    """Leave tasks behind that hold much, as does what it raises."""

    async def hold(what: Held) -> None:
        held.add(what)
        await forever()

    tasks = [asyncio.create_task(hold(Held())) for _ in range(50)]
    await asyncio.sleep(0)
    raise RegistryUnavailable(f"{len(tasks)} left")


async def in_a_group(held: WeakSet[Held]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(leaks_and_fails(held))


async def as_one_error(held: WeakSet[Held]) -> None:
    """Raise the foremost of several, whose traceback holds the frame that holds it."""
    many = [Held() for _ in range(50)]
    held.update(many)
    try:
        await in_a_group(held)
    except ExceptionGroup as failed:
        error = foremost(failed)
        raise error from failed


async def beside_a_group(held: WeakSet[Held]) -> None:
    """Fail beside a task that is cancelled in a group of its own: the error knows nothing of it."""

    async def gather() -> None:
        many = [Held() for _ in range(50)]
        held.update(many)
        async with asyncio.TaskGroup() as group:
            group.create_task(forever())
            await forever()

    async with asyncio.TaskGroup() as group:
        group.create_task(gather())
        await asyncio.sleep(0.01)
        raise RegistryUnavailable("down")


@pytest.mark.parametrize("work", [leaks_and_fails, in_a_group, as_one_error, beside_a_group])
@pytest.mark.parametrize("said", [whole("orders"), cast("Update", "nonsense")])
def test_what_a_watch_held_goes_with_it_and_waits_for_no_garbage_collector(
    work: Callable[[WeakSet[Held]], Awaitable[None]], said: Update
) -> None:
    """Which comes late in a process that holds much, for ten megabytes at each restart."""
    held: WeakSet[Held] = WeakSet()

    async def leaks(_: Playing, emit: Emit) -> None:
        emit(said)
        await work(held)

    stand = Stand(leaks)

    async def scenario(made: Bridge) -> None:
        gc.collect()
        gc.disable()
        try:
            await stand.clock.sleep(120)
            number = len(held)
        finally:
            gc.enable()
        assert bad(made).restarts >= 5
        assert number <= 100  # those of this watch, and of the one before

    stand.play(scenario)


def test_what_was_held_is_let_go_of_before_the_pause_and_not_after_it() -> None:
    """A registry may be away for long, and what its watch had read is the most there is."""
    held: WeakSet[Held] = WeakSet()

    async def fails(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        await as_one_error(held)

    stand = Stand(fails)
    in_pauses: list[int] = []

    async def scenario(made: Bridge) -> None:
        gc.collect()
        gc.disable()
        try:
            for _ in range(200):
                await stand.clock.sleep(0.1)
                if bad(made).state == "unavailable":
                    in_pauses.append(len(held))
        finally:
            gc.enable()
        assert bad(made).restarts >= 5
        assert in_pauses
        assert in_pauses.count(0) == len(in_pauses)

    stand.play(scenario)


class Written(Log):
    """Keeps what a log shows of an exception, as it is when that is logged."""

    def logger(self) -> FilteringBoundLogger:
        """Return a logger that writes here."""

        def keep(logger: object, method: str, event: EventDict) -> str:
            shown = structlog.processors.format_exc_info(logger, method, event)
            self.entries.append(dict(shown))
            return ""

        made: FilteringBoundLogger = structlog.wrap_logger(
            structlog.ReturnLogger(),
            processors=[keep],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        return made


def test_a_fault_is_logged_with_all_that_led_to_it_and_an_outage_in_one_line() -> None:
    """What is let go of afterwards is what the log has shown."""

    async def fails(playing: Playing, _: Emit) -> None:
        try:
            {"there": 1}["missing"]
        except KeyError as error:
            reason = (ValueError, RegistryUnavailable)[playing.begun % 2]
            raise reason("not there") from error

    stand = Stand(fails)
    stand.log = Written()

    async def scenario(_: Bridge) -> None:
        await stand.clock.sleep(30)

    stand.play(scenario)
    said = {str(entry["event"]): str(entry.get("exception", "")) for entry in stand.log.entries}
    assert not said["registry unavailable"]
    assert '{"there": 1}["missing"]' in said["adapter failed"]
    assert 'raise reason("not there") from error' in said["adapter failed"]


# Hanging


def test_a_watch_that_ignores_its_cancellation_is_abandoned_and_another_one_begins() -> None:
    """With an adapter made anew; what the old one says later counts for nothing."""
    late: list[Emit] = []

    async def ignores(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        late.append(emit)
        emit(cast("Update", "nonsense"))
        await deaf()

    async def begin(playing: Playing, emit: Emit) -> None:
        await (ignores if not late else good)(playing, emit)

    stand = Stand(begin)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(4)
        assert bad(made).restarts == 0
        await stand.clock.sleep(10)
        assert bad(made).state == "watching"
        assert bad(made).restarts == 1
        late[0](whole())
        await stand.clock.sleep(1)
        assert hosts(made)["orders.r0"] == {80}

    stand.play(scenario)
    assert [each.begun for each in stand.made] == [1, 1]
    assert stand.faults() == [
        "its watch does not end when it is cancelled (waited 5 s)",
        "it emitted str, which is no update",
    ]


def test_what_an_abandoned_adapter_says_is_wrong_is_taken_back() -> None:
    late: list[Playing] = []

    async def ignores(playing: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        playing.context.trouble("server one", "it is closed")
        late.append(playing)
        emit(cast("Update", "nonsense"))
        await deaf()

    async def begin(playing: Playing, emit: Emit) -> None:
        await (ignores if not late else good)(playing, emit)

    stand = Stand(begin)

    def told(made: Bridge) -> list[str]:
        return [each.subject for each in made.problems if each.kind == "other"]

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(4)
        assert told(made) == ["server one"]
        await stand.clock.sleep(10)
        assert bad(made).restarts == 1
        late[0].context.trouble("server one", "it is closed")
        assert told(made) == []

    stand.play(scenario)


def test_a_stop_does_not_wait_for_a_watch_that_ignores_its_cancellation() -> None:
    """Nor does whoever closes the loop: ``asyncio.run`` would wait for ever."""

    async def ignores(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        child = asyncio.create_task(deaf())
        await deaf()
        await child

    stand = Stand(ignores)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(1)
        assert bad(made).state == "watching"

    stand.play(scenario)
    assert stand.faults() == ["its watch does not end when it is cancelled (waited 1 s)"]


@pytest.mark.parametrize("lasting", [0.1, 4.0, 4.9, 5.1])
def test_a_stop_while_a_hanging_watch_is_being_ended_waits_no_longer_than_any(
    lasting: float,
) -> None:
    """A watch that failed has five seconds to end; a bridge that stops has two in all."""

    async def ignores(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        emit(cast("Update", "nonsense"))
        await deaf()

    stand = Stand(ignores)

    async def scenario(_: Bridge) -> None:
        await stand.clock.sleep(lasting - 0.1)

    stand.play(scenario)


def test_an_adapter_that_hangs_each_time_is_started_again_slowly() -> None:
    """Each abandoned watch holds what it holds."""

    async def ignores(_: Playing, emit: Emit) -> None:
        emit(cast("Update", "nonsense"))
        await deaf()

    stand = Stand(ignores)

    async def scenario(_: Bridge) -> None:
        await stand.clock.sleep(36_000)

    stand.play(scenario)
    assert 10 < len(stand.made) < 36_000 / 300 * 3
    assert len(stand.faults()) == 2


def test_a_constructor_that_raises_at_a_restart_is_an_outage_of_its_registry() -> None:
    """The adapter that was there goes on."""

    async def ignores(playing: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        if playing.begun == 1:
            emit(cast("Update", "nonsense"))
            await deaf()
        await forever()

    class Once(Playing):
        made = 0

        def __init__(self, context: Context) -> None:
            type(self).made += 1
            if type(self).made > 1:
                raise OSError("too many open files")
            super().__init__(context, ignores)

    clock, log = Clock(), Log()

    async def scenario() -> None:
        made = bridge(clock, log, Once)
        running = asyncio.create_task(made.run())
        await clock.sleep(20)
        assert bad(made).state == "watching"
        assert bad(made).restarts == 1
        running.cancel()
        await asyncio.wait([running], timeout=2)
        assert running.done()

    clock.run(scenario())
    assert "OSError: too many open files" in [entry.get("reason") for entry in log.entries]


# Silence


def test_a_scope_of_which_nothing_is_said_is_stale_after_a_minute_until_it_is_listed() -> None:
    """And is not started again: a first listing may take long. Others are as they are."""
    emits: list[Emit] = []

    async def half(_: Playing, emit: Emit) -> None:
        emits.append(emit)
        emit(whole("orders"))
        await forever()

    stand = Stand(half, scopes=("all", "other"))

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(59)
        assert [each.stale for each in bad(made).scopes] == [None, None]
        await stand.clock.sleep(2)
        first, second = bad(made).scopes
        assert (first.stale, second.listed) == (None, False)
        assert second.stale == "the adapter has said nothing of it in the 60 s since its start"
        assert (bad(made).state, bad(made).restarts) == ("watching", 0)
        emits[0](whole("late", scope="other"))
        await stand.clock.sleep(1)
        assert [each.stale for each in bad(made).scopes] == [None, None]

    stand.play(scenario)
    assert [event for event in stand.log.events() if "scope" in event] == [
        "scope unreadable",
        "scope readable",
    ]


def test_a_scope_that_stays_away_after_an_outage_is_no_outage_of_the_others() -> None:
    """The registry is watched again; the one scope is said to be unreadable by itself."""

    async def both(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        emit(whole("users", scope="found"))
        raise RegistryUnavailable("down")

    stand = Stand(both, good)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(65)
        assert bad(made).state == "watching"
        assert [(each.scope, each.stale is None) for each in bad(made).scopes] == [
            ("all", True),
            ("found", False),
        ]
        assert set(hosts(made)) == {"orders.r0", "users.r0", "carts.r1"}

    stand.play(scenario)
    events = [event for event in stand.log.events() if event != "first snapshot"]
    assert events == ["registry unavailable", "registry available", "scope unreadable"]


# Floods


def test_an_adapter_that_never_stops_emitting_is_stopped() -> None:
    """Nobody else can run while it does: it is told so by an exception."""

    async def floods(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        while True:
            emit(Changed("all", service("orders", 81)))

    stand = Stand(floods)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(0.2)
        assert bad(made).state == "adapter-fault"
        assert hosts(made)["orders.r0"] == {81}

    stand.play(scenario)
    assert stand.faults() == ["it emitted 200,000 updates and never let the loop turn"]


def test_an_adapter_that_emits_in_every_turn_leaves_the_others_theirs() -> None:
    async def floods(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        for number in range(5_000):
            emit(Changed("all", service("orders", 1 + number)))
            await asyncio.sleep(0)
        await forever()

    stand = Stand(floods)

    async def scenario(made: Bridge) -> None:
        assert stand.emit is not None
        stand.emit(Changed("all", service("carts", 82)))
        while hosts(made).get("carts.r1") != {82}:
            await stand.clock.sleep(0.001)
        await stand.clock.sleep(1)
        assert hosts(made)["orders.r0"] == {5_000}

    stand.play(scenario)
    assert stand.faults() == []


def test_a_burst_of_changes_waits_as_the_newest_of_each_service() -> None:
    """100,000 of ten services are ten pieces of work."""

    async def bursts(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        await asyncio.sleep(1)
        for number in range(100_000):
            emit(Changed("all", service(f"s{number % 10}", 1 + number // 10)))
        await forever()

    stand = Stand(bursts)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(2)
        ports = hosts(made)
        assert [ports[f"s{number}.r0"] for number in range(10)] == [{10_000}] * 10
        assert bad(made).updates == 100_001
        assert made.snapshots_made < 20

    stand.play(scenario)


def test_an_adapter_may_speak_of_ten_thousand_scopes_and_no_more() -> None:
    """What it says beyond takes no effect, and its scopes stay ten thousand."""

    async def invents(_: Playing, emit: Emit) -> None:
        for number in range(20_000):
            emit(Listing(f"scope {number}", ()))
        await forever()

    stand = Stand(invents)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(1)
        assert len(bad(made).scopes) == 10_001  # and the one that its options name
        await stand.clock.sleep(2)
        assert bad(made).restarts > 0
        assert len(bad(made).scopes) == 10_001

    stand.play(scenario)
    assert stand.faults() == ["it speaks of more than 10,000 scopes"]
    assert len(stand.log.entries) < 10


def test_scopes_that_come_and_go_are_said_a_few_times_a_minute() -> None:
    async def flaps(playing: Playing, emit: Emit) -> None:
        while True:
            for number in range(50):
                emit(Listing(f"{number}", ()))
            await playing.context.sleep(0.5)
            for number in range(50):
                emit(Stale(f"{number}", "away\nagain" * 1_000))
            await playing.context.sleep(0.5)

    stand = Stand(flaps)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(120.2)
        assert all(len(each.stale or "") <= 500 for each in bad(made).scopes)

    stand.play(scenario)
    assert 10 <= stand.log.events().count("scope unreadable") <= 30
    assert stand.log.events().count("scope readable") <= 30


def test_a_listing_of_ten_thousand_services_does_not_hold_the_others_up() -> None:
    """Its shapes are looked at in slices, as is all that follows."""
    many = tuple(
        RegisteredService(
            sid(f"s{number}"),
            tuple(
                Instance(f"{each}", f"10.0.0.{each}", (InstancePort(80, "http"),))
                for each in range(10)
            ),
        )
        for number in range(10_000)
    )

    async def lists(playing: Playing, emit: Emit) -> None:
        await asyncio.sleep(1)
        playing.emitted.set()
        emit(Listing("all", many))
        await forever()

    stand = Stand(lists)

    async def scenario(made: Bridge) -> None:
        turns, longest, emitted = 0, 0.0, stand.made[0].emitted
        await emitted.wait()
        before = time.thread_time()
        while "s9999.r0" not in hosts(made):
            stand.clock.advance(0.001)
            await asyncio.sleep(0)
            assert turns < 100_000
            now = time.thread_time()
            turns, longest, before = turns + 1, max(longest, now - before), now
        assert turns > 100
        assert longest < 1.0  # a slice is 5 ms; all of it takes seconds

    stand.play(scenario)


# Nonsense


def instance(**fields: object) -> Instance:
    """Return an instance with nonsense in it."""
    made = Instance("i1", "10.0.0.1", (InstancePort(80, "http"),))
    return replace(made, **fields)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def of(*instances: object, **fields: object) -> RegisteredService:
    """Return a service with nonsense in it."""
    made = RegisteredService(sid("orders"), cast("tuple[Instance, ...]", instances))
    return replace(made, **fields)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def nonsense(kind: Callable[..., Update], *values: object) -> Update:
    """Return an update with nonsense in it."""
    return kind(*values)


LISTING, CHANGED = "Listing of 'all': ", "Changed of 'all': "
ORDERS = LISTING + "service orders"
NONSENSE = [
    (nonsense(Listing, 7, ()), "Listing: its scope is int, not text"),
    (nonsense(Listing, [], ()), "Listing: its scope is list, not text"),
    (nonsense(Listing, "x" * 1_001, ()), "Listing: its scope is longer than 1,000 characters"),
    (nonsense(Listing, "all", []), LISTING + "its services is list, not tuple"),
    (nonsense(Listing, "all", None), LISTING + "its services is None, not tuple"),
    (nonsense(Listing, "all", ("a",)), LISTING + "a service is str, not RegisteredService"),
    (nonsense(Listing, "all", (), (), 1), LISTING + "its after_gap is int, not bool"),
    (nonsense(Listing, "all", (), None), LISTING + "its unreadable is None, not tuple"),
    (
        nonsense(Listing, "all", (), ("a",)),
        LISTING + "a service's id in unreadable is str, not ServiceId",
    ),
    (
        nonsense(Listing, "all", (), ((sid("a"), 1),)),
        LISTING + "unreadable names no (service's id, instance's id)",
    ),
    (
        nonsense(Listing, "all", (of(), of())),
        LISTING + "it lists service orders twice",
    ),
    (nonsense(Listing, "all", (of(id="a"),)), LISTING + "a service's id is str, not ServiceId"),
    (
        nonsense(Listing, "all", (of(id=replace(sid("a"), group=[])),)),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        LISTING + "a service's id: its group is list, not text",
    ),
    (
        nonsense(Listing, "all", (of(instances=None),)),
        ORDERS + ": its instances is None, not tuple",
    ),
    (nonsense(Listing, "all", (of(None),)), ORDERS + ": an instance is None, not Instance"),
    (nonsense(Listing, "all", (of(kind="x"),)), ORDERS + ": its kind is str, not Kind"),
    (
        nonsense(Listing, "all", (of(consumers=("x",)),)),
        ORDERS + ": a consumer is str, not Consumer",
    ),
    (
        nonsense(Listing, "all", (of(instance(id=1)),)),
        ORDERS + ": an instance: its id is int, not text",
    ),
    (
        nonsense(Listing, "all", (of(instance(weight="heavy")),)),
        ORDERS + ": an instance: its weight is str, not number or int",
    ),
    (
        nonsense(Listing, "all", (of(instance(health="up")),)),
        ORDERS + ": an instance: its health is str, not Health",
    ),
    (
        nonsense(Listing, "all", (of(instance(ports=(80,))),)),
        ORDERS + ": a port is int, not InstancePort",
    ),
    (
        nonsense(Listing, "all", (of(instance(ports=(InstancePort(cast("int", "80")),))),)),
        ORDERS + ": a port of an instance: its number is str, not int",
    ),
    (
        nonsense(Listing, "all", (of(instance(metadata=(1, 2))),)),
        ORDERS + ": metadata holds something else than (text, text) pairs",
    ),
    (
        nonsense(Listing, "all", (of(instance(metadata=(("a", 1),))),)),
        ORDERS + ": metadata holds something else than (text, text) pairs",
    ),
    (
        nonsense(Listing, "all", (of(instance(metadata={"a": "b"})),)),
        ORDERS + ": an instance: its metadata is dict, not tuple",
    ),
    (nonsense(Changed, "all", None), CHANGED + "its service is None, not RegisteredService"),
    (nonsense(Changed, {}, of()), "Changed: its scope is dict, not text"),
    (
        nonsense(Changed, "all", of("x")),
        CHANGED + "service orders: an instance is str, not Instance",
    ),
    (nonsense(Removed, "all", "orders"), "Removed of 'all': its service_id is str, not ServiceId"),
    (nonsense(Gone, None), "Gone: its scope is None, not text"),
    (nonsense(Stale, "all", None), "Stale of 'all': its reason is None, not text"),
]


@pytest.mark.parametrize(("update", "reason"), NONSENSE, ids=[each for _, each in NONSENSE])
def test_nonsense_ends_its_watch_and_is_named_and_nothing_of_it_takes_effect(
    update: Update, reason: str
) -> None:
    async def says(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        await asyncio.sleep(1)
        emit(update)
        await forever()

    async def silent(_: Playing, __: Emit) -> None:
        await forever()

    stand = Stand(says, silent)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(3)
        assert (bad(made).state, bad(made).reason) == ("adapter-fault", reason)
        assert set(hosts(made)) == {"orders.r0", "carts.r1"}
        assert hosts(made)["orders.r0"] == {80}

    stand.play(scenario)
    assert stand.faults() == [reason]


def test_what_is_said_on_top_of_a_listing_that_is_nonsense_takes_no_effect_either() -> None:
    """It changes what nobody has, and would show a part of the registry."""

    async def says(_: Playing, emit: Emit) -> None:
        emit(Listing("all", (of(None),)))
        emit(Changed("all", service("part", 80)))
        await forever()

    stand = Stand(says)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(100)
        assert set(hosts(made)) == {"carts.r1"}
        assert not bad(made).scopes[0].listed

    stand.play(scenario)


def test_values_that_are_absurd_but_of_their_type_are_the_registrys() -> None:
    """They are reported by name, and end nothing: a weight of NaN, port 0, huge numbers."""

    async def says(_: Playing, emit: Emit) -> None:
        strange = [
            instance(id="1", weight=math.nan),
            instance(id="2", weight=-1),
            instance(id="3", ports=(InstancePort(0, "http"),)),
            instance(id="4", ports=(InstancePort(10**400, "http"),)),
            instance(id="5", address="\ud800\0", zone="\n" * 1_000),
            instance(id="6", registered_at=math.inf),
        ]
        emit(Listing("all", (of(*strange), service("users", 80))))
        await forever()

    stand = Stand(says)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(1)
        assert (bad(made).state, bad(made).reason) == ("watching", "")
        assert "users.r0" in hosts(made)

    stand.play(scenario)


# Ways to end


class Odd(BaseException):
    """No Exception."""


class UnspeakableError(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit(3), "watch raised SystemExit: 3"),
        (GeneratorExit(), "watch raised GeneratorExit, which is no Exception"),
        (Odd(), "watch raised Odd, which is no Exception"),
        (UnspeakableError(), "UnspeakableError: it cannot say why"),
        (RecursionError("deep"), "RecursionError: deep"),
        (MemoryError(), "MemoryError"),
        (StopAsyncIteration(), "StopAsyncIteration"),
        (
            BaseExceptionGroup("two", [Odd(), ValueError()]),
            "watch raised BaseExceptionGroup, which is no Exception",
        ),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, BaseException) else "",
)
def test_whatever_a_watch_raises_is_its_registrys_outage(error: BaseException, reason: str) -> None:
    async def raises(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        await asyncio.sleep(0)
        raise error

    stand = Stand(raises, good)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(0.4)
        assert (bad(made).state, bad(made).reason) == ("adapter-fault", reason)
        assert hosts(made)["orders.r0"] == {80}
        await stand.clock.sleep(10)
        assert bad(made).state == "watching"

    stand.play(scenario)
    assert stand.faults() == [reason]


CHILD = """
import asyncio, time
from datetime import timedelta
import structlog
from meshbridge.bridge import Bridge, RegistryRuntime
from meshbridge.publish import Registry

class Interrupts:
    settle, scopes = timedelta(0), ("all",)
    async def watch(self, emit):
        raise KeyboardInterrupt

registry = RegistryRuntime(Registry("r0", 0), lambda context: Interrupts())
asyncio.run(Bridge([registry], time.monotonic, asyncio.sleep, structlog.get_logger()).run())
"""


def test_an_interrupt_is_the_users_and_ends_everything() -> None:
    """Nobody can tell who pressed the keys."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in ended.stderr


def test_what_an_adapter_names_is_asked_once() -> None:
    """The core asks for it on behalf of everybody: it must not be able to raise later."""

    class Moody(Playing):
        asked = 0

        @property
        def scopes(self) -> tuple[str, ...]:
            type(self).asked += 1
            if type(self).asked > 1:
                raise ValueError("not now")
            return ("all",)

        @scopes.setter
        def scopes(self, _: tuple[str, ...]) -> None: ...

    clock, log = Clock(), Log()

    async def scenario() -> None:
        made = bridge(clock, log, lambda context: Moody(context, good))
        running = asyncio.create_task(made.run())
        await clock.sleep(1)
        assert not running.done()
        assert set(hosts(made)) == {"orders.r0"}
        assert made.complete()
        assert [each.scope for each in bad(made).scopes] == ["all"]
        running.cancel()
        await asyncio.wait([running])

    clock.run(scenario())


@pytest.mark.parametrize("scopes", [["all"], "all", (1,)])
def test_an_adapter_that_names_nonsense_is_not_begun_with(scopes: object) -> None:
    """It is a fault of its author, seen before anything is served."""
    with pytest.raises(AdapterFault, match="its scopes"):
        bridge(
            Clock(),
            Log(),
            lambda context: Playing(context, good, scopes=cast("tuple[str]", scopes)),
        )


# Outages


def test_what_a_watch_said_before_it_failed_does_not_end_the_outage() -> None:
    """It lists, and fails in the same turn: the registry is not available for that."""

    async def lists_and_fails(_: Playing, emit: Emit) -> None:
        emit(whole("orders"))
        raise RegistryUnavailable("down")

    stand = Stand(lists_and_fails)

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(0.4)
        assert bad(made).state == "unavailable"
        assert bad(made).scopes[0].stale == "down"
        await stand.clock.sleep(600)

    stand.play(scenario)
    events = [event for event in stand.log.events() if event != "first snapshot"]
    assert events == ["registry unavailable"]


def test_a_registry_that_is_unavailable_and_rejects_by_turns_says_each_once() -> None:
    async def by_turns(playing: Playing, _: Emit) -> None:
        raise (RegistryUnavailable, RegistryRejected)[playing.begun % 2]("no")

    stand = Stand(by_turns)

    async def scenario(_: Bridge) -> None:
        await stand.clock.sleep(3_600)

    stand.play(scenario)
    events = sorted(event for event in stand.log.events() if event != "first snapshot")
    assert events == ["registry rejects the bridge", "registry unavailable"]


def test_a_fault_that_words_itself_differently_each_time_is_said_once() -> None:
    async def raises(playing: Playing, _: Emit) -> None:
        raise KeyError(playing.begun)

    stand = Stand(raises)

    async def scenario(_: Bridge) -> None:
        await stand.clock.sleep(3_600)

    stand.play(scenario)
    assert stand.faults() == ["KeyError: 1"]
