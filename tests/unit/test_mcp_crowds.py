"""Where WorkloadEntries are too many for istiod is known, at the cost of what changes."""

from meshbridge_mcp.crowds import MANY, Crowds, crowd
from meshbridge_xds.resources import Resource, ResourceSet


def some(namespace: str, count: int) -> dict[str, Resource | None]:
    names = (f"{namespace}/w{number}" for number in range(count))
    return {name: Resource.of(name, b"x") for name in names}


def test_a_namespace_is_crowded_beyond_the_limit_and_no_other_with_it() -> None:
    resources = ResourceSet().changed({**some("shop", MANY + 1), **some("web", MANY)})
    assert Crowds().follow(resources) == {"shop": True, "web": False}
    assert str(crowd("mcp", "shop")).startswith("mcp: namespace shop: it has more than 300 ")


def test_it_is_crowded_no_longer_once_some_went() -> None:
    """Only namespaces whose number changed are named."""
    crowds = Crowds()
    first = ResourceSet().changed({**some("shop", MANY + 1), **some("web", 1)})
    crowds.follow(first)
    assert crowds.follow(first) == {}
    again = first.changed({"shop/w0": Resource.of("shop/w0", b"y")})
    assert crowds.follow(again) == {}
    assert crowds.follow(again.changed({"shop/w0": None})) == {"shop": False}


def test_a_set_that_nothing_is_known_of_is_counted_whole() -> None:
    """As the first one after another outlet's."""
    crowds = Crowds()
    crowds.follow(ResourceSet().changed(some("shop", MANY + 1)))
    assert crowds.follow(ResourceSet().changed(some("web", 1))) == {"shop": False, "web": False}
