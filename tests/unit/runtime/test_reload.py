"""Another configuration of a running bridge: only what changed is touched, and loss is refused."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from unit.runtime.examples import Log, Scripted, service, sid

from meshbridge import (
    Adapter,
    Changed,
    Context,
    Emit,
    Listing,
    RegistryUnavailable,
    Stale,
)
from meshbridge.bridge import Bridge, RegistryRuntime, Renewed
from meshbridge.problems import Problem, Problems
from meshbridge.publish import PublishRules, Registry
from meshbridge.settings.guard import GuardOptions
from meshbridge.snapshot import Snapshot
from meshbridge.store import Store, Timing, open_store
from meshbridge.tally import Tally
from meshbridge.testing import Clock

Scenario = Callable[["Stand"], Awaitable[None]]


def hosts(first: int, count: int = 1) -> Listing:
    """List so many services with two instances each."""
    return Listing("all", tuple(service(f"s{n}", 80, 81) for n in range(first, first + count)))


@dataclass
class Stand:
    """A bridge on a clock of its own, with adapters that do as they are told."""

    listings: dict[str, Listing]
    """What the registry of each name lists when it is watched."""
    store: Store | None = None
    clock: Clock = field(default_factory=Clock)
    log: Log = field(default_factory=Log)
    adapters: dict[str, list[Scripted]] = field(default_factory=dict[str, list[Scripted]])
    """The adapters that were made, by registry."""
    silent: set[str] = field(default_factory=set[str])
    """Registries that say nothing."""
    bridge: Bridge = field(init=False)

    def runtime(
        self,
        name: str,
        order: int = 0,
        rules: Mapping[str, object] | None = None,
        guard: GuardOptions | None = None,
        *,
        required: bool = True,
    ) -> RegistryRuntime:
        """Configure a registry."""

        def make(context: Context) -> Adapter:
            def say(emit: Emit) -> None:
                if name not in self.silent:
                    emit(self.listings[name])

            made = Scripted(context, say)
            self.adapters.setdefault(name, []).append(made)
            return made

        publish = PublishRules.model_validate({"domain": "x", **(rules or {})})
        options = guard or GuardOptions()
        return RegistryRuntime(Registry(name, order, publish), make, required, options)

    def play(
        self, runtimes: Sequence[RegistryRuntime], scenario: Scenario, *, max_loss: float = 0.5
    ) -> None:
        """Run a bridge with these registries until the scenario has ended."""
        self.bridge = Bridge(
            runtimes, self.clock, self.clock.sleep, self.log.logger(), self.clock, self.store
        )
        self.bridge.max_loss = max_loss

        async def main() -> None:
            running = asyncio.create_task(self.bridge.run())
            await self.clock.sleep(1)
            try:
                await scenario(self)
            finally:
                running.cancel()
                await asyncio.wait({running})

        self.clock.run(main())
        for thread in threading.enumerate():
            if thread.name.startswith("store"):
                thread.join()  # it closes the store that the next one opens

    async def reload(
        self, *registries: RegistryRuntime | Renewed, accept_loss: bool = False
    ) -> Tally | None:
        """Reload with a max-loss of a half, and let a second pass."""
        renewed = [each if isinstance(each, Renewed) else Renewed(each) for each in registries]
        tally = await self.bridge.reload(renewed, 0.5, accept_loss=accept_loss)
        await self.clock.sleep(1)
        return tally

    @property
    def newest(self) -> Snapshot:
        """What is served."""
        newest = self.bridge.snapshots.newest
        assert newest is not None
        return newest

    def watches(self, name: str) -> list[int]:
        """Return how often each adapter of the registry was asked to watch."""
        return [len(each.begun) for each in self.adapters[name]]

    def said(self, *events: str) -> list[str]:
        """Return which of these events were logged, in their order."""
        return [each for each in self.log.events() if each in events]

    def problems(self) -> list[Problem]:
        """Return all problems."""
        return list(self.bridge.problems)


def test_what_an_adapter_says_is_wrong_lasts_as_long_as_the_adapter() -> None:
    async def scenario(stand: Stand) -> None:
        for name in ("a", "b"):
            stand.adapters[name][0].context.trouble(f"server of {name}", "it is closed")
        await stand.reload(stand.runtime("a", 0, {"ports": {"http": 8080}}), stand.runtime("b", 1))
        assert [each.subject for each in stand.problems()] == ["server of a", "server of b"]
        await stand.reload(Renewed(stand.runtime("a"), restart=True), stand.runtime("b", 1))
        assert [each.subject for each in stand.problems()] == ["server of b"]
        stand.adapters["a"][0].context.trouble("server of a", "it is closed")
        assert [each.subject for each in stand.problems()] == ["server of b"]
        await stand.reload(stand.runtime("a"), accept_loss=True)
        assert stand.problems() == []

    stand = Stand({"a": hosts(0, 2), "b": hosts(10, 30)})
    stand.play([stand.runtime("a"), stand.runtime("b", 1)], scenario)


def test_other_rules_of_publishing_leave_the_session_and_all_other_hosts_alone() -> None:
    async def scenario(stand: Stand) -> None:
        before, made = stand.newest, stand.bridge.snapshots_made
        rules = {"ports": {"http": 8080}}
        assert await stand.reload(stand.runtime("a", 0, rules), stand.runtime("b", 1)) is None
        changes = stand.newest.since(before)
        assert changes.changed == {"s0.x", "s1.x"}
        assert changes.removed == frozenset()
        assert stand.bridge.snapshots_made == made + 1
        assert stand.watches("a") == stand.watches("b") == [1]

    stand = Stand({"a": hosts(0, 2), "b": hosts(10, 30)})
    stand.play([stand.runtime("a"), stand.runtime("b", 1)], scenario)


def test_what_is_said_after_a_reload_follows_the_new_rules() -> None:
    async def scenario(stand: Stand) -> None:
        emit = stand.adapters["a"][0].emit
        assert emit is not None
        await stand.reload(stand.runtime("a", 0, {"domain": "y"}))
        assert set(stand.newest.services) == {"s0.y", "s1.y"}
        emit(Changed("all", service("s1", 80, 81, 82)))
        await stand.clock.sleep(1)
        assert len(stand.newest.services["s1.y"].endpoints) == 3
        assert set(stand.newest.services) == {"s0.y", "s1.y"}

    stand = Stand({"a": hosts(0, 2)})
    stand.play([stand.runtime("a")], scenario)


def failing(why: str) -> RegistryRuntime:
    """Configure a registry that cannot be reached."""

    def make(context: Context) -> Adapter:
        return Scripted(context, RegistryUnavailable(why))

    return RegistryRuntime(Registry("a", 0), make)


OUTAGES = (
    "registry unavailable",
    "registry available",
    "scope unreadable",
    "scope readable",
    "scope gone",
)


def test_a_reload_that_ends_an_outage_logs_its_end_once() -> None:
    """Until the new adapter has read it, the outage goes on: in the state and in the problems."""

    async def scenario(stand: Stand) -> None:
        await stand.clock.sleep(9)
        stand.silent.add("a")
        await stand.reload(Renewed(stand.runtime("a"), restart=True))
        (state,) = stand.bridge.registries()
        assert (state.state, round(state.seconds)) == ("unavailable", 11)
        assert [each.subject for each in stand.problems()] == ["registry"]
        emit = stand.adapters["a"][0].emit
        assert emit is not None
        emit(hosts(0))
        await stand.clock.sleep(1)
        assert stand.said(*OUTAGES) == ["registry unavailable", "registry available"]
        (ended,) = [each for each in stand.log.entries if each["event"] == "registry available"]
        assert round(ended["after_seconds"]) == 11
        assert stand.problems() == []
        assert stand.bridge.registries()[0].state == "watching"

    stand = Stand({})
    stand.play([failing("no route")], scenario)


def test_a_reload_that_does_not_end_an_outage_says_the_new_reason() -> None:
    async def scenario(stand: Stand) -> None:
        await stand.reload(Renewed(failing("no such host"), restart=True))
        assert stand.said(*OUTAGES) == ["registry unavailable"] * 2
        await stand.reload(Renewed(stand.runtime("a"), restart=True))
        assert stand.said(*OUTAGES) == [*["registry unavailable"] * 2, "registry available"]

    stand = Stand({"a": hosts(0)})
    stand.play([failing("no route")], scenario)


def test_a_scope_that_can_be_read_after_a_reload_is_said_to_be_once() -> None:
    async def scenario(stand: Stand) -> None:
        emit = stand.adapters["a"][0].emit
        assert emit is not None
        emit(Stale("all", "forbidden"))
        await stand.clock.sleep(1)
        await stand.reload(Renewed(stand.runtime("a"), restart=True))
        assert stand.said(*OUTAGES) == ["scope unreadable", "scope readable"]
        await stand.reload(Renewed(stand.runtime("a"), restart=True))
        assert stand.said(*OUTAGES) == ["scope unreadable", "scope readable"]
        assert stand.problems() == []

    stand = Stand({"a": hosts(0)})
    stand.play([stand.runtime("a")], scenario)


def test_a_scope_that_is_read_no_more_keeps_no_outage_alive() -> None:
    async def scenario(stand: Stand) -> None:
        await stand.reload(Renewed(stand.runtime("a"), restart=True), accept_loss=True)
        assert stand.said(*OUTAGES) == ["registry unavailable", "registry available"]

    def make(context: Context) -> Adapter:
        made = Scripted(context, RegistryUnavailable("no route"))
        made.scopes = ("old", "all")
        return made

    stand = Stand({"a": hosts(0)})
    stand.play([RegistryRuntime(Registry("a", 0), make)], scenario)


def finding(*names: str, first: Listing | Stale | None = None) -> RegistryRuntime:
    """Configure a registry whose scopes are found: it reads their list when it has all of them."""

    def make(context: Context) -> Adapter:
        def say(emit: Emit) -> None:
            if first is not None:
                emit(first)
                emit(Listing("*", ()))

        made = Scripted(context, say)
        made.scopes = names
        return made

    return RegistryRuntime(Registry("a", 0, PublishRules.model_validate({"domain": "x"})), make)


def test_a_scope_that_was_found_stays_unreadable_until_it_is_read_again() -> None:
    """The new adapter names only the list of them, and has not found it yet."""

    async def scenario(stand: Stand) -> None:
        await stand.reload(Renewed(finding("*", first=hosts(0)), restart=True))
        await stand.reload(Renewed(finding("*", first=Stale("all", "forbidden")), restart=True))
        assert stand.said(*OUTAGES) == ["scope unreadable"]
        await stand.reload(Renewed(finding("*"), restart=True))
        assert [each.subject for each in stand.problems()] == ["all"]
        (state,) = stand.bridge.registries()
        assert [(each.scope, each.stale) for each in state.scopes][1:] == [("all", "forbidden")]
        await stand.reload(Renewed(finding("*", first=hosts(0)), restart=True))
        assert stand.said(*OUTAGES) == ["scope unreadable", "scope readable"]
        assert stand.problems() == []

    Stand({}).play([finding("*", first=hosts(0))], scenario)


def test_a_scope_that_is_not_found_any_more_is_unreadable_no_more() -> None:
    async def scenario(stand: Stand) -> None:
        other = finding("*", first=Listing("other", ()))
        await stand.reload(Renewed(other, restart=True))
        assert stand.said(*OUTAGES) == ["scope unreadable", "scope gone"]
        assert stand.problems() == []
        (state,) = stand.bridge.registries()
        assert {each.scope: each.stale for each in state.scopes} == {"*": None, "other": None}

    Stand({}).play([finding("*", first=Stale("all", "forbidden"))], scenario)


def test_a_scope_that_was_found_goes_when_the_options_ask_for_others() -> None:
    async def scenario(stand: Stand) -> None:
        named = finding("other")
        assert await stand.reload(Renewed(named, restart=True)) is not None, "it is a loss"
        await stand.reload(Renewed(named, restart=True), accept_loss=True)
        assert len(stand.newest.services) == 0

    Stand({}).play([finding("*", first=hosts(0, 20))], scenario)


def test_what_an_adapter_found_that_names_no_scopes_goes_when_the_next_names_others() -> None:
    async def scenario(stand: Stand) -> None:
        named = finding("other")
        assert await stand.reload(Renewed(named, restart=True)) is not None, "it is a loss"
        await stand.reload(Renewed(named, restart=True), accept_loss=True)
        assert len(stand.newest.services) == 0

    Stand({}).play([finding(first=hosts(0, 20))], scenario)


def test_a_scope_that_is_found_while_a_reload_waits_goes_too() -> None:
    """What is read no more is worked out when nothing takes effect, not when it is wished for."""
    made: list[Scripted] = []

    def finds(*names: str) -> RegistryRuntime:
        def make(context: Context) -> Adapter:
            made.append(Scripted(context, lambda emit: emit(hosts(0))))
            made[-1].scopes = names
            return made[-1]

        return RegistryRuntime(Registry("a", 1, PublishRules.model_validate({"domain": "x"})), make)

    async def scenario(stand: Stand) -> None:
        async with stand.bridge.lanes["b"].still():
            wish = asyncio.create_task(
                stand.reload(stand.runtime("b"), Renewed(finds("all"), restart=True))
            )
            await stand.clock.sleep(1)
            assert made[0].emit is not None
            made[0].emit(Listing("found", (service("t0", 80),)))
            await stand.clock.sleep(1)
            assert "t0.x" in stand.newest.services
        assert await wish is None
        assert "s0.x" in stand.newest.services
        assert "t0.x" not in stand.newest.services

    stand = Stand({"b": hosts(10, 10)})
    stand.play([stand.runtime("b"), finds()], scenario)


def test_the_same_configuration_makes_no_snapshot() -> None:
    async def scenario(stand: Stand) -> None:
        before = stand.newest
        await stand.reload(stand.runtime("a"), stand.runtime("b", 1))
        assert stand.newest is before

    stand = Stand({"a": hosts(0, 3), "b": hosts(2, 3)})
    stand.play([stand.runtime("a"), stand.runtime("b", 1)], scenario)


def test_a_selection_takes_services_out_and_in_again_without_asking_the_registry() -> None:
    async def scenario(stand: Stand) -> None:
        await stand.reload(stand.runtime("a", 0, {"exclude": ["s1?"]}))
        assert len(stand.newest.services) == 10
        assert not stand.problems()
        await stand.clock.sleep(1000)
        await stand.reload(stand.runtime("a"))
        assert len(stand.newest.services) == 20
        assert stand.watches("a") == [1]

    stand = Stand({"a": hosts(0, 20)})
    stand.play([stand.runtime("a")], scenario, max_loss=1.0)


def test_more_than_max_loss_is_refused_with_the_list_and_nothing_changes() -> None:
    async def scenario(stand: Stand) -> None:
        before, shown = stand.newest, stand.problems()
        tally = await stand.reload(stand.runtime("b", 0, {"labels": {"keep": []}}))
        assert tally is not None
        assert sorted(tally.gone) == sorted(f"s{n}.x" for n in range(12))
        assert tally.summary == "12 of 20 hosts and 24 of 40 endpoints"
        assert stand.newest is before
        assert stand.problems() == shown
        emit = stand.adapters["a"][0].emit
        assert emit is not None
        emit(Changed("all", service("s0", 80)))
        await stand.clock.sleep(1)
        assert len(stand.newest.services["s0.x"].endpoints) == 1, "its session goes on"
        assert stand.watches("a") == stand.watches("b") == [1]

    stand = Stand({"a": hosts(0, 12), "b": hosts(12, 8)})
    stand.play([stand.runtime("a"), stand.runtime("b", 1)], scenario)


def test_accepted_the_registry_is_gone_with_everything_that_was_said_of_it() -> None:
    async def scenario(stand: Stand) -> None:
        emit = stand.adapters["a"][0].emit
        assert emit is not None
        assert stand.problems(), "s12 is claimed twice"
        assert await stand.reload(stand.runtime("b"), accept_loss=True) is None
        assert set(stand.newest.services) == {f"s{n}.x" for n in range(12, 20)}
        assert [each.name for each in stand.bridge.registries()] == ["b"]
        assert stand.problems() == []
        emit(hosts(0, 3))
        await stand.clock.sleep(1000)
        assert len(stand.newest.services) == 8, "nobody hears it any more"

    stand = Stand({"a": hosts(0, 13), "b": hosts(12, 8)})
    stand.play([stand.runtime("a"), stand.runtime("b", 1)], scenario)


def test_who_waited_for_a_reload_finds_it_served() -> None:
    async def scenario(stand: Stand) -> None:
        renewed = [Renewed(stand.runtime("a", 0, {"domain": "y"}))]
        assert await stand.bridge.reload(renewed, 0.5) is None
        assert set(stand.newest.services) == {"s0.y", "s1.y"}

    stand = Stand({"a": hosts(0, 2)})
    stand.play([stand.runtime("a")], scenario)


def test_a_host_that_another_registry_has_too_is_no_loss() -> None:
    async def scenario(stand: Stand) -> None:
        before = stand.newest
        assert await stand.reload(stand.runtime("b")) is None
        assert set(stand.newest.services) == set(before.services)

    stand = Stand({"a": hosts(0, 20), "b": hosts(0, 20)})
    stand.play([stand.runtime("a"), stand.runtime("b", 1)], scenario)


def test_another_order_gives_a_host_to_the_other_registry() -> None:
    async def scenario(stand: Stand) -> None:
        assert stand.newest.services["s0.x"].sources[0].registry == "a"
        await stand.reload(stand.runtime("b", 0), stand.runtime("a", 1))
        assert stand.newest.services["s0.x"].sources[0].registry == "b"
        assert [each.name for each in stand.bridge.registries()] == ["b", "a"]
        assert stand.watches("a") == stand.watches("b") == [1]

    stand = Stand({"a": hosts(0, 2), "b": hosts(0, 2)})
    stand.play([stand.runtime("a"), stand.runtime("b", 1)], scenario)


def test_a_registry_that_is_added_is_read_and_does_not_hold_up_the_others() -> None:
    async def scenario(stand: Stand) -> None:
        stand.silent.add("b")
        await stand.reload(stand.runtime("a"), stand.runtime("b", 1))
        emit = stand.adapters["a"][0].emit
        assert emit is not None
        emit(Changed("all", service("new", 80)))
        await stand.clock.sleep(1)
        assert "new.x" in stand.newest.services, "required b was not read yet"
        emit = stand.adapters["b"][0].emit
        assert emit is not None
        emit(hosts(50, 2))
        await stand.clock.sleep(1)
        assert {"s50.x", "s51.x"} <= set(stand.newest.services)

    stand = Stand({"a": hosts(0, 3), "b": hosts(0)})
    stand.play([stand.runtime("a")], scenario)


def test_a_restarted_registry_is_believed_under_guard_until_it_is_read_again() -> None:
    async def scenario(stand: Stand) -> None:
        await stand.clock.sleep(100)
        before, old = stand.newest, stand.adapters["a"][0].emit
        stand.listings["a"] = hosts(0, 4)
        assert await stand.reload(Renewed(stand.runtime("a", guard=SLOW), restart=True)) is None
        assert stand.watches("a") == [1, 1]
        assert stand.newest is before, "it lists 4 of 20, which is held"
        assert stand.bridge.registries()[0].scopes[0].held == 32
        assert old is not None
        old(Listing("all", ()))
        await stand.clock.sleep(1)
        assert stand.bridge.registries()[0].scopes[0].held == 32, "the old adapter is not heard"

    stand = Stand({"a": hosts(0, 20)})
    stand.play([stand.runtime("a", guard=SLOW)], scenario)


SLOW = GuardOptions(settle=timedelta(seconds=60))


def test_a_registry_that_cannot_be_reached_with_its_new_options_takes_nothing_away() -> None:
    async def scenario(stand: Stand) -> None:
        before = stand.newest
        stand.silent.add("a")
        await stand.reload(Renewed(stand.runtime("a"), restart=True))
        await stand.clock.sleep(10_000)
        assert stand.newest is before

    stand = Stand({"a": hosts(0, 20)})
    stand.play([stand.runtime("a")], scenario)


def test_what_is_held_stays_held_and_explained() -> None:
    async def scenario(stand: Stand) -> None:
        emit = stand.adapters["a"][0].emit
        assert emit is not None
        emit(hosts(0, 4))
        await stand.clock.sleep(1)
        held = stand.problems()
        assert len(held) == 17
        await stand.reload(stand.runtime("a", 0, {"labels": {"keep": []}}, SLOW))
        assert stand.problems() == held
        await stand.reload(stand.runtime("a", 0, {"exclude": ["s4", "s5"]}, SLOW))
        assert len(stand.problems()) == 15

    stand = Stand({"a": hosts(0, 20)})
    stand.play([stand.runtime("a", guard=SLOW)], scenario)


def test_other_rules_of_the_guard_judge_also_what_is_held_already() -> None:
    strict = GuardOptions.model_validate({"settle": "20s", "max-loss": "50%"})
    lax = GuardOptions.model_validate({"settle": "20s", "max-loss": "100%"})

    async def scenario(stand: Stand) -> None:
        emit = stand.adapters["a"][0].emit
        assert emit is not None
        emit(hosts(0, 5))
        await stand.clock.sleep(3600)
        assert len(stand.newest.services) == 20, "it is in loss"
        assert await stand.reload(stand.runtime("a", guard=lax)) is None
        assert len(stand.newest.services) == 20, "it settles first"
        await stand.clock.sleep(600)
        assert len(stand.newest.services) == 5

    stand = Stand({"a": hosts(0, 20)})
    stand.play([stand.runtime("a", guard=strict)], scenario)


def test_listings_amid_reloads_end_where_the_rules_and_the_registry_say() -> None:
    """Whatever comes in between: reloads and large listings, all at once."""

    async def scenario(stand: Stand) -> None:
        emit = stand.adapters["a"][0].emit
        assert emit is not None
        async with asyncio.TaskGroup() as tasks:
            for number in range(20):
                rules = {"domain": f"d{number}"}
                tasks.create_task(stand.reload(stand.runtime("a", 0, rules), accept_loss=True))
                emit(hosts(0, 400 + number))
                await asyncio.sleep(0)
        await stand.clock.sleep(1)
        assert set(stand.newest.services) == {f"s{n}.d19" for n in range(419)}
        assert stand.watches("a") == [1]

    stand = Stand({"a": hosts(0, 400)})
    stand.play([stand.runtime("a")], scenario)


# --- at a start with stored state


def stored(folder: Path, clock: Clock) -> Store:
    return open_store(
        folder, Log().logger(), Problems(), lambda: 0.0, timing=Timing(sleep=clock.sleep)
    )


def with_state(folder: Path, listings: dict[str, Listing]) -> Stand:
    stand = Stand(listings)
    stand.store = stored(folder, stand.clock)
    return stand


async def nothing(stand: Stand) -> None:
    await stand.clock.sleep(5)


def remember(folder: Path, **listings: Listing) -> None:
    """Let a bridge with these registries run, and end."""
    stand = with_state(folder, listings)
    stand.play([stand.runtime(name, n) for n, name in enumerate(listings)], nothing)


def test_at_a_start_the_refused_configuration_answers_nothing_until_it_is_mended(
    tmp_path: Path,
) -> None:
    async def scenario(stand: Stand) -> None:
        await stand.clock.sleep(100)
        assert stand.bridge.snapshots.newest is None
        assert stand.bridge.configuration.withheld[0] == (
            "it would take away 12 of 20 hosts and 24 of 40 endpoints of what is served, and "
            "max-loss is 50%"
        )
        assert stand.log.events().count("configuration refused") == 1
        assert stand.bridge.registries()[0].scopes[0].listed, "it is read all the same"
        tally = await stand.reload(stand.runtime("b"))
        assert tally is not None, "it is no better"
        stand.silent |= {"a", "b"}
        assert await stand.reload(stand.runtime("a"), stand.runtime("b", 1)) is None
        assert len(stand.newest.services) == 20, "what was stored is all there"

    remember(tmp_path, a=hosts(0, 12), b=hosts(12, 8))
    stand = with_state(tmp_path, {"a": hosts(0, 12), "b": hosts(12, 8)})
    stand.play([stand.runtime("b")], scenario)
    again = stored(tmp_path, Clock())
    assert {each: len(found["all"]) for each, found in again.stored.registrations.items()} == {
        "a": 12,
        "b": 8,
    }
    again.close()


def test_at_a_start_scopes_that_were_found_are_believed(tmp_path: Path) -> None:
    """The options name only the list of them, and stored is what it led to."""

    async def scenario(stand: Stand) -> None:
        assert len(stand.newest.services) == 20
        assert stand.bridge.configuration.withheld == ()
        (state,) = stand.bridge.registries()
        assert [(each.scope, each.listed) for each in state.scopes][1:] == [("all", False)]

    first = with_state(tmp_path, {})
    first.play([finding("*", first=hosts(0, 20))], nothing)
    with_state(tmp_path, {}).play([finding("*")], scenario)


def test_what_is_not_found_any_more_after_a_start_is_held_and_goes(tmp_path: Path) -> None:
    async def scenario(stand: Stand) -> None:
        (_, _, scope) = stand.bridge.registries()[0].scopes
        assert (scope.scope, scope.listed, scope.held) == ("all", True, 40), "it is a loss"
        assert len(stand.newest.services) == 20

    first = with_state(tmp_path, {})
    first.play([finding("*", first=hosts(0, 20))], nothing)
    again = with_state(tmp_path, {})
    again.play([finding("*", first=Listing("other", ()))], scenario)


def test_what_a_list_leads_to_that_cannot_be_read_is_believed(tmp_path: Path) -> None:
    async def scenario(stand: Stand) -> None:
        scopes = {each.scope: each for each in stand.bridge.registries()[0].scopes}
        assert (scopes["a/b"].listed, scopes["a/b"].held) == (False, 0)
        assert len(stand.newest.services) == 1

    first = with_state(tmp_path, {})
    first.play([finding("*", first=Listing("a/b", (service("orders", 80),)))], nothing)
    again = with_state(tmp_path, {})
    again.play([finding("*", first=Stale("a/*", "forbidden"))], scenario)


def test_what_could_not_be_read_while_nothing_was_answered_is_forgotten_once_it_is_not_found(
    tmp_path: Path,
) -> None:
    async def scenario(stand: Stand) -> None:
        assert stand.bridge.configuration.withheld != ()
        assert "secret" in {each.subject for each in stand.problems()}
        found = finding("*", first=hosts(0, 8))
        assert await stand.reload(Renewed(found), stand.runtime("b", 1)) is None
        assert stand.problems() == []

    remember(tmp_path, a=hosts(0, 8), b=hosts(8, 12))
    stand = with_state(tmp_path, {"b": hosts(8, 12)})
    stand.play([finding("*", first=Stale("secret", "forbidden"))], scenario)


def test_an_outage_that_began_while_nothing_was_answered_is_said_to_end(tmp_path: Path) -> None:
    async def scenario(stand: Stand) -> None:
        assert stand.said(*OUTAGES) == ["registry unavailable"]
        assert await stand.reload(stand.runtime("a"), stand.runtime("b", 1)) is None
        assert stand.said(*OUTAGES) == ["registry unavailable", "registry available"]

    remember(tmp_path, a=hosts(0, 12), b=hosts(12, 8))
    stand = with_state(tmp_path, {"a": hosts(0, 12), "b": hosts(12, 8)})
    stand.play([failing("no route")], scenario)


def test_at_a_start_stored_state_of_which_nothing_is_selected_is_no_answer(
    tmp_path: Path,
) -> None:
    async def scenario(stand: Stand) -> None:
        await stand.clock.sleep(5)
        assert stand.bridge.snapshots.newest is None, "nobody knows what else there is"
        emit = stand.adapters["a"][0].emit
        assert emit is not None
        emit(Listing("all", (service("s0", 80), service("t0", 80))))
        await stand.clock.sleep(1)
        assert list(stand.newest.services) == ["t0.x"]

    remember(tmp_path, a=hosts(0, 3))
    stand = with_state(tmp_path, {"a": hosts(0, 3)})
    stand.silent.add("a")
    stand.play([stand.runtime("a", 0, {"include": ["t*"]})], scenario)


def test_what_was_held_while_nothing_was_answered_is_shown_no_more_once_it_is_served(
    tmp_path: Path,
) -> None:
    async def scenario(stand: Stand) -> None:
        assert any(each.kind == "held" for each in stand.problems())
        stand.silent |= {"a", "b"}
        assert await stand.reload(stand.runtime("a"), stand.runtime("b", 1)) is None
        assert stand.bridge.registries()[1].scopes[0].held == 0
        assert not stand.problems()

    remember(tmp_path, a=hosts(0, 12), b=hosts(12, 8))
    stand = with_state(tmp_path, {"a": hosts(0, 12), "b": hosts(12, 1)})
    stand.play([stand.runtime("b")], scenario)


def test_at_a_start_an_accepted_loss_is_forgotten(tmp_path: Path) -> None:
    async def accepting(stand: Stand) -> None:
        assert await stand.reload(stand.runtime("b"), accept_loss=True) is None
        assert len(stand.newest.services) == 8
        await stand.clock.sleep(5)

    remember(tmp_path, a=hosts(0, 12), b=hosts(12, 8))
    stand = with_state(tmp_path, {"b": hosts(12, 8)})
    stand.play([stand.runtime("b")], accepting)
    again = stored(tmp_path, Clock())
    assert set(again.stored.registrations) == {"b"}
    assert len(again.stored.served) == 8
    again.close()


def test_at_a_start_a_rule_that_selects_too_little_is_refused_too(tmp_path: Path) -> None:
    async def scenario(stand: Stand) -> None:
        assert stand.bridge.snapshots.newest is None
        assert await stand.reload(stand.runtime("a")) is None
        assert len(stand.newest.services) == 20

    remember(tmp_path, a=hosts(0, 20))
    stand = with_state(tmp_path, {"a": hosts(0, 20)})
    stand.play([stand.runtime("a", 0, {"include": ["s1"]})], scenario)


def test_at_a_start_less_than_max_loss_is_served_and_the_rest_is_forgotten(
    tmp_path: Path,
) -> None:
    async def scenario(stand: Stand) -> None:
        assert len(stand.newest.services) == 19
        assert stand.bridge.registries()[0].scopes[0].held == 0, "a rule is no loss"
        await stand.clock.sleep(5)

    remember(tmp_path, a=hosts(0, 20))
    stand = with_state(tmp_path, {"a": hosts(0, 20)})
    stand.play([stand.runtime("a", 0, {"exclude": ["s7"]})], scenario)
    again = stored(tmp_path, Clock())
    assert sid("s7") not in {each.id for each in again.stored.registrations["a"]["all"]}
    again.close()


def test_a_few_hosts_may_all_go(tmp_path: Path) -> None:
    async def scenario(stand: Stand) -> None:
        assert "s7.x" in stand.newest.services

    remember(tmp_path, a=hosts(0, 4))
    stand = with_state(tmp_path, {"b": hosts(7, 1)})
    stand.play([stand.runtime("b")], scenario)
