"""A registry's adapter is run for ever; whatever it does stays its own registry's trouble."""

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Never

import pytest
from unit.runtime.examples import Log, Script, Scripted, bridge, service, sid

from meshbridge import (
    Changed,
    Context,
    Emit,
    Gone,
    Listing,
    RegistryRejected,
    RegistryUnavailable,
    Removed,
    Stale,
)
from meshbridge.adapter import Update
from meshbridge.bridge import Bridge
from meshbridge.problems import ProblemKind, Problems
from meshbridge.snapshot import Changes
from meshbridge.supervisor import Supervisor, Surroundings
from meshbridge.testing import Clock


def says(*updates: object) -> Script:
    """Return a script that emits these."""

    def script(emit: Emit) -> None:
        for update in updates:
            emit(update)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    return script


class Stand:
    """A bridge over scripted adapters."""

    def __init__(
        self, *scripts: tuple[Script | Exception, ...], optional: int | None = None
    ) -> None:
        self.clock, self.log = Clock(), Log()
        self.adapters: list[Scripted] = []
        self._scripts = scripts
        self._optional = frozenset(() if optional is None else (optional,))

    def play(self, scenario: Callable[[Bridge], Awaitable[None]]) -> None:
        """Run the bridge while the scenario lasts."""
        self.clock.run(self._play(scenario))

    async def _play(self, scenario: Callable[[Bridge], Awaitable[None]]) -> None:
        made = bridge(
            self.clock, self.log, *map(self._maker, self._scripts), optional=self._optional
        )
        running = asyncio.create_task(made.run())
        await scenario(made)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    def _maker(self, scripts: tuple[Script | Exception, ...]) -> Callable[[Context], Scripted]:
        def make(context: Context) -> Scripted:
            self.adapters.append(Scripted(context, *scripts))
            return self.adapters[-1]

        return make


def hosts(made: Bridge) -> set[str]:
    """Return the hosts that are served now."""
    newest = made.snapshots.newest
    return set(newest.services) if newest else set()


def whole(*names: str) -> Listing:
    """Return a listing of services with one instance each."""
    return Listing("all", tuple(service(name, 80) for name in names))


def test_an_outage_is_said_once_when_it_begins_and_once_when_it_ends() -> None:
    """However many attempts fail between."""
    down = RegistryUnavailable("connection refused")
    stand = Stand((down, down, down, down, says(whole("orders"))))

    async def scenario(made: Bridge) -> None:
        await made.snapshots.after(None)

    stand.play(scenario)
    assert stand.log.events().count("registry unavailable") == 1
    assert stand.log.events().count("registry available") == 1
    assert stand.log.entries[0]["reason"] == "connection refused"
    assert stand.log.entries[0]["registry"] == "r0"


def test_attempts_go_on_within_three_seconds_for_ever() -> None:
    """An hour of outage is an hour of attempts, none closer than half a second."""
    stand = Stand((RegistryUnavailable("down"),))

    async def scenario(_: Bridge) -> None:
        await stand.clock.sleep(3_600)

    stand.play(scenario)
    begun = stand.adapters[0].begun
    gaps = [later - earlier for earlier, later in itertools.pairwise(begun)]
    assert 3_600 / 3 <= len(begun) <= 3_600
    assert all(0.5 <= gap <= 3.001 for gap in gaps)


def test_a_refusal_is_tried_again_slowly_and_said_as_such() -> None:
    """Only a person can help: at most a dozen times an hour in the long run."""
    stand = Stand((RegistryRejected("wrong password"),))

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(36_000)
        assert made.registries()[0].state == "rejected"

    stand.play(scenario)
    assert len(stand.adapters[0].begun) <= 36_000 / 300 * 3
    assert stand.log.events().count("registry rejects the bridge") == 1


def test_an_outage_removes_nothing_and_is_shown() -> None:
    """What the registry held is served; the scope is stale, and a problem says so until the end."""
    stand = Stand(
        (says(whole("orders")), RegistryUnavailable("down"), says(whole("orders", "new")))
    )

    async def scenario(made: Bridge) -> None:
        first = await made.snapshots.after(None)
        adapter = stand.adapters[0]
        adapter.watches.insert(0, RegistryUnavailable("down"))
        assert adapter.emit is not None
        adapter.emit(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await stand.clock.sleep(0.1)
        (scope,) = made.registries()[0].scopes
        assert scope.listed
        assert scope.stale is not None
        assert hosts(made) == {"orders.r0"}
        assert [each.kind for each in made.problems] == [ProblemKind.REGISTRY]
        await made.snapshots.after(first)
        assert hosts(made) == {"orders.r0", "new.r0"}
        assert len(made.problems) == 0
        assert made.registries()[0].scopes[0].stale is None

    stand.play(scenario)


@pytest.mark.parametrize(
    "broken",
    [
        says("nonsense"),
        says(None),
        says(Changed("all", service("orders", 80))),
        says(Listing("all", ("nonsense",))),  # type: ignore[arg-type]
        says(whole("orders"), Stale("all", "away"), Removed("all", sid("orders"))),
        ValueError("a bug"),
        ExceptionGroup("several", [KeyError("a bug")]),
        asyncio.CancelledError(),
    ],
    ids=[
        "says a text",
        "says nothing",
        "changes before it lists",
        "lists a text",
        "removes what is stale",
        "raises",
        "raises several",
        "cancels itself",
    ],
)
def test_a_broken_adapter_harms_only_its_own_registry(broken: Script | Exception) -> None:
    """Nonsense, a bug and a watch that cancels itself are logged with what they are."""
    stand = Stand((broken,), (says(whole("carts")),), optional=0)

    async def scenario(made: Bridge) -> None:
        await made.snapshots.after(None)
        await stand.clock.sleep(100)
        assert "carts.r1" in hosts(made)
        assert made.registries()[0].state == "adapter-fault"
        assert made.registries()[0].restarts > 2
        assert made.registries()[1].state == "watching"

    stand.play(scenario)
    said = [entry for entry in stand.log.entries if entry["event"] == "adapter failed"]
    assert len(said) == 1
    assert said[0]["registry"] == "r0"
    assert said[0]["level"] == "error"


@pytest.mark.parametrize("takes", [0.0, 0.1])
def test_an_update_that_cannot_take_effect_is_told_also_when_its_watch_has_ended(
    takes: float,
) -> None:
    """As the watch ends, or after: else a listing would be missing and nobody knew why."""
    clock, log, problems = Clock(), Log(), Problems()

    def script(emit: Emit) -> None:
        emit(whole("orders"))
        raise RegistryUnavailable("down")

    async def work_off(update: Update) -> None:
        await clock.sleep(takes)
        if isinstance(update, Listing):
            raise KeyError("a bug")

    async def scenario() -> None:
        supervisor = Supervisor(
            "r0",
            lambda context: Scripted(context, script),
            work_off,
            Surroundings(clock, clock.sleep, log.logger(), problems),
        )
        running = asyncio.create_task(supervisor.run())
        await clock.sleep(takes + 0.2)
        assert supervisor.restarts == 0
        running.cancel()
        await asyncio.wait([running])

    clock.run(scenario())
    said = {entry["event"]: entry["reason"] for entry in log.entries if "reason" in entry}
    assert said["adapter failed"] == "KeyError: 'a bug'"
    assert said["registry unavailable"] == "down"


def test_a_watch_that_returns_is_started_again() -> None:
    """It broke the contract: watching never ends by itself."""
    clock, log = Clock(), Log()

    class Returns(Scripted):
        async def watch(self, emit: Emit) -> Never:
            self.begun.append(0.0)
            emit(whole("orders"))
            return  # type: ignore[misc]  # pyright: ignore[reportReturnType]

    async def scenario() -> None:
        made = bridge(clock, log, lambda context: Returns(context, says()))
        running = asyncio.create_task(made.run())
        await clock.sleep(60)
        assert made.registries()[0].restarts > 1
        assert hosts(made) == {"orders.r0"}
        running.cancel()
        await asyncio.wait([running])

    clock.run(scenario())


def test_an_update_from_another_thread_is_a_fault() -> None:
    """``emit`` belongs to the loop; a client library's callback thread must not call it."""

    def script(emit: Emit) -> None:
        thread = threading.Thread(target=emit, args=(whole("orders"),))
        thread.start()
        thread.join()

    stand = Stand((script,))

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(1)
        assert "another thread" in made.registries()[0].reason

    stand.play(scenario)


def test_the_first_listing_after_an_outage_says_that_changes_were_missed() -> None:
    """Even when the adapter does not know it, and while it is still worked off that it is stale."""
    clock, log = Clock(), Log()
    seen: list[Update] = []

    async def work_off(update: Update) -> None:
        seen.append(update)
        await clock.sleep(1)

    async def scenario() -> None:
        adapters: list[Scripted] = []

        def make(context: Context) -> Scripted:
            adapters.append(Scripted(context, says(whole("orders"))))
            return adapters[-1]

        surroundings = Surroundings(clock, clock.sleep, log.logger(), Problems())
        running = asyncio.create_task(Supervisor("r0", make, work_off, surroundings).run())
        await clock.sleep(2)
        emit = adapters[0].emit
        assert emit is not None
        emit(Stale("all", "away"))
        await clock.sleep(0.5)
        emit(whole("orders"))
        await clock.sleep(2)
        emit(whole("orders"))
        await clock.sleep(2)
        running.cancel()
        await asyncio.wait([running])

    clock.run(scenario())
    listing = whole("orders")
    assert seen == [listing, Stale("all", "away"), replace(listing, after_gap=True), listing]


def test_no_snapshot_before_every_required_registry_was_read() -> None:
    """Partial never: a client that asks earlier gets nothing rather than a half."""
    stand = Stand((says(whole("orders")),), (says(),))

    async def scenario(made: Bridge) -> None:
        await stand.clock.sleep(1_000)
        assert made.snapshots.newest is None
        assert stand.adapters[1].emit is not None
        stand.adapters[1].emit(Listing("all", ()))
        first = await made.snapshots.after(None)
        assert set(first.services) == {"orders.r0"}

    stand.play(scenario)


def test_a_registry_that_is_not_required_holds_nothing_up() -> None:
    """Its services may come later."""
    stand = Stand((says(whole("orders")),), (RegistryUnavailable("down"),), optional=1)

    async def scenario(made: Bridge) -> None:
        first = await made.snapshots.after(None)
        assert set(first.services) == {"orders.r0"}

    stand.play(scenario)


def test_changes_within_five_milliseconds_make_one_snapshot() -> None:
    """And work in proportion to what changed, however much there is."""
    names = [f"s{number}" for number in range(300)]
    stand = Stand((says(whole(*names)),))

    async def scenario(made: Bridge) -> None:
        first = await made.snapshots.after(None)
        emit = stand.adapters[0].emit
        assert emit is not None
        for weight in (2.0, 3.0, 4.0):
            emit(Changed("all", service("s7", 80, weight=weight)))
        emit(Removed("all", sid("s8")))
        second = await made.snapshots.after(first)
        changes = second.since(first)
        assert changes == Changes(frozenset({"s7.r0"}), frozenset({"s8.r0"}))
        assert second.services["s7.r0"].endpoints[0].weight == 400
        assert made.snapshots_made == 2
        assert second.services["s9.r0"] is first.services["s9.r0"]

    stand.play(scenario)


def test_a_scope_that_is_gone_takes_its_services_along() -> None:
    """And only them."""
    stand = Stand(
        (says(whole("orders"), Listing("other", (service("carts", 80),)), Gone("other")),)
    )

    async def scenario(made: Bridge) -> None:
        await made.snapshots.after(None)
        await stand.clock.sleep(1)
        assert hosts(made) == {"orders.r0"}

    stand.play(scenario)


def test_a_scope_that_is_gone_is_not_missed_after_an_outage() -> None:
    """Nobody lists it again, and the registry is available all the same."""
    script = says(whole("orders"), Listing("other", (service("carts", 80),)), Gone("other"))
    stand = Stand((script, says(whole("orders"))))

    async def scenario(made: Bridge) -> None:
        await made.snapshots.after(None)
        assert stand.adapters[0].emit is not None
        stand.adapters[0].emit(Changed("unknown", service("orders", 80)))
        await stand.clock.sleep(60)
        (state,) = made.registries()
        assert (state.state, state.restarts) == ("watching", 1)
        assert [(each.scope, each.stale) for each in state.scopes] == [("all", None)]
        assert list(made.problems) == []

    stand.play(scenario)


def ends(stand: Stand) -> None:
    """Let the watch end with an outage."""
    assert stand.adapters[0].emit is not None
    stand.adapters[0].emit(Changed("unknown", service("orders", 80)))


ALL_FOUND = Listing("*", ())
FOUND = Listing("found", (service("carts", 80),))


def test_what_its_list_leads_to_no_more_after_an_outage_goes_under_the_guard() -> None:
    """It vanished while nobody looked, and nobody will ever speak of it again."""
    known = whole("orders")
    stand = Stand((says(known, FOUND, ALL_FOUND), says(known, ALL_FOUND)))

    async def scenario(made: Bridge) -> None:
        await made.snapshots.after(None)
        ends(stand)
        await stand.clock.sleep(60)
        assert hosts(made) == {"orders.r0", "carts.r0"}, "it is held for a while"
        await stand.clock.sleep(600)
        assert hosts(made) == {"orders.r0"}
        (state,) = made.registries()
        assert (state.state, state.restarts) == ("watching", 1)
        assert [(each.scope, each.stale) for each in state.scopes] == [("all", None), ("*", None)]
        assert list(made.problems) == []

    stand.play(scenario)


def test_what_a_list_led_to_that_is_gone_itself_goes_under_the_guard() -> None:
    """A namespace that could not be read any more, and was then deleted with all its groups."""
    known, groups = whole("orders"), Listing("x/*", ())
    found = Listing("x/found", FOUND.services)
    forbidden = Stale("x/*", "forbidden")
    stand = Stand((says(known, found, groups, ALL_FOUND), says(known, forbidden, ALL_FOUND)))

    async def scenario(made: Bridge) -> None:
        await made.snapshots.after(None)
        ends(stand)
        await stand.clock.sleep(600)
        assert hosts(made) == {"orders.r0", "carts.r0"}, "nobody knows whether it is there"
        assert stand.adapters[0].emit is not None
        stand.adapters[0].emit(Gone("x/*"))
        await stand.clock.sleep(600)
        assert hosts(made) == {"orders.r0"}
        assert list(made.problems) == []

    stand.play(scenario)


def test_the_time_of_what_a_list_no_longer_leads_to_stands_still_in_an_outage() -> None:
    down = RegistryUnavailable("connection refused")
    known = whole("orders")
    stand = Stand((says(known, FOUND, ALL_FOUND), says(known, ALL_FOUND), down))

    async def scenario(made: Bridge) -> None:
        await made.snapshots.after(None)
        ends(stand)
        await stand.clock.sleep(10)
        ends(stand)
        await stand.clock.sleep(86_400)
        assert hosts(made) == {"orders.r0", "carts.r0"}
        stand.adapters[0].watches[:] = [says(known, ALL_FOUND)]
        await stand.clock.sleep(600)
        assert hosts(made) == {"orders.r0"}

    stand.play(scenario)


def test_an_unreadable_record_keeps_its_value_and_is_shown_until_it_can_be_read() -> None:
    """The report goes by itself with the update that brings the record."""
    stand = Stand((says(whole("orders", "carts")),))

    async def scenario(made: Bridge) -> None:
        first = await made.snapshots.after(None)
        adapter = stand.adapters[0]
        assert adapter.emit is not None
        adapter.context.report("all", sid("orders"), "not JSON", "register it again")
        adapter.emit(Listing("all", (service("carts", 81),), (sid("orders"),)))
        second = await made.snapshots.after(first)
        assert second.services["orders.r0"] is first.services["orders.r0"]
        (problem,) = made.problems
        assert (problem.subject, problem.reason) == ("orders", "not JSON")
        adapter.emit(Changed("all", service("orders", 82)))
        await made.snapshots.after(second)
        assert list(made.problems) == []

    stand.play(scenario)


def test_reading_once_tells_which_scope_is_missing_and_why() -> None:
    """What could be read is there; a refusal is not waited for."""
    clock, log = Clock(), Log()

    async def scenario() -> None:
        made = bridge(
            clock,
            log,
            lambda context: Scripted(context, says(whole("orders"))),
            lambda context: Scripted(context, RegistryRejected("wrong password")),
        )
        begun = clock()
        reading = await made.read_once(20)
        assert clock() - begun < 1
        assert set(reading.snapshot.services) == {"orders.r0"}
        (missing,) = reading.missing
        assert (missing.registry, missing.scope, missing.reason) == ("r1", "all", "wrong password")

    clock.run(scenario())


def test_reading_once_gives_up_in_time() -> None:
    """A registry that does not answer costs the time that was given, and no more."""
    clock, log = Clock(), Log()

    async def scenario() -> None:
        made = bridge(clock, log, lambda context: Scripted(context, says()))
        begun = clock()
        reading = await made.read_once(20)
        assert 20 <= clock() - begun < 21
        assert [each.reason for each in reading.missing] == ["no answer in time"]

    clock.run(scenario())


def test_reading_once_does_not_wait_for_what_cannot_be_read() -> None:
    """A registry may need a second attempt; after a few seconds of failures it is given up."""
    clock, log = Clock(), Log()

    async def scenario() -> None:
        made = bridge(
            clock, log, lambda context: Scripted(context, RegistryUnavailable("no answer"))
        )
        begun = clock()
        reading = await made.read_once(60)
        assert 3 <= clock() - begun < 4
        assert [each.reason for each in reading.missing] == ["no answer"]

    clock.run(scenario())


def test_reading_once_takes_what_a_second_attempt_reads() -> None:
    clock, log = Clock(), Log()

    async def scenario() -> None:
        made = bridge(
            clock,
            log,
            lambda context: Scripted(
                context, RegistryUnavailable("no answer"), says(whole("orders"))
            ),
        )
        reading = await made.read_once(60)
        assert set(reading.snapshot.services) == {"orders.r0"}
        assert reading.missing == ()

    clock.run(scenario())


def test_an_adapter_that_turns_a_cancellation_into_an_error_holds_nothing_up() -> None:
    """So does every TaskGroup before Python 3.13 whose child fails while it is being cancelled."""
    clock, log = Clock(), Log()

    class Stubborn(Scripted):
        async def watch(self, emit: Emit) -> Never:
            try:
                await super().watch(emit)
            except asyncio.CancelledError:
                raise RegistryUnavailable("connection lost") from None

    async def scenario() -> None:
        made = bridge(clock, log, lambda context: Stubborn(context, says(whole("orders"))))
        running = asyncio.create_task(made.run())
        await made.snapshots.after(None)
        running.cancel()
        _, still = await asyncio.wait([running], timeout=600)
        assert not still
        assert running.cancelled()

    clock.run(scenario())
