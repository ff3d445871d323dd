"""What a change would take away is counted by host and by endpoint, and a few never count."""

from dataclasses import replace

import pytest

from meshbridge.service import Endpoint, Port, Service
from meshbridge.tally import SHOWN, Tally


def service(host: str, endpoints: int, port: int = 80) -> Service:
    """Return a service with so many endpoints."""
    name = f"http-{port}"
    ends = tuple(Endpoint(f"10.0.0.{each}", ((name, 8080),)) for each in range(endpoints))
    return Service(host, "x", (Port(port, "http", name),), ends)


def tally(*pairs: tuple[int, int | None]) -> Tally:
    """Compare hosts that have so many endpoints, and then so many; ``None``: the host goes."""
    found = Tally()
    for number, (before, after) in enumerate(pairs):
        host = f"h{number:03}"
        found.compare(host, service(host, before), after if after is None else service(host, after))
    return found


@pytest.mark.parametrize(
    ("pairs", "beyond"),
    [
        ([(0, 0)] * 5 + [(0, None)] * 5, False),
        ([(0, 0)] * 4 + [(0, None)] * 6, True),
        ([(1, None)] * 9, False),
        ([(20, 10)], False),
        ([(20, 9)], True),
        ([(9, None)], False),
        ([(1, 100)] * 10, False),
        ([], False),
    ],
)
def test_more_than_the_share_of_either_is_beyond(
    pairs: list[tuple[int, int | None]], *, beyond: bool
) -> None:
    assert tally(*pairs).beyond(0.5) is beyond


def test_at_none_the_first_is_too_many_and_at_all_everything_may_go() -> None:
    assert tally((20, 19)).beyond(0.0)
    assert not tally(*[(20, None)] * 20).beyond(1.0)


def test_an_endpoint_at_another_port_of_the_service_is_another_one() -> None:
    """Whoever calls port 80 does not find it at 8080."""
    found = Tally()
    found.compare("h", service("h", 12), service("h", 12, 8080))
    assert found.beyond(0.5)


def test_an_endpoint_that_has_a_further_port_is_the_same_one() -> None:
    """Several may share an address."""
    before = service("h", 12)
    ends = tuple(replace(each, address="10.0.0.1") for each in before.endpoints)
    before = replace(before, endpoints=tuple(_at(each, n) for n, each in enumerate(ends)))
    more = (Endpoint("10.0.0.1", (("http-80", n), ("http-9", 9))) for n in range(12))
    found = Tally()
    found.compare("h", before, replace(before, endpoints=tuple(more)))
    assert found.summary == "0 of 1 hosts and 0 of 12 endpoints"
    found.compare("i", before, replace(before, endpoints=before.endpoints[:3]))
    assert found.summary == "0 of 2 hosts and 9 of 24 endpoints"


def _at(endpoint: Endpoint, number: int) -> Endpoint:
    return replace(endpoint, ports=(("http-80", number),))


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        ((), (".",), 1),
        (("*",), ("a",), 1),
        (("a", "b"), ("a",), 1),
        (("a",), ("a", "b"), 0),
        (("a",), ("*",), 0),
        (("a",), (), 0),
        ((), ("*",), 0),
    ],
)
def test_a_host_that_fewer_namespaces_see_counts_as_gone(
    before: tuple[str, ...], after: tuple[str, ...], gone: int
) -> None:
    """To some of its callers it is."""
    found, whole = Tally(), service("h", 2)
    found.compare("h", replace(whole, export_to=before), replace(whole, export_to=after))
    assert found.summary == f"{gone} of 1 hosts and {2 * gone} of 2 endpoints"


def test_where_only_sizes_are_known_they_are_compared() -> None:
    found = Tally()
    found.compare_sizes("h", 12, service("h", 13))
    found.compare_sizes("i", 12, service("i", 2))
    found.compare_sizes("j", 6, None)
    assert found.summary == "1 of 3 hosts and 16 of 30 endpoints"
    assert found.listed() == ("j: gone", "i: 10 endpoints gone")


def test_the_list_is_bounded_and_says_how_many_more() -> None:
    lines = tally(*[(1, None)] * 60, *[(3, 2)] * 10).listed()
    assert len(lines) == SHOWN + 1
    assert lines[0] == "h000: gone"
    assert lines[-1] == "and 20 more hosts"
    assert tally((3, 2)).listed() == ("h000: 1 endpoint gone",)
