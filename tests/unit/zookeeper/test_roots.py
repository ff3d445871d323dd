"""What each node is, under roots of each kind and of both, beside and below each other."""

import pytest

from meshbridge_zookeeper_dubbo.roots import Place, Roots, Sort
from meshbridge_zookeeper_dubbo.tree import Want

ROOTS = Roots(["/dubbo"], ["/services"])
NOTHING = Want.NOTHING


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/dubbo", Place(Sort.INTERFACES, "/dubbo")),
        ("/dubbo/a.B", Place(Sort.INTERFACE, "/dubbo", "a.B", "a.B")),
        ("/dubbo/a%24B", Place(Sort.INTERFACE, "/dubbo", "a$B", "a%24B")),
        ("/dubbo/a.B/providers", Place(Sort.PROVIDERS, "/dubbo", "a.B", "a.B")),
        ("/dubbo/a.B/consumers", Place(Sort.CONSUMERS, "/dubbo", "a.B", "a.B")),
        ("/dubbo/a.B/configurators", Place(Sort.CONFIGURATORS, "/dubbo", "a.B", "a.B")),
        ("/dubbo/config", Place(Sort.CONFIG, "/dubbo")),
        ("/dubbo/config/dubbo", Place(Sort.RULES, "/dubbo")),
        ("/dubbo/config/dubbo/a.configurators", Place(Sort.RULE, "/dubbo", "a.configurators")),
        ("/dubbo/mapping", Place(Sort.MAPPINGS, "/dubbo")),
        ("/dubbo/mapping/a%24B", Place(Sort.MAPPING, "/dubbo", "a$B", "a%24B")),
        ("/dubbo/config/mapping", Place(Sort.MAPPINGS, "/dubbo")),
        ("/dubbo/config/mapping/a%24B", Place(Sort.MAPPING, "/dubbo", "a$B", "a%24B")),
        ("/services", Place(Sort.APPLICATIONS, "/services")),
        ("/services/shop", Place(Sort.APPLICATION, "/services", "shop")),
        ("/services/shop/providers", Place(Sort.INSTANCE, "/services", "shop", "providers")),
    ],
)
def test_what_a_node_is(path: str, place: Place) -> None:
    assert ROOTS.places(path) == [place]
    data = place.sort in (Sort.RULE, Sort.INSTANCE)
    both = place.sort is Sort.MAPPING
    assert ROOTS(path) is (
        Want.DATA if data else Want.DATA | Want.CHILDREN if both else Want.CHILDREN
    )


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/other",
        "/dubbos",
        "/dubbo/a.B/routers",
        "/dubbo/a.B/providers/dubbo%3A%2F%2F10.0.0.1%3A1",
        "/dubbo/config/other",
        "/dubbo/config/dubbo/a.tag-router",
        "/dubbo/config/dubbo/a.configurators/b",
        "/dubbo/mapping/a.B/c",
        "/dubbo/config/mapping/a.B/c",
        "/dubbo/metadata",
        "/dubbo/metadata/a.B/provider/shop",
        "/dubbo/metadata/shop/0123456789abcdef0123456789abcdef",
        "/services/shop/a/b",
    ],
)
def test_what_is_not_looked_at(path: str) -> None:
    assert ROOTS.places(path) == []
    assert ROOTS(path) is NOTHING


def test_a_root_may_lie_deep_and_at_the_top() -> None:
    deep = Roots(["/a/b/c"], [])
    assert deep("/a/b") is NOTHING
    assert deep("/a/b/c/x.Y/providers") is Want.CHILDREN
    top = Roots(["/"], ["/services"])
    assert top.places("/") == [Place(Sort.INTERFACES, "/")]
    assert top.places("/x.Y/providers") == [Place(Sort.PROVIDERS, "/", "x.Y", "x.Y")]
    assert top("/services/shop/1") is Want.DATA
    assert top("/zookeeper") is NOTHING


def test_a_root_below_another_is_no_interface_and_no_application_of_it() -> None:
    roots = Roots(["/dubbo", "/dubbo/eu"], ["/", "/all/services"])
    assert {place.sort for place in roots.places("/dubbo/eu")} == {Sort.INTERFACES}
    assert {place.sort for place in roots.places("/dubbo")} == {Sort.INTERFACES}
    assert roots.places("/all") == []
    assert {place.sort for place in roots.places("/all/services")} == {Sort.APPLICATIONS}
    assert roots.lists("/", "shop")
    assert not roots.lists("/", "all")


def test_what_is_below_another_root_belongs_to_that_alone() -> None:
    roots = Roots(["/", "/dubbo"], ["/services"])
    assert [place.root for place in roots.places("/services/providers")] == ["/services"]
    assert [place.root for place in roots.places("/dubbo/providers")] == ["/dubbo"]
    assert Roots(["/dubbo"], ["/"])("/dubbo/a.B") is Want.CHILDREN


def test_under_a_root_of_both_an_interface_has_no_instances() -> None:
    roots = Roots(["/acme"], ["/acme"])
    assert roots.all == ("/acme",)
    assert {place.sort for place in roots.places("/acme/x")} == {Sort.INTERFACE, Sort.APPLICATION}
    assert {place.sort for place in roots.places("/acme/x/providers")} == {Sort.PROVIDERS}
    assert {place.sort for place in roots.places("/acme/x/10.0.0.1:1")} == {Sort.INSTANCE}
    for path in ("/acme/x/routers", "/acme/metadata", "/acme/metadata/x"):
        assert roots.places(path) == []
    assert not roots.lists("/acme", "x")


def test_it_says_where_metadata_stand_and_which_roots_are_below() -> None:
    roots = Roots(["/", "/dubbo"], ["/services"])
    assert list(roots.metadata("shop", "r1")) == ["/metadata/shop/r1", "/dubbo/metadata/shop/r1"]
    assert list(roots.below("/")) == ["/", "/dubbo", "/services"]
    assert list(roots.below("/dubbo")) == ["/dubbo"]
    assert list(roots.below("/dub")) == []
