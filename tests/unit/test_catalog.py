"""One service per host out of all registrations, and everybody who lost something is told."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from meshbridge.catalog import Catalog, Resolved
from meshbridge.catalog.merging import bounded, virtual_address
from meshbridge.problems import Problem, ProblemKind, Problems
from meshbridge.publish import ClaimKey, Published, PublishRules, Registry, publish
from meshbridge.registration import (
    Health,
    Instance,
    InstancePort,
    Kind,
    RegisteredService,
    ServiceId,
)
from meshbridge.service import Endpoint, Service, Source, versioned


def registry(name: str = "shop", order: int = 0, /, **rules: object) -> Registry:
    return Registry(name, order, PublishRules.model_validate({"domain": "nacos", **rules}))


def instance(last: int = 1, protocol: str = "http", health: Health = Health.HEALTHY) -> Instance:
    return Instance(f"i{last}", f"10.0.0.{last}", (InstancePort(8080, protocol),), health=health)


def claim(
    name: str | ServiceId,
    at: Registry | None = None,
    *instances: Instance,
    scope: str = "scope",
) -> Published:
    service_id = ServiceId("", "", name) if isinstance(name, str) else name
    service = RegisteredService(service_id, instances or (instance(),))
    published = publish(service, at or registry(), scope)
    assert published is not None
    return published


def fill(catalog: Catalog, *claims: Published) -> Resolved:
    for each in claims:
        catalog.apply(each.key, each)
    return catalog.take()


def problems(resolved: Resolved) -> list[Problem]:
    held = Problems()
    for owner, found in resolved.problems.items():
        held.put(owner, found)
    return list(held)


def service(resolved: Resolved, host: str) -> Service:
    found = resolved.services[host]
    assert found is not None
    return found


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def test_a_registration_is_served_under_its_host() -> None:
    """With all it publishes, its source and a version."""
    resolved = fill(Catalog(), claim("orders"))
    orders = service(resolved, "orders.nacos")
    assert orders.sources == (Source("shop", "orders"),)
    assert (orders.namespace, len(orders.endpoints), orders.addresses) == ("shop", 1, ())
    assert orders == versioned(orders)
    assert problems(resolved) == []


def test_a_host_goes_with_its_registration() -> None:
    """And is said to be gone once."""
    catalog = Catalog()
    orders = claim("orders")
    fill(catalog, orders)
    catalog.apply(orders.key, None)
    assert catalog.take().services == {"orders.nacos": None}
    assert catalog.take().services == {}


def test_a_registration_that_comes_and_goes_between_two_takes_is_no_change() -> None:
    """Nobody saw it, so nobody needs to hear that it is gone."""
    catalog = Catalog()
    orders = claim("orders")
    catalog.apply(orders.key, orders)
    catalog.apply(orders.key, None)
    catalog.apply(ClaimKey("shop", "scope", ServiceId("", "", "unknown")), None)
    assert catalog.take().services == {}


def test_applying_the_same_again_changes_nothing() -> None:
    """A registry that repeats itself costs no push."""
    catalog = Catalog()
    fill(catalog, claim("orders"))
    assert fill(catalog, claim("orders")).services == {}


def test_a_registration_without_a_host_is_kept_as_a_problem_only() -> None:
    """And the problem goes with it."""
    catalog = Catalog()
    nameless = claim("订单")
    resolved = fill(catalog, nameless)
    assert resolved.services == {}
    assert [problem.kind for problem in problems(resolved)] == [ProblemKind.INVALID_NAME]
    catalog.apply(nameless.key, None)
    assert catalog.take().problems == {nameless.key: ()}


def test_a_change_costs_what_it_touches() -> None:
    """Among a thousand services one changed is one computed."""
    catalog = Catalog()
    first = fill(catalog, *(claim(f"svc-{number}") for number in range(1000)))
    assert first.computed == 1000
    resolved = fill(catalog, claim("svc-7", None, instance(2)))
    assert (resolved.computed, list(resolved.services)) == (1, ["svc-7.nacos"])
    assert catalog.take().computed == 0


def test_the_least_changed_name_keeps_the_host_and_both_are_told() -> None:
    """The other one gets a hash of its raw name at the end of the first label."""
    group = "blue"
    resolved = fill(
        Catalog(),
        claim(ServiceId("", group, "ORDERS")),
        claim(ServiceId("", group, "orders")),
        claim(ServiceId("", group, "Orders")),
    )
    assert {host: s.sources[0].name for host, s in resolved.services.items() if s} == {
        "orders.blue.nacos": "blue@@orders",
        f"orders-x{digest('blue@@ORDERS')}.blue.nacos": "blue@@ORDERS",
        f"orders-x{digest('blue@@Orders')}.blue.nacos": "blue@@Orders",
    }
    told = problems(resolved)
    assert {problem.kind for problem in told} == {ProblemKind.RENAMED}
    assert [problem.subject for problem in told] == ["blue@@ORDERS", "blue@@Orders", "blue@@orders"]


def test_of_equally_changed_names_the_smallest_raw_one_keeps_the_host() -> None:
    """So that it does not depend on who came first."""
    resolved = fill(Catalog(), claim("b_a_c"), claim("b.a_c"), claim("b_a.c"))
    assert service(resolved, "b.a-c.nacos").sources[0].name == "b.a_c"
    same = fill(Catalog(), claim("b_a-c"), claim("b-a_c"))
    assert service(same, "b-a-c.nacos").sources[0].name == "b-a_c"


def test_the_host_returns_to_the_other_one_when_its_keeper_goes() -> None:
    """And the renamed host is gone."""
    catalog = Catalog()
    keeper = claim("orders")
    fill(catalog, keeper, claim("ORDERS"))
    catalog.apply(keeper.key, None)
    resolved = catalog.take()
    assert service(resolved, "orders.nacos").sources[0].name == "ORDERS"
    assert resolved.services[f"orders-x{digest('ORDERS')}.nacos"] is None
    assert problems(resolved) == []


def test_one_identity_in_two_scopes_is_two_registrations() -> None:
    """One keeps the host, one is renamed, and a third one cannot be told apart: it is reported."""
    resolved = fill(Catalog(), *(claim("orders", scope=scope) for scope in "cab"))
    moved = f"orders-x{digest('orders')}.nacos"
    assert set(resolved.services) == {"orders.nacos", moved}
    kinds = [problem.kind for problem in problems(resolved)]
    assert kinds.count(ProblemKind.CONFLICT) == 1


def test_who_really_has_a_renamed_host_keeps_it() -> None:
    """Nobody is displaced by somebody else's renaming; who finds no host is told."""
    native = f"orders-x{digest('ORDERS')}"
    resolved = fill(Catalog(), claim("ORDERS"), claim("orders"), claim(native))
    assert service(resolved, f"{native}.nacos").sources[0].name == native
    crowded = [problem for problem in problems(resolved) if problem.kind is ProblemKind.CONFLICT]
    assert [problem.subject for problem in crowded] == ["ORDERS"]


def test_the_first_registry_has_a_host_that_several_claim() -> None:
    """The others are told, and take over when it goes."""
    catalog = Catalog()
    first, second = registry("first", 0), registry("second", 1)
    resolved = fill(catalog, claim("orders", second), claim("orders", first))
    assert service(resolved, "orders.nacos").sources == (Source("first", "orders"),)
    (problem,) = problems(resolved)
    assert (problem.registry, problem.kind) == ("second", ProblemKind.CONFLICT)
    catalog.apply(claim("orders", first).key, None)
    resolved = catalog.take()
    assert service(resolved, "orders.nacos").sources == (Source("second", "orders"),)
    assert problems(resolved) == []


def interface(at: Registry, version: str = "") -> Published | None:
    """Return what a registry claims of an interface that is registered in both."""
    name = ServiceId("", "", "com.acme.Orders", version)
    endpoint = instance(at.order + 1, "dubbo")
    return publish(RegisteredService(name, (endpoint,), kind=Kind.DUBBO_INTERFACE), at, "scope")


OTHER_DOMAIN: dict[str, object] = {"domain": "west"}


@pytest.mark.parametrize("version", ["", "1.0.0"])
@pytest.mark.parametrize(
    ("first", "second", "served"),
    [
        ({}, {}, 1),
        ({}, OTHER_DOMAIN, 1),
        ({"share": "both"}, {"share": "both"}, 2),
        ({}, {"exclude": ["com.acme.*"]}, 1),
        ({}, {"host": "dubbo2istio"}, 2),
        ({}, {"host": "slime"}, 2),
        ({"host": "dubbo2istio"}, {"host": "dubbo2istio"}, 1),
    ],
)
def test_who_loses_the_host_of_a_dubbo_interface_is_told_what_helps(
    first: dict[str, object], second: dict[str, object], served: int, version: str
) -> None:
    """Another domain does not; each of the ways that the remedy names does."""
    both = (
        interface(registry("east", 0, **first), version),
        interface(registry("west", 1, **second), version),
    )
    resolved = fill(Catalog(), *(each for each in both if each))
    endpoints = [each for found in resolved.services.values() if found for each in found.endpoints]
    assert len(endpoints) == served
    helped = served == 2 or None in both
    told = problems(resolved)
    assert bool(told) is not helped
    for problem in told:
        assert problem.registry == "west"
        assert "publish.domain" not in problem.remedy
        for way in ("publish.share", "publish.exclude", "dubbo2istio", "slime"):
            assert way in problem.remedy


def test_a_native_host_goes_before_a_renamed_one_of_an_earlier_registry() -> None:
    """Whoever was renamed has no better right to its new host."""
    moved = f"orders-x{digest('ORDERS')}"
    first, second = registry("first", 0), registry("second", 1)
    resolved = fill(Catalog(), claim("ORDERS", first), claim("orders", first), claim(moved, second))
    assert service(resolved, f"{moved}.nacos").sources == (Source("second", moved),)


def shared(order: int, **rules: object) -> Registry:
    return registry(f"r{order}", order, share="shop", **rules)


def test_registries_that_share_merge_their_endpoints() -> None:
    """An instance registered in both is one endpoint, as the first registry tells it."""
    sick = replace(instance(2), health=Health.DEGRADED)
    resolved = fill(
        Catalog(),
        claim("orders", shared(1), instance(2), instance(3)),
        claim("orders", shared(0), instance(1), sick),
    )
    orders = service(resolved, "orders.nacos")
    assert [(each.address, each.health) for each in orders.endpoints] == [
        ("10.0.0.1", Health.HEALTHY),
        ("10.0.0.2", Health.DEGRADED),
        ("10.0.0.3", Health.HEALTHY),
    ]
    assert orders.sources == (Source("r0", "orders"), Source("r1", "orders"))
    assert orders.namespace == "r0"
    assert problems(resolved) == []


def test_a_registry_outside_the_group_takes_no_part() -> None:
    """Neither one without a group nor one of another."""
    others = (registry("r1", 1), registry("r2", 2, share="other"))
    resolved = fill(
        Catalog(),
        *(claim("orders", other, instance(9)) for other in others),
        claim("orders", shared(0), instance(1)),
        claim("orders", shared(3), instance(3)),
    )
    orders = service(resolved, "orders.nacos")
    assert [each.address for each in orders.endpoints] == ["10.0.0.1", "10.0.0.3"]
    assert [problem.registry for problem in problems(resolved)] == ["r1", "r2"]


def test_two_registries_without_a_group_do_not_share() -> None:
    """No group is not a group of its own."""
    resolved = fill(
        Catalog(), claim("orders", registry("a", 0)), claim("orders", registry("b", 1), instance(2))
    )
    assert len(service(resolved, "orders.nacos").endpoints) == 1


def test_shared_ports_are_the_union_and_a_clash_is_reported() -> None:
    """A number means one protocol, the earlier registry's."""
    resolved = fill(
        Catalog(),
        claim("orders", shared(0), instance(1, "http")),
        claim(
            "orders",
            shared(1, ports={"grpc": 80, "http": 8080}),
            instance(2, "tri"),
            replace(instance(3), ports=(InstancePort(1, "tri"), InstancePort(2, "dubbo"))),
        ),
    )
    orders = service(resolved, "orders.nacos")
    assert [port.name for port in orders.ports] == ["http-80", "dubbo-20880"]
    assert {each.address: each.ports for each in orders.endpoints} == {
        "10.0.0.1": (("http-80", 8080),),
        "10.0.0.3": (("dubbo-20880", 2),),
    }
    assert [problem.kind for problem in problems(resolved)] == [ProblemKind.INVALID_PORT]


def test_health_is_decided_over_all_who_share() -> None:
    """One registry's healthy instance is enough for all."""
    resolved = fill(
        Catalog(),
        claim("orders", shared(0), instance(1, health=Health.UNHEALTHY)),
        claim("orders", shared(1), instance(2)),
    )
    assert [each.address for each in service(resolved, "orders.nacos").endpoints] == ["10.0.0.2"]


@pytest.mark.parametrize(("keep_last", "count"), [(True, 1), (False, 0)])
def test_keep_last_decides_about_the_last_unhealthy_ones(*, keep_last: bool, count: int) -> None:
    """By the rule of the registry that owns the host."""
    at = registry(**{"keep-last": keep_last})
    resolved = fill(Catalog(), claim("orders", at, instance(1, health=Health.UNHEALTHY)))
    assert len(service(resolved, "orders.nacos").endpoints) == count


ALIASED = {"aliases": ["{service}"]}


def aliases(resolved: Resolved) -> dict[str, tuple[str, ...]]:
    return {host: found.aliases for host, found in resolved.services.items() if found}


def test_an_alias_goes_to_the_registration_with_fewer_optional_parts() -> None:
    """``orders`` means the one in the registry's default group; the other one is told."""
    at = registry(**ALIASED)
    resolved = fill(Catalog(), claim(ServiceId("", "blue", "orders"), at), claim("orders", at))
    assert aliases(resolved) == {"orders.nacos": ("orders",), "orders.blue.nacos": ()}
    (problem,) = problems(resolved)
    assert (problem.subject, problem.kind) == ("blue@@orders", ProblemKind.CONFLICT)


def test_an_alias_goes_to_the_first_registry_of_equals() -> None:
    """And to the next when that one goes."""
    catalog = Catalog()
    first = registry("first", 0, **ALIASED)
    second = registry("second", 1, **{**ALIASED, "domain": "eureka"})
    resolved = fill(catalog, claim("orders", second), claim("orders", first))
    assert aliases(resolved) == {"orders.nacos": ("orders",), "orders.eureka": ()}
    catalog.apply(claim("orders", first).key, None)
    resolved = catalog.take()
    assert aliases(resolved) == {"orders.eureka": ("orders",)}
    assert problems(resolved) == []


def test_a_tie_over_an_alias_goes_to_neither() -> None:
    """Both are told."""
    at = registry(**ALIASED)
    resolved = fill(
        Catalog(), claim(ServiceId("", "a", "orders"), at), claim(ServiceId("", "b", "orders"), at)
    )
    assert set(aliases(resolved).values()) == {()}
    assert len(problems(resolved)) == 2


def test_a_renamed_registration_takes_no_alias_from_the_one_that_kept_its_host() -> None:
    """Or anyone could take callers away by registering a name in capitals."""
    at = registry(**ALIASED)
    resolved = fill(Catalog(), claim("ORDERS", at), claim("orders", at))
    assert aliases(resolved)["orders.nacos"] == ("orders",)


def test_an_alias_that_is_a_host_belongs_to_the_host() -> None:
    """While the host is there, whichever came first."""
    catalog = Catalog()
    at = registry("a", 0, aliases=["pay.eureka"])
    pay = claim("pay", registry("b", 1, domain="eureka"))
    assert aliases(fill(catalog, claim("orders", at)))["orders.nacos"] == ("pay.eureka",)
    resolved = fill(catalog, pay)
    assert aliases(resolved) == {"orders.nacos": (), "pay.eureka": ()}
    assert [problem.subject for problem in problems(resolved)] == ["orders"]
    catalog.apply(pay.key, None)
    resolved = catalog.take()
    assert aliases(resolved) == {"orders.nacos": ("pay.eureka",)}
    assert problems(resolved) == []


def test_those_who_share_a_host_share_its_aliases() -> None:
    """Each with the best right that one of them has."""
    resolved = fill(
        Catalog(),
        claim("orders", shared(0, aliases=["a.example"])),
        claim("orders", shared(1, aliases=["a.example", "b.example"])),
    )
    assert aliases(resolved) == {"orders.nacos": ("a.example", "b.example")}


def test_the_problem_of_an_alias_names_the_present_owner() -> None:
    """Also after the host has passed to another registry."""
    catalog = Catalog()
    first = registry("first", 0, **ALIASED)
    heir = registry("heir", 0, **ALIASED)
    loser = registry("loser", 1, **{**ALIASED, "domain": "eureka"})
    fill(catalog, claim("orders", first), claim("orders", loser), claim("orders", heir))
    catalog.apply(claim("orders", first).key, None)
    (problem,) = problems(catalog.take())
    assert "orders of heir" in problem.reason


@pytest.mark.parametrize(
    ("protocol", "rule", "expected"),
    [
        ("http", None, False),
        ("tri", None, False),
        ("tcp", None, True),
        ("dubbo", None, True),
        ("http", "virtual", True),
        ("dubbo", "none", False),
    ],
)
def test_hosts_that_cannot_be_told_apart_on_one_port_have_a_virtual_address(
    protocol: str, rule: str | None, *, expected: bool
) -> None:
    """By default; the configuration can say otherwise."""
    at = registry(addresses=rule)
    orders = service(fill(Catalog(), claim("orders", at, instance(1, protocol))), "orders.nacos")
    assert bool(orders.addresses) is expected


def test_virtual_addresses_follow_from_the_host_and_keep_out_of_istiods() -> None:
    """In 240.0.0.0/4, never in 240.240.0.0/16, never broadcast."""
    for number in range(3000):
        address, _ = virtual_address(f"host-{number}.nacos")
        assert ip_address(address) in ip_network("240.0.0.0/4")
        assert ip_address(address) not in ip_network("240.240.0.0/16")
        assert address != "255.255.255.255"
    assert virtual_address("orders.nacos")[0] == "244.236.115.50"


def test_a_collision_of_virtual_addresses_leaves_the_later_hash_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is moved to another address; the one without is told, and gets it when it is free."""
    hashes = {"a.nacos": "2", "b.nacos": "1"}

    def collide(host: str) -> tuple[str, str]:
        return "240.0.0.9", hashes[host]

    monkeypatch.setattr("meshbridge.catalog.catalog.virtual_address", collide)
    catalog = Catalog()
    resolved = fill(
        catalog, claim("a", None, instance(1, "tcp")), claim("b", None, instance(2, "tcp"))
    )
    assert service(resolved, "a.nacos").addresses == ()
    assert service(resolved, "b.nacos").addresses == ("240.0.0.9",)
    (problem,) = problems(resolved)
    assert (problem.subject, problem.kind) == ("a", ProblemKind.CONFLICT)
    catalog.apply(claim("b").key, None)
    resolved = catalog.take()
    assert service(resolved, "a.nacos").addresses == ("240.0.0.9",)
    assert problems(resolved) == []


def test_many_losers_are_named_up_to_a_bound() -> None:
    """The keeper of a host gets one line, however many wanted it."""
    names = [f"{'_' * count}a" for count in range(9)]
    resolved = fill(Catalog(), *(claim(name) for name in names))
    keeper = [problem for problem in problems(resolved) if problem.subject == "a"]
    assert len(keeper) == 1
    assert "and 3 more" in keeper[0].reason


def test_weights_that_envoy_could_not_add_up_are_cut_in_proportion() -> None:
    """The sum stays within 32 bits, and the smallest weight stays above 0."""
    heavy = Endpoint("10.0.0.1", (("tcp-9000", 1),), weight=1_000_000)
    light = replace(heavy, weight=1)
    cut = bounded((heavy,) * 5000 + (light,))
    weights = [endpoint.weight for endpoint in cut]
    assert sum(weights) <= 2**32 - 1
    assert weights[0] > 850_000
    assert weights[-1] == 1
    assert bounded((heavy, light)) == (heavy, light)


def test_the_version_follows_from_the_content() -> None:
    """The source is part of it: istiod is told of it, so a change of it must not be skipped."""
    orders = service(fill(Catalog(), claim("orders")), "orders.nacos")
    assert versioned(replace(orders, version="old")).version == orders.version
    assert versioned(replace(orders, sources=())).version != orders.version
    changed = replace(orders, endpoints=(replace(orders.endpoints[0], weight=7),))
    assert versioned(changed).version != orders.version
    assert len(orders.version) == 16


SEEDED = """
from meshbridge.catalog import Catalog
from meshbridge.publish import PublishRules, Registry, publish
from meshbridge.registration import Instance, InstancePort, RegisteredService, ServiceId, metadata

rules = PublishRules.model_validate({"domain": "nacos", "aliases": ["{service}", "api.example"]})
registry = Registry("shop", 0, rules)
pairs = metadata({f"key{n}": "a b" if n % 2 else "v" for n in range(30)})
catalog = Catalog()
for name in ("orders", "ORDERS", "Orders", "pay"):
    ports = tuple(InstancePort(1, protocol) for protocol in ("tri", "dubbo", "http"))
    instances = tuple(Instance(f"i{n}", f"10.0.0.{n}", ports, metadata=pairs) for n in range(5))
    claim = publish(RegisteredService(ServiceId("", "", name), instances), registry, "scope")
    catalog.apply(claim.key, claim)
resolved = catalog.take()
print(list(resolved.services.items()), sorted(resolved.problems.items(), key=str))
"""


def test_nothing_depends_on_the_hash_seed() -> None:
    """Two processes with different seeds serve and report the same, to the letter."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SEEDED],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert "orders.nacos" in outputs.pop()
