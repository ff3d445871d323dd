"""Which applications serve an interface, as Dubbo 3 and Dubbo 2.7 write it."""

from unit.zookeeper.pieces import LIFE, shop
from unit.zookeeper.trees import Registry, Tree, captured

from meshbridge import ServiceId

DATA = f"/dubbo/mapping/{LIFE}"
CONFIGURED = f"/dubbo/config/mapping/{LIFE}"
ADDRESS = b"10.0.0.9"
"""What a node's data are if its client gave none."""


def serving(tree: Tree) -> list[str]:
    """Return who serves the interface; the same when it has come node by node."""
    whole = Registry().read(tree)
    slowly = Registry().read({})
    slowly.become(tree)
    assert slowly.shown() == whole.shown()
    return whole.shown().get(LIFE, [])


def test_the_nodes_below_a_mapping_name_applications() -> None:
    for mapping in (CONFIGURED, DATA):
        tree = shop() | {mapping: ADDRESS, f"{mapping}/shop": b"1767225600000"}
        assert serving(tree) == ["dubbo://10.0.0.1:20880"]


def test_an_application_of_dubbo_2_7_is_known_by_the_mapping_alone() -> None:
    """It tells no revision of what it exports, so that its metadata are nobody's."""
    names = ("meshbridge.peers.Greeter", "meshbridge.peers.Stock")
    tree = captured("dubbo2-instance")
    registry = Registry().read(tree)
    served = {name: ["dubbo://10.99.0.1:20010"] for name in names}
    assert registry.shown() == {**served, "provider": ["10.99.0.1:20010"]}
    assert registry.reports == []
    unmapped = Registry().read({path: tree[path] for path in tree if "/mapping" not in path})
    assert unmapped.shown() == {"provider": ["10.99.0.1:20010"]}
    (fault,) = unmapped.reports
    assert (fault.service, fault.record) == (ServiceId("", "", "provider"), "interfaces")
    assert "no mapping names any" in fault.reason


def test_what_data_and_nodes_name_is_joined() -> None:
    """Where Dubbo 2.7 and Dubbo 3 have written to the same node."""
    tree = shop(1) | shop(2, "stall") | shop(3, "pier")
    tree |= {DATA: b"10.0.0.9,shop", f"{DATA}/stall": b"", f"{CONFIGURED}/pier": b""}
    assert serving(tree) == [f"dubbo://10.0.0.1:{port}" for port in (1, 2, 3)]


def test_an_address_in_a_mapping_is_no_application() -> None:
    assert serving(shop(application="10.0.0.9") | {DATA: ADDRESS}) == []
    assert serving(shop(application="10.0.0.9") | {CONFIGURED: ADDRESS}) == []


def test_a_mapping_is_taken_back_with_the_last_that_tells_it() -> None:
    both = shop() | {DATA: b"shop", f"{DATA}/shop": b""}
    registry = Registry().read(both)
    registry.become(shop() | {DATA: b"shop"})
    assert registry.shown()[LIFE] == ["dubbo://10.0.0.1:20880"]
    registry.become(both)
    registry.become(shop() | {DATA: b"", f"{DATA}/shop": b""})
    assert registry.shown()[LIFE] == ["dubbo://10.0.0.1:20880"]
    registry.become(shop() | {DATA: b""})
    assert LIFE not in registry.shown()


def test_nobody_is_named_by_a_mapping_that_is_not_there_when_it_is_read() -> None:
    registry = Registry().read(shop() | {DATA: b"shop", f"{DATA}/shop": b""})
    registry.holdings.data(DATA, None)
    registry.settle()
    assert registry.shown()[LIFE] == ["dubbo://10.0.0.1:20880"]
    registry.holdings.children(DATA, ())
    registry.settle()
    assert LIFE not in registry.shown()


def test_mappings_go_with_the_nodes_that_they_stand_below() -> None:
    for gone in ("/dubbo/config", "/dubbo/config/mapping", CONFIGURED):
        registry = Registry().read(shop() | {f"{CONFIGURED}/shop": b""})
        registry.vanish(gone)
        registry.settle()
        assert LIFE not in registry.shown()
