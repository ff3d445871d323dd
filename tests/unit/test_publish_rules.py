"""The ``publish:`` block is checked whole when it is read, with messages that say what to write."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from meshbridge.publish import PublishRules, Registry
from meshbridge.publish.ports import PortRule
from meshbridge.registration import ServiceId


def test_the_defaults_are_the_documented_ones() -> None:
    """An empty block is a useful one."""
    rules = PublishRules()
    assert (rules.include, rules.exclude, rules.instances.match) == (("*",), (), ())
    assert rules.host == "{service}.{group?}.{namespace?}.{domain}"
    assert (rules.aliases, rules.ports, rules.protocol) == ((), PortRule("standard"), "http")
    assert (rules.labels.keep, rules.labels.rename) == (("*",), ())
    assert (rules.addresses, rules.keep_last, rules.share) == (None, True, None)
    assert rules.allow_addresses == ()
    assert (rules.mesh, rules.export_to, rules.network) == (None, (), "")
    assert rules == PublishRules.model_validate({})


def test_every_documented_key_can_be_written() -> None:
    """Each in a form that its documentation shows."""
    rules = PublishRules.model_validate(
        {
            "include": ["*"],
            "exclude": ["internal-*"],
            "instances": {"match": {"env": "prod"}},
            "host": "{service}.{group?}.{namespace?}.{domain}",
            "domain": "nacos",
            "aliases": ["{service}"],
            "namespace": "shop",
            "ports": {"http": 8080},
            "protocol": "http",
            "labels": {"keep": ["*"], "rename": {"gray": "lane"}},
            "locality": {
                "from": ["metadata", "cluster", "cidr"],
                "cidr": {"10.1.0.0/16": "cn-hangzhou/h/a"},
            },
            "addresses": "virtual",
            "keep-last": True,
            "allow-addresses": ["127.0.0.0/8"],
            "share": None,
            "mesh": {"match": {"sidecar": "true"}, "service-account": "shop", "tls-mode": "istio"},
            "export-to": [".", "team-a"],
            "network": "dc-2",
        }
    )
    assert rules.ports == PortRule("standard", (("http", 8080),))
    assert rules.labels.rename == (("gray", "lane"),)
    assert PublishRules.model_validate({"ports": "standard"}).ports == PortRule()


FAULTS: list[tuple[dict[str, object], str, str]] = [
    ({"hosts": "x"}, "hosts", "Extra inputs"),
    ({"mesh": {"match": {}, "tls-mode": "mutual"}}, "mesh.tls-mode", "'istio' or 'disabled'"),
    ({"mesh": {}}, "mesh.match", "required"),
    ({"mesh": {"match": ["a"]}}, "mesh.match", "allowed: a mapping such as"),
    (
        {"mesh": {"match": {}, "service-account": ""}},
        "mesh.service-account",
        "found ''; allowed: at most 253",
    ),
    (
        {"mesh": {"match": {}, "service-account": "My_Shop"}},
        "mesh.service-account",
        "found 'My_Shop'",
    ),
    (
        {"mesh": {"match": {}, "service-account": "a" * 254}},
        "mesh.service-account",
        "allowed: at most 253",
    ),
    (
        {"mesh": {"match": {}, "service-account": {"of": "sa"}}},
        "mesh.service-account",
        "or {from: the metadata",
    ),
    (
        {"mesh": {"match": {}, "service-account": {"from": 1}}},
        "mesh.service-account",
        "or {from: the metadata",
    ),
    ({"export-to": ["Team"]}, "export-to", "found 'Team'; allowed: '.' (the own namespace)"),
    ({"export-to": ["~"]}, "export-to", "found '~'"),
    ({"export-to": ["*", "."]}, "export-to", "found *, .; allowed: '*' alone"),
    ({"export-to": ["a", "a"]}, "export-to", "each namespace once"),
    ({"network": "dc 2"}, "network", "found 'dc 2'; allowed: a network's name, but the value"),
    ({"destination-rules": True}, "", "found destination-rules, but this version does not have"),
    ({"addresses": "vip"}, "addresses", "'virtual', 'none' or 'endpoints'"),
    ({"include": [""]}, "include.0", "empty pattern"),
    ({"host": "{service}"}, "host", "ends in .{domain}"),
    ({"host": "all.{domain}"}, "host", "with {service}"),
    ({"host": "{service}.x{domain}"}, "host", "ends in .{domain}"),
    ({"host": "{service}.evil.example"}, "host", "ends in .{domain}"),
    ({"host": "{name}.{domain}"}, "host", "found the field {name}"),
    ({"host": "{service?}.{domain}"}, "host", "found {service?}"),
    ({"host": "{service}-{group?}.{domain}"}, "host", "nothing but fixed text beside it"),
    ({"host": "{service}..{domain}"}, "host", "empty part"),
    ({"host": "{service}.A.{domain}"}, "host", "found 'A'; allowed: lower case"),
    ({"host": "consul"}, "host", "higress, slime, nacos-istio, dubbo2istio"),
    ({"domain": "Nacos"}, "domain", "lower case"),
    ({"domain": "svc.cluster.local"}, "domain", "under svc or cluster.local"),
    ({"domain": "a.1"}, "domain", "allowed: a DNS name"),
    ({"aliases": ["localhost"]}, "aliases.0", "not localhost"),
    ({"aliases": ["*"]}, "aliases.0", "found '*'"),
    ({"aliases": ["db.svc"]}, "aliases.0", "not localhost nor under svc"),
    ({"namespace": "my_shop"}, "namespace", "found 'my_shop'"),
    ({"ports": "fixed"}, "ports", "found 'fixed'; allowed: standard, instance"),
    ({"ports": ["http"]}, "ports", "found ['http']; allowed: standard, instance"),
    ({"ports": {}}, "ports", "found {}; allowed: standard, instance"),
    ({"ports": {"tri": 80}}, "ports", "found protocol 'tri'; allowed: http, https"),
    ({"ports": {"http": 0}}, "ports", "found 0 for http; allowed: a whole number from 1"),
    ({"ports": {"http": 65536}}, "ports", "found 65536"),
    ({"ports": {"http": True}}, "ports", "found True"),
    ({"ports": {"http": "80"}}, "ports", "found '80'"),
    ({"ports": {"http": 443}}, "ports", "found port 443 for both http and https"),
    ({"protocol": "udp"}, "protocol", "found 'udp'; allowed: http, rest"),
    ({"labels": {"rename": {"a": "b c"}}}, "labels.rename", "found a: b c; allowed: a label key"),
    ({"labels": {"rename": {"a": "x", "b": "x"}}}, "labels.rename", "two keys renamed to x"),
    ({"labels": {"rename": {"a": "meshbridge.io/in-x"}}}, "labels.rename", "not under meshbridge"),
    ({"labels": {"rename": ["a"]}}, "labels.rename", "allowed: a mapping such as"),
    ({"locality": {"from": ["dns"]}}, "locality.from.0", "'metadata', 'cluster' or 'cidr'"),
    ({"locality": {"cidr": {"10.0.0.1/8": "a"}}}, "locality.cidr", "no host bits"),
    ({"locality": {"cidr": {"10.0.0.0/8": "a/b/c/d"}}}, "locality.cidr", "more than the three"),
    ({"locality": {"cidr": {"10.0.0.0/8": ""}}}, "locality.cidr", "allowed: like 10.1.0.0/16"),
    ({"locality": {"cidr": {8: "a"}}}, "locality.cidr", "allowed: like 10.1.0.0/16"),
    ({"locality": {"cidr": "a"}}, "locality.cidr", "allowed: a mapping such as"),
    ({"keep-last": "perhaps"}, "keep-last", "boolean"),
    ({"allow-addresses": ["localhost"]}, "allow-addresses.0", "a network such as 127.0.0.0/8"),
    ({"allow-addresses": [127]}, "allow-addresses.0", "network"),
    ({"share": ""}, "share", "empty name"),
    ({"instances": {"match": {"env": 1}}}, "instances.match", "found 'env': 1; allowed: texts"),
]


@pytest.mark.parametrize(("block", "place", "text"), FAULTS, ids=lambda value: str(value)[:50])
def test_what_cannot_be_is_refused_with_what_is_allowed(
    block: dict[str, object], place: str, text: str
) -> None:
    """At the place where it stands, so that a person finds it."""
    with pytest.raises(ValidationError) as caught:
        PublishRules.model_validate(block)
    errors = caught.value.errors()
    assert any(text in each["msg"] for each in errors), errors
    assert all(".".join(str(part) for part in each["loc"]).startswith(place) for each in errors)


def test_a_block_that_is_no_mapping_is_refused() -> None:
    """As any other wrong type."""
    with pytest.raises(ValidationError):
        PublishRules.model_validate([])


def test_checked_rules_can_be_checked_again() -> None:
    """Reading what was read gives the same."""
    block = {
        "ports": "instance",
        "labels": {"rename": {"a": "b"}},
        "locality": {"cidr": {"10.0.0.0/8": "cn"}},
        "allow-addresses": ["::1"],
        "mesh": {"match": {}, "service-account": {"from": "sa"}},
    }
    rules = PublishRules.model_validate(block)
    again = PublishRules.model_validate(
        {name: getattr(rules, name) for name in PublishRules.model_fields}
    )
    assert again == rules
    parts = {name: getattr(rules.locality, name) for name in type(rules.locality).model_fields}
    assert type(rules.locality).model_validate(parts) == rules.locality
    assert type(rules.labels)(rename=rules.labels.rename) == rules.labels
    assert rules.mesh is not None
    mesh = rules.mesh
    assert type(mesh)(match=mesh.match, service_account=mesh.service_account) == mesh


def test_rules_are_values() -> None:
    """Nobody changes them after they were checked."""
    with pytest.raises(ValidationError):
        PublishRules().domain = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_a_registry_lends_its_name_to_what_is_not_configured() -> None:
    """Domain and namespace, until the settings know better."""
    registry = Registry("shop", 0)
    assert (registry.domain, registry.namespace) == ("shop", "shop")
    assert registry.with_domain("nacos").domain == "nacos"
    assert replace(registry, names=True).with_domain("nacos").names


def test_a_configured_domain_goes_before_the_adapters_name() -> None:
    """``with_domain`` fills in what is missing only."""
    registry = Registry("shop", 0, PublishRules(domain="mesh.example", namespace="team"))
    assert registry.with_domain("nacos") is registry
    assert (registry.domain, registry.namespace) == ("mesh.example", "team")


def test_a_name_that_cannot_be_a_namespace_asks_for_one() -> None:
    """The message says which key helps."""
    with pytest.raises(ValueError, match=r"publish\.namespace .* found 'my_shop'"):
        Registry("my_shop", 0)
    assert Registry("my_shop", 0, PublishRules(namespace="shop")).namespace == "shop"


def test_an_adapters_name_that_cannot_be_a_domain_is_refused() -> None:
    """Before any host is made of it."""
    with pytest.raises(ValueError, match="found 'No Domain'"):
        Registry("shop", 0).with_domain("No Domain")


def test_selection_needs_an_included_and_no_excluded_pattern() -> None:
    """Patterns are on the whole identity or the bare name."""
    rules = PublishRules(include=("prod/*", "pay"), exclude=("*@@tmp*",))
    assert rules.selects(ServiceId("prod", "", "orders"))
    assert rules.selects(ServiceId("", "blue", "pay"))
    assert not rules.selects(ServiceId("", "", "orders"))
    assert not rules.selects(ServiceId("prod", "blue", "tmp-orders"))
