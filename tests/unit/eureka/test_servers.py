"""Whoever answers is asked again; servers of our own zone go first, now and then also again."""

from meshbridge_eureka.options import Server, parse_server
from meshbridge_eureka.servers import Servers


def server(host: str, zone: str = "") -> Server:
    """Return a server of a zone."""
    parsed = parse_server(f"http://{host}:8761/eureka")
    return Server(parsed.scheme, parsed.host, parsed.port, parsed.path, zone)


A, B, C = (server(host) for host in ("a", "b", "c"))
FAR, NEAR, NEARER = server("far", "z2"), server("near", "z1"), server("nearer", "z1")


def test_servers_are_tried_as_written() -> None:
    assert Servers([B, A, C], "").order(home=False) == (B, A, C)


def test_who_answered_last_is_asked_first_and_then_who_follows() -> None:
    servers = Servers([A, B, C], "")
    servers.current = B
    assert servers.order(home=False) == (B, C, A)
    assert servers.order(home=True) == (B, C, A)


def test_servers_of_our_zone_go_first() -> None:
    assert Servers([FAR, NEAR, NEARER], "z1").order(home=False) == (NEAR, NEARER, FAR)


def test_one_of_our_zone_is_gone_on_with() -> None:
    servers = Servers([FAR, NEAR, NEARER], "z1")
    servers.current = NEARER
    assert servers.order(home=True) == (NEARER, NEAR, FAR)


def test_one_of_another_zone_is_gone_on_with_until_it_is_time_to_go_home() -> None:
    servers = Servers([FAR, NEAR, NEARER], "z1")
    servers.current = FAR
    assert servers.order(home=False) == (FAR, NEAR, NEARER)
    assert servers.order(home=True) == (NEAR, NEARER, FAR)
