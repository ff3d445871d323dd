"""Rules are applied to the providers they mean, in Dubbo's order."""

import itertools
from dataclasses import replace

import pytest

from meshbridge import Health, ServiceId
from meshbridge_dubbo import Level, Provider, Rule, apply, parse_url, read_provider
from meshbridge_dubbo.overrides import ANYWHERE, AddressMatch

ORDERS = ServiceId("", "", "a.Orders")


def provider(
    parameters: str = "", host: str = "10.0.0.1", level: Level = Level.INTERFACE
) -> Provider:
    return read_provider(parse_url(f"dubbo://{host}:20880/a.Orders?{parameters}"), level)


def weighed(rules: list[Rule], found: Provider | None = None) -> float:
    return apply(found or provider(), rules).instance.weight


def test_without_a_rule_that_means_it_a_provider_stays_the_same_value() -> None:
    found = provider()
    assert apply(found, []) is found
    assert apply(found, [Rule(ServiceId("", "", "a.Stock"), weight=2.0)]) is found


def test_a_rule_is_for_its_group_and_version_only() -> None:
    rules = [Rule(ORDERS, weight=2.0)]
    assert weighed(rules) == 2.0
    assert weighed(rules, provider("group=blue")) == 1.0
    assert weighed(rules, provider("version=1")) == 1.0


@pytest.mark.parametrize(
    ("pattern", "means"),
    [
        ("10.0.0.1:20880", True),
        ("10.0.0.1", True),
        (ANYWHERE, True),
        ("0.0.0.0:*", True),
        ("0.0.0.0:20880", True),
        ("0.0.0.0:1", False),
        ("10.0.0.1:1", False),
        ("10.0.0.2", False),
        ("10.0.0.2:20880", False),
    ],
)
def test_an_address_names_providers_as_in_dubbo(pattern: str, *, means: bool) -> None:
    assert weighed([Rule(ORDERS, addresses=("x", pattern), weight=2.0)]) == (2.0 if means else 1.0)
    assert weighed([Rule(ORDERS, endpoint=pattern, weight=2.0)]) == (2.0 if means else 1.0)


def test_an_ipv6_address_is_named_with_or_without_brackets() -> None:
    found = provider(host="[fd00::1]")
    for pattern in ("fd00::1", "[fd00::1]", "[fd00::1]:20880"):
        assert weighed([Rule(ORDERS, addresses=(pattern,), weight=2.0)], found) == 2.0


@pytest.mark.parametrize(
    ("match", "means"),
    [
        (AddressMatch(wildcard="*"), True),
        (AddressMatch(wildcard=ANYWHERE), True),
        (AddressMatch(wildcard="10.0.0.1:20880"), True),
        (AddressMatch(wildcard="10.0.*"), True),
        (AddressMatch(wildcard="*:20880"), True),
        (AddressMatch(wildcard="10.*:20880"), True),
        (AddressMatch(wildcard="10.0.0.1"), False),
        (AddressMatch(wildcard="11.*"), False),
        (AddressMatch(wildcard="10.*:1"), False),
        (AddressMatch(exact="10.0.0.1:20880"), True),
        (AddressMatch(exact="10.0.0.1"), False),
        (AddressMatch(cird="10.0.0.1:20880"), True),
        (AddressMatch(cird=" *.*.*.* "), True),
        (AddressMatch(cird="10.0.0.0/8"), False),
        (AddressMatch(cird="10.0.0.0/8", wildcard="*"), True),
        (AddressMatch(wildcard="11.*", exact="10.0.0.1:20880"), False),
        (AddressMatch(), False),
    ],
)
def test_a_match_of_v3_0_fits_as_in_dubbo(match: AddressMatch, *, means: bool) -> None:
    assert weighed([Rule(ORDERS, match=match, weight=2.0)]) == (2.0 if means else 1.0)


def test_endpoint_addresses_and_match_must_all_fit() -> None:
    rule = Rule(ORDERS, ("10.0.0.1",), "10.0.0.1:20880", AddressMatch(wildcard="10.*"), 2.0)
    assert weighed([rule]) == 2.0
    assert weighed([replace(rule, addresses=("10.0.0.2",))]) == 1.0
    assert weighed([replace(rule, endpoint="10.0.0.2:20880")]) == 1.0
    assert weighed([replace(rule, match=AddressMatch(wildcard="11.*"))]) == 1.0


def test_the_greater_address_then_the_greater_priority_then_the_centre_has_the_last_word() -> None:
    rules = [
        Rule(ORDERS, weight=1.1, order=(ANYWHERE, 0), legacy=True),
        Rule(ORDERS, weight=1.2, order=(ANYWHERE, 5), legacy=True),
        Rule(ORDERS, weight=1.3, order=("10.0.0.1", 0), legacy=True),
        Rule(ORDERS, weight=1.4, order=(ANYWHERE, 0)),
        Rule(ORDERS, weight=1.5, order=(ANYWHERE, 1)),
    ]
    for last in range(1, 6):
        for order in itertools.permutations(rules[:last]):
            assert weighed(list(order)) == rules[last - 1].weight


def test_rules_add_up() -> None:
    found = apply(provider(), [Rule(ORDERS, weight=0.5), Rule(ORDERS, disabled=True)])
    assert (found.instance.weight, found.instance.health) == (0.5, Health.DISABLED)
    weighted = apply(provider("disabled=true"), [Rule(ORDERS, weight=0.5)])
    assert weighted.instance.health is Health.DISABLED


def test_disabled_false_takes_back_disabled_but_not_enabled_false() -> None:
    on = [Rule(ORDERS, disabled=False)]
    assert apply(provider("disabled=true"), on).instance.health is Health.HEALTHY
    assert apply(provider("enabled=false"), on).instance.health is Health.DISABLED


def test_an_override_url_does_not_reach_those_who_read_applications() -> None:
    found = provider(level=Level.APPLICATION)
    assert weighed([Rule(ORDERS, weight=2.0, legacy=True)], found) == 1.0
    assert weighed([Rule(ORDERS, weight=2.0)], found) == 2.0
