"""Whatever is registered, in whatever order: the catalog agrees with itself and hides nothing."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from meshbridge.catalog import Catalog
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
from meshbridge.service import Service


def _registry(name: str, order: int, **rules: object) -> Registry:
    block = {"domain": "nacos", "aliases": ["{service}", "a.eureka"], **rules}
    return Registry(name, order, PublishRules.model_validate(block))


REGISTRIES = (
    _registry("first", 0, share="group", addresses="endpoints"),
    _registry("second", 1),
    _registry("third", 2, share="group", ports={"http": 8080}),
    _registry("fourth", 3, domain="eureka", addresses="endpoints"),
    _registry("fifth", 3, host="dubbo2istio", addresses="virtual", aliases=[]),
)
_MOVED = f"a-x{hashlib.sha256(b'A').hexdigest()[:8]}"
"""The name whose host is the one that ``A`` is renamed to."""

NAMES = st.sampled_from(["a", "A", "_a", "a_b", "A.b", _MOVED, _MOVED.upper(), "订"])
IDS = st.builds(
    ServiceId, st.just(""), st.sampled_from(["", "", "g"]), NAMES | st.sampled_from(["a", "A"])
)
"""Few names that are one host, so that most registrations meet another."""

INSTANCES = st.lists(
    st.builds(
        Instance,
        st.sampled_from(["x", "y", "z"]),
        st.sampled_from(["10.0.0.1", "10.0.0.2", "bad"]),
        st.sampled_from(
            [
                (InstancePort(80, "http"),),
                (InstancePort(9, "tcp"),),
                (InstancePort(80, "grpc"), InstancePort(8080, "http")),
            ]
        ),
        health=st.sampled_from(list(Health)),
    ),
    max_size=3,
)
STEPS = st.tuples(
    st.sampled_from(REGISTRIES),
    st.sampled_from(["s", "t", "u"]),
    st.builds(
        RegisteredService,
        IDS,
        INSTANCES.map(tuple),
        kind=st.sampled_from([Kind.APPLICATION] * 4 + [Kind.DUBBO_INTERFACE]),
    ),
)
Claims = dict[ClaimKey, Published]


def _published(steps: Iterable[tuple[Registry, str, RegisteredService]]) -> list[Published]:
    found = (publish(service, registry, scope) for registry, scope, service in steps)
    return [each for each in found if each is not None]


class Reader:
    """Holds what all takes together said, as the snapshot and the problems do."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.services: dict[str, Service] = {}
        self.problems = Problems()

    def read(self) -> "Reader":
        resolved = self.catalog.take()
        for host, service in resolved.services.items():
            before = self.services.pop(host, None)
            assert service != before, "a service that did not change was said to have"
            if service is not None:
                self.services[host] = service
        for owner, problems in resolved.problems.items():
            self.problems.put(owner, problems)
        return self

    def said(self) -> tuple[Mapping[str, Service], list[Problem]]:
        return self.services, list(self.problems)


def _fresh(claims: Iterable[Published]) -> Reader:
    reader = Reader()
    for claim in claims:
        reader.catalog.apply(claim.key, claim)
    return reader.read()


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=12), st.randoms(use_true_random=False))
def test_the_result_does_not_depend_on_the_order_of_arrival(
    steps: list[tuple[Registry, str, RegisteredService]], random: Random
) -> None:
    """Two replicas that learn the same in different orders serve and report the same."""
    claims = list({claim.key: claim for claim in _published(steps)}.values())
    shuffled = list(claims)
    random.shuffle(shuffled)
    assert _fresh(shuffled).said() == _fresh(claims).said()


@settings(max_examples=400)
@given(st.lists(st.tuples(STEPS, st.booleans(), st.booleans()), max_size=20))
def test_changes_one_by_one_lead_where_a_fresh_start_leads(
    history: list[tuple[tuple[Registry, str, RegisteredService], bool, bool]],
) -> None:
    """No history in what is served: adding, changing, removing, taking at any time."""
    reader = Reader()
    last: Claims = {}
    for step, gone, take in history:
        (claim,) = _published([step])
        reader.catalog.apply(claim.key, None if gone else claim)
        last.pop(claim.key, None)
        if not gone:
            last[claim.key] = claim
        if take:
            reader.read()
    assert reader.read().said() == _fresh(last.values()).said()


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=12))
def test_two_registrations_never_end_in_one_host_unnoticed(
    steps: list[tuple[Registry, str, RegisteredService]],
) -> None:
    """Each is served under a host of its own or one it shares by configuration, or is reported."""
    claims = {claim.key: claim for claim in _published(steps)}
    services, problems = _fresh(claims.values()).said()
    groups = {registry.name: registry.rules.share for registry in REGISTRIES}
    served: Counter[tuple[str, str]] = Counter()
    for host, service in services.items():
        assert host == service.host
        registries = [source.registry for source in service.sources]
        assert len(registries) == len(set(registries)), "two of one registry in one host"
        if len(registries) > 1:
            assert len({groups[name] for name in registries}) == 1
            assert groups[registries[0]] is not None
        served.update((source.registry, source.name) for source in service.sources)
    registered = Counter((claim.source.registry, claim.source.name) for claim in claims.values())
    lost = {(each.registry, each.subject) for each in problems if _tells_of_loss(each)}
    assert {name for name, count in registered.items() if served[name] < count} == lost


def _tells_of_loss(problem: Problem) -> bool:
    if problem.kind in (ProblemKind.INVALID_NAME, ProblemKind.REFUSED_HOST):
        return "alias" not in problem.reason
    return "it is not served" in problem.reason


@given(st.lists(STEPS, max_size=12))
def test_no_name_has_two_owners(
    steps: list[tuple[Registry, str, RegisteredService]],
) -> None:
    """Hosts, aliases and virtual addresses each lead to one service."""
    services, _ = _fresh({claim.key: claim for claim in _published(steps)}.values()).said()
    names = Counter[object](
        name
        for service in services.values()
        for name in (
            *(service.host, *service.aliases, *service.addresses),
            *((each.address, port) for each in service.direct for port in each.ports),
        )
    )
    assert all(count == 1 for count in names.values())
    addresses = Counter(each.address for service in services.values() for each in service.direct)
    shared = {address for address, count in addresses.items() if count > 1}
    assert not [
        each
        for service in services.values()
        for each in service.direct
        if each.alone and each.address in shared
    ]
