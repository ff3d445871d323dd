"""What cannot or must not be served is left out and said; the rest is served."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.problems import ProblemKind
from meshbridge.publish import Published, PublishRules, Registry, publish, selected
from meshbridge.publish.labels import CANONICAL_NAME as NAME
from meshbridge.publish.labels import CANONICAL_REVISION as REVISION
from meshbridge.publish.labels import key_fault, value_fault
from meshbridge.registration import (
    Health,
    Instance,
    InstancePort,
    RegisteredService,
    ServiceId,
    metadata,
)
from meshbridge.service import Labels, Locality

GOOD = Instance("good", "10.0.0.1", (InstancePort(8080, "http"),))


def registry(**rules: object) -> Registry:
    return Registry("shop", 0, PublishRules.model_validate({"domain": "nacos", **rules}))


def published(*instances: Instance, **rules: object) -> Published:
    result = publish(
        RegisteredService(ServiceId("", "blue", "orders"), instances), registry(**rules), "scope"
    )
    assert result is not None
    return result


def addresses(result: Published) -> list[str]:
    return [endpoint.address for endpoint in result.endpoints]


BAD = [
    replace(GOOD, id="bad", ports=(InstancePort(0),)),
    replace(GOOD, id="bad", ports=(InstancePort(65_536),)),
    replace(GOOD, id="bad", ports=(InstancePort(-1),)),
    replace(GOOD, id="bad", ports=()),
    replace(GOOD, id="bad", weight=math.nan),
    replace(GOOD, id="bad", weight=math.inf),
    replace(GOOD, id="bad", weight=-math.inf),
    replace(GOOD, id="bad", weight=-1.0),
    replace(GOOD, id="bad", address="10.0.0. 2"),
    replace(GOOD, id="bad", address="10.0.0.2 "),
    replace(GOOD, id="bad", address=""),
    replace(GOOD, id="bad", address="host.example"),
    replace(GOOD, id="bad", address="10.0.0.2:8080"),
    replace(GOOD, id="bad", address="010.0.0.2"),
    replace(GOOD, id="bad", address="10.0.0.256"),
    replace(GOOD, id="bad", address="0x7f000001"),
    replace(GOOD, id="bad", address="fe80::1%eth0"),
    replace(GOOD, id="bad", address="\ud800"),
]


@pytest.mark.parametrize("bad", BAD, ids=ascii)
def test_a_bad_instance_is_left_out_by_name_and_the_rest_is_served(bad: Instance) -> None:
    """The problem names registry, service and instance, what is wrong, and the remedy."""
    result = published(bad, GOOD)
    assert addresses(result) == ["10.0.0.1"]
    (problem,) = result.problems
    assert problem.kind is ProblemKind.INVALID_INSTANCE
    assert (problem.registry, problem.subject) == ("shop", "blue@@orders, instance bad")
    assert problem.remedy
    str(problem).encode()


REFUSED = [
    "127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "0.0.0.0", "0.1.2.3", "::",  # noqa: S104
    "169.254.1.1", "fe80::1", "169.254.169.254", "fd00:ec2::254", "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "224.0.0.1", "ff02::1", "255.255.255.255", "240.1.2.3",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_must_not_be_published_is_refused(address: str) -> None:
    """Whoever may register must not send callers to themselves, to secrets or to everybody."""
    result = published(replace(GOOD, id="bad", address=address), GOOD)
    assert addresses(result) == ["10.0.0.1"]
    (problem,) = result.problems
    assert problem.kind is ProblemKind.REFUSED_ADDRESS
    assert problem.subject == "blue@@orders, instance bad"


@pytest.mark.parametrize("address", REFUSED)
def test_the_configuration_can_allow_what_is_refused_otherwise(address: str) -> None:
    """By network, of either family."""
    result = published(replace(GOOD, address=address), **{"allow-addresses": ["0.0.0.0/0", "::/0"]})
    assert result.problems == ()
    assert len(result.endpoints) == 1


def test_allowing_one_network_allows_no_other() -> None:
    """Loopback for a laptop says nothing about a metadata service."""
    rules = {"allow-addresses": ["127.0.0.0/8"]}
    result = published(
        replace(GOOD, id="a", address="127.0.0.1"),
        replace(GOOD, id="b", address="169.254.169.254"),
        **rules,
    )
    assert addresses(result) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("registered", "canonical"),
    [
        ("10.0.0.2", "10.0.0.2"),
        ("100.64.0.1", "100.64.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:10.0.0.2", "10.0.0.2"),
    ],
)
def test_an_address_is_published_in_its_canonical_form(registered: str, canonical: str) -> None:
    """One machine is one endpoint, however it is written."""
    assert addresses(published(replace(GOOD, address=registered))) == [canonical]


@pytest.mark.parametrize(
    ("weight", "sent"), [(1.0, 100), (0.5, 50), (0.001, 1), (2.344, 234), (10_000.0, 1_000_000)]
)
def test_a_weight_goes_out_in_hundredths_and_never_as_zero(weight: float, sent: int) -> None:
    """Small weights stay apart from each other, and from 0, which istiod reads as 1."""
    assert published(replace(GOOD, weight=weight)).endpoints[0].weight == sent


def test_a_huge_weight_is_served_as_the_largest_there_is_and_reported() -> None:
    """One registrant must not push the sum of weights over what Envoy can add up."""
    result = published(replace(GOOD, weight=1e300))
    assert result.endpoints[0].weight == 1_000_000
    assert [problem.kind for problem in result.problems] == [ProblemKind.INVALID_INSTANCE]


@pytest.mark.parametrize(
    "change", [{"health": Health.DRAINING}, {"health": Health.DISABLED}, {"weight": 0.0}]
)
def test_what_leaves_or_is_switched_off_is_neither_served_nor_reported(
    change: Mapping[str, object],
) -> None:
    """It is as somebody wants it; also when its address could not be served."""
    off = replace(GOOD, id="off", address="host.example", **change)  # type: ignore[arg-type]
    result = published(off, GOOD)
    assert addresses(result) == ["10.0.0.1"]
    assert result.problems == ()


def test_an_unhealthy_instance_stays_a_candidate() -> None:
    """Whether it is sent depends on all that have its host."""
    assert published(replace(GOOD, health=Health.UNHEALTHY)).endpoints[0].health == "unhealthy"


def test_an_instance_registered_twice_is_one_endpoint_at_its_healthiest() -> None:
    """Same address and ports under two ids, in either order."""
    sick = replace(GOOD, id="a", health=Health.UNHEALTHY)
    fit = replace(GOOD, id="b")
    for pair in ((sick, fit), (fit, sick), (replace(sick, id="c"), fit)):
        assert [endpoint.health for endpoint in published(*pair).endpoints] == [Health.HEALTHY]


def test_a_bad_port_beside_a_good_one_costs_only_itself() -> None:
    """The instance is served with what can be served, and the port is reported."""
    result = published(replace(GOOD, ports=(InstancePort(0, "tri"), InstancePort(8080, "http"))))
    assert result.endpoints[0].ports == (("http-80", 8080),)
    assert [problem.kind for problem in result.problems] == [ProblemKind.INVALID_INSTANCE]


def test_a_flood_of_bad_instances_is_counted_and_not_listed_in_full() -> None:
    """One service cannot fill the memory or the screen."""
    bad = [replace(GOOD, id=f"i{number:03}", weight=-1.0) for number in range(100)]
    problems = published(*bad).problems
    assert len(problems) == 21
    assert any(problem.reason == "80 more of this kind" for problem in problems)


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*"], [], True),
        (["ord*"], [], True),
        (["blue@@orders"], [], True),
        (["ORDERS"], [], False),
        (["*"], ["blue@@*"], False),
        (["*"], ["orders"], False),
        (["pay*"], [], False),
        ([], [], False),
    ],
)
def test_include_and_exclude_choose_by_identity_or_by_name(
    include: list[str], exclude: list[str], *, expected: bool
) -> None:
    """Patterns are on the registry's name, as the registry spells it."""
    service = RegisteredService(ServiceId("", "blue", "orders"))
    at = registry(include=include, exclude=exclude)
    assert (publish(service, at, "scope") is not None) is expected


def test_only_instances_with_all_matching_metadata_are_published() -> None:
    """Without one, nothing is wrong with them, so nothing is reported."""
    rules = registry(instances={"match": {"env": "prod", "az": "a"}})
    instances = tuple(
        replace(GOOD, id=name, metadata=metadata(pairs))
        for name, pairs in {
            "both": {"env": "prod", "az": "a", "x": "y"},
            "one": {"env": "prod"},
            "other": {"env": "test", "az": "a"},
        }.items()
    )
    kept = selected(RegisteredService(ServiceId("", "", "orders"), instances), rules)
    assert kept is not None
    assert [instance.id for instance in kept.instances] == ["both"]


def labels(pairs: dict[str, str], **rules: object) -> tuple[Labels, list[str]]:
    result = published(replace(GOOD, metadata=metadata(pairs)), labels=rules)
    kinds = {problem.kind for problem in result.problems}
    assert kinds <= {ProblemKind.INVALID_LABEL}
    own = tuple(pair for pair in result.endpoints[0].labels if pair[0] not in (NAME, REVISION))
    return own, [problem.reason for problem in result.problems]


def test_metadata_become_labels_as_they_are() -> None:
    """All of them by default, empty values and prefixed keys included."""
    pairs = {"version": "v1", "empty": "", "example.com/a_b.c": "X_1.2-3"}
    kept, problems = labels(pairs)
    assert (dict(kept), problems) == (pairs, [])


@pytest.mark.parametrize(
    "key",
    [
        "", "-a", "a-", "a b", "键", "a" * 64, "a/b/c", "/a", "a/", "A.com/x", "a..b/x",
        f"{'a' * 254}/x",
    ],
)  # fmt: skip
def test_a_key_that_istio_would_refuse_is_left_out(key: str) -> None:
    """One such label would cost the whole ServiceEntry."""
    kept, problems = labels({key: "v", "good": "v"})
    assert kept == (("good", "v"),)
    assert len(problems) == 1


@pytest.mark.parametrize("value", ["a b", "a,b", "-a", "a-", "值", "a" * 64, "a\n", "\ud800"])
def test_a_value_that_istio_would_refuse_is_left_out(value: str) -> None:
    """Likewise; the problem names the key, and shows the value in printable form."""
    kept, problems = labels({"bad": value, "good": "v"})
    assert kept == (("good", "v"),)
    (reason,) = problems
    assert '"bad"' in reason
    assert reason.isprintable()


@pytest.mark.parametrize(
    "key",
    [
        "istio.io/draining", "istio.io/rev", "security.istio.io/tlsMode", "istio-locality",
        "topology.kubernetes.io/zone", "topology.istio.io/network", "app.k8s.io/name",
        "meshbridge.io/in-v2",
    ],
)  # fmt: skip
def test_registry_data_cannot_steer_the_mesh_by_labels(key: str) -> None:
    """A registrant could drain, switch mTLS, move near to everyone or join a subset."""
    kept, problems = labels({key: "true"})
    assert kept == ()
    assert len(problems) == 1


@pytest.mark.parametrize("key", ["myistio.io/x", "istio.io.example/x", "istio.io"])
def test_a_key_that_only_looks_reserved_is_kept(key: str) -> None:
    """Reserved are the domains, with what is below them."""
    assert labels({key: "v"}) == (((key, "v"),), [])


def test_keep_and_rename_choose_labels() -> None:
    """What is not kept is no problem; a rename is kept, and goes before a namesake."""
    pairs = {"gray": "blue", "lane": "x", "secret": "a b", "version": "v1"}
    kept, problems = labels(pairs, keep=["ver*", "lane"], rename={"gray": "lane"})
    assert (kept, problems) == ((("lane", "blue"), ("version", "v1")), [])


def test_an_administrator_may_rename_to_a_key_that_registry_data_may_not_set() -> None:
    """They wrote it down; the value is still checked."""
    rename = {"offline": "istio.io/draining"}
    assert labels({"offline": "true"}, rename=rename)[0] == (("istio.io/draining", "true"),)
    assert labels({"offline": "a b"}, rename=rename)[0] == ()


def test_a_bad_label_is_reported_once_per_service_and_only_so_many() -> None:
    """A thousand instances with the same key are one problem; a hundred keys are nine."""
    many = metadata({f"key {number:03}": "v" for number in range(100)})
    result = published(
        replace(GOOD, metadata=many), replace(GOOD, id="b", address="10.0.0.2", metadata=many)
    )
    assert len(result.problems) == 9
    assert any(problem.reason == "92 more labels are left out" for problem in result.problems)


def test_the_metadata_of_a_service_become_its_own_labels() -> None:
    """By the same rules as an instance's."""
    service = RegisteredService(
        ServiceId("", "", "o"), metadata=metadata({"owner": "a", "b c": "d"})
    )
    result = publish(service, registry(), "scope")
    assert result is not None
    assert result.labels == (("owner", "a"),)
    assert len(result.problems) == 1


@given(st.text(max_size=70), st.text(max_size=70))
def test_every_label_that_is_kept_is_legal(key: str, value: str) -> None:
    """Whatever is registered."""
    kept, problems = labels({key: value})
    assert bool(kept) != bool(problems)
    assert all(not key_fault(each) and not value_fault(text) for each, text in kept)


LOCALITIES: list[tuple[dict[str, str], str, Locality]] = [
    ({}, "", Locality()),
    ({}, "h", Locality("", "h")),
    ({}, "cn/h", Locality("cn", "h")),
    ({}, " cn / h / a ", Locality("cn", "h", "a")),
    ({"zone": "z"}, "h", Locality("", "z")),
    ({"region": "r", "zone": "z", "subzone": "s"}, "h", Locality("r", "z", "s")),
    ({"region": "r"}, "h", Locality("r")),
    ({"zone": "r/z/s"}, "", Locality("r", "z", "s")),
    ({"zone": ""}, "h", Locality("", "h")),
]


@pytest.mark.parametrize(("pairs", "zone", "expected"), LOCALITIES)
def test_a_locality_comes_from_metadata_before_the_registrys_zone(
    pairs: dict[str, str], zone: str, expected: Locality
) -> None:
    """The first source that knows any part decides."""
    result = published(replace(GOOD, metadata=metadata(pairs), zone=zone))
    assert result.endpoints[0].locality == expected
    assert all(problem.kind is ProblemKind.INVALID_LABEL for problem in result.problems)


def test_a_locality_reads_as_istio_writes_it() -> None:
    """Without the parts that are not known at its end."""
    texts = [
        str(Locality(*parts)) for parts in (("r", "z", "s"), ("r", "z"), ("r",), ("", "z"), ())
    ]
    assert texts == ["r/z/s", "r/z", "r", "/z", ""]


def test_a_locality_can_come_from_the_address_by_the_most_specific_network() -> None:
    """For registries that tell no zone."""
    rules = {"cidr": {"10.0.0.0/8": "cn", "10.0.0.0/24": "cn/h/a", "::/0": "six"}}
    found = {
        address: published(replace(GOOD, address=address, zone=""), locality=rules)
        .endpoints[0]
        .locality
        for address in ("10.0.0.1", "10.9.0.1", "11.0.0.1", "2001:db8::1")
    }
    assert list(found.values()) == [
        Locality("cn", "h", "a"), Locality("cn"), Locality(), Locality("six"),
    ]  # fmt: skip


def test_the_order_of_sources_is_the_configured_one() -> None:
    """And a source that is not named is not asked."""
    both = replace(GOOD, metadata=metadata({"zone": "m"}), zone="c")
    for sources, zone in ((["cluster", "metadata"], "c"), (["cidr"], "")):
        result = published(both, locality={"from": sources})
        assert result.endpoints[0].locality.zone == zone


@pytest.mark.parametrize("zone", ["a/b/c/d", "a" * 64, "a\nb", "\ud800"])
def test_a_zone_that_cannot_be_carried_is_reported_and_the_instance_served(zone: str) -> None:
    """Without a locality rather than not at all."""
    result = published(replace(GOOD, zone=zone))
    assert result.endpoints[0].locality == Locality()
    assert [problem.kind for problem in result.problems] == [ProblemKind.OTHER]


def test_what_a_registry_says_in_problems_is_cut_and_printable() -> None:
    """A problem is shown on terminals and in JSON."""
    result = published(replace(GOOD, id="\x1b[31m" + "x" * 500, address="\x1b" * 500))
    (problem,) = result.problems
    assert str(problem).isprintable()
    assert len(str(problem)) < 700
