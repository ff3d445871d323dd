"""What an instance serves while the metadata of its revision are not known."""

import pytest
from unit.zookeeper.pieces import (
    DUBBO,
    GREETER,
    INSTANCE,
    STOCK,
    TRI,
    moved,
)
from unit.zookeeper.trees import Registry, captured, with_url

from meshbridge_dubbo import read_metadata


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


def test_who_cannot_be_asked_is_to_be_reached_or_to_write_what_it_offers() -> None:
    tree = {p: d for p, d in captured("dubbo3-instance").items() if p.startswith("/services")}
    registry = Registry(dials=True).read(tree)
    (revision,) = registry.holdings.applications.revisions.lacking
    registry.holdings.applications.fail(revision, "Connection refused")
    registry.say()
    (fault,) = registry.reports
    assert fault.reason == "they cannot be fetched: Connection refused"
    assert fault.remedy.startswith("let the bridge reach it, or let it register with metadata-type")
