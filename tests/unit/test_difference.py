"""What differs between two sets of services is said exactly: no less, and no more."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from meshbridge.difference import (
    Apart,
    Difference,
    FieldChange,
    HostChange,
    compare,
    content,
    without,
)
from meshbridge.registration import Health
from meshbridge.service import Endpoint, Locality, Port, Service, Source, versioned

UNHURRIED = settings(deadline=None)
"""How long an example takes is no matter of these tests."""

HTTP = Port(80, "http", "http-80")
GRPC = Port(50051, "grpc", "grpc-50051")
V1 = Endpoint("10.1.0.1", (("http-80", 8080),), labels=(("version", "v1"),))
ORDERS = versioned(
    Service("orders.file", "shop", (HTTP,), (V1,), sources=(Source("shop", "orders"),))
)

_TEXT = st.sampled_from(["", "a", "b", "c/d"])
_PAIRS = st.dictionaries(_TEXT, _TEXT, max_size=2).map(lambda found: tuple(sorted(found.items())))
_SET = st.frozensets(_TEXT, max_size=2).map(lambda found: tuple(sorted(found)))
_ENDPOINTS = st.builds(
    Endpoint,
    address=st.sampled_from(["10.1.0.1", "10.1.0.2"]),
    ports=st.sampled_from([(), (("a", 1),), (("a", 2),), (("a", 1), ("b", 1))]),
    weight=st.sampled_from([100, 200]),
    health=st.sampled_from([Health.HEALTHY, Health.DEGRADED]),
    locality=st.builds(Locality, region=_TEXT, zone=_TEXT),
    labels=_PAIRS,
    network=_TEXT,
    service_account=_TEXT,
)
_PARTS = st.builds(
    Service,
    host=st.just(""),
    namespace=_TEXT,
    ports=st.frozensets(st.sampled_from([HTTP, GRPC])).map(lambda found: tuple(sorted(found))),
    endpoints=st.lists(_ENDPOINTS, max_size=5).map(lambda found: (*found, *found[:2])),
    labels=_PAIRS,
    aliases=_SET,
    addresses=_SET,
    sources=_SET.map(lambda found: tuple(Source(each, each) for each in found)),
    export_to=_SET,
)
_SIDES = st.dictionaries(st.sampled_from(["x", "y", "z"]), _PARTS).map(
    lambda found: {host: versioned(replace(service, host=host)) for host, service in found.items()}
)

Canonical = dict[str, object]


def canonical(services: Iterable[Service]) -> Canonical:
    """Return what counts of services."""
    return {
        each.host: (
            each.namespace,
            set(each.ports),
            set(each.aliases),
            set(each.addresses),
            set(each.labels),
            set(each.sources),
            set(each.export_to),
            sorted(map(content, each.endpoints)),
        )
        for each in services
    }


def applied(services: dict[str, Service], difference: Difference) -> Iterable[Service]:
    """Return what the services become when all that was said is done to them."""
    left = dict(services)
    for service in difference.only_a:
        del left[service.host]
    for change in difference.changed:
        left[change.host] = _changed(left[change.host], change)
    return [*left.values(), *difference.only_b]


def _changed(service: Service, change: HostChange) -> Service:
    endpoints = list(service.endpoints)
    for each in (*change.endpoints.a, *(pair.a for pair in change.changed)):
        endpoints.remove(next(own for own in endpoints if content(own) == content(each)))
    endpoints += (*change.endpoints.b, *(pair.b for pair in change.changed))
    return replace(
        service,
        namespace=change.namespace[1] if change.namespace else service.namespace,
        ports=(*(set(service.ports) - set(change.ports.a)), *change.ports.b),
        aliases=(*(set(service.aliases) - set(change.aliases.a)), *change.aliases.b),
        addresses=(*(set(service.addresses) - set(change.addresses.a)), *change.addresses.b),
        labels=(*(set(service.labels) - set(change.labels.a)), *change.labels.b),
        sources=(*(set(service.sources) - set(change.sources.a)), *change.sources.b),
        export_to=(*(set(service.export_to) - set(change.export_to.a)), *change.export_to.b),
        endpoints=tuple(endpoints),
    )


@UNHURRIED
@given(_SIDES, _SIDES)
def test_what_is_said_done_to_the_one_gives_the_other(
    a: dict[str, Service], b: dict[str, Service]
) -> None:
    assert canonical(applied(a, compare(a, b))) == canonical(b.values())


@UNHURRIED
@given(_SIDES, _SIDES)
def test_something_is_said_exactly_when_something_differs(
    a: dict[str, Service], b: dict[str, Service]
) -> None:
    difference = compare(a, b)
    ours, theirs = canonical(a.values()), canonical(b.values())
    differing = {host for host in ours | theirs if ours.get(host) != theirs.get(host)}
    assert bool(difference) == bool(differing)
    assert difference.hosts == len(differing)
    assert difference.same == len((ours.keys() & theirs.keys()) - differing)
    for change in difference.changed:
        assert all(list(each.fields()) for each in change.changed)


@UNHURRIED
@given(_SIDES, st.randoms(use_true_random=False))
def test_order_and_versions_are_no_difference(a: dict[str, Service], random: Random) -> None:
    def shuffled(service: Service) -> Service:
        endpoints = random.sample(service.endpoints, len(service.endpoints))
        return replace(service, endpoints=tuple(endpoints), version="another")

    b = {host: shuffled(service) for host, service in a.items()}
    assert compare(a, b) == Difference((), (), (), len(a))


@UNHURRIED
@given(_SIDES, _SIDES)
def test_the_other_way_round_the_same_is_said_with_sides_changed(
    a: dict[str, Service], b: dict[str, Service]
) -> None:
    there, back = compare(a, b), compare(b, a)
    assert (there.only_a, there.only_b) == (back.only_b, back.only_a)
    assert [each.host for each in there.changed] == [each.host for each in back.changed]
    for one, other in zip(there.changed, back.changed, strict=True):
        assert one.ports == Apart(other.ports.b, other.ports.a)
        assert len(one.endpoints.a) == len(other.endpoints.b)


def changed(after: Service) -> HostChange:
    """Return what became of ORDERS."""
    (change,) = compare({"orders.file": ORDERS}, {"orders.file": after}).changed
    return change


def test_an_endpoint_that_weighs_more_is_changed_in_that_field() -> None:
    (pair,) = changed(replace(ORDERS, endpoints=(replace(V1, weight=300),))).changed
    assert list(pair.fields()) == [FieldChange("weight", "100", "300")]


def test_an_endpoint_that_moved_to_another_port_is_changed_and_not_another_one() -> None:
    change = changed(replace(ORDERS, endpoints=(replace(V1, ports=(("http-80", 8081),)),)))
    assert not change.endpoints
    assert list(change.changed[0].fields()) == [FieldChange("port http-80", "8080", "8081")]


def test_of_two_instances_at_one_address_the_one_that_changed_is_named() -> None:
    other = replace(V1, ports=(("http-80", 8081),))
    both = replace(ORDERS, endpoints=(V1, other))
    after = replace(both, endpoints=(V1, replace(other, weight=1)))
    (change,) = compare({"orders.file": both}, {"orders.file": after}).changed
    assert [pair.a for pair in change.changed] == [other]


def test_of_two_endpoints_that_are_alike_the_one_that_went_is_named() -> None:
    """As where registries share a host: each of them counts."""
    twice = replace(ORDERS, endpoints=(V1, V1))
    (change,) = compare({"orders.file": twice}, {"orders.file": ORDERS}).changed
    assert change.endpoints == Apart((V1,), ())


def test_a_label_that_came_is_told_from_one_that_became_empty() -> None:
    fields = {
        labels: list(
            changed(replace(ORDERS, endpoints=(replace(V1, labels=labels),))).changed[0].fields()
        )
        for labels in ((), (("version", ""),))
    }
    assert fields == {
        (): [FieldChange("label version", "v1", None)],
        (("version", ""),): [FieldChange("label version", "v1", "")],
    }


def test_what_a_side_does_not_say_can_be_left_out() -> None:
    service = replace(ORDERS, aliases=("orders",), addresses=("240.0.0.1",))
    assert without(service, frozenset({"aliases"})) == replace(service, aliases=())
    assert without(service, frozenset({"addresses"})) == replace(service, addresses=())
