"""Whatever a registry holds, istiod takes what is sent of it, and people are told what is not."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.problems import ProblemKind
from meshbridge.service import Endpoint, Locality, Port, Service, Source
from meshbridge_mcp.istio import Part, entries
from meshbridge_mcp.resource import encode
from meshbridge_mcp.validate import repair
from rig.istio_rules import SUBDOMAIN, broken_rules, takes_host, takes_label

HTTP = Port(80, "http", "http-80")
TCP = Port(9000, "tcp", "tcp-9000")
GOOD = Service(
    host="orders.nacos",
    namespace="shop",
    ports=(HTTP,),
    endpoints=(Endpoint("10.1.0.1", (("http-80", 8080),), labels=(("version", "v1"),)),),
    sources=(Source("east", "orders"),),
)


def broken_metadata_rules(part: Part) -> list[str]:
    """Return the rules for names and labels of resources that a part breaks."""
    rules = {
        "namespace is a DNS label": "." not in part.namespace
        and len(part.namespace) <= 63
        and SUBDOMAIN.match(part.namespace),
        "name is a DNS subdomain": len(part.name) <= 253 and SUBDOMAIN.match(part.name),
        "name/namespace in exactly two": encode(part).name.count("/") == 1,
        "legal labels": all(takes_label(*pair) for pair in part.labels),
        "no revision": "istio.io/rev" not in dict(part.labels),
    }
    return [rule for rule, kept in rules.items() if not kept]


_ODD = st.text(max_size=20) | st.text("aZ9.-_/*% \n", max_size=70)
_DNS = st.from_regex(r"\A[a-z]([a-z0-9-]{0,65}[a-z0-9])?(\.[a-z0-9]{1,8}){0,3}\Z")
_HOSTS = st.sampled_from(["orders.nacos", "Orders.nacos"]) | _DNS | _ODD
_NAMES = st.sampled_from(["http-80", "dubbo-20880", "tcp-9000", "Bad_Port", ""])
_NUMBERS = st.sampled_from([80, 8080, 20880]) | st.integers(-5, 70_000)
_ADDRESSES = st.ip_addresses().map(str) | st.sampled_from(["fe80::1%eth0", "a.b", "1.2.3.4:5", ""])
_LABELS = st.dictionaries(
    st.sampled_from(["version", "istio.io/rev", "meshbridge.io/registry"]) | _ODD,
    st.sampled_from(["v1", ""]) | _ODD,
    max_size=3,
).map(lambda pairs: tuple(sorted(pairs.items())))
_ENDPOINTS = st.builds(
    Endpoint,
    address=_ADDRESSES,
    ports=st.lists(st.tuples(_NAMES, _NUMBERS), max_size=3).map(tuple),
    weight=st.integers(-(10**12), 10**12) | st.just(100),
    locality=st.builds(Locality, region=_ODD, zone=_ODD, sub_zone=_ODD),
    labels=_LABELS,
)
_SERVICES = st.builds(
    Service,
    host=_HOSTS,
    namespace=st.sampled_from(["shop"] * 9 + [""]).flatmap(
        lambda name: st.just(name) if name else _ODD
    ),
    ports=st.lists(
        st.builds(
            Port,
            number=_NUMBERS,
            protocol=st.sampled_from(["http", "https", "grpc", "dubbo", "tcp", "quic"]),
            name=_NAMES,
        ),
        max_size=4,
    ).map(tuple),
    endpoints=st.lists(_ENDPOINTS, max_size=4).map(tuple),
    labels=_LABELS,
    aliases=st.lists(_DNS | _ODD, max_size=3).map(tuple),
    addresses=st.lists(_ADDRESSES, max_size=2).map(tuple),
    sources=st.lists(st.builds(Source, registry=_ODD, name=_ODD), max_size=2).map(tuple),
)


@given(_SERVICES)
def test_whatever_service_comes_in_istiod_takes_all_that_goes_out(service: Service) -> None:
    """Each rule that istiod applies in silence is kept by every part and by its metadata."""
    for part in entries(service).parts:
        assert broken_rules(part.spec) == []
        assert broken_metadata_rules(part) == []


@given(_SERVICES)
def test_a_service_is_refused_only_for_its_host_or_namespace(service: Service) -> None:
    """Every other fault costs the detail, never the host."""
    legal = takes_host(service.host) and bool(
        re.match(r"\A[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z", service.namespace)
    )
    found = entries(service)
    assert bool(found.parts) == legal
    assert legal or found.problems


@given(_SERVICES)
def test_whatever_is_left_out_is_said(service: Service) -> None:
    """Nothing vanishes without a problem that names it; what is legal is said nothing about.

    Only an alias without a dot is sent and warned of.
    """
    repaired = repair(service)
    of_what_is_lost = [each for each in repaired.problems if "balanced only" not in each.reason]
    assert bool(of_what_is_lost) == (repaired.service is not service)


@given(_SERVICES)
def test_repairing_again_changes_nothing(service: Service) -> None:
    """The repair is a projection: what istiod takes stays as it is."""
    once = repair(service).service
    if once is not None:
        assert repair(once).service is once


@given(_SERVICES)
def test_each_kept_endpoint_is_in_exactly_one_part(service: Service) -> None:
    """Parts divide the endpoints: none is lost and none takes traffic twice on a port."""
    repaired = repair(service).service
    if repaired is not None:
        sent = [each.address for part in entries(service).parts for each in part.spec.endpoints]
        assert sorted(sent) == sorted(each.address for each in repaired.endpoints)


def test_a_legal_service_is_not_touched() -> None:
    """The usual case costs no copy."""
    assert repair(GOOD).service is GOOD


@pytest.mark.parametrize("host", ["", "*", "*.nacos", "a_b.nacos", "DEFAULT_GROUP@@a", "a.1", "a."])
def test_a_host_that_istiod_refuses_is_not_sent_and_said(host: str) -> None:
    """Its resource could only be refused, so the problem names the registration instead."""
    found = entries(replace(GOOD, host=host))
    assert found.parts == ()
    (problem,) = found.problems
    assert (problem.registry, problem.subject, problem.kind) == (
        "east",
        "orders",
        ProblemKind.INVALID_NAME,
    )


def test_a_service_without_a_source_is_named_by_its_host() -> None:
    """A problem always has a subject."""
    (problem,) = entries(replace(GOOD, namespace="no/pe", sources=())).problems
    assert (problem.registry, problem.subject) == ("mcp", "orders.nacos")


def test_a_bad_label_costs_the_label_and_is_said_once_with_the_number_of_instances() -> None:
    """A thousand instances with one bad key are one line for people, not a thousand."""
    bad = Endpoint("10.1.0.1", (("http-80", 1),), labels=(("a key", "x"), ("version", "v1")))
    service = replace(GOOD, endpoints=(bad, replace(bad, address="10.1.0.2")))
    found = entries(service)
    assert [dict(each.labels) for each in found.parts[0].spec.endpoints] == [{"version": "v1"}] * 2
    (problem,) = found.problems
    assert problem.kind is ProblemKind.INVALID_LABEL
    assert problem.subject == "orders label 'a key' of 2 instances"


@pytest.mark.parametrize(
    "key",
    ["a/b/c", "/a", "a/", "", "-a", "a" * 64, "x" * 254 + "/a", "é", "Upper.io/a", "a b"],
)
def test_a_label_key_that_istiod_or_kubernetes_refuses_is_left_out(key: str) -> None:
    """The stricter of both rules: a dump must be good for kubectl too."""
    found = entries(replace(GOOD, labels=((key, "x"),)))
    assert dict(found.parts[0].labels) == {"meshbridge.io/registry": "east"}
    assert [problem.kind for problem in found.problems] == [ProblemKind.INVALID_LABEL]


@pytest.mark.parametrize("key", ["meshbridge.io/in-v2", "a", "A_b.c-d", "a" * 63])
def test_a_legal_label_key_is_sent(key: str) -> None:
    """Membership labels above all."""
    found = entries(replace(GOOD, labels=((key, ""),)))
    assert dict(found.parts[0].labels)[key] == ""
    assert found.problems == ()


def test_a_revision_label_is_left_out() -> None:
    """An istiod of another revision would delete the host, and a registry could ask for that."""
    found = entries(replace(GOOD, labels=(("istio.io/rev", "canary"),)))
    assert "istio.io/rev" not in dict(found.parts[0].labels)
    assert [problem.kind for problem in found.problems] == [ProblemKind.INVALID_LABEL]


def test_no_alias_is_sent_for_a_host_with_a_tcp_port() -> None:
    """Istiod refuses several hosts beside a port on which it cannot tell them apart."""
    found = entries(replace(GOOD, ports=(HTTP, TCP), aliases=("orders.internal",)))
    assert {tuple(part.spec.hosts) for part in found.parts} == {("orders.nacos",)}
    (problem,) = found.problems
    assert problem.subject == "orders alias orders.internal"
    assert "tcp-9000" in problem.reason


def test_only_one_virtual_address_is_sent() -> None:
    """With several, istiod keeps one by chance and repeats all endpoints for each."""
    found = entries(replace(GOOD, addresses=("240.1.1.1", "240.1.1.2")))
    assert list(found.parts[0].spec.addresses) == ["240.1.1.1"]
    assert [problem.subject for problem in found.problems] == ["orders virtual address 240.1.1.2"]


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [
        (Endpoint("orders.internal", (("http-80", 1),)), ProblemKind.INVALID_INSTANCE),
        (Endpoint("fe80::1%eth0", (("http-80", 1),)), ProblemKind.INVALID_INSTANCE),
        (Endpoint("10.1.0.9", ()), ProblemKind.INVALID_INSTANCE),
        (Endpoint("10.1.0.9", (("http-80", 0),)), ProblemKind.INVALID_PORT),
        (Endpoint("10.1.0.9", (("grpc-1", 80),)), ProblemKind.INVALID_PORT),
    ],
)
def test_an_endpoint_that_istiod_refuses_is_left_out_and_the_others_are_sent(
    endpoint: Endpoint, kind: ProblemKind
) -> None:
    """One bad record must not take the host's other endpoints with it."""
    found = entries(replace(GOOD, endpoints=(*GOOD.endpoints, endpoint)))
    assert [each.address for part in found.parts for each in part.spec.endpoints] == ["10.1.0.1"]
    assert kind in {problem.kind for problem in found.problems}
    assert endpoint.address in found.problems[0].subject


@pytest.mark.parametrize(
    "port",
    [
        Port(0, "http", "http-0"),
        Port(65536, "http", "http-65536"),
        Port(81, "quic", "quic-81"),
        Port(81, "http", "Http_81"),
        Port(80, "tcp", "tcp-80"),
        Port(81, "http", "http-80"),
    ],
    ids=["zero", "too high", "unknown protocol", "bad name", "number twice", "name twice"],
)
def test_a_port_that_istiod_refuses_is_left_out_and_the_others_are_served(port: Port) -> None:
    """Istiod would refuse the host with all its ports."""
    found = entries(replace(GOOD, ports=(HTTP, port)))
    assert [each.name for part in found.parts for each in part.spec.ports] == ["http-80"]
    assert [each.address for part in found.parts for each in part.spec.endpoints] == ["10.1.0.1"]
    (problem,) = found.problems
    assert (problem.subject, problem.kind) == (
        f"orders port {port.number}",
        ProblemKind.INVALID_PORT,
    )


def test_an_alias_without_a_dot_is_sent_and_reported() -> None:
    """Istiod balances requests to it, but reads it as a name of Kubernetes in every rule."""
    found = entries(replace(GOOD, aliases=("orders", "orders.internal")))
    assert [*found.parts[0].spec.hosts] == [GOOD.host, "orders", "orders.internal"]
    (problem,) = found.problems
    assert (problem.subject, problem.kind) == ("orders alias orders", ProblemKind.OTHER)
    assert "balanced only" in problem.reason


@pytest.mark.parametrize("alias", ["a_b", "*", "a.1", ""])
def test_an_alias_that_istiod_refuses_is_left_out(alias: str) -> None:
    """The host keeps its own name and its other aliases."""
    found = entries(replace(GOOD, aliases=(alias, "orders.internal")))
    assert list(found.parts[0].spec.hosts) == ["orders.nacos", "orders.internal"]
    assert [problem.kind for problem in found.problems] == [ProblemKind.INVALID_NAME]


def test_a_weight_out_of_reach_is_sent_as_the_nearest() -> None:
    """Envoy refuses a cluster whose weights add up to more than 32 bits."""
    heavy = replace(GOOD.endpoints[0], weight=10**12)
    found = entries(replace(GOOD, endpoints=(heavy,)))
    assert found.parts[0].spec.endpoints[0].weight == 10_000_000
    assert [problem.kind for problem in found.problems] == [ProblemKind.INVALID_INSTANCE]


def test_letters_and_digits_of_other_scripts_are_not_taken_for_ascii() -> None:
    """Python's str.isdigit and friends would let them pass."""
    for host in ("订单.nacos", "a\u0663.nacos", "orders.nacos\n"):
        assert entries(replace(GOOD, host=host)).parts == ()
