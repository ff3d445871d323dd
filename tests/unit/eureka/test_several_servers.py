"""A cluster is read from one server after the other, each asked as it wants to be."""

from unit.eureka.reader import Reader, addresses, filled, play

from meshbridge import Listing, RegistryRejected, RegistryUnavailable
from rig import scripted_eureka_faults as faults
from rig.scripted_eureka import DELTA, FULL


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


def test_who_names_no_user_where_one_is_wanted_is_told_what_to_give() -> None:
    server = filled()
    server.credentials = ("bridge", "right")

    async def scenario(reader: Reader) -> None:
        told = "it wants to know a user (HTTP 401); give username and password"
        assert str(reader.failures[0]) == f"{server.url}: {told}"

    play(scenario, server)


def test_a_server_that_wants_tls_and_says_so_as_tomcat_does_is_asked_after() -> None:
    server = filled()
    server.misbehave(faults.answers(400, b"This combination of host and port requires TLS."))

    async def scenario(reader: Reader) -> None:
        told = "it answered HTTP 400; is its port one for https://?"
        assert str(reader.failures[0]) == f"{server.url}: {told}"

    play(scenario, server)


def test_a_server_that_has_answered_is_not_taken_for_another_kind_when_it_hangs_up() -> None:
    server = filled()

    async def scenario(reader: Reader) -> None:
        server.misbehave(faults.closes_amid_the_headers)
        await reader.polls()
        assert str(reader.failures[0]) == f"{server.url}: it broke off before it answered"

    play(scenario, server)


def test_the_user_is_told_to_the_server() -> None:
    server = filled()
    server.credentials = ("bridge", "p:ä")

    async def scenario(reader: Reader) -> None:
        assert len(addresses(reader.said[-1])) == 3

    play(scenario, server, username="bridge", password="p:ä")  # noqa: S106


def test_regions_are_asked_for_and_read() -> None:
    server = filled()
    server.regions["east"] = filled(5).registry

    async def scenario(reader: Reader) -> None:
        assert len(addresses(reader.said[-1])) == 5
        assert server.asked[0].query == {"regions": "east,west"}

    play(scenario, server, regions=["east", "west"])


def test_a_name_that_dns_could_never_know_is_a_reason_as_any_other() -> None:
    server = filled()

    async def scenario(reader: Reader) -> None:
        assert "its name is none that DNS could know" in str(reader.failures[0])

    play(scenario, server, servers=["http://a..b:8761/eureka"])
