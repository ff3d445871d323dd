"""What a server says is read by what changed, or as a whole where that does not tell it."""

from unit.eureka.reader import Reader, addresses, filled, play

from meshbridge import Changed, Listing, Removed
from rig import scripted_eureka_faults as faults
from rig.scripted_eureka import DELTA, FULL


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


def test_a_server_that_is_overloaded_once_is_asked_for_changes_again() -> None:
    server = filled()

    async def scenario(reader: Reader) -> None:
        server.misbehave(faults.fails, DELTA, times=1)
        await reader.polls(3)
        assert server.paths[:3] == [FULL, DELTA, FULL]
        assert set(server.paths[3:]) == {DELTA}

    play(scenario, server)


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
