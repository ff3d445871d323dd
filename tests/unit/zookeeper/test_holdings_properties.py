"""However a tree came about, the same services are told as by whoever reads it afresh.

The expectation is worked out from the tree as it is at last, in the simplest way: each record is
read, and what it tells is put in a dictionary.
"""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.zookeeper.trees import CORPUS, Registry, Tree, captured, kids

from meshbridge import BadData, Health, RegisteredService, ServiceId
from meshbridge_dubbo import (
    ApplicationInstance,
    Provider,
    Variant,
    guessed_providers,
    not_a_provider,
    parse_url,
    providers_of,
    read_instance,
    read_mapping,
    read_metadata,
    read_provider,
)
from meshbridge_zookeeper_dubbo.roots import Roots

GREETER, STOCK = "meshbridge.peers.Greeter", "meshbridge.peers.Stock"
ROOTS = Roots(["/dubbo", "/eu"], ["/services", "/eu"])
FIRST, SECOND = "10.99.0.1:20010", "10.99.0.2:20010"


def _url(interface: str, at: str, **words: str) -> str:
    query = "&".join(f"{key.replace('_', '.')}={value}" for key, value in words.items())
    return quote(f"{at}/{interface}?interface={interface}&{query}", safe="")


def _providers() -> Iterator[str]:
    for interface in (GREETER, STOCK):
        for root in ("/dubbo", "/eu"):
            parent = f"{root}/{interface}/providers"
            yield parent
            for at, owner in ((f"dubbo://{FIRST}", "provider"), (f"tri://{SECOND}", "till")):
                words = {"timestamp": "2000", "weight": "70", "application": owner}
                yield f"{parent}/{_url(interface, at, **words)}"
                yield f"{parent}/{_url(interface, at, timestamp='1000', disabled='true')}"
                yield f"{parent}/{_url(interface, at, group='g1', version='1.0')}"
            yield f"{parent}/{_url('com.acme.Other', 'dubbo://10.0.0.1:1')}"
            yield f"{parent}/{quote('dubbo://10.0.0.1:many/x', safe='')}"
            yield f"{root}/{interface}/consumers/{_url(interface, 'consumer://10.0.0.8')}"


def _instances() -> Iterator[tuple[str, bytes]]:
    for kind in ("local", "remote"):
        tree = captured(f"dubbo3-{kind}")
        (path,) = (each for each in tree if each.startswith("/services/provider/"))
        for root in ("/services", "/eu"):
            for address in (FIRST, SECOND):
                node = f"{root}/provider/{address}"
                data = tree[path].replace(b"10.99.0.1", address.split(":")[0].encode())
                yield node, data
                yield node, data.replace(b'"address"', b'"enabled":false,"address"', 1)
                yield node, b"no JSON"
    yield "/services/shop/a", b'{"address":"10.0.0.1","port":80}'
    yield "/services/shop/a", b'{"address":"10.0.0.1","port":81}'
    yield "/services/shop", b""


def _others() -> Iterator[tuple[str, bytes]]:
    for root in ("/dubbo", "/eu"):
        for interface in (GREETER, STOCK):
            for names in (b"provider", b"shop,provider", b"", b"\xff"):
                yield f"{root}/mapping/{interface}", names


METADATA = {p: d for p, d in captured("dubbo3-remote").items() if "/metadata/provider/" in p}
DEFINITIONS = {f"/eu/metadata/{GREETER}/1.0/g1/provider/provider": b""}
POOL = [*((path, b"10.0.0.9") for path in _providers()), *_instances(), *_others()]
MAPPINGS = {f"{root}/mapping/{name}" for root in ("/dubbo", "/eu") for name in (GREETER, STOCK)}
TREES = st.lists(st.sampled_from(POOL), max_size=14).map(dict)


def expected(
    tree: Tree, ever: Collection[str] = ()
) -> dict[ServiceId, dict[str, tuple[float, Health]]]:
    """Return what there is: weight and health of each instance of each service that has any.

    ``ever`` are the paths of instances that URLs have told of since their nodes were made.
    """
    found: dict[ServiceId, dict[str, Provider]] = {}
    by_place: dict[str, list[Provider]] = {}
    for provider in _read_urls(tree):
        held = found.setdefault(provider.service, {})
        last = held.get(provider.instance.id)
        if last is None or _began(last) < _began(provider):
            held[provider.instance.id] = provider
        by_place.setdefault(provider.instance.id, []).append(provider)
    vague: list[Provider] = []
    for path, instance in _read_instances(tree):
        served, guessed = _serves(instance, by_place, tree, guesses=path not in ever)
        for each in served:
            if guessed and each.service == ServiceId("", "", each.service.name):
                vague.append(each)
            else:
                _join(found, each)
    owners = {name: {each.application for each in held.values()} for name, held in found.items()}
    for each in vague:
        if each.application in owners.get(each.service, {each.application}):
            _join(found, each)
    return {
        name: {each.instance.id: (each.instance.weight, each.instance.health) for each in held}
        for name, held in ((name, held.values()) for name, held in found.items())
    }


def _began(provider: Provider) -> float:
    return provider.instance.registered_at or 0


def _join(found: dict[ServiceId, dict[str, Provider]], served: Provider) -> None:
    held = found.setdefault(served.service, {})
    known = held.setdefault(served.instance.id, served)
    if served.instance.health is Health.DISABLED:
        out = replace(known.instance, health=Health.DISABLED)
        held[served.instance.id] = replace(known, instance=out)


def _read_urls(tree: Tree) -> Iterator[Provider]:
    for path in tree:
        match path.split("/"):
            case ["", "dubbo" | "eu", interface, "providers", name]:
                with suppress(BadData):
                    url = parse_url(name)
                    if not_a_provider(url) is None and url.interface == unquote(interface):
                        yield read_provider(url)
            case _:
                pass


def by_urls(tree: Tree) -> set[str]:
    """Return the paths of the instances that URLs tell of."""
    places = {provider.instance.id for provider in _read_urls(tree)}
    return {path for path, instance in _read_instances(tree) if _places(instance) & places}


def _places(instance: ApplicationInstance) -> set[str]:
    own = instance.instance
    return {f"{port.protocol}://{own.address}:{port.number}" for port in own.ports}


def _read_instances(tree: Tree) -> Iterator[tuple[str, ApplicationInstance]]:
    for path, data in sorted(tree.items()):
        match path.split("/"):
            case ["", "services" | "eu", "provider", node]:
                with suppress(BadData):
                    yield path, read_instance("provider", node, data)
            case _:
                pass


def _serves(
    instance: ApplicationInstance, urls: dict[str, list[Provider]], tree: Tree, *, guesses: bool
) -> tuple[Sequence[Provider], bool]:
    """Return what an instance serves, and whether that is guessed."""
    for path in ROOTS.metadata("provider", instance.revision):
        if instance.storage == "remote" and path in tree:
            return providers_of(instance, read_metadata(tree[path])).providers, False
    own = instance.instance
    told = [provider for place in _places(instance) for provider in urls.get(place, ())]
    if told:
        out = own.health is Health.DISABLED
        ended = [replace(p, instance=replace(p.instance, health=own.health)) for p in told if out]
        return ended, False
    defined = {GREETER: [Variant("g1", "1.0")]} if DEFINITIONS.keys() <= tree.keys() else {}
    return guessed_providers(instance, _mapped(tree), defined).providers if guesses else (), True


def _mapped(tree: Tree) -> set[str]:
    found: set[str] = set()
    for path, data in tree.items():
        if "/mapping/" in path:
            with suppress(BadData):
                if "provider" in read_mapping(data):
                    found.add(path.rpartition("/")[2])
    return found


def told(services: dict[ServiceId, RegisteredService]) -> dict[ServiceId, object]:
    return {
        name: {each.id: (each.weight, each.health) for each in service.instances}
        for name, service in services.items()
        if service.instances and name.name in (GREETER, STOCK)
    }


def events(registry: Registry, tree: Tree) -> list[Callable[[], None]]:
    """Return what is told when the tree becomes this, and further readings of parts of it."""
    before, now = kids(registry.tree), kids(tree)
    gone = {*before, *registry.tree} - {*now, *tree}
    come = {*now, *tree} - {*before, *registry.tree}
    changed = [path for path in tree if path in registry.tree]
    return [
        *(partial(registry.vanish, path) for path in sorted(gone)),
        *(partial(registry.appear, path) for path in sorted(come)),
        *(partial(registry.hold, path) for path in changed),
    ]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(TREES, min_size=1, max_size=5),
    st.sampled_from([METADATA, DEFINITIONS, {}]),
    st.randoms(use_true_random=False),
)
def test_any_order_of_events_and_any_reading_again_tell_what_a_fresh_reading_does(
    trees: list[Tree],
    kept: Tree,
    chance: random.Random,
) -> None:
    registry = Registry(ROOTS)
    ever: set[str] = set()
    for number, drawn in enumerate(trees):
        tree = drawn | kept
        ever = {path for path in ever if path in tree}
        if not number or chance.random() < 0.2:
            ever = {path for path in ever if tree[path] == registry.tree[path]}
            registry.read(tree)
        else:
            happening = events(registry, tree)
            registry.tree = dict(tree)
            places = [path for path in kids(tree) if ROOTS(path)] or ["/dubbo"]
            happening += [partial(registry.tell, chance.choice(places)) for _ in range(3)]
            chance.shuffle(happening)
            for each in happening:
                each()
            registry.settle()
        ever |= by_urls(tree)
        assert told(registry.services) == expected(tree, ever)
        if ever != by_urls(tree):
            continue  # who reads it afresh may guess
        fresh = Registry(ROOTS).read(tree)
        assert _filled(registry) == _filled(fresh)
        # A mapping is named where its interface is told, which an empty one may be or not.
        assert _records(registry) - MAPPINGS == _records(fresh) - MAPPINGS


def _filled(registry: Registry) -> dict[ServiceId, RegisteredService]:
    return {name: each for name, each in registry.services.items() if each.instances}


def _faults(registry: Registry) -> set[tuple[ServiceId, str]]:
    named = {each for told in registry.unreadable.values() for each in told}
    return {each for each in named if not isinstance(each, ServiceId)}


def _records(registry: Registry) -> set[str]:
    return {record for _, record in _faults(registry)}


def mutated(tree: Tree, chance: random.Random) -> tuple[Tree, str]:
    """Return the tree with one of its records broken, and which it was."""
    records = [p for p in tree if "/providers/" in p or "/services/provider/" in p or "/mapp" in p]
    path = chance.choice(sorted(records))
    parent, _, name = path.rpartition("/")
    text = name if "/providers/" in path else tree[path].decode()
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(text) + 1)
        much = chance.choice((0, 1, 1, 3, 40))
        text = (
            text[:at]
            + chance.choice(("", "%", "%ff", "0", "\n", "x" * 70, '"', "&&", "é"))
            + (text[at + much :])
        )
    text = text.replace("/", "%2F").replace("\0", "")
    if "/providers/" not in path:
        return tree | {path: text.encode()}, path
    rest = {each: data for each, data in tree.items() if each != path}
    return rest | {f"{parent}/{text or 'x'}": b""}, path


@pytest.mark.parametrize("name", sorted(each.stem for each in CORPUS.glob("dubbo*.json")))
def test_a_broken_record_spoils_itself_only_and_is_reported_once(name: str) -> None:
    """Each of more than two thousand; what is beside it is told as if it were not there."""
    chance = random.Random(name)  # noqa: S311 - not for secrets
    tree = captured(name)
    if not any("/providers/" in path or "/services/provider/" in path for path in tree):
        return
    for _ in range(300):
        broken, which = mutated(tree, chance)
        registry = Registry().read(broken)
        without = Registry().read({path: data for path, data in tree.items() if path != which})
        for service in without.services.values():
            there = registry.services[service.id].instances if service.instances else ()
            ids = {each.id for each in there}
            assert {each.id for each in service.instances} <= ids
        named = _faults(registry)
        assert len(registry.reports) == len({(f.service, f.record) for f in registry.reports})
        assert named == {(f.service, f.record) for f in registry.reports}
        registry.read(broken)
        assert len(registry.reports) == len(named)
