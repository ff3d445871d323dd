"""Hosts are contracts: the golden table of what registrations are called in the mesh."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.problems import ProblemKind
from meshbridge.publish import Published, PublishRules, Registry, publish
from meshbridge.publish.hosts import (
    DEFAULT_TEMPLATE,
    LONGEST_HOST,
    SCHEMES,
    legal_host,
    renamed,
    wanted_host,
)
from meshbridge.registration import Kind, RegisteredService, ServiceId


def registry(name: str = "shop", order: int = 0, /, **rules: object) -> Registry:
    return Registry(name, order, PublishRules.model_validate({"domain": "nacos", **rules}))


def published(service: RegisteredService, at: Registry) -> Published:
    result = publish(service, at, "scope")
    assert result is not None
    return result


def host(service: ServiceId, kind: Kind = Kind.APPLICATION, **rules: object) -> str | None:
    return published(RegisteredService(service, kind=kind), registry(**rules)).host


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


LONG = "a" * 64
DASHED = f"{'a' * 53}--{'b' * 20}"
APPLICATIONS = [
    (ServiceId("", "", "orders"), "orders.nacos"),
    (ServiceId("", "blue", "orders"), "orders.blue.nacos"),
    (ServiceId("prod", "blue", "orders"), "orders.blue.prod.nacos"),
    (ServiceId("prod", "", "orders"), "orders.prod.nacos"),
    (ServiceId("", "", "ORDER_SERVICE"), "order-service.nacos"),
    (ServiceId("", "", "a@@b:c d"), "a--b-c-d.nacos"),
    (ServiceId("", "", "-orders-"), "orders.nacos"),
    (ServiceId("", "", "orders订单"), "orders.nacos"),
    (ServiceId("", "", "shop.orders"), "shop.orders.nacos"),
    (ServiceId("", "", ".shop..orders."), "shop.orders.nacos"),
    (ServiceId("", "my.group_1", "orders"), "orders.my-group-1.nacos"),
    (ServiceId("a.b", "", "orders"), "orders.a-b.nacos"),
    (ServiceId("", "", LONG), f"{'a' * 54}-{digest(LONG)}.nacos"),
    (ServiceId("", LONG, "x"), f"x.{'a' * 54}-{digest(LONG)}.nacos"),
    (ServiceId("", "", "a" * 63), f"{'a' * 63}.nacos"),
    (ServiceId("", "", DASHED), f"{'a' * 53}-{digest(DASHED)}.nacos"),
    (ServiceId("", "", "8080"), "8080.nacos"),
    (ServiceId("", "", "K"), "k.nacos"),  # the Kelvin sign, which is k in lower case
]  # fmt: skip


@pytest.mark.parametrize(("service", "expected"), APPLICATIONS, ids=str)
def test_an_application_has_its_documented_host(service: ServiceId, expected: str) -> None:
    """The default template, on plain and on nasty names."""
    assert host(service) == expected


INTERFACE = "com.acme.OrderService"
INTERFACES = [
    (ServiceId("", "", INTERFACE), "com.acme.orderservice.dubbo"),
    (ServiceId("", "", INTERFACE, "1.0.0"), "com.acme.orderservice.v-1-0-0.dubbo"),
    (ServiceId("", "blue", INTERFACE, "1.0.0"), "com.acme.orderservice.v-1-0-0.g-blue.dubbo"),
    (ServiceId("", "b.l_ue", INTERFACE), "com.acme.orderservice.g-b-l-ue.dubbo"),
    (ServiceId("prod", "", INTERFACE), "com.acme.orderservice.dubbo"),
    (ServiceId("", "", "com.acme.Outer$Inner"), "com.acme.outer-inner.dubbo"),
]


@pytest.mark.parametrize(("service", "expected"), INTERFACES, ids=str)
@pytest.mark.parametrize("rule", [{}, {"host": "{service}.x.{domain}"}, {"host": "higress"}])
def test_a_dubbo_interface_has_one_host_in_every_registry(
    service: ServiceId, expected: str, rule: dict[str, str]
) -> None:
    """Its callers know interface, version and group, and no registry."""
    assert host(service, Kind.DUBBO_INTERFACE, **rule) == expected


PEERS = [
    ("higress", "nacos", ServiceId("", "", "orders"), "orders.default-group.public.nacos"),
    ("higress", "nacos", ServiceId("ns", "G_1", "Orders"), "orders.g-1.ns.nacos"),
    ("higress", "eureka", ServiceId("", "", "ORDERS"), "orders.eureka"),
    ("nacos-istio", "nacos", ServiceId("", "", "orders"), "orders.default-group.public.nacos"),
    ("nacos-istio", "mesh.local", ServiceId("n", "g", "o"), "o.g.n.mesh.local"),
    ("slime", "eureka", ServiceId("", "", "ORDER_S"), "order-s.eureka.svc.cluster.local"),
    ("slime", "nacos", ServiceId("", "blue", "orders"), "orders.nacos.svc.cluster.local"),
    ("dubbo2istio", "nacos", ServiceId("", "", "orders"), "orders.nacos"),
]


@pytest.mark.parametrize(("scheme", "domain", "service", "expected"), PEERS)
def test_a_peers_scheme_gives_the_peers_host(
    scheme: str, domain: str, service: ServiceId, expected: str
) -> None:
    """Who migrates keeps the hosts, in lower case as Envoy compares them."""
    assert host(service, host=scheme, domain=domain) == expected


PEER_INTERFACES = [
    ("dubbo2istio", ServiceId("", "", INTERFACE), "com.acme.orderservice"),
    ("dubbo2istio", ServiceId("", "b", INTERFACE, "1.0"), "com.acme.orderservice-b-1-0"),
    ("dubbo2istio", ServiceId("", "", INTERFACE, "1.0"), "com.acme.orderservice-1-0"),
    ("slime", ServiceId("", "b", INTERFACE, "1.0"), "com.acme.orderservice-b-1-0"),
    ("slime", ServiceId("", "", INTERFACE, "1.0"), "com.acme.orderservice--1-0"),
    ("slime", ServiceId("", "b", INTERFACE), "com.acme.orderservice-b"),
]


@pytest.mark.parametrize(("scheme", "service", "expected"), PEER_INTERFACES)
def test_peers_that_bridge_dubbo_have_interfaces_without_a_domain(
    scheme: str, service: ServiceId, expected: str
) -> None:
    """dubbo2istio and slime call an interface by its bare name, group and version."""
    assert host(service, Kind.DUBBO_INTERFACE, host=scheme) == expected


@pytest.mark.parametrize(
    "name", ["OrderService", "kubernetes.default.svc", "x.default.svc.cluster.local", "a.localhost"]
)
def test_an_interface_without_a_domain_cannot_take_what_is_not_a_registrys(name: str) -> None:
    """Such a scheme has no domain to keep to, so reserved names are refused one by one."""
    service = RegisteredService(ServiceId("", "", name), kind=Kind.DUBBO_INTERFACE)
    result = published(service, registry(host="dubbo2istio"))
    assert result.host is None
    assert [problem.kind for problem in result.problems] == [ProblemKind.REFUSED_HOST]


IMPOSSIBLE = [
    ServiceId("", "", "订单"),
    ServiceId("", "", ""),
    ServiceId("", "", "@@"),
    ServiceId("", "支付", "orders"),
    ServiceId("", "", "\ud800"),
    ServiceId("", "", ".".join(["a" * 60] * 4)),
]


@pytest.mark.parametrize("service", IMPOSSIBLE, ids=ascii)
def test_a_name_of_which_no_host_can_be_made_is_reported_and_not_served(
    service: ServiceId,
) -> None:
    """The registration stands in the problems by its own name, and has no host and no endpoint."""
    result = published(RegisteredService(service), registry(aliases=["{service}"]))
    assert (result.host, result.endpoints, result.aliases) == (None, (), ())
    (problem,) = result.problems
    assert problem.kind is ProblemKind.INVALID_NAME
    str(problem).encode()


def test_an_interface_that_ends_in_a_number_has_no_host_in_a_scheme_without_domain() -> None:
    """A last label that is a number makes istiod refuse a host."""
    service = RegisteredService(ServiceId("", "", "com.acme.1"), kind=Kind.DUBBO_INTERFACE)
    assert published(service, registry(host="dubbo2istio")).host is None


@pytest.mark.parametrize(
    ("template", "service", "expected"),
    [
        ("{service}.{group}.{domain}", ServiceId("", "", "o"), "o.default-group.nacos"),
        ("{service}.{namespace}.{domain}", ServiceId("", "", "o"), "o.public.nacos"),
        ("{service}.v{version}.{domain}", ServiceId("", "", "o"), "o.v0-0-0.nacos"),
        ("{service}.v-{version?}.{domain}", ServiceId("", "", "o"), "o.nacos"),
        ("{service}.v-{version?}.{domain}", ServiceId("", "", "o", "1.2"), "o.v-1-2.nacos"),
        ("{group}-{service}.{domain}", ServiceId("", "g", "a.b"), "g-a.b.nacos"),
        ("svc-{service}.{domain}", ServiceId("", "", "o"), "svc-o.nacos"),
        ("a{service}.{domain}", ServiceId("", "", LONG[1:]), f"{'a' * 54}-{digest(LONG)}.nacos"),
    ],
)  # fmt: skip
def test_a_template_of_ones_own_is_filled_in(
    template: str, service: ServiceId, expected: str
) -> None:
    """A part with an empty optional field goes with its dot; a required one has its default."""
    assert host(service, host=template) == expected


@pytest.mark.parametrize(
    ("name", "changes"),
    [("a-b", 0), ("a_b", 1), ("A_b", 2), ("-a-b-", 2), ("a.b", 0), ("a..b", 1), (LONG, 10)],
)
def test_the_changes_of_a_name_are_counted(name: str, changes: int) -> None:
    """They decide who keeps a host that two names reach."""
    wanted = wanted_host(ServiceId("", "", name), Kind.APPLICATION, "{service}.{domain}", "n")
    assert wanted.changes == changes


@pytest.mark.parametrize(
    ("service", "parts"),
    [(ServiceId("", "", "o"), 0), (ServiceId("", "g", "o"), 1), (ServiceId("n", "g", "o"), 2)],
)
@pytest.mark.parametrize("rule", ["{service}.{group?}.{namespace?}.{domain}", "higress"])
def test_parts_beyond_the_registrys_defaults_are_counted(
    service: ServiceId, parts: int, rule: str
) -> None:
    """They decide about aliases, also where a peer's scheme always shows group and namespace."""
    assert published(RegisteredService(service), registry(host=rule)).optional_parts == parts


def test_a_renamed_host_carries_the_hash_of_the_raw_identity() -> None:
    """At the end of the first label."""
    service = ServiceId("", "blue", "Orders")
    assert renamed("orders.blue.nacos", service) == f"orders-x{digest('blue@@Orders')}.blue.nacos"


RULES = [DEFAULT_TEMPLATE, *SCHEMES]
TEXTS = st.text(max_size=90) | st.text("aA-._@9", max_size=90)


@given(
    st.builds(ServiceId, TEXTS, TEXTS, TEXTS, TEXTS),
    st.sampled_from(list(Kind)),
    st.sampled_from(RULES),
)
def test_every_host_is_legal_under_its_domain_and_stays_so_when_renamed(
    service: ServiceId, kind: Kind, rule: str
) -> None:
    """Whatever is registered: a host is what istiod and Envoy take, or there is none."""
    wanted = wanted_host(service, kind, rule, "nacos")
    if wanted.host is None:
        assert wanted.refusal
        return
    assert legal_host(wanted.host)
    moved = renamed(wanted.host, service)
    assert moved != wanted.host
    assert len(moved) <= LONGEST_HOST + 10
    assert all(0 < len(label) <= 63 for label in moved.split("."))
    if kind is Kind.APPLICATION:
        assert wanted.host.endswith((".nacos", ".nacos.svc.cluster.local"))


@pytest.mark.parametrize(
    ("template", "aliases"),
    [
        ("{service}", ("orders",)),
        ("{service}.{domain}", ()),  # its host
        ("{service}.shop.example", ("orders.shop.example",)),
        ("api.example", ("api.example",)),
    ],
)
def test_aliases_are_filled_in_like_hosts(template: str, aliases: tuple[str, ...]) -> None:
    """An alias is outside the domain, which is its point; the host itself is none."""
    service = RegisteredService(ServiceId("", "", "Orders"))
    assert published(service, registry(aliases=[template])).aliases == aliases


@pytest.mark.parametrize("name", ["localhost", "db.svc", "db.default.svc.cluster.local", "8080"])
def test_an_alias_that_is_not_a_registrys_to_claim_is_refused(name: str) -> None:
    """Whoever may register a service must not take over the machine's or Kubernetes' names."""
    result = published(RegisteredService(ServiceId("", "", name)), registry(aliases=["{service}"]))
    assert result.host == f"{name}.nacos"
    assert result.aliases == ()
    assert [problem.kind for problem in result.problems] == [ProblemKind.REFUSED_HOST]
