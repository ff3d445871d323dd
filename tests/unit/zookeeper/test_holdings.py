"""Which services there are, of the roots and nodes that there are, and when something is said."""

from collections.abc import Iterable
from urllib.parse import quote

from unit.zookeeper.pieces import DUBBO, GREETER, INSTANCE, LIFE, STOCK, TRI, listing, url
from unit.zookeeper.trees import Registry, captured, with_url

from meshbridge import Health, Kind
from meshbridge_zookeeper_dubbo.roots import Roots


def test_an_address_told_twice_is_one_instance_and_the_newer_registration_counts() -> None:
    """A provider that was killed and is back: its old node stays until its session ends."""
    old, new = url(weight="50", timestamp="1000"), url(weight="80", timestamp="2000")
    for order in ((old, new), (new, old)):
        (instance,) = Registry().read(listing(*order))[LIFE].instances
        assert instance.weight == 0.8


def test_a_further_protocol_of_a_port_is_one_endpoint_though_it_registers_by_itself() -> None:
    """As Dubbo 3.3 does; two that name each other are both kept."""
    main, extra = url(1, ext_protocol="tri"), url(1, scheme="tri", isExtra="true")
    registry = Registry().read(listing(extra, main, url(2, scheme="tri")))
    assert registry.shown()[LIFE] == ["dubbo://10.0.0.1:1", "tri://10.0.0.1:2"]
    registry.become(listing(extra, url(2, scheme="tri")))
    assert registry.shown()[LIFE] == ["tri://10.0.0.1:1", "tri://10.0.0.1:2"]
    registry.become(listing(main, url(1, scheme="tri", ext_protocol="dubbo")))
    assert registry.shown()[LIFE] == ["dubbo://10.0.0.1:1", "tri://10.0.0.1:1"]


def test_two_roots_are_one_world() -> None:
    tree = listing(url(1)) | {
        f"/eu/dubbo/{LIFE}/providers/{quote(url(2), safe='')}": b"",
        f"/eu/dubbo/{LIFE}/providers/{quote(url(1), safe='')}": b"",
        "/eu/services/shop/a": b'{"address":"10.0.0.1","port":80}',
        "/services/shop/b": b'{"address":"10.0.0.2","port":80}',
        "/services/shop/a": b'{"address":"10.0.0.1","port":80}',
    }
    roots = Roots(["/dubbo", "/eu/dubbo"], ["/services", "/eu/services"])
    registry = Registry(roots).read(tree)
    assert registry.shown() == {
        LIFE: ["dubbo://10.0.0.1:1", "dubbo://10.0.0.1:2"],
        "shop": ["a", "b"],
    }
    registry.become({path: data for path, data in tree.items() if not path.startswith("/eu")})
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:1"], "shop": ["a", "b"]}


def test_one_root_for_interfaces_and_applications_tells_them_apart() -> None:
    """The group of a Dubbo registry is the root of both."""
    tree = {path.replace("/services", "/dubbo"): d for path, d in captured("dubbo3-local").items()}
    registry = Registry(Roots(["/dubbo"], ["/dubbo"])).read(tree)
    assert registry.shown() == Registry().read(captured("dubbo3-local")).shown()
    registry.become({path: data for path, data in tree.items() if "provider/" not in path})
    assert set(registry.shown()) == {GREETER, STOCK}


def test_roots_below_each_other_are_no_interfaces_and_no_applications() -> None:
    tree = listing(url(1)) | {"/services/shop/a": b'{"address":"10.0.0.1","port":80}'}
    assert set(Registry(Roots(["/", "/dubbo"], ["/services"])).read(tree).shown()) == {LIFE, "shop"}
    other = {f"/{path.split('/', 2)[2]}": data for path, data in listing(url(1)).items()}
    registry = Registry(Roots(["/"], ["/services"])).read(
        other | {"/services/shop/a": b'{"address":"10.0.0.1","port":80}', "/zookeeper/quota": b""}
    )
    assert set(registry.shown()) == {LIFE, "shop"}


def test_an_empty_interface_is_told_and_a_deleted_one_is_not() -> None:
    registry = Registry().read(listing())
    assert registry.shown() == {LIFE: []}
    registry.become(listing(url()))
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:20880"]}
    registry.become(listing())
    assert registry.shown() == {LIFE: []}
    registry.become({})
    assert registry.shown() == {}


def test_an_interface_without_a_node_for_providers_is_none() -> None:
    tree = listing(url(1))
    registry = Registry().read(tree)
    registry.vanish(f"/dubbo/{LIFE}/providers")
    registry.settle()
    assert registry.shown() == {}
    registry.vanish(f"/dubbo/{LIFE}/providers")  # it may be told again
    registry.vanish("/dubbo/com.acme.Unknown/providers")
    registry.settle()
    assert registry.shown() == {}
    only_consumers = with_url({}, LIFE, "consumer://10.0.0.9/" + LIFE, "consumers")
    assert Registry().read(only_consumers).shown() == {}


def test_an_interface_that_is_just_being_made_is_told_with_its_first_provider() -> None:
    """Its nodes come one after the other; none of them says what group and version it will have."""
    registry = Registry().read({})
    registry.become(listing())
    assert registry.shown() == {}
    registry.become(listing(url(group="g1")))
    assert registry.shown() == {f"g1@@{LIFE}": ["dubbo://10.0.0.1:20880"]}


def test_a_version_whose_last_provider_went_stays_as_long_as_its_interface() -> None:
    registry = Registry().read(listing(url(version="1"), url(2, version="2")))
    registry.become(listing(url(version="1")))
    assert registry.shown() == {f"{LIFE}#1": ["dubbo://10.0.0.1:20880"], f"{LIFE}#2": []}
    registry.read(listing())
    assert registry.shown() == {f"{LIFE}#1": [], f"{LIFE}#2": []}
    registry.become({})
    assert registry.shown() == {}
    registry.become(listing(url(version="3")))
    assert set(registry.shown()) == {f"{LIFE}#3"}


def test_of_versions_without_a_provider_the_latest_are_remembered() -> None:
    registry = Registry().read(listing())
    for version in range(100, 130):
        registry.become(listing(url(version=str(version))))
    registry.become(listing())
    assert registry.shown() == {f"{LIFE}#{version}": [] for version in range(114, 130)}


def test_what_an_application_alone_told_stays_while_a_mapping_names_it() -> None:
    tree = captured("dubbo3-remote")
    without = {path: data for path, data in tree.items() if "/peers.Stock/" not in path}
    without = {
        p: d for p, d in tree.items() if not p.startswith((f"/dubbo/{STOCK}", f"/dubbo/{GREETER}"))
    }
    registry = Registry().read(without)
    assert registry.shown()[STOCK] == [DUBBO, TRI]
    registry.become({p: d for p, d in without.items() if p != f"/services/provider/{INSTANCE}"})
    assert registry.shown() == {GREETER: [], STOCK: [], "provider": []}
    registry.become({"/services/provider": b""})
    assert registry.shown() == {"provider": []}


def test_names_are_read_while_others_are_still_told() -> None:
    registry = Registry()
    registry.tree = listing(url(1), url(2))
    registry.tell("/dubbo")
    assert registry.holdings.interfaces.unread
    assert sum(1 for _ in registry.holdings.read()) > 0
    assert not registry.holdings.interfaces.unread
    assert list(registry.holdings.take()) == []
    registry.settle()
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:1", "dubbo://10.0.0.1:2"]}


def test_mappings_go_with_the_node_that_they_stand_below() -> None:
    registry = Registry().read(captured("dubbo3-instance"))
    registry.vanish("/dubbo/mapping")
    registry.settle()
    assert registry.shown() == {"provider": [INSTANCE]}


def test_a_root_that_goes_takes_all_with_it() -> None:
    """It is told as a node without children, or as a child that has gone."""
    for name in ("dubbo3-parameters", "dubbo3-instance"):
        registry = Registry().read(captured(name))
        registry.holdings.children("/dubbo", ())
        registry.settle()
        assert registry.shown() == {"provider": [INSTANCE]}
        registry.holdings.removed("/", "services")
        registry.settle()
        assert registry.shown() == {}


def test_an_instance_out_of_use_is_so_at_each_of_its_interfaces() -> None:
    tree = captured("dubbo3-local")
    path = f"/services/provider/{INSTANCE}"
    out = tree | {path: tree[path].replace(b'"address"', b'"enabled":false,"address"', 1)}
    registry = Registry().read(out)
    services: Iterable[str] = (GREETER, STOCK, "provider")
    assert {i.health for name in services for i in registry[name].instances} == {Health.DISABLED}
    registry.become(tree)
    assert {i.health for name in services for i in registry[name].instances} == {Health.HEALTHY}


def test_an_interface_is_told_in_the_place_of_an_application_of_its_name() -> None:
    tree = {
        "/dubbo/shop/providers": b"",
        "/services/shop/a": b'{"address":"10.0.0.1","port":80}',
    }
    tree = with_url(tree, "shop", url(interface="shop"))
    registry = Registry().read(tree)
    assert {each.kind for each in registry.services.values()} == {Kind.DUBBO_INTERFACE}
    (fault,) = registry.reports
    assert (fault.service.name, fault.record) == ("shop", "application")
    registry.become({path: data for path, data in tree.items() if path.startswith("/services")})
    assert {each.kind for each in registry.services.values()} == {Kind.APPLICATION}
    assert registry.unreadable[fault.service] == ()


def test_nothing_is_said_of_what_has_not_changed() -> None:
    tree = captured("dubbo3-remote")
    registry = Registry().read(tree)
    said = registry.news
    for _ in range(2):
        for root in registry.roots.all:
            registry.tell(root)
        registry.settle()
    assert registry.news == said


def test_what_is_dismantled_leaves_what_took_its_place_whole() -> None:
    registry = Registry().read(captured("dubbo3-local"))
    last = registry.holdings
    registry.read(captured("dubbo3-local"))
    assert sum(1 for _ in last.dismantle()) > 4
    registry.become(listing(url(1)))
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:1"]}


def test_nothing_is_said_while_what_is_told_is_not_one_state() -> None:
    registry = Registry().read(listing(url(1)))
    registry.tree = listing(url(2))
    registry.tell("/dubbo")
    assert list(registry.holdings.take()) == []
    assert not registry.holdings.idle
    registry.settle()
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:2"]}
    assert registry.holdings.idle
