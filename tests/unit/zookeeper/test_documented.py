"""What docs/dubbo.md says of interfaces without providers is so."""

from pathlib import Path

from unit.zookeeper.trees import Registry, Tree, endpoints, with_url

from meshbridge_zookeeper_dubbo.interface import MOST_EMPTY

TEXT = " ".join((Path(__file__).parents[3] / "docs" / "dubbo.md").read_text().split())
LIFE = "com.acme.Life"
NODE = {f"/dubbo/{LIFE}/providers": b""}


def variants(*versions: int) -> Tree:
    """Return a tree in which the interface has a provider of each of these versions."""
    tree: Tree = dict(NODE)
    for each in versions:
        url = f"dubbo://10.0.0.1:{each}/{LIFE}?interface={LIFE}&version={each}"
        tree = with_url(tree, LIFE, url)
    return tree


def told(registry: Registry) -> set[str]:
    return set(registry.shown())


def test_of_the_variants_that_have_lost_their_providers_only_the_last_ones_stay() -> None:
    assert f"of each interface the {MOST_EMPTY} that lost theirs last" in TEXT
    most = MOST_EMPTY + 1
    registry = Registry().read(variants(*range(1, most + 1)))
    for gone in range(1, most):
        registry.become(variants(*range(gone + 1, most + 1)))
        assert len(told(registry)) == most, "none is forgotten yet"
    registry.become(NODE)
    assert told(registry) == {f"{LIFE}#{each}" for each in range(2, most + 1)}


def test_replicas_may_differ_in_hosts_without_endpoints() -> None:
    assert "replicas that were started at different times may differ in hosts without" in TEXT
    old, new = Registry().read(variants(1, 2)), Registry()
    old.become(variants(2))
    new.read(variants(2))
    assert told(old) == {f"{LIFE}#1", f"{LIFE}#2"}
    assert told(new) == {f"{LIFE}#2"}
    assert endpoints(old.services) == endpoints(new.services)


def test_an_interface_that_had_no_provider_at_the_start_has_no_group_and_no_version() -> None:
    assert "had none when the bridge started is served without version and group" in TEXT
    assert told(Registry().read(NODE)) == {LIFE}
