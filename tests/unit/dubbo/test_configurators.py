"""A configurator is read as Dubbo's consumers read it, and said to be none of ours where it is."""

import json

import pytest

from meshbridge import BadData, ServiceId
from meshbridge_dubbo import (
    Remark,
    Rule,
    Rules,
    parse_url,
    read_configurators,
    read_override,
    service_of,
)
from meshbridge_dubbo.overrides import ANYWHERE, AddressMatch

ORDERS = ServiceId("", "", "a.Orders")
KEY = "a.Orders::.configurators"
DOCUMENT = "say it in a routing document that matches the callers' source labels"


def override(text: str, interface: str = "a.Orders") -> Rules:
    return read_override(parse_url(text), interface)


def centre(text: str, key: str = KEY) -> Rules:
    return read_configurators(key, text.encode())


def rule(items: str, *, version: str = "v2.7", named: str = "a.Orders", scope: str = "") -> str:
    scoped = f"scope: {scope}\n" if scope else ""
    return f"configVersion: {version}\n{scoped}key: {named}\nenabled: true\nconfigs: [{items}]\n"


def item(**parts: str) -> str:
    told = {"side": "consumer", "parameters": "{weight: 50}"} | parts
    return "{" + ", ".join(f"{key}: {value}" for key, value in told.items()) + "}"


def refused(text: str | bytes, key: str = KEY) -> str:
    with pytest.raises(BadData) as caught:
        read_configurators(key, text.encode() if isinstance(text, str) else text)
    return str(caught.value)


def for_callers(thing: str, callers: str) -> Rules:
    reason = f"it is for callers of {callers} only, and a host is the same for all callers"
    return Rules(remarks=(Remark(thing, reason, DOCUMENT),))


# What real consumers did with the rules of the test bed (facts of Dubbo 3.3.6).


def test_a_rule_for_consumers_of_a_service_takes_effect() -> None:
    text = """
configVersion: v2.7
scope: service
key: testbed.Greeter
enabled: true
configs:
  - side: consumer
    addresses: ["0.0.0.0"]
    providerAddresses: ["10.99.0.1:20891"]
    parameters:
      disabled: true
"""
    assert centre(text, "testbed.Greeter::.configurators") == Rules(
        (
            Rule(
                ServiceId("", "", "testbed.Greeter"),
                addresses=("10.99.0.1:20891",),
                disabled=True,
            ),
        )
    )


def test_a_rule_for_a_consumers_application_is_for_its_calls_only() -> None:
    text = """
configVersion: v3.0
scope: application
key: web
enabled: true
configs:
  - side: consumer
    match:
      providerAddress:
        wildcard: "10.99.0.1:20892"
    parameters:
      weight: 0
"""
    assert centre(text, "web.configurators") == for_callers("web.configurators", "application web")


def test_a_rule_for_providers_is_the_providers_own_to_apply() -> None:
    text = """
configVersion: v3.0
scope: application
key: inv
enabled: true
configs:
  - side: provider
    match:
      address:
        wildcard: "10.99.0.1:20892"
    parameters:
      weight: 0
"""
    assert centre(text, "inv.configurators") == Rules()


# override:// URLs below the interface.


def test_an_override_of_one_provider_is_for_its_address_and_port() -> None:
    found = override("override://10.0.0.1:20880/a.Orders?category=configurators&weight=200")
    assert found == Rules(
        (
            Rule(
                ORDERS,
                endpoint="10.0.0.1:20880",
                weight=2.0,
                order=("10.0.0.1", 0),
                legacy=True,
            ),
        )
    )


def test_an_override_of_0_0_0_0_is_for_every_provider_of_its_group_and_version() -> None:
    found = override("override://0.0.0.0/a.Orders?group=blue&version=2&disabled=true&priority=3")
    assert found == Rules(
        (
            Rule(
                ServiceId("", "blue", "a.Orders", "2"),
                disabled=True,
                order=(ANYWHERE, 3),
                legacy=True,
            ),
        )
    )


def test_an_override_of_any_interface_is_for_the_one_it_stands_below() -> None:
    assert override("override://0.0.0.0/*?weight=1").rules[0].service == ORDERS


def test_an_override_without_a_port_is_for_the_caller_at_that_address() -> None:
    thing = "override://10.0.0.9/a.Orders"
    assert override(f"{thing}?weight=1") == for_callers(thing, "address 10.0.0.9")


def test_an_override_of_an_application_is_for_that_callers() -> None:
    thing = "override://0.0.0.0/a.Orders"
    assert override(f"{thing}?application=web&weight=1") == for_callers(thing, "application web")
    assert override(f"{thing}?application=*&weight=1").rules


def test_an_override_that_asks_for_parameters_is_not_clear() -> None:
    found = override("override://0.0.0.0/a.Orders?~region=hz&weight=1")
    reason = "it asks for other parameters of the URL, which consumers answer differently"
    assert found.remarks == (Remark("override://0.0.0.0/a.Orders", reason, DOCUMENT),)


def test_an_absent_url_is_not_clear() -> None:
    (remark,) = override("absent://0.0.0.0/a.Orders?category=configurators&weight=1").remarks
    assert remark.reason == "it sets only what a provider leaves out"
    assert remark.remedy == "use override:// instead of absent://"


@pytest.mark.parametrize(
    "parameters",
    [
        "weight=1&enabled=false",
        "timeout=100",
        "weight=",
        "weight=1&side=provider",
        "weight=1&compatible_config=true",
        "",
    ],
)
def test_an_override_that_is_off_or_says_nothing_of_weight_is_nothing(parameters: str) -> None:
    assert override(f"override://0.0.0.0/a.Orders?{parameters}") == Rules()


@pytest.mark.parametrize("side", ["consumer", "*", ""])
def test_an_override_may_name_the_consumers_side(side: str) -> None:
    assert override(f"override://0.0.0.0/a.Orders?side={side}&weight=1").rules


@pytest.mark.parametrize("parameters", ["side=both&weight=1", "configVersion=v2.7&weight=1"])
def test_an_override_of_another_side_is_applied_nowhere(parameters: str) -> None:
    (remark,) = override(f"override://0.0.0.0/a.Orders?{parameters}").remarks
    assert remark.reason == "its side is not consumer, so that Dubbo applies it nowhere"


def test_an_override_of_another_interface_is_applied_nowhere() -> None:
    (remark,) = override("override://0.0.0.0/a.Stock?weight=1").remarks
    assert remark.reason == "it is for a.Stock and stands where those of a.Orders look"


def test_an_override_of_a_weight_that_is_none_is_refused() -> None:
    with pytest.raises(BadData, match="its weight is 'x', no number"):
        override("override://0.0.0.0/a.Orders?weight=x")


# The configuration centre.


def test_a_key_names_interface_version_and_group_or_an_application() -> None:
    assert service_of("a.Orders:1.0:blue.configurators") == ServiceId("", "blue", "a.Orders", "1.0")
    assert service_of(KEY) == ORDERS
    assert service_of("web.configurators") is None
    with pytest.raises(BadData, match=r"its key is 'a:b\.configurators', not interface"):
        service_of("a:b.configurators")


def test_the_key_within_a_rule_must_be_that_of_its_service() -> None:
    key = "a.Orders:1.0:blue.configurators"
    (found,) = centre(rule(item(), named="blue/a.Orders:1.0"), key).rules
    assert found.service == ServiceId("", "blue", "a.Orders", "1.0")
    (remark,) = centre(rule(item(), named="a.Orders"), key).remarks
    assert remark == Remark(
        key,
        "it is for a.Orders and stands where those of blue@@a.Orders#1.0 look",
        "let its key be group/interface:version of the service that it stands for",
    )


def test_a_rule_of_any_service_is_for_the_one_it_stands_for() -> None:
    assert centre(rule(item(), named='"*"')).rules[0].service == ORDERS


def test_several_items_are_rules_in_their_order() -> None:
    found = centre(rule(item(parameters="{weight: 10, priority: 2}") + "," + item()))
    assert [(each.weight, each.order) for each in found.rules] == [
        (0.1, (ANYWHERE, 2)),
        (0.5, (ANYWHERE, 0)),
    ]


def test_addresses_of_consumers_are_for_their_calls_only() -> None:
    found = centre(rule(item(addresses='["0.0.0.0:20880", 10.0.0.9, 10.0.0.9]')))
    assert len(found.rules) == 1
    assert found.remarks == for_callers(KEY, "address 10.0.0.9").remarks


def test_applications_of_consumers_are_for_their_calls_only() -> None:
    assert centre(rule(item(applications="[web]"))) == for_callers(KEY, "application web")
    assert centre(rule(item(applications='["*"]'))).rules


def test_an_application_scope_below_a_service_is_for_calls_of_that_application() -> None:
    text = rule(item(services="[a.Orders]"), named="web", scope="application")
    assert centre(text) == for_callers(KEY, "application web")
    assert centre(rule(item(), named="web", scope="application")) == for_callers(
        KEY, "application web"
    )


def test_a_rule_without_a_side_is_applied_nowhere() -> None:
    sideless = rule(item(side="null"))
    for text in (sideless, sideless.replace("configVersion: v2.7\n", "")):
        (remark,) = centre(text).remarks
        assert remark.reason == "its side is not consumer, so that Dubbo applies it nowhere"


@pytest.mark.parametrize(
    ("text", "applied"),
    [
        (rule(item()).replace("enabled: true", "enabled: false"), False),
        (rule(item()).replace("enabled: true", "enabled: 'TRUE'"), True),
        (rule(item()).replace("enabled: true\n", ""), True),
        (rule(item(type="general")), True),
        (rule(item(type="weight")), False),
        (rule(item(type="weight", enabled="true")), True),
        (rule(item(type="weight", enabled="false")), False),
        (rule(item()).replace("configVersion: v2.7\n", ""), True),
    ],
)
def test_a_rule_may_be_switched_off_whole_or_by_the_item(text: str, *, applied: bool) -> None:
    assert bool(centre(text).rules) is applied


def test_a_v3_0_rule_may_match_providers_by_address() -> None:
    text = rule(
        item(match='{address: {wildcard: "*"}, providerAddress: {exact: "10.0.0.1:1"}}'),
        version="v3.0",
    )
    assert centre(text).rules[0].match == AddressMatch(exact="10.0.0.1:1")
    assert centre(rule(item(match="{}"), version="v3.0")).rules[0].match is None
    assert centre(rule(item(), version="v3.0")).rules[0].match is None


def test_before_v3_0_a_match_is_not_looked_at() -> None:
    assert centre(rule(item(match="{app: {oneof: [{exact: web}]}}"))).rules[0].match is None


@pytest.mark.parametrize(
    ("match", "asked"),
    [
        ("{app: {oneof: [{exact: web}]}}", "match.app"),
        ("{param: [{key: region, value: {exact: hz}}]}", "match.param"),
        ("{address: {exact: 10.0.0.9}}", "match.address"),
        ("{address: {cird: 10.0.0.0/8}}", "match.address"),
        ("{service: {oneof: [{regex: a.*}]}}", "a regular expression of services"),
    ],
)
def test_what_consumers_answer_differently_is_not_clear(match: str, asked: str) -> None:
    (remark,) = centre(rule(item(match=match), version="v3.0")).remarks
    assert remark.reason == f"it asks for {asked}, which consumers answer differently"


@pytest.mark.parametrize(
    "match",
    ['{address: {cird: "*"}}', '{address: {cird: "*.*.*.*"}}', "{address: {wildcard: 0.0.0.0}}"],
)
def test_an_address_that_every_consumer_has_asks_nothing(match: str) -> None:
    assert centre(rule(item(match=match), version="v3.0")).rules


@pytest.mark.parametrize(
    ("one_of", "applied"),
    [
        ("{exact: blue/a.Orders:1.0}", True),
        ("{exact: a.Orders}, {prefix: blue/}", True),
        ('{wildcard: "*"}', True),
        ("{wildcard: blue/a.Orders:1.0}", True),
        ("{prefix: a.}", False),
        ("{exact: a.Orders}", False),
        ("{}", False),
        ("", False),
    ],
)
def test_a_v3_0_rule_may_match_its_service_by_key(one_of: str, *, applied: bool) -> None:
    text = rule(
        item(match=f"{{service: {{oneof: [{one_of}]}}}}"), version="v3.0", named="blue/a.Orders:1.0"
    )
    found = centre(text, "a.Orders:1.0:blue.configurators")
    assert bool(found.rules) is applied
    if not applied:
        assert found.remarks[0].reason == "its match.service names other services"


def test_a_list_of_override_urls_is_the_form_before_2_7() -> None:
    urls = [
        "override://10.0.0.1:20880/a.Orders?weight=10",
        "override://0.0.0.0/a.Orders?configVersion=v2.7&side=consumer&weight=20&providerAddresses=h",
    ]
    assert read_configurators(KEY, b"\n " + json.dumps(urls).encode()) == Rules(
        (
            Rule(ORDERS, endpoint="10.0.0.1:20880", weight=0.1, order=("10.0.0.1", 0)),
            Rule(ORDERS, addresses=("h",), weight=0.2),
        )
    )


def test_an_empty_text_is_no_rule() -> None:
    assert centre("") == Rules()
    assert centre("# nothing yet\n") == Rules()
    assert centre(rule("")) == Rules()
    assert centre("[]") == Rules()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("7", "the rule is '7', no mapping"),
        ("[1]", "the rule is a list, no mapping"),
        (b'["\xff"]', "the rule is no YAML: "),
        ('["no url"]', "it is no URL, which begins like dubbo://: 'no url'"),
        ("configs: {}", "configs is an object, no list"),
        ("configs: [x]", "one of configs is 'x', no mapping"),
        (rule(item(parameters="null")), "one of configs sets no parameter, or one to nothing"),
        (rule(item(parameters="{a: null}")), "one of configs sets no parameter, or one to nothing"),
        (rule(item(parameters="{weight: x}")), "its weight is 'x', no number"),
        (rule(item(side="[]")), "side is a list, no text"),
        (rule(item(addresses="x")), "addresses is 'x', no list"),
        (rule(item(addresses="[{}]")), "one of addresses is an object, no text"),
        (rule(item(), named="null"), "its key, or a service it names, is missing"),
        (rule(item(match="x"), version="v3.0"), "match is 'x', no mapping"),
        (rule(item(match="{address: x}"), version="v3.0"), "match.address is 'x', no mapping"),
        (rule(item(match="{service: x}"), version="v3.0"), "match.service is 'x', no mapping"),
        (rule(item(addresses=f"[{'a,' * 1_001}]")), "one of configs comes to more than 1000 rules"),
        ("&a [*a]", "the rule uses an alias, which is not read"),
        ("? [a]\n: b", "the rule has a key that is no text"),
        ("[" * 60_000, "the rule is nested deeper than 20"),
        ("[" * 70_000, "the rule is larger than 65536 bytes"),
        ("a: b: c", "the rule is no YAML: mapping values are not allowed"),
        ("\x00", "the rule is no YAML: "),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_with_the_reason(
    text: str | bytes, reason: str
) -> None:
    assert refused(text).startswith(reason)


def test_parameters_that_are_no_texts_are_not_looked_at() -> None:
    assert centre(rule(item(parameters="{weight: 50, more: {a: b}}"))).rules[0].weight == 0.5


def test_a_quoted_null_is_a_text() -> None:
    assert centre(rule(item(parameters='{weight: 50, more: "null"}'))).rules[0].weight == 0.5
