"""Where much is lost or old, what is told fits the guard."""

import json
from typing import cast

from unit.eureka.reader import Reader, addresses, filled, play

from meshbridge import Changed, Listing
from rig import scripted_eureka_faults as faults
from rig.scripted_eureka import DELTA, FULL, ScriptedEureka
from rig.scripted_eureka_registry import delta


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


def let_leases_end(server: ScriptedEureka, *addresses: str) -> None:
    """Let instances of orders have renewed long ago."""
    long_ago = 1_700_000_000_000
    lease = {"durationInSecs": 90, "renewalIntervalInSecs": 30, "lastRenewalTimestamp": long_ago}
    for each in addresses:
        server.registry.change("orders", each, 80, leaseInfo=lease)


def health(update: object) -> list[str]:
    """Return the health of the instances of the first service that an update tells of."""
    service = update.services[0] if isinstance(update, Listing) else None
    told = service or cast("Changed", update).service
    return sorted(each.health.value for each in told.instances)


def test_instances_whose_lease_is_long_over_are_told_once_and_degraded() -> None:
    """Not at first: what a server tells that its clients could not reach may be old."""
    server = filled()
    let_leases_end(server, "10.0.0.1")

    async def scenario(reader: Reader) -> None:
        await reader.polls(200)
        assert [health(each) for each in reader.said] == [["healthy"] * 3]
        await reader.polls(60)
        assert health(reader.said[-1]) == ["degraded", "healthy", "healthy"]
        await reader.polls(20)
        assert reader.events("warning") == ["may hold dead instances"]
        (told,) = reader.recorder.troubles.values()
        assert told.startswith(
            "may hold dead instances: 1 whose lease is long over, which Eureka keeps"
            " (self-preservation): 10.0.0.1:orders:80; "
        )
        server.registry.cancel("orders", "10.0.0.1", 80)
        await reader.polls(40)
        assert reader.events("info") == ["holds no instance any more whose lease is over"]
        assert reader.recorder.troubles == {}
        assert len(reader.said) == 3

    play(scenario, server, interval="10s", **{"full-interval": "20s"})


def test_leases_are_no_trouble_any_more_when_they_are_not_judged() -> None:
    """After an outage, in which the server may have been out of its clients' reach, too."""
    server = filled(9)
    let_leases_end(server, *(f"10.0.0.{last}" for last in range(1, 8)))

    async def scenario(reader: Reader) -> None:
        await reader.polls(260)
        (told,) = reader.recorder.troubles.values()
        assert "dead instances: 7 whose lease" in told
        assert "10.0.0.5:orders:80 and 2 more; " in told
        await server.stop()
        await reader.polls(12)
        assert reader.failures
        await server.start()
        await reader.polls(20)
        assert reader.recorder.troubles == {}
        assert health(reader.said[-1]) == ["healthy"] * 9
        await reader.polls(260)
        assert len(reader.recorder.troubles) == 1
        assert reader.events("warning") == ["may hold dead instances"], "it is known"

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
