"""What docs/dubbo.md says of interfaces without providers is so."""

from pathlib import Path
from urllib.parse import quote

from unit.zookeeper.trees import Registry, Tree, endpoints, with_url

from meshbridge_zookeeper_dubbo.interface import MOST_EMPTY
from meshbridge_zookeeper_dubbo.roots import Roots

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


def test_an_interface_that_is_created_later_has_no_host_until_its_first_provider() -> None:
    assert "no host until its first provider, or the next start of the bridge" in TEXT
    registry = Registry().read({"/dubbo": b""})
    registry.become(NODE)
    assert told(registry) == set()
    registry.become(variants(1))
    registry.become(NODE)
    assert told(registry) == {f"{LIFE}#1"}
    assert told(Registry().read(NODE)) == {LIFE}


def test_the_providers_of_one_interface_below_two_roots_stand_under_one_host() -> None:
    assert "the providers of both stand under one host" in TEXT
    urls = {"dubbo": "10.1.0.1", "blue": "10.2.0.1"}
    tree: Tree = {}
    for root, address in urls.items():
        url = quote(f"dubbo://{address}:20880/{LIFE}?interface={LIFE}", safe="")
        tree[f"/{root}/{LIFE}/providers/{url}"] = b""
    registry = Registry(Roots(["/dubbo", "/blue"], [])).read(tree)
    assert told(registry) == {LIFE}
    (instances,) = (each.instances for each in registry.services.values())
    assert {each.address for each in instances} == set(urls.values())
