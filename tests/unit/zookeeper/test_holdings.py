"""What real trees mean: expectations were written by hand, from the corpus and Dubbo's rules."""

from collections.abc import Iterable
from urllib.parse import quote

import pytest
from unit.zookeeper.trees import Registry, Tree, captured, with_url

from meshbridge import Health, InstancePort, Kind, ServiceId
from meshbridge_dubbo import read_metadata
from meshbridge_zookeeper_dubbo.roots import Roots

GREETER, STOCK = "meshbridge.peers.Greeter", "meshbridge.peers.Stock"
DUBBO, TRI = "dubbo://10.99.0.1:20010", "tri://10.99.0.1:20020"
INSTANCE = "10.99.0.1:20010"
LIFE = "com.acme.Life"


def url(port: int = 20880, interface: str = LIFE, scheme: str = "dubbo", **words: str) -> str:
    query = "&".join(f"{key.replace('_', '.')}={value}" for key, value in words.items())
    return f"{scheme}://10.0.0.1:{port}/{interface}?interface={interface}&{query}"


def listing(*urls: str, category: str = "providers") -> dict[str, bytes]:
    """Return a tree with these below one interface."""
    tree = {f"/dubbo/{LIFE}/providers": b""}
    for each in urls:
        tree = with_url(tree, LIFE, each, category)
    return tree


@pytest.mark.parametrize(
    ("name", "services"),
    [
        (
            "dubbo2",
            {f"g1@@{GREETER}#1.0.0": [DUBBO], f"g1@@{STOCK}#1.0.0": [DUBBO]},
        ),
        ("dubbo2-gone", {GREETER: [], STOCK: []}),
        ("dubbo3-interface", {GREETER: [DUBBO, TRI], STOCK: [DUBBO, TRI]}),
        (
            "dubbo3-local",
            {GREETER: [DUBBO, TRI], STOCK: [DUBBO, TRI], "provider": [INSTANCE]},
        ),
        (
            "dubbo3-remote",
            {GREETER: [DUBBO, TRI], STOCK: [DUBBO, TRI], "provider": [INSTANCE]},
        ),
        (
            "dubbo3-instance",
            {GREETER: [DUBBO, TRI], STOCK: [DUBBO, TRI], "provider": [INSTANCE]},
        ),
        (
            "dubbo3-parameters",
            {
                f"g1@@{GREETER}#1.0.0": [DUBBO, TRI],
                f"g1@@{STOCK}#1.0.0": [DUBBO, TRI],
                "provider": [INSTANCE],
            },
        ),
        ("dubbo3-gone", {GREETER: [], STOCK: [], "provider": []}),
        ("spring-cloud", {"orders": ["00000000-0000-4000-8000-000000000001"]}),
    ],
)
def test_each_captured_tree_is_told_whole(name: str, services: dict[str, list[str]]) -> None:
    registry = Registry().read(captured(name))
    assert registry.shown() == dict(sorted(services.items()))
    assert registry.reports == []
    kinds = {str(each.id): each.kind for each in registry.services.values()}
    applications = {name for name, kind in kinds.items() if kind is Kind.APPLICATION}
    assert applications == {"provider", "orders"} & kinds.keys()


def test_an_interface_on_two_protocols_is_one_service_with_a_port_of_each() -> None:
    greeter = Registry().read(captured("dubbo3-local"))[GREETER]
    assert [each.ports for each in greeter.instances] == [
        (InstancePort(20010, "dubbo"),),
        (InstancePort(20020, "tri"),),
    ]


def test_an_application_has_all_its_endpoints_and_what_its_interfaces_agree_on() -> None:
    """Weight, tag and zone stand in the URLs only, if the metadata stay with the application."""
    registry = Registry().read(captured("dubbo3-parameters"))
    (instance,) = registry["provider"].instances
    assert instance.ports == (InstancePort(20010, "dubbo"), InstancePort(20020, "tri"))
    assert instance.weight == 0.5
    assert instance.zone == "hz/z1"
    assert dict(instance.metadata)["dubbo.tag"] == "gray"


def test_a_consumer_is_known_at_the_service_that_it_asks_for() -> None:
    registry = Registry().read(captured("dubbo2-consumer"))
    (consumer,) = registry[f"g1@@{GREETER}#1.0.0"].consumers
    assert (consumer.address, consumer.application) == ("10.99.0.1", "consumer")
    assert registry[f"g1@@{STOCK}#1.0.0"].consumers == ()


def test_remote_metadata_tell_the_same_as_the_urls() -> None:
    """So that an interface is one service while its providers change how they register."""
    tree = captured("dubbo3-remote")
    both = Registry().read(tree)
    without = {path: data for path, data in tree.items() if "/providers/" not in path}
    alone = Registry().read(without)
    for name in (GREETER, STOCK):
        by_urls = {(i.id, i.address, i.ports, i.weight) for i in both[name].instances}
        by_metadata = {(i.id, i.address, i.ports, i.weight) for i in alone[name].instances}
        assert by_urls == by_metadata
    assert alone.reports == []


def test_an_application_that_keeps_its_interfaces_to_itself_is_told_by_the_mapping() -> None:
    tree = captured("dubbo3-instance")
    mapped = Registry().read(tree)
    assert mapped.shown()[STOCK] == [DUBBO, TRI]
    unmapped = Registry().read({p: d for p, d in tree.items() if "/mapping/" not in p})
    assert unmapped.shown() == {"provider": [INSTANCE]}
    (fault,) = unmapped.reports
    assert fault.service == ServiceId("", "", "provider")
    assert fault.record.startswith("interfaces of revision ")
    assert "dial-instances: true" in fault.remedy
    assert unmapped.unreadable[fault.service] == ((fault.service, fault.record),)


def test_a_mapping_adds_nothing_where_an_instance_registers_both_ways() -> None:
    """Nobody ever takes a mapping back, also not for an interface that has moved elsewhere."""
    tree = captured("dubbo3-local") | {"/dubbo/mapping/com.acme.Moved": b"provider,other"}
    assert Registry().read(tree).shown() == Registry().read(captured("dubbo3-local")).shown()


def test_what_the_registry_should_hold_and_does_not_is_told_as_far_as_the_mapping_knows() -> None:
    tree = {
        path: data
        for path, data in captured("dubbo3-remote").items()
        if "/providers/" not in path and not path.startswith("/dubbo/metadata/provider/")
    }
    assert Registry().read(tree).shown()[GREETER] == [DUBBO, TRI]
    unmapped = {path: data for path, data in tree.items() if "/mapping/" not in path}
    registry = Registry().read(unmapped)
    assert registry.shown() == {GREETER: [], STOCK: [], "provider": [INSTANCE]}
    assert "it is not there" in registry.reports[0].reason


def test_a_guess_is_taken_back_when_the_metadata_come() -> None:
    tree = captured("dubbo3-remote")
    urls = {path: data for path, data in tree.items() if "/providers" not in path}
    metadata = {path for path in urls if path.startswith("/dubbo/metadata/provider/")}
    text = urls[next(iter(metadata))].replace(
        b'"name":"meshbridge', b'"group":"g1","name":"meshbridge'
    )
    registry = Registry().read({path: data for path, data in urls.items() if path not in metadata})
    assert registry.shown()[GREETER] == [DUBBO, TRI]
    (revision,) = registry.holdings.applications.revisions.lacking
    registry.holdings.applications.revisions.failures.clear()
    registry.tree |= dict.fromkeys(metadata, text)
    registry.settle()
    assert revision[0] == "provider"
    assert registry.shown() == {
        f"g1@@{GREETER}": [DUBBO, TRI],
        f"g1@@{STOCK}": [DUBBO, TRI],
        "provider": [INSTANCE],
    }


def moved(tree: Tree, revision: bytes, **kept: bytes) -> Tree:
    """Return the tree with another revision of the instance, and what the registry has of that."""
    path = f"/services/provider/{INSTANCE}"
    before, _, rest = tree[path].partition(b'"dubbo.metadata.revision":"')
    _, _, rest = rest.partition(b'"')
    data = b'%s"dubbo.metadata.revision":"%s"%s' % (before, revision, rest)
    for old, new in kept.items():
        data = data.replace(old.encode(), new)
    return tree | {path: data}


@pytest.mark.parametrize("mapped", [True, False])
def test_an_instance_serves_what_it_did_until_its_new_revision_is_fetched(*, mapped: bool) -> None:
    """Dubbo makes one whenever it exports one interface more, and living endpoints stay."""
    tree = {p: d for p, d in captured("dubbo3-remote").items() if "/providers" not in p}
    tree = {p: d for p, d in tree.items() if mapped or "/mapping/" not in p}
    (path,) = (each for each in tree if each.startswith("/dubbo/metadata/provider/"))
    tree |= {path: tree[path].replace(b'"name":"meshbridge', b'"group":"g1","name":"meshbridge')}
    registry = Registry(fetches=False).read(tree)
    (revision,) = registry.holdings.applications.revisions.lacking
    known = read_metadata(tree[path])
    registry.holdings.applications.learn(revision, known)
    registry.say()
    before = registry.shown()
    assert before[f"g1@@{GREETER}"] == [DUBBO, TRI]
    for again in ("by an event", "after a gap"):
        (registry.become if again == "by an event" else registry.read)(moved(tree, b"r2"))
        assert registry.shown() == before, again
        registry.become(moved(tree, b"r3"))
    registry.holdings.applications.fail(("provider", "r3"), "it is not there")
    registry.say()
    now = registry.shown()
    assert not now.get(f"g1@@{GREETER}")
    assert now.get(GREETER, []) == ([DUBBO, TRI] if mapped else [])
    registry.become(moved(tree, b"r4"))
    assert registry.shown().get(GREETER, []) == ([DUBBO, TRI] if mapped else []), "guessed on"
    registry.holdings.applications.learn(("provider", "r4"), known)
    registry.say()
    assert registry.shown()[f"g1@@{GREETER}"] == [DUBBO, TRI]
    registry.become(moved(tree, b"r5", **{'"10.99.0.1"': b'"10.99.0.7"'}))
    assert not registry.shown().get(f"g1@@{GREETER}"), "elsewhere it is another process"


def test_an_instance_that_urls_told_of_is_not_guessed_about_when_they_go_first() -> None:
    """They name group and version, which a guess would leave out, while the instance still is."""
    tree = captured("dubbo3-local")
    grouped = {p: d for p, d in tree.items() if "/providers/" not in p}
    both = with_url(grouped, GREETER, f"{DUBBO}/{GREETER}?interface={GREETER}&group=g1")
    for dials in (False, True):
        registry = Registry(dials=dials).read(both)
        assert registry.shown()[f"g1@@{GREETER}"] == [DUBBO]
        registry.become(grouped)
        for _ in range(2):
            named = {name for name, ids in registry.shown().items() if ids}
            assert (named, registry.reports) == ({"provider"}, [])
            assert not registry.holdings.applications.revisions.lacking
            registry.read(grouped)
        path = f"/services/provider/{INSTANCE}"
        registry.become({p: d for p, d in grouped.items() if p != path})
        registry.become(grouped)
        if not dials:
            assert registry.shown()[GREETER] == [DUBBO, TRI], "a new node is another life"
            registry = Registry().read(both)
            registry.read(moved(grouped, b"r2"))
            assert registry.shown()[GREETER] == [DUBBO, TRI], "so is one that came in a gap"


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


def test_a_node_that_cannot_be_read_spoils_itself_and_is_reported_once() -> None:
    good, bad = url(1), url(2).replace(":2/", ":many/")
    registry = Registry().read(listing(good, bad))
    name = ServiceId("", "", LIFE)
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:1"]}
    assert [each.service for each in registry.reports] == [name]
    assert len(registry.unreadable[name]) == 1
    registry.become(listing(good, bad, url(3)))
    registry.read(listing(good, bad, url(3)))
    assert len(registry.reports) == 1
    assert len(registry.unreadable[name]) == 1
    registry.become(listing(good, url(3)))
    assert registry.unreadable[name] == ()
    registry.become(listing(good, bad))
    assert len(registry.reports) == 2


def test_what_can_be_read_of_a_bad_url_names_the_instance_that_was_there_before() -> None:
    registry = Registry().read(listing(url(group="g1", weight="heavy")))
    assert registry.unreadable == {
        ServiceId("", "g1", LIFE): ((ServiceId("", "g1", LIFE), "dubbo://10.0.0.1:20880"),)
    }


@pytest.mark.parametrize("wrong", ["no url at all", url(2, group="x" * 600)])
def test_a_url_whose_group_is_not_known_makes_no_service_beside_those_there_are(wrong: str) -> None:
    good = url(1, group="g1")
    registry = Registry().read(listing(good, wrong))
    assert registry.shown() == {f"g1@@{LIFE}": ["dubbo://10.0.0.1:1"]}
    (fault,) = registry.reports
    assert fault.service == ServiceId("", "g1", LIFE)
    assert registry.unreadable[fault.service] == ((fault.service, fault.record),)
    registry.become(listing(wrong))
    assert registry.shown() == {f"g1@@{LIFE}": []}
    alone = Registry().read({})
    alone.become(listing(wrong))
    assert alone.shown() == {LIFE: []}
    assert len(alone.reports) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        url(interface="com.acme.Other"),
        url(group="*"),
        url(interface=LIFE, group="x" * 600),
        "dubbo://10.0.0.1/" + LIFE,
        "no url at all",
        "%zz",
    ],
)
def test_each_of_these_is_no_provider_of_the_interface(wrong: str) -> None:
    registry = Registry().read(listing(wrong, url(7)))
    assert registry["com.acme.Life"].instances[0].id == "dubbo://10.0.0.1:7"
    (fault,) = registry.reports
    assert (fault.service.name, bool(fault.reason), bool(fault.remedy)) == (LIFE, True, True)


def test_what_stands_beside_providers_and_is_none_is_passed_over() -> None:
    others = [url(scheme=scheme) for scheme in ("empty", "injvm", "override", "route")]
    registry = Registry().read(listing(*others, url(5)))
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:5"]}
    assert registry.reports == []


def test_a_consumer_that_cannot_be_read_is_named() -> None:
    registry = Registry().read(listing(url(1)) | listing("dubbo://x", category="consumers"))
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:1"]}
    assert len(registry.reports) == 1
    grouped = listing(url(1, group="g1")) | listing("dubbo://x", category="consumers")
    assert Registry().read(grouped).shown() == {f"g1@@{LIFE}": ["dubbo://10.0.0.1:1"]}


def test_an_instance_that_cannot_be_read_spoils_itself() -> None:
    tree = {
        "/services/shop/a": b'{"address":"10.0.0.1","port":80}',
        "/services/shop/b": b"10.0.0.2",
    }
    registry = Registry().read(tree)
    shop = ServiceId("", "", "shop")
    assert registry.shown() == {"shop": ["a"]}
    assert registry.unreadable[shop] == ((shop, "b"),)
    registry.become(tree | {"/services/shop/b": b'{"address":"10.0.0.2","port":80}'})
    assert registry.shown() == {"shop": ["a", "b"]}
    assert registry.unreadable[shop] == ()


def test_an_instance_whose_node_was_not_there_when_it_was_read_tells_nothing() -> None:
    registry = Registry().read({"/services/shop/a": b'{"address":"10.0.0.1","port":80}'})
    registry.holdings.data("/services/shop/a", None)
    registry.settle()
    assert registry.shown() == {"shop": []}


def test_an_interface_of_the_metadata_that_cannot_be_read_spoils_itself() -> None:
    tree = captured("dubbo3-remote")
    (path,) = (each for each in tree if each.startswith("/dubbo/metadata/provider/"))
    broken = tree[path].replace(b'"port":20020', b'"port":"many"', 1)
    urls = {each: data for each, data in tree.items() if "/providers/" not in each}
    registry = Registry().read(urls | {path: broken})
    assert sorted(map(len, (registry.shown()[name] for name in (GREETER, STOCK)))) == [1, 2]
    (fault,) = registry.reports
    assert fault.service.name == "provider"
    assert ":tri" in fault.record


def test_a_mapping_that_cannot_be_read_is_named_at_its_interface() -> None:
    registry = Registry().read(listing(url(1)) | {f"/dubbo/mapping/{LIFE}": b"a,\xff"})
    (fault,) = registry.reports
    assert (fault.service.name, fault.record) == (LIFE, f"/dubbo/mapping/{LIFE}")
    registry.become(listing(url(1)) | {f"/dubbo/mapping/{LIFE}": b"a"})
    assert registry.unreadable[fault.service] == ()


def test_a_configurator_that_cannot_be_read_is_named() -> None:
    bad = listing("override://0.0.0.0", "no url", category="configurators")
    registry = Registry().read(listing(url(1)) | bad)
    assert {each.service.name for each in registry.reports} == {LIFE}
    assert "no%20url" in {each.record for each in registry.reports}


def test_without_triple_there_is_no_way_out_by_dialling() -> None:
    tree = {p: d for p, d in captured("dubbo3-instance").items() if "/mapping/" not in p}
    path = f"/services/provider/{INSTANCE}"
    old = tree | {path: tree[path].replace(b'"meta-v":"2.0.0"', b'"meta-v":"1.0.0"')}
    for dials in (False, True):
        (fault,) = Registry(dials=dials).read(old).reports
        assert "dial" not in fault.remedy
        assert "Triple" in fault.reason


def test_an_instance_that_can_be_asked_is_wanted_to_be_asked() -> None:
    tree = captured("dubbo3-instance")
    registry = Registry(dials=True).read(tree)
    assert registry.shown() == {"provider": [INSTANCE]}
    assert registry.reports == []
    applications = registry.holdings.applications
    (revision,) = applications.revisions.fresh
    wanted = applications.wanted(revision)
    assert wanted is not None
    assert not wanted.remote
    assert applications.revisions.unasked == {revision}
    assert not applications.revisions.unread
    assert [each.instance.id for each in wanted.instances] == [INSTANCE]
    applications.fail(wanted.revision, "nobody answers")
    registry.say()
    assert registry.shown()[GREETER] == [DUBBO, TRI]  # as the mapping has it, until it is known
    applications.fail(wanted.revision, "nobody answers")
    assert registry.holdings.applications.stirred == {}
    applications.learn(("provider", "another"), read_metadata(b'{"services":{}}'))
    registry.say()
    assert applications.wanted(revision) == wanted
    remote = captured("dubbo3-remote")
    (path,) = (each for each in remote if each.startswith("/dubbo/metadata/provider/"))
    applications.learn(wanted.revision, read_metadata(remote[path]))
    registry.say()
    assert registry.shown()[STOCK] == [DUBBO, TRI]
    assert applications.wanted(revision) is None
    registry.read(tree)
    assert registry.shown()[STOCK] == [DUBBO, TRI], "what was fetched is not fetched again"


def test_what_many_interfaces_an_instance_serves_is_worked_out_in_steps() -> None:
    """And dropped where the instance has gone before it was done."""
    tree = captured("dubbo3-remote")
    (path,) = (each for each in tree if each.startswith("/dubbo/metadata/provider/"))
    services = [
        f'"com.acme.S{number}:tri":{{"name":"com.acme.S{number}","protocol":"tri","port":20020}}'
        for number in range(250)
    ]
    node = f"/services/provider/{INSTANCE}"
    metadata = f'{{"app":"provider","services":{{{",".join(services)}}}}}'.encode()
    registry = Registry().read({path: metadata, node: tree[node]})
    assert len(registry.shown()) == 251
    applications = registry.holdings.applications
    revision = next(iter(applications.revisions.known))
    applications.learn(revision, applications.revisions.known[revision])
    taking = registry.holdings.take()
    assert next(taking) is None
    registry.vanish(node)
    assert set(taking) == {None}
    registry.settle()
    assert registry.shown() == {"provider": []}


def test_what_was_guessed_stays_after_a_gap_until_it_is_known() -> None:
    tree = captured("dubbo3-instance")
    registry = Registry(dials=True).read(tree)
    (revision,) = registry.holdings.applications.revisions.unasked
    registry.holdings.applications.fail(revision, "nobody answers")
    registry.say()
    guessed = registry.shown()
    assert guessed[GREETER] == [DUBBO, TRI]
    registry.read(tree)
    assert registry.shown() == guessed
    revisions = registry.holdings.applications.revisions
    assert (list(revisions.fresh), revisions.unasked) == ([revision], set()), "nobody waits for it"


def test_who_has_not_answered_in_time_is_guessed_about() -> None:
    registry = Registry(dials=True).read(captured("dubbo3-instance"))
    assert registry.shown() == {"provider": [INSTANCE]}
    registry.holdings.applications.wait_no_longer()
    registry.say()
    assert registry.shown()[GREETER] == [DUBBO, TRI]
    assert not registry.holdings.applications.revisions.unasked


def test_what_the_registry_holds_is_waited_for_again_after_a_gap() -> None:
    tree = {p: d for p, d in captured("dubbo3-remote").items() if "/metadata/" not in p}
    tree = {p: d for p, d in tree.items() if "/providers" not in p}
    registry = Registry().read(tree)
    assert registry.shown()[GREETER] == [DUBBO, TRI]
    registry.fetches = False
    registry.read(tree)
    assert registry.holdings.applications.revisions.unread
    assert registry.shown()[GREETER] == [DUBBO, TRI]
    registry.become({p: d for p, d in tree.items() if "/services/" not in p})
    assert not registry.holdings.applications.revisions.unread


def test_why_nobody_could_be_asked_is_told() -> None:
    tree = {p: d for p, d in captured("dubbo3-instance").items() if "/mapping/" not in p}
    registry = Registry(dials=True).read(tree)
    (revision,) = registry.holdings.applications.revisions.lacking
    registry.holdings.applications.fail(revision, "10.99.0.1:20020: refused")
    registry.say()
    (fault,) = registry.reports
    assert "10.99.0.1:20020: refused" in fault.reason


def test_the_registry_is_waited_for_until_it_has_failed() -> None:
    registry = Registry()
    registry.tree = captured("dubbo3-remote")
    for root in registry.roots.all:
        registry.tell(root)
    registry.holdings.settled()
    for _ in registry.holdings.take():
        pass
    applications = registry.holdings.applications
    (revision,) = applications.revisions.unread
    applications.fail(revision, "it is not there")
    assert not applications.revisions.unread


def test_names_are_read_while_others_are_still_told() -> None:
    registry = Registry()
    registry.tree = listing(url(1), url(2))
    registry.tell("/dubbo")
    assert sum(1 for _ in registry.holdings.read()) == 2
    assert list(registry.holdings.take()) == []
    registry.settle()
    assert registry.shown() == {LIFE: ["dubbo://10.0.0.1:1", "dubbo://10.0.0.1:2"]}


def rule(*lines: str) -> bytes:
    return "\n".join(("configVersion: v2.7", *lines)).encode()


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
