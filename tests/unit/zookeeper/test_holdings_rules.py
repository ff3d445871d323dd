"""What rules change of providers, and where one is named that changes nothing."""

from unit.zookeeper.pieces import LIFE, listing, rule, url
from unit.zookeeper.trees import Registry

from meshbridge import Health, ServiceId


def test_a_configurator_takes_a_provider_out_and_weighs_another() -> None:
    out = rule(
        "scope: service",
        f"key: {LIFE}",
        "configs:",
        "- {side: consumer, addresses: ['10.0.0.1:1'], parameters: {disabled: true}}",
        "- {side: consumer, providerAddresses: ['10.0.0.1:2'], parameters: {weight: 200}}",
    )
    key = f"/dubbo/config/dubbo/{LIFE}::.configurators"
    plain = listing(url(1), url(2))
    registry = Registry().read(plain | {key: out})
    told = {each.id[-1]: (each.health, each.weight) for each in registry[LIFE].instances}
    assert told["2"] == (Health.HEALTHY, 2.0)
    registry.become(plain)
    assert {each.weight for each in registry[LIFE].instances} == {1.0}
    by_url = (
        "override://10.0.0.1:1/com.acme.Life?category=configurators&disabled=true&dynamic=false"
    )
    registry.become(plain | listing(by_url, category="configurators"))
    told = {each.id[-1]: (each.health, each.weight) for each in registry[LIFE].instances}
    assert told == {"1": (Health.DISABLED, 1.0), "2": (Health.HEALTHY, 1.0)}


def test_a_rule_that_is_not_applied_is_named() -> None:
    key = f"/dubbo/config/dubbo/{LIFE}::.configurators"
    bad = rule("key: ", "configs: [{parameters: {weight: 1}}]")
    registry = Registry().read(listing(url(1)) | {key: bad})
    assert {each.service.name for each in registry.reports} == {LIFE}
    registry.become(listing(url(1)))
    assert registry.unreadable[ServiceId("", "", LIFE)] == ()


def test_a_rule_for_the_callers_of_one_application_is_named_at_that_application() -> None:
    text = rule(
        "scope: application",
        "key: shop",
        "configs:",
        "- {side: consumer, parameters: {weight: 0}}",
    )
    tree = {
        "/services/shop/a": b'{"address":"10.0.0.1","port":80}',
        "/dubbo/config/dubbo/shop.configurators": text,
    }
    registry = Registry().read(tree)
    (fault,) = registry.reports
    assert (fault.service.name, fault.record) == ("shop", "shop.configurators")
    assert registry.shown() == {"shop": ["a"]}
    registry.become(tree | {"/dubbo/config/dubbo/shop.configurators": b"a: [b"})
    assert "no YAML" in registry.reports[-1].reason
    registry.become({path: data for path, data in tree.items() if "config" not in path})
    assert registry.unreadable[fault.service] == ()
    assert Registry().read({"/dubbo/config/dubbo/shop.configurators": text}).shown() == {}


def test_configurators_of_another_kind_and_other_configuration_are_not_read() -> None:
    tree = listing(url(1)) | {
        "/dubbo/config/dubbo/shop.tag-router": b"{",
        "/dubbo/config/other/shop.configurators": b"{",
        "/dubbo/config/dubbo/shop.configurators/below": b"{",
    }
    registry = Registry().read(tree)
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:1"]}


def test_rules_go_with_the_node_that_they_stand_below() -> None:
    key = f"/dubbo/config/dubbo/{LIFE}::.configurators"
    text = rule(
        "scope: service",
        f"key: {LIFE}",
        "configs:",
        "- {side: consumer, parameters: {weight: 300}}",
    )
    for gone in ("/dubbo/config/dubbo", "/dubbo/config", key):
        registry = Registry().read(listing(url(1)) | {key: text})
        assert registry[LIFE].instances[0].weight == 3.0
        registry.vanish(gone)
        registry.settle()
        assert registry[LIFE].instances[0].weight == 1.0
