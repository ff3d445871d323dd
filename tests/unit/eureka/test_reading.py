"""A cluster is read from one server after the other, and what is told of it fits the guard."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
import structlog

from meshbridge import Changed, Context, Listing, RegistryRejected, RegistryUnavailable, Removed
from meshbridge.testing import Clock, Recorder
from meshbridge_eureka import Eureka, Options
from rig import scripted_eureka_faults as faults
from rig.scripted_eureka import DELTA, FULL, ScriptedEureka
from rig.scripted_eureka_registry import delta

SCOPE = "applications"
POLL = 1.0


class Reader:
    """An adapter that watches on a clock of its own, from one failure on to the next."""

    def __init__(self, clock: Clock, *servers: ScriptedEureka, **options: object) -> None:
        """Ask these servers, as written or by zone if ``options`` say so."""
        self.clock, self.recorder = clock, Recorder()
        self.log = structlog.testing.LogCapture()
        logger = structlog.wrap_logger(None, processors=[self.log])
        given = {"servers": [each.url for each in servers], "interval": "1s", **options}
        context = Context(clock, clock.sleep, self.recorder.report, logger)
        self.adapter = Eureka("shop", Options.model_validate(given), context)
        self.failures: list[Exception] = []

    async def watch(self) -> None:
        """Watch again and again, as the supervisor does."""
        while True:
            try:
                await self.adapter.watch(self.recorder.emit)
            except (RegistryUnavailable, RegistryRejected) as error:
                self.failures.append(error)
                await self.clock.sleep(1)

    async def polls(self, number: float = 1) -> None:
        """Let it ask so many times."""
        await self.clock.sleep(number * POLL)

    @property
    def said(self) -> list[object]:
        """What it has told."""
        return list(self.recorder.updates)

    def events(self, level: str) -> list[str]:
        """The events it has logged at a level."""
        return [each["event"] for each in self.log.entries if each["log_level"] == level]


Scenario = Callable[[Reader], Awaitable[None]]


def play(scenario: Scenario, *servers: ScriptedEureka, **options: object) -> None:
    """Run a scenario beside an adapter of these servers."""
    clock = Clock(idle=0.05)

    async def run() -> None:
        for each in servers:
            await each.start()
        reader = Reader(clock, *servers, **options)
        task = asyncio.create_task(reader.watch())
        try:
            await reader.polls(0.5)
            await scenario(reader)
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for each in servers:
                await each.stop()

    clock.run(run())


def filled(number: int = 3) -> ScriptedEureka:
    """Return a server with so many instances of orders."""
    server = ScriptedEureka()
    for last in range(1, number + 1):
        server.registry.register("orders", f"10.0.0.{last}", 80)
    return server


def addresses(update: object) -> list[str]:
    """Return the addresses that an update tells of its first service."""
    service = update.services[0] if isinstance(update, Listing) else cast("Changed", update).service
    return [each.address for each in service.instances]


def test_what_changed_is_asked_for_and_told_as_changes() -> None:
    server = filled()

    async def scenario(reader: Reader) -> None:
        (listing,) = reader.said
        assert isinstance(listing, Listing)
        assert not listing.after_gap
        assert addresses(listing) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        await reader.polls(3)
        server.registry.register("orders", "10.0.0.4", 80)
        server.registry.register("pay", "10.0.1.1", 80)
        await reader.polls()
        server.registry.cancel("pay", "10.0.1.1", 80)
        await reader.polls()
        _, orders, pay, gone = reader.said
        assert isinstance(orders, Changed)
        assert len(addresses(orders)) == 4
        assert addresses(pay) == ["10.0.1.1"]
        assert isinstance(gone, Removed)
        assert server.paths[0] == FULL
        assert set(server.paths[1:]) == {DELTA}
        assert server.connections == 1

    play(scenario, server)


def test_everything_is_read_again_now_and_then() -> None:
    """The hash code is blind to one that comes for one that goes."""
    server = filled()

    async def scenario(reader: Reader) -> None:
        server.registry.cancel("orders", "10.0.0.3", 80)
        server.registry.register("orders", "10.0.0.9", 80)
        server.registry.forget_changes()
        await reader.polls(5)
        assert len(reader.said) == 1
        await reader.polls(6)
        assert addresses(reader.said[-1]) == ["10.0.0.1", "10.0.0.2", "10.0.0.9"]
        assert isinstance(reader.said[-1], Changed)

    play(scenario, server, **{"full-interval": "10s"})


def test_where_another_number_is_counted_everything_is_read_at_once() -> None:
    server = filled()

    async def scenario(reader: Reader) -> None:
        server.registry.register("orders", "10.0.0.4", 80)
        server.registry.forget_changes()
        await reader.polls()
        assert server.paths == [FULL, DELTA, FULL]
        assert len(addresses(reader.said[-1])) == 4

    play(scenario, server)


def test_much_that_goes_at_once_is_told_as_a_whole() -> None:
    """The guard judges a listing as a whole, but of changes each by itself."""
    server = filled(40)

    async def scenario(reader: Reader) -> None:
        server.registry.cancel("orders", "10.0.0.40", 80)
        await reader.polls()
        told = reader.said[-1]
        assert isinstance(told, Changed)
        for last in (37, 38, 39):
            server.registry.cancel("orders", f"10.0.0.{last}", 80)
        await reader.polls()
        listing = reader.said[-1]
        assert isinstance(listing, Listing)
        assert not listing.after_gap
        assert len(addresses(listing)) == 36

    play(scenario, server)


def test_where_there_are_no_deltas_everything_is_read_each_time() -> None:
    server = filled()
    server.misbehave(faults.knows_no_such_thing, DELTA)

    async def scenario(reader: Reader) -> None:
        server.registry.register("orders", "10.0.0.4", 80)
        await reader.polls(3)
        assert len(addresses(reader.said[-1])) == 4
        assert server.paths.count(DELTA) == 1
        assert server.paths.count(FULL) >= 4
        assert reader.failures == []

    play(scenario, server)


def test_a_delta_that_cannot_be_read_costs_a_full_reading_and_no_outage() -> None:
    server = filled()

    async def scenario(reader: Reader) -> None:
        server.registry.register("orders", "10.0.0.4", 80)
        server.misbehave(faults.page, DELTA)
        await reader.polls()
        assert len(addresses(reader.said[-1])) == 4
        assert reader.failures == []

    play(scenario, server)


def test_the_next_server_is_asked_for_everything_when_one_goes_and_kept() -> None:
    first, second = filled(), filled(2)

    async def scenario(reader: Reader) -> None:
        assert second.asked == []
        await first.stop()
        await reader.polls()
        listing = reader.said[-1]
        assert isinstance(listing, Listing)
        assert listing.after_gap
        assert len(addresses(listing)) == 2
        await first.start()
        asked = len(first.asked)
        await reader.polls(3)
        assert len(first.asked) == asked
        assert second.paths[0] == FULL
        assert DELTA in second.paths
        assert reader.failures == []
        assert reader.events("warning") == ["servers left out"]

    play(scenario, first, second)


def test_one_of_our_zone_is_asked_again_when_everything_is_read() -> None:
    near, far = filled(), filled()
    servers = {"z2": [far.url], "z1": [near.url]}

    async def scenario(reader: Reader) -> None:
        assert far.asked == []
        await near.stop()
        await reader.polls()
        await near.start()
        asked = len(near.asked)
        await reader.polls(4)
        assert len(near.asked) == asked
        await reader.polls(8)
        assert near.paths[asked] == FULL
        assert DELTA in near.paths[asked:]
        assert all(each.after_gap for each in reader.said[1:] if isinstance(each, Listing))
        assert reader.failures == []

    play(scenario, near, far, servers=servers, zone="z1", **{"full-interval": "10s"})


def test_when_no_server_answers_the_reason_names_each() -> None:
    first, second = filled(), filled()

    async def scenario(reader: Reader) -> None:
        first.misbehave(faults.fails)
        second.misbehave(faults.is_closed)
        await reader.polls()
        assert isinstance(reader.failures[0], RegistryUnavailable)
        reason = str(reader.failures[0])
        assert f"{first.url}: it answered HTTP 500; {second.url}: it is closed (HTTP 403)" in reason
        first.behave()
        await reader.polls(2)
        listing = reader.said[-1]
        assert isinstance(listing, Listing)
        assert listing.after_gap

    play(scenario, first, second)


def test_who_is_refused_everywhere_needs_a_person_and_who_is_not_may_wait() -> None:
    first, second = filled(), filled()
    first.credentials = second.credentials = ("bridge", "right")

    async def scenario(reader: Reader) -> None:
        assert isinstance(reader.failures[0], RegistryRejected)
        assert "HTTP 401" in str(reader.failures[0])
        assert "wrong" not in str(reader.failures[0])
        await second.stop()
        await reader.polls(2)
        assert isinstance(reader.failures[-1], RegistryUnavailable)

    play(scenario, first, second, username="bridge", password="wrong")  # noqa: S106


def test_the_user_is_told_to_the_server() -> None:
    server = filled()
    server.credentials = ("bridge", "p:ä")

    async def scenario(reader: Reader) -> None:
        assert len(addresses(reader.said[-1])) == 3

    play(scenario, server, username="bridge", password="p:ä")  # noqa: S106


def test_what_has_not_changed_is_not_sent_again_where_the_server_says_what_it_is() -> None:
    server = filled()
    server.etags = True

    async def scenario(reader: Reader) -> None:
        await reader.polls(3)
        sent = server.sent
        await reader.polls(3)
        assert server.sent - sent < 600
        server.registry.register("orders", "10.0.0.4", 80)
        await reader.polls()
        assert len(addresses(reader.said[-1])) == 4
        assert reader.failures == []

    play(scenario, server)


def test_regions_are_asked_for_and_read() -> None:
    server = filled()
    server.regions["east"] = filled(5).registry

    async def scenario(reader: Reader) -> None:
        assert len(addresses(reader.said[-1])) == 5
        assert server.asked[0].query == {"regions": "east,west"}

    play(scenario, server, regions=["east", "west"])


def test_instances_whose_lease_is_long_over_are_logged_once_and_degraded() -> None:
    """Not at first: what a server tells that its clients could not reach may be old."""
    server = filled()
    long_ago = 1_700_000_000_000
    lease = {"durationInSecs": 90, "renewalIntervalInSecs": 30, "lastRenewalTimestamp": long_ago}
    server.registry.change("orders", "10.0.0.1", 80, leaseInfo=lease)

    def health(update: object) -> list[str]:
        service = update.services[0] if isinstance(update, Listing) else None
        told = service or cast("Changed", update).service
        return sorted(each.health.value for each in told.instances)

    async def scenario(reader: Reader) -> None:
        await reader.polls(200)
        assert [health(each) for each in reader.said] == [["healthy"] * 3]
        await reader.polls(60)
        assert health(reader.said[-1]) == ["degraded", "healthy", "healthy"]
        await reader.polls(20)
        assert reader.events("warning") == ["may hold dead instances"]
        server.registry.cancel("orders", "10.0.0.1", 80)
        await reader.polls(40)
        assert reader.events("info") == ["holds no instance any more whose lease is over"]
        assert len(reader.said) == 3

    play(scenario, server, interval="10s", **{"full-interval": "20s"})


def test_another_registry_of_the_same_size_is_told_as_a_whole() -> None:
    """As changes, each by itself, the guard would let all services go."""
    server = filled(20)

    async def scenario(reader: Reader) -> None:
        server.registry.restart()
        for last in range(20):
            server.registry.register("others", f"10.0.9.{last}", 80)
        server.registry.forget_changes()
        await reader.polls(12)
        listing = reader.said[-1]
        assert isinstance(listing, Listing)
        assert [str(each.id) for each in listing.services] == ["others"]

    play(scenario, server, **{"full-interval": "10s"})


def test_a_server_that_was_started_again_between_two_questions_leaves_a_gap() -> None:
    server = filled(10)

    async def scenario(reader: Reader) -> None:
        server.registry.restart()
        for last in range(1, 7):
            server.registry.register("orders", f"10.0.0.{last}", 80)
        await reader.polls()
        listing = reader.said[-1]
        assert isinstance(listing, Listing)
        assert listing.after_gap
        assert len(addresses(listing)) == 6

    play(scenario, server)


def test_what_a_delta_takes_away_that_nobody_confirms_is_not_said() -> None:
    server, other = filled(10), filled(10)
    for last in range(1, 5):
        other.registry.cancel("orders", f"10.0.0.{last}", 80)
    told = json.dumps(delta([other.registry])).replace("UP_6_", "UP_10_")

    async def scenario(reader: Reader) -> None:
        server.misbehave(faults.answers(200, told.encode()), DELTA, times=1)
        await reader.polls()
        assert [len(addresses(each)) for each in reader.said] == [10, 10]

    play(scenario, server)


def test_a_server_that_is_overloaded_once_is_asked_for_changes_again() -> None:
    server = filled()

    async def scenario(reader: Reader) -> None:
        server.misbehave(faults.fails, DELTA, times=1)
        await reader.polls(3)
        assert server.paths[:3] == [FULL, DELTA, FULL]
        assert set(server.paths[3:]) == {DELTA}

    play(scenario, server)


def test_a_proxy_that_says_for_ever_that_nothing_has_changed_is_not_believed_for_ever() -> None:
    server = filled()
    server.etags = True

    async def scenario(reader: Reader) -> None:
        server.misbehave(faults.knows_no_such_thing, DELTA)
        server.also(faults.says_nothing_has_changed, FULL)
        server.registry.register("orders", "10.0.0.4", 80)
        await reader.polls(15)
        assert len(addresses(reader.said[-1])) == 4
        assert "if-none-match" in {name for each in server.asked for name in each.headers}

    play(scenario, server, **{"full-interval": "10s"})


def test_what_did_not_agree_is_asked_for_without_saying_what_is_known() -> None:
    server = filled()
    server.etags = True

    async def scenario(reader: Reader) -> None:
        server.registry.register("orders", "10.0.0.4", 80)
        server.registry.forget_changes()
        await reader.polls()
        asked = [(each.path, "if-none-match" in each.headers) for each in server.asked]
        assert asked == [(FULL, False), (DELTA, False), (FULL, False)]

    play(scenario, server)


def test_a_name_that_dns_could_never_know_is_a_reason_as_any_other() -> None:
    server = filled()

    async def scenario(reader: Reader) -> None:
        assert "its name is none that DNS could know" in str(reader.failures[0])

    play(scenario, server, servers=["http://a..b:8761/eureka"])


def test_what_cannot_be_read_is_reported_before_it_is_named() -> None:
    server = filled()
    server.registry.change("orders", "10.0.0.1", 80, securePort={"$": "many", "@enabled": "true"})

    async def scenario(reader: Reader) -> None:
        listing = reader.said[0]
        assert isinstance(listing, Listing)
        assert [each.subject for each in reader.recorder.reports] == list(listing.unreadable)
        assert len(listing.unreadable) == 1
        assert addresses(listing) == ["10.0.0.2", "10.0.0.3"]

    play(scenario, server)
