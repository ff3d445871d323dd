"""What Envoy and gRPC are told: valid as a whole, and the same bytes by every way to a snapshot."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from meshbridge.protos.gen.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshbridge.protos.gen.envoy.config.listener.v3.listener_pb2 import Listener
from meshbridge.protos.gen.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge.registration import Health
from meshbridge.service import Direct, Endpoint, Locality, Port, Service, versioned
from meshbridge.settings import Address
from meshbridge.snapshot import EMPTY, Snapshot
from meshbridge_xds import Xds, XdsOptions
from meshbridge_xds.envoy.encoder import Encoder, HttpListener, TcpListener
from meshbridge_xds.envoy.names import CDS, EDS, LDS, RDS, parse_cluster_name, served_type
from meshbridge_xds.envoy.text import as_yaml
from meshbridge_xds.offers import Offer
from meshbridge_xds.resources import Resource, ResourceSet

HTTP = Port(80, "http", "http-80")
MORE = Port(8080, "http", "http-8080")
GRPC = Port(50051, "grpc", "grpc-50051")
TCP = Port(9000, "tcp", "tcp-9000")
HTTP_LISTENER = HttpListener(Address("127.0.0.1", 15001), (80, 8080))
TCP_LISTENER = TcpListener(Address("127.0.0.1", 15002), "db.test")
ROUTES = "http|127.0.0.1:15001"


def at(address: str, port: Port = HTTP, number: int = 8081, **more: object) -> Endpoint:
    return replace(Endpoint(address, ((port.name, number),)), **more)  # type: ignore[arg-type]


def service(
    host: str,
    *endpoints: Endpoint,
    ports: tuple[Port, ...] = (HTTP,),
    aliases: tuple[str, ...] = (),
) -> Service:
    return versioned(
        Service(host=host, namespace="test", ports=ports, endpoints=endpoints, aliases=aliases)
    )


def snapshot(*services: Service, after: Snapshot = EMPTY) -> Snapshot:
    return after.with_changes({each.host: each for each in services})


def encoder() -> Encoder:
    return Encoder((HTTP_LISTENER,), (TCP_LISTENER,))


def encode(of: Snapshot, by: Encoder | None = None) -> Offer:
    steps = (by or encoder()).encode(of)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            offer: Offer = done.value
            return offer


def offered(offer: Offer, url: str) -> ResourceSet:
    found = offer.of(served_type(url))
    assert found is not None
    return found


def value(resource: Resource | None) -> bytes:
    assert resource is not None
    return AnyMessage.FromString(resource.body).value


def assignment(offer: Offer, name: str) -> ClusterLoadAssignment:
    return ClusterLoadAssignment.FromString(value(offered(offer, EDS).get(name)))


def routes(offer: Offer, name: str = ROUTES) -> RouteConfiguration:
    return RouteConfiguration.FromString(value(offered(offer, RDS).get(name)))


def domains(offer: Offer) -> dict[str, str]:
    """Return the cluster by domain."""
    return {
        domain: host.routes[0].route.cluster
        for host in routes(offer).virtual_hosts
        for domain in host.domains
    }


def everything(offer: Offer) -> dict[str, dict[str, bytes]]:
    return {
        url: {name: each.body for name, each in offered(offer, url).listed.items()}
        for url in (CDS, EDS, LDS, RDS)
    }


def test_each_port_of_a_service_is_a_cluster_with_endpoints_of_its_own() -> None:
    offer = encode(
        snapshot(
            service(
                "a.test",
                at("10.0.0.1"),
                Endpoint("10.0.0.2", (("grpc-50051", 9090), ("http-80", 8082))),
                ports=(HTTP, GRPC),
            )
        )
    )
    assert set(offered(offer, CDS).listed) == {"outbound|80||a.test", "outbound|50051||a.test"}
    assert offered(offer, CDS).listed.keys() == offered(offer, EDS).listed.keys()
    (group,) = assignment(offer, "outbound|80||a.test").endpoints
    found = [each.endpoint.address.socket_address for each in group.lb_endpoints]
    assert [(each.address, each.port_value) for each in found] == [
        ("10.0.0.1", 8081),
        ("10.0.0.2", 8082),
    ]
    (group,) = assignment(offer, "outbound|50051||a.test").endpoints
    assert [each.endpoint.address.socket_address.port_value for each in group.lb_endpoints] == [
        9090
    ]


def test_only_grpc_speaks_http2_to_its_endpoints() -> None:
    offer = encode(snapshot(service("a.test", ports=(HTTP, GRPC))))
    clusters = offered(offer, CDS)
    for name, options in (("outbound|80||a.test", 0), ("outbound|50051||a.test", 1)):
        cluster = Cluster.FromString(value(clusters.get(name)))
        assert len(cluster.typed_extension_protocol_options) == options


def test_endpoints_are_grouped_by_locality_whose_weight_is_their_sum() -> None:
    """Or gRPC, which chooses the locality first, would not follow the weights."""
    offer = encode(
        snapshot(
            service(
                "a.test",
                at("10.0.0.3", weight=300, locality=Locality("r", "z2")),
                at("10.0.0.1", weight=100, locality=Locality("r", "z1")),
                at("10.0.0.2", weight=250, locality=Locality("r", "z1")),
                at("10.0.0.4", health=Health.DEGRADED),
            )
        )
    )
    groups = assignment(offer, "outbound|80||a.test").endpoints
    assert [(g.locality.zone, g.load_balancing_weight.value) for g in groups] == [
        ("", 100),
        ("z1", 350),
        ("z2", 300),
    ]
    states = Counter(each.health_status for group in groups for each in group.lb_endpoints)
    assert states == {1: 3, 5: 1}
    assert groups[0].HasField("locality")


def test_weights_that_add_up_to_too_much_are_scaled() -> None:
    """Envoy refuses a sum above 2^32 - 1; the proportions stay."""
    big = 3_000_000_000
    offer = encode(
        snapshot(
            service(
                "a.test",
                at("10.0.0.1", weight=big),
                at("10.0.0.2", weight=big),
                at("10.0.0.3", weight=1),
            )
        )
    )
    (group,) = assignment(offer, "outbound|80||a.test").endpoints
    weights = [each.load_balancing_weight.value for each in group.lb_endpoints]
    assert weights[0] == weights[1]
    assert weights[2] == 1
    assert 2**31 < sum(weights) == group.load_balancing_weight.value < 2**32


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (at("orders.internal"), "is not an IP address"),
        (at("10.0.0.256"), "is not an IP address"),
        (at("fe80::1%eth0"), "is not an IP address"),
        (at("10.0.0.9\0"), "is not an IP address"),
        (at("10.0.0.9", number=0), "has a port that is not from 1 to 65535"),
        (at("10.0.0.9", number=65536), "has a port that is not from 1 to 65535"),
        (at("10.0.0.1", labels=(("twice", ""),)), "stands twice in one service"),
    ],
)
def test_an_endpoint_that_would_spoil_all_is_left_out_and_named(bad: Endpoint, reason: str) -> None:
    by = encoder()
    offer = encode(snapshot(service("a.test", at("10.0.0.1"), bad, at("2001:db8::1"))), by)
    groups = assignment(offer, "outbound|80||a.test").endpoints
    found = [e.endpoint.address.socket_address.address for g in groups for e in g.lb_endpoints]
    assert found == ["10.0.0.1", "2001:db8::1"]
    (omission,) = by.omissions()["a.test"]
    assert (omission.subject, omission.reason) == (f"{bad.address}:{bad.ports[0][1]}", reason)


def test_a_host_answers_to_its_names_and_bare_to_its_lowest_port() -> None:
    offer = encode(
        snapshot(
            service("a.test", ports=(HTTP, MORE, GRPC), aliases=("a",)),
            service("b.test", ports=(MORE,)),
            service("c.test", ports=(GRPC,)),
        )
    )
    assert domains(offer) == {
        "a.test": "outbound|80||a.test",
        "a.test:80": "outbound|80||a.test",
        "a": "outbound|80||a.test",
        "a:80": "outbound|80||a.test",
        "a.test:8080": "outbound|8080||a.test",
        "a:8080": "outbound|8080||a.test",
        "b.test": "outbound|8080||b.test",
        "b.test:8080": "outbound|8080||b.test",
    }


def test_no_name_stands_in_two_virtual_hosts() -> None:
    """Envoy refuses all routes for one doubled domain, so who shares an alias has none of it."""
    by = encoder()
    first = snapshot(
        service("a.test", aliases=("both", "b.test", "a.test", "own")),
        service("b.test", aliases=("both",)),
    )
    assert set(domains(encode(first, by))) == {
        *("a.test", "a.test:80", "own", "own:80"),
        *("b.test", "b.test:80"),
    }
    reasons = {each.subject: each.reason for each in by.omissions()["a.test"]}
    assert reasons == {
        "both": "is a name of several hosts",
        "b.test": "is an alias here and a host elsewhere",
    }
    after = first.with_changes({"b.test": None})
    assert {"both", "b.test", "b.test:80"} < set(domains(encode(after, by)))
    assert by.omissions() == {}


def called(service: Service, *direct: Direct) -> Service:
    return versioned(replace(service, direct=direct))


def test_a_host_answers_to_the_addresses_of_its_endpoints() -> None:
    """At their ports: at the port of that number, or else the lowest that speaks the same."""
    ports = (HTTP, MORE, Port(8081, "http", "http-8081"), Port(9090, "grpc", "grpc-9090"))
    direct = (
        Direct("10.0.0.1", (8080, 9090), alone=True),
        Direct("10.0.0.2", (8081,), alone=False),
        Direct("10.0.0.3", (80,), alone=False),
        Direct("2001:db8::1", (8080,), alone=True),
    )
    found = domains(encode(snapshot(called(service("a.test", ports=ports), *direct))))
    by_name = {"a.test", "a.test:80", "a.test:8080"}
    assert {name: cluster for name, cluster in found.items() if name not in by_name} == {
        "10.0.0.1": "outbound|80||a.test",
        "10.0.0.1:8080": "outbound|8080||a.test",
        "10.0.0.2:8081": "outbound|80||a.test",
        "10.0.0.3": "outbound|80||a.test",
        "10.0.0.3:80": "outbound|80||a.test",
        "[2001:db8::1]": "outbound|80||a.test",
        "[2001:db8::1]:8080": "outbound|8080||a.test",
    }
    assert domains(encode(snapshot(called(service("a.test", ports=(GRPC,)), *direct)))) == {}


def test_an_address_that_another_host_has_by_mistake_spoils_nothing() -> None:
    """It is left out for both, like an alias, until one of them lets it go."""
    by = encoder()
    direct = Direct("10.0.0.1", (8080,), alone=True)
    both = (called(service(host, ports=(HTTP, MORE)), direct) for host in ("a.test", "b.test"))
    first = snapshot(*both)
    assert not [name for name in domains(encode(first, by)) if name.startswith("10.")]
    assert {each.subject for each in by.omissions()["b.test"]} == {"10.0.0.1", "10.0.0.1:8080"}
    after = snapshot(service("b.test"), after=first)
    offer = encode(after, by)
    assert domains(offer)["10.0.0.1:8080"] == "outbound|8080||a.test"
    assert by.omissions() == {}
    assert everything(offer) == everything(encode(after))


def test_a_further_address_changes_routes_and_no_cluster() -> None:
    by = encoder()
    plain = service("a.test", at("10.0.0.1"), ports=(HTTP, MORE))
    first = snapshot(plain)
    before = encode(first, by)
    further = called(plain, Direct("10.0.0.1", (8080,), alone=True))
    after = encode(snapshot(further, after=first), by)
    assert offered(after, RDS) is not offered(before, RDS)
    assert "10.0.0.1:8080" in domains(after)
    for url in (CDS, EDS):
        assert offered(after, url) is offered(before, url)


def test_a_changed_endpoint_costs_its_own_endpoints_and_nothing_else() -> None:
    by = encoder()
    services = [service(f"s{number}.test", at("10.0.0.1")) for number in range(50)]
    first = snapshot(*services)
    before = encode(first, by)
    second = snapshot(service("s7.test", at("10.0.0.2")), after=first)
    turns = len(list(by.encode(second)))
    assert turns == 4, "comparing, names, one service and one type have a turn each"
    after = encode(second, by)
    assert offered(after, EDS).touched(offered(before, EDS)) == frozenset(("outbound|80||s7.test",))
    for url in (CDS, LDS, RDS):
        assert offered(after, url) is offered(before, url)


def test_a_tcp_listener_is_there_while_its_service_has_the_port() -> None:
    name = "tcp|127.0.0.1:15002"
    assert name not in offered(encode(EMPTY), LDS).listed
    by = encoder()
    first = snapshot(service("db.test", ports=(HTTP, TCP)))
    listener = Listener.FromString(value(offered(encode(first, by), LDS).get(name)))
    assert b"outbound|9000||db.test" in listener.SerializeToString()
    second = snapshot(service("db.test", ports=(HTTP,)), after=first)
    listener = Listener.FromString(value(offered(encode(second, by), LDS).get(name)))
    assert b"outbound|80||db.test" in listener.SerializeToString()
    third = second.with_changes({"db.test": None})
    assert name not in offered(encode(third, by), LDS).listed
    wanted = Encoder((), (replace(TCP_LISTENER, port=9000),))
    assert not offered(encode(second, wanted), LDS).listed
    assert (
        name in offered(encode(first, Encoder((), (replace(TCP_LISTENER, port=9000),))), LDS).listed
    )


@pytest.mark.parametrize(
    ("there", "port", "reason"),
    [
        ((), None, "no service has the host db.test"),
        ((service("db.test", ports=()),), None, "db.test has no ports, as its instances have none"),
        (
            (service("db.test", ports=(HTTP, TCP)),),
            20880,
            "db.test has no port 20880, but 80, 9000",
        ),
    ],
)
def test_a_tcp_listener_that_leads_nowhere_is_named_until_it_leads_somewhere(
    there: tuple[Service, ...], port: int | None, reason: str
) -> None:
    dubbo = Port(20880, "dubbo", "dubbo-20880")
    by = Encoder((), (replace(TCP_LISTENER, port=port),))
    first = snapshot(*there)
    encode(first, by)
    (unopened,) = by.unopened()
    assert (unopened.subject, unopened.reason) == ("tcp 127.0.0.1:15002", reason)
    second = snapshot(service("other.test"), service("db.test", ports=(dubbo,)), after=first)
    encode(second, by)
    assert by.unopened() == ()
    encode(second.with_changes({"db.test": None}), by)
    assert [each.reason for each in by.unopened()] == ["no service has the host db.test"]


def test_grpc_finds_a_listener_under_each_name_and_no_proxy_is_told_of_it() -> None:
    offer = encode(snapshot(service("a.test", ports=(HTTP, GRPC), aliases=("a",))))
    listeners = offered(offer, LDS)
    assert set(listeners.listed) == {ROUTES}
    for name, cluster in (
        ("a.test", "outbound|50051||a.test"),
        ("a.test:50051", "outbound|50051||a.test"),
        ("a.test:80", "outbound|80||a.test"),
        ("a", "outbound|50051||a.test"),
        ("a:80", "outbound|80||a.test"),
    ):
        found = listeners.get(name)
        assert found is not None
        assert found.refers == (cluster,)
        assert Listener.FromString(value(found)).HasField("api_listener")
        assert listeners.get(name) is found, "made once"
        (host,) = routes(offer, cluster).virtual_hosts
        assert {name, "*"} <= set(host.domains) | {"a.test", "a"}
        assert host.routes[0].route.cluster == cluster
    for stranger in ("b.test", "a.test:81", "a.test:http", "a.test:", "", ":80", "a.test:80:80"):
        assert listeners.get(stranger) is None
    for stranger in ("outbound|81||a.test", "outbound|80||b.test", "outbound|x||a.test", "a.test"):
        assert offered(offer, RDS).get(stranger) is None


def test_grpc_is_told_when_a_name_comes_changes_or_goes() -> None:
    by = encoder()
    first = snapshot(service("a.test", ports=(HTTP,)))
    one = encode(first, by)
    second = snapshot(service("a.test", ports=(GRPC,), aliases=("a",)), after=first)
    two = encode(second, by)
    touched = offered(two, LDS).touched(offered(one, LDS))
    assert touched is not None
    assert touched >= {"a.test", "a.test:80", "a.test:50051", "a", "a:50051"}
    three = encode(second.with_changes({"a.test": None}), by)
    touched = offered(three, LDS).touched(offered(two, LDS))
    assert touched is not None
    assert touched >= {"a.test", "a.test:50051", "a"}
    assert offered(three, LDS).get("a.test") is None
    assert offered(three, RDS).get("outbound|50051||a.test") is None


HOSTS = st.sampled_from(["a.test", "b.test", "c.test", "db.test"])
ENDPOINTS = st.lists(
    st.builds(
        at,
        st.sampled_from(["10.0.0.1", "10.0.0.2", "nonsense"]),
        st.sampled_from([HTTP, GRPC, TCP]),
        weight=st.sampled_from([1, 100, 2**32]),
        locality=st.sampled_from([Locality(), Locality("r", "z")]),
    ),
    max_size=4,
)


def any_service(
    host: str, endpoints: list[Endpoint], ports: set[Port], aliases: set[str]
) -> Service:
    return service(host, *endpoints, ports=tuple(sorted(ports)), aliases=tuple(sorted(aliases)))


SERVICES = st.builds(
    any_service,
    HOSTS,
    ENDPOINTS,
    st.sets(st.sampled_from([HTTP, MORE, GRPC, TCP])),
    st.sets(st.sampled_from(["x", "y", "a.test", "b.test"])),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(SERVICES | HOSTS, max_size=4), max_size=6))
def test_the_way_to_a_snapshot_leaves_no_trace(steps: list[list[Service | str]]) -> None:
    """Whatever came before, the resources are those of one that starts with the snapshot."""
    by, now, offer = encoder(), EMPTY, encode(EMPTY)
    for step in steps:
        touched: Mapping[str, Service | None] = {
            each if isinstance(each, str) else each.host: None if isinstance(each, str) else each
            for each in step
        }
        now = now.with_changes(touched)
        offer = encode(now, by)
        fresh = encoder()
        assert everything(offer) == everything(encode(Snapshot(now.services), fresh))
        assert by.omissions() == fresh.omissions()
        assert by.unopened() == fresh.unopened()
        names = [name for host in routes(offer).virtual_hosts for name in host.domains]
        assert len(names) == len(set(names))
    for url in (CDS, EDS, LDS, RDS):
        for name, resource in offered(offer, url).listed.items():
            assert resource.name == name
            assert resource == Resource.of(name, resource.body, resource.refers)


SCRIPT = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import test_envoy_encoding as t
offer = t.encode(t.snapshot(*(
    t.service(f"s{n}.test", t.at("10.0.0.1"), t.at("10.0.0.2", t.GRPC), ports=(t.HTTP, t.GRPC),
              aliases=(f"a{n}", f"b{n}")) for n in range(20))))
print(hashlib.sha256(repr([sorted(each.items()) for each in t.everything(offer).values()]).encode())
      .hexdigest())
"""


def test_bytes_do_not_depend_on_the_seed_of_hashes() -> None:
    """Protobuf writes maps in the order of hashes unless told otherwise."""
    here = os.path.dirname(__file__)  # noqa: PTH120 - text for the script
    seen = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, here],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(seen) == 1
    assert len(seen.pop()) == 65


def test_a_snapshot_is_shown_as_yaml_with_envoys_names() -> None:
    outlet = Xds(
        XdsOptions.model_validate_json('{"http": [{"listen": "127.0.0.1:1", "ports": [80]}]}')
    )
    text = outlet.render(snapshot(service("a.test", at("10.0.0.1"))), "envoy")
    shown = yaml.safe_load(text)
    assert [each["name"] for each in shown["clusters"]] == ["outbound|80||a.test"]
    (group,) = shown["endpoints"][0]["endpoints"]
    address = group["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    assert address == {"address": "10.0.0.1", "port_value": 8081}
    assert [each["name"] for each in shown["routes"]] == ["http|127.0.0.1:1"]
    assert len(shown["listeners"]) == 1
    with pytest.raises(ValueError, match="istio"):
        outlet.render(EMPTY, "istio")


def test_a_type_of_which_nothing_is_known_is_shown_as_empty() -> None:
    shown = yaml.safe_load(as_yaml(Offer({CDS: None})))
    assert shown == {"listeners": [], "routes": [], "clusters": [], "endpoints": []}


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('{"listen": "0.0.0.0:15010"}', "without TLS"),
        ('{"http": [{"listen": "127.0.0.1:1", "ports": []}]}', "at least 1 item"),
        ('{"http": [{"listen": "127.0.0.1:1", "ports": [0]}]}', "greater than or equal to 1"),
        ('{"tcp": [{"listen": "127.0.0.1:1"}]}', "host"),
        (
            """{"http": [{"listen": "127.0.0.1:1", "ports": [80]}],
                "tcp": [{"listen": "127.0.0.1:1", "host": "a.test"}]}""",
            "two listeners at 127.0.0.1:1",
        ),
    ],
)
def test_options_that_cannot_work_are_refused(written: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        XdsOptions.model_validate_json(written)


def test_what_is_not_said_of_the_options_is_usable() -> None:
    options = XdsOptions()
    assert (str(options.listen), options.http, options.tcp) == ("127.0.0.1:15010", (), ())


def test_the_name_of_a_cluster_tells_its_service() -> None:
    assert parse_cluster_name("outbound|80||a.test") == ("a.test", 80)
    assert parse_cluster_name("outbound|80|v1|a.test") is None
    assert parse_cluster_name("outbound|\u0661||a.test") is None
