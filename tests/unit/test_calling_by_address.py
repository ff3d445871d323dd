"""Who reads the registry itself and calls an instance's address calls the host (``endpoints``)."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.catalog import Catalog, Resolved
from meshbridge.problems import Problem, ProblemKind, Problems
from meshbridge.publish import Published, PublishRules, Registry, publish
from meshbridge.publish.ports import direct_ports, service_port
from meshbridge.registration import Health, Instance, InstancePort, RegisteredService, ServiceId
from meshbridge.service import Direct, Service


def registry(name: str = "shop", order: int = 0, /, **rules: object) -> Registry:
    block = {"domain": "nacos", "addresses": "endpoints", **rules}
    return Registry(name, order, PublishRules.model_validate(block))


def at(
    address: str, *ports: int | tuple[int, str], health: Health = Health.HEALTHY, name: str = ""
) -> Instance:
    """Return an instance with these ports, http where nothing else is said."""
    found = [(each, "http") if isinstance(each, int) else each for each in ports]
    return Instance(
        name or f"{address} {ports}",
        address,
        tuple(InstancePort(number, protocol) for number, protocol in found),
        health=health,
    )


def claim(name: str, *instances: Instance, by: Registry | None = None) -> Published:
    service = RegisteredService(ServiceId("", "", name), instances)
    published = publish(service, by or registry(), "scope")
    assert published is not None
    return published


class Reader:
    """A catalog, with the problems that hold after each change."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.problems = Problems()

    def apply(self, *claims: Published) -> Resolved:
        for each in claims:
            self.catalog.apply(each.key, each)
        return self.take()

    def take(self) -> Resolved:
        resolved = self.catalog.take()
        for owner, found in resolved.problems.items():
            self.problems.put(owner, found)
        return resolved

    def service(self, host: str) -> Service:
        found = self.catalog.service(host)
        assert found is not None
        return found

    def said(self) -> list[tuple[str, ProblemKind]]:
        return [(each.subject, each.kind) for each in self.problems]


def alone(*claims: Published) -> tuple[Service, list[Problem]]:
    reader = Reader()
    reader.apply(*claims)
    return reader.service(f"{claims[0].source.name}.nacos"), list(reader.problems)


def names(service: Service) -> list[str]:
    return [port.name for port in service.ports]


def test_a_host_declares_the_ports_of_its_instances_and_has_their_addresses() -> None:
    """Beside the port by which it is called by name, and under the same rule for names."""
    orders, problems = alone(claim("orders", at("10.0.0.1", 8080), at("10.0.0.2", 8081)))
    assert names(orders) == ["http-80", "http-8080", "http-8081"]
    assert orders.direct == (
        Direct("10.0.0.1", (8080,), alone=True),
        Direct("10.0.0.2", (8081,), alone=True),
    )
    assert (orders.addresses, problems) == ((), [])


def test_behind_each_port_of_a_protocol_stands_every_endpoint_that_speaks_it() -> None:
    """At its own port: a route may send a call of one instance to another one."""
    both = at("10.0.0.2", 8081, (9090, "grpc"))
    orders, _ = alone(claim("orders", at("10.0.0.1", 8080), both))
    assert names(orders) == ["http-80", "http-8080", "http-8081", "grpc-9090", "grpc-50051"]
    assert {each.address: each.ports for each in orders.endpoints} == {
        "10.0.0.1": (("http-80", 8080), ("http-8080", 8080), ("http-8081", 8080)),
        "10.0.0.2": (
            *(("grpc-50051", 9090), ("grpc-9090", 9090)),
            *(("http-80", 8081), ("http-8080", 8081), ("http-8081", 8081)),
        ),
    }
    assert orders.direct[1] == Direct("10.0.0.2", (8081, 9090), alone=True)


def test_a_port_that_the_host_has_anyway_is_declared_once() -> None:
    """Whether by the standard or by the configuration."""
    rules = registry(ports={"http": 8080})
    orders, problems = alone(claim("orders", at("10.0.0.1", 8080), by=rules))
    assert (names(orders), problems) == (["http-8080"], [])
    assert orders.direct == (Direct("10.0.0.1", (8080,), alone=True),)
    standard, _ = alone(claim("orders", at("2001:db8::1", 80)))
    assert names(standard) == ["http-80"]
    assert standard.direct == (Direct("2001:db8::1", (80,), alone=True),)


def test_without_the_rule_nothing_of_it_is_there() -> None:
    """Neither ports nor addresses."""
    for rule in ("none", "virtual", None):
        rules = registry(addresses=rule)
        orders, _ = alone(claim("orders", at("10.0.0.1", 8080), by=rules))
        assert (names(orders), orders.direct) == (["http-80"], ())


def test_a_service_without_instances_has_its_port_and_no_addresses() -> None:
    """And nobody is told of anything."""
    orders, problems = alone(claim("orders"))
    assert (names(orders), orders.direct, problems) == (["http-80"], (), [])


@given(st.permutations([at(f"10.0.0.{n % 5}", 8000 + n % 7) for n in range(1, 9)]))
def test_the_order_of_instances_means_nothing(instances: list[Instance]) -> None:
    """Nor does the way in which they came."""
    assert alone(claim("orders", *instances)) == alone(
        claim("orders", *sorted(instances, key=lambda each: each.id))
    )


def test_an_unfit_instance_keeps_its_port_and_address_and_one_that_leaves_does_not() -> None:
    """Or each passing trouble would change listeners at every proxy; calls go to the others."""
    sick = at("10.0.0.2", 8081, health=Health.UNHEALTHY)
    leaving = at("10.0.0.3", 8082, health=Health.DRAINING)
    orders, _ = alone(claim("orders", at("10.0.0.1", 8080), sick, leaving))
    assert [each.address for each in orders.endpoints] == ["10.0.0.1"]
    assert [each.address for each in orders.direct] == ["10.0.0.1", "10.0.0.2"]
    assert names(orders) == ["http-80", "http-8080", "http-8081"]


def test_an_instance_that_registers_a_name_is_called_by_no_name_of_its_own() -> None:
    """It is balanced like the others; the name stands for what its owner makes of it."""
    rules = replace(registry(), names=True)
    named = claim("orders", at("10.0.0.1", 8080), at("b.example", 8081), by=rules)
    orders, problems = alone(named)
    assert [each.address for each in orders.endpoints] == ["10.0.0.1", "b.example"]
    assert (orders.direct, problems) == ((Direct("10.0.0.1", (8080,), alone=True),), [])


def test_twenty_ports_of_instances_are_declared_and_the_others_named() -> None:
    """The lowest, so that it does not depend on who came first; each is a listener everywhere."""
    instances = [at("10.0.0.1", 8000 + number) for number in range(45)]
    orders, (problem,) = alone(claim("orders", *reversed(instances)))
    assert names(orders) == ["http-80", *(f"http-{8000 + number}" for number in range(20))]
    assert orders.direct == (Direct("10.0.0.1", tuple(range(8000, 8020)), alone=True),)
    assert len(orders.endpoints) == 45
    assert (problem.subject, problem.kind) == ("orders", ProblemKind.INVALID_PORT)
    assert "more than 20 ports" in problem.reason
    assert "http-8020, http-8021, " in problem.reason
    assert problem.reason.endswith("http-8039 and 5 more")


def test_a_number_stands_for_one_protocol() -> None:
    """For that of the host's own port if it has one there, else for none; who loses is named."""
    orders, (problem,) = alone(
        claim(
            "orders",
            at("10.0.0.1", 7000, (7001, "grpc")),
            at("10.0.0.2", 7001, (7002, "grpc")),
            at("10.0.0.3", 50051),
        )
    )
    assert names(orders) == ["http-80", "http-7000", "grpc-7002", "grpc-50051"]
    assert {each.address: each.ports for each in orders.direct} == {
        "10.0.0.1": (7000,),
        "10.0.0.2": (7002,),
    }
    assert problem.kind is ProblemKind.INVALID_PORT
    assert "grpc-7001, http-7001, http-50051" in problem.reason


def test_ports_are_the_same_whatever_is_given_first() -> None:
    """A pure rule of sets."""
    own = [("http", 8080), ("grpc", 8080), ("http", 9000), ("http", 9000)]
    found = direct_ports([service_port("http", 80)], own)
    assert found == direct_ports([service_port("http", 80)], reversed(own))
    assert [port.name for port in found.declared] == ["http-9000"]
    assert [port.name for port in found.contested] == ["grpc-8080", "http-8080"]


@pytest.mark.parametrize("protocol", ["tcp", "dubbo"])
def test_a_host_that_only_an_address_tells_apart_keeps_a_virtual_one(protocol: str) -> None:
    """And its operator is told."""
    orders, (problem,) = alone(claim("orders", at("10.0.0.1", 8080, (9001, protocol))))
    assert len(orders.ports) == 2
    assert (orders.direct, len(orders.addresses)) == ((), 1)
    assert problem.kind is ProblemKind.OTHER
    assert f"because of its port {protocol}-" in problem.reason


def test_a_host_whose_requests_no_proxy_can_read_is_told_so() -> None:
    """Over https the address that was called is known to the two ends only."""
    orders, (problem,) = alone(claim("orders", at("10.0.0.1", (8443, "https"))))
    assert (names(orders), orders.direct, orders.addresses) == (["https-443"], (), ())
    assert "neither http nor grpc" in problem.reason
    mixed, problems = alone(claim("orders", at("10.0.0.1", 8080, (8443, "https"))))
    assert names(mixed) == ["http-80", "https-443", "http-8080"]
    assert dict(mixed.endpoints[0].ports) == {"http-80": 8080, "https-443": 8443, "http-8080": 8080}
    assert (mixed.direct, problems) == ((Direct("10.0.0.1", (8080,), alone=True),), [])


def test_what_two_hosts_claim_goes_to_neither_and_both_are_told() -> None:
    """Each once; when one of them goes, the other one has it."""
    reader = Reader()
    pay = claim("pay", at("10.0.0.1", 8080), at("10.0.0.9", 8080))
    reader.apply(claim("orders", at("10.0.0.1", 8080), at("10.0.0.2", 8080)), pay)
    assert reader.service("orders.nacos").direct == (Direct("10.0.0.2", (8080,), alone=True),)
    assert reader.service("pay.nacos").direct == (Direct("10.0.0.9", (8080,), alone=True),)
    assert reader.said() == [("orders", ProblemKind.CONFLICT), ("pay", ProblemKind.CONFLICT)]
    first, _ = reader.problems
    assert "orders.nacos is not called at 10.0.0.1:8080" in first.reason
    assert "orders of shop, pay of shop have an instance there" in first.reason
    reader.catalog.apply(pay.key, None)
    reader.take()
    assert reader.said() == []
    assert [each.address for each in reader.service("orders.nacos").direct] == [
        "10.0.0.1",
        "10.0.0.2",
    ]


def test_two_hosts_at_one_address_have_their_ports_and_not_the_address() -> None:
    """On one machine many services may run; only who looks at no port cannot tell them apart."""
    reader = Reader()
    pay = claim("pay", at("2001:db8::1", 8081))
    reader.apply(claim("orders", at("2001:db8::1", 8080)), pay)
    assert reader.service("orders.nacos").direct == (Direct("2001:db8::1", (8080,), alone=False),)
    assert reader.service("pay.nacos").direct == (Direct("2001:db8::1", (8081,), alone=False),)
    assert reader.said() == []
    resolved = reader.apply(claim("pay", at("2001:db8::1", 8080)))
    assert reader.service("orders.nacos").direct == ()
    assert set(resolved.services) == {"orders.nacos", "pay.nacos"}
    assert "[2001:db8::1]:8080" in next(iter(reader.problems)).reason


def test_a_change_concerns_those_who_meet_it() -> None:
    """Among a thousand hosts, all with a neighbour on their machine, not the others."""
    reader = Reader()
    claims = [claim(f"svc-{n}", at(f"10.0.{n // 2}.1", 8080 + n % 2)) for n in range(1000)]
    assert reader.apply(*claims).computed == 1000
    moved = reader.apply(claim("svc-7", at("10.1.0.1", 8080)))
    assert set(moved.services) == {"svc-6.nacos", "svc-7.nacos"}
    assert moved.computed == 2
    more = reader.apply(claim("svc-9", at("10.0.4.1", 8081), at("10.2.0.1", 8081)))
    assert (set(more.services), more.computed) == ({"svc-9.nacos"}, 1)
    assert set(more.problems) <= {
        claim("svc-9").key,
        *(("host", "svc-9.nacos"), ("place", "10.2.0.1:8081")),
    }


def test_those_who_share_a_host_share_its_ports() -> None:
    """By the rule of the one that owns it, whatever the rule of the others."""
    first = registry("first", 0, share="shop")
    second = registry("second", 1, share="shop", addresses="none", ports={"http": 8080})
    reader = Reader()
    reader.apply(
        claim("orders", at("10.0.0.1", 8080), by=first),
        claim("orders", at("10.0.0.2", 8082), by=second),
    )
    orders = reader.service("orders.nacos")
    assert names(orders) == ["http-80", "http-8080", "http-8082"]
    assert {each.address: each.ports for each in orders.endpoints} == {
        "10.0.0.1": (("http-80", 8080), ("http-8080", 8080), ("http-8082", 8080)),
        "10.0.0.2": (("http-8080", 8082), ("http-8082", 8082)),
    }
    assert [each.ports for each in orders.direct] == [(8080,), (8082,)]


def test_the_problem_names_the_present_owner_of_a_host() -> None:
    """Also after the host has passed to another registry."""
    reader = Reader()
    first, heir = registry("first", 0), registry("heir", 1)
    other = registry("other", 2, domain="eureka")
    gone = claim("orders", at("10.0.0.1", 8080), by=first)
    reader.apply(
        gone,
        claim("orders", at("10.0.0.1", 8080), by=heir),
        claim("orders", at("10.0.0.1", 8080), by=other),
    )
    reader.catalog.apply(gone.key, None)
    reader.take()
    assert [each.registry for each in reader.problems] == ["heir", "other"]
    assert all("orders of heir" in each.reason for each in reader.problems)


def _many(count: int) -> Iterable[Instance]:
    return (at(f"10.0.{number // 250}.{number % 250 + 1}", 8080) for number in range(count))


def test_more_than_two_hundred_addresses_are_reported() -> None:
    """And had all the same: it is a question of cost."""
    few, problems = alone(claim("orders", *_many(200)))
    assert (len(few.direct), problems) == (200, [])
    many, (problem,) = alone(claim("orders", *_many(201)))
    assert len(many.direct) == 201
    assert (problem.subject, problem.kind) == ("orders", ProblemKind.OTHER)
    assert "more than 200 addresses" in problem.reason
