"""What differs between two sets of services: pure, and exact.

What is reported turns the one into the other, and nothing is reported of what is the same. Order
is no content, a version is none either, and a locality is what it reads as.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

from meshbridge.service import Endpoint, Labels, Port, Service, Source

T = TypeVar("T", bound=Hashable)
Facet = Literal["aliases", "addresses"]
"""What dumps of before the command `diff` do not say."""


@dataclass(frozen=True, slots=True)
class Apart(Generic[T]):
    """What only one side has, sorted; what both have is in neither."""

    a: tuple[T, ...] = ()
    b: tuple[T, ...] = ()

    def __bool__(self) -> bool:
        """Whether the sides differ."""
        return bool(self.a or self.b)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an endpoint with what it reads as on either side; ``None`` where it is not."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """An endpoint of one address that both sides have, but not alike."""

    a: Endpoint
    b: Endpoint

    def fields(self) -> Iterator[FieldChange]:
        """Return what is not alike."""
        before, after = _fields(self.a), _fields(self.b)
        for name in dict.fromkeys((*before, *after)):
            if before.get(name) != after.get(name):
                yield FieldChange(name, before.get(name), after.get(name))


@dataclass(frozen=True, slots=True)
class HostChange:
    """A host that both sides have, but not alike."""

    host: str
    namespace: tuple[str, str] | None
    """That of either side, where they differ."""
    ports: Apart[Port]
    aliases: Apart[str]
    addresses: Apart[str]
    labels: Apart[tuple[str, str]]
    sources: Apart[Source]
    export_to: Apart[str]
    endpoints: Apart[Endpoint]
    """Those whose address, or one instance more of it, only one side has."""
    changed: tuple[EndpointChange, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        once = (self.ports, self.aliases, self.addresses, self.labels, self.sources, self.export_to)
        return bool(self.namespace or any(once) or self.endpoints or self.changed)


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs, by host."""

    only_a: tuple[Service, ...]
    only_b: tuple[Service, ...]
    changed: tuple[HostChange, ...]
    same: int
    """How many hosts are alike on both sides."""

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.only_a or self.only_b or self.changed)

    @property
    def hosts(self) -> int:
        """How many hosts differ."""
        return len(self.only_a) + len(self.only_b) + len(self.changed)


def compare(a: Mapping[str, Service], b: Mapping[str, Service]) -> Difference:
    """Return what differs between two sets of services by host."""
    both = sorted(a.keys() & b.keys())
    changed = tuple(filter(None, (_compare(a[host], b[host]) for host in both)))
    return Difference(
        only_a=tuple(a[host] for host in sorted(a.keys() - b.keys())),
        only_b=tuple(b[host] for host in sorted(b.keys() - a.keys())),
        changed=changed,
        same=len(both) - len(changed),
    )


def _compare(a: Service, b: Service) -> HostChange:
    endpoints, changed = _endpoints(a.endpoints, b.endpoints)
    return HostChange(
        host=a.host,
        namespace=None if a.namespace == b.namespace else (a.namespace, b.namespace),
        ports=_apart(a.ports, b.ports),
        aliases=_apart(a.aliases, b.aliases),
        addresses=_apart(a.addresses, b.addresses),
        labels=_apart(a.labels, b.labels),
        sources=_sources(a.sources, b.sources),
        export_to=_apart(a.export_to, b.export_to),
        endpoints=endpoints,
        changed=changed,
    )


Ordered = TypeVar("Ordered", Port, str, tuple[str, str])


def _apart(a: tuple[Ordered, ...], b: tuple[Ordered, ...]) -> Apart[Ordered]:
    if a == b:
        return Apart()
    ours, theirs = set(a), set(b)
    return Apart(tuple(sorted(ours - theirs)), tuple(sorted(theirs - ours)))


def _sources(a: tuple[Source, ...], b: tuple[Source, ...]) -> Apart[Source]:
    pairs = _apart(
        tuple((each.registry, each.name) for each in a),
        tuple((each.registry, each.name) for each in b),
    )
    return Apart(tuple(Source(*pair) for pair in pairs.a), tuple(Source(*pair) for pair in pairs.b))


def _endpoints(
    a: tuple[Endpoint, ...], b: tuple[Endpoint, ...]
) -> tuple[Apart[Endpoint], tuple[EndpointChange, ...]]:
    """Take away what is alike, then join what is left: by address and ports, then by address."""
    if a == b:
        return Apart(), ()
    ours, theirs = _without(a, b), _without(b, a)
    alike, ours, theirs = _joined(ours, theirs, _place)
    moved, ours, theirs = _joined(ours, theirs, _address)
    changed = sorted((*alike, *moved), key=lambda each: (content(each.a), content(each.b)))
    return Apart(tuple(ours), tuple(theirs)), tuple(changed)


def _without(these: Iterable[Endpoint], those: Iterable[Endpoint]) -> list[Endpoint]:
    """Return these without one for each alike of those, sorted: alike ones count one by one."""
    spent = Counter(map(content, those))
    left: list[Endpoint] = []
    for each in these:
        if spent[content(each)]:
            spent[content(each)] -= 1
        else:
            left.append(each)
    return sorted(left, key=content)


Content = tuple[str, tuple[tuple[str, int], ...], int, str, str, Labels, str, str]


def content(endpoint: Endpoint) -> Content:
    """Return all of an endpoint that counts, as it reads."""
    return (
        endpoint.address,
        tuple(sorted(endpoint.ports)),
        endpoint.weight,
        str(endpoint.health),
        str(endpoint.locality),
        tuple(sorted(endpoint.labels)),
        endpoint.network,
        endpoint.service_account,
    )


def _joined(
    a: list[Endpoint], b: list[Endpoint], key: Callable[[Endpoint], Hashable]
) -> tuple[list[EndpointChange], list[Endpoint], list[Endpoint]]:
    """Return pairs of one key, and what of either side is left over; orders are kept."""
    waiting: defaultdict[Hashable, deque[Endpoint]] = defaultdict(deque)
    for each in b:
        waiting[key(each)].append(each)
    pairs: list[EndpointChange] = []
    left: list[Endpoint] = []
    for each in a:
        if waiting[key(each)]:
            pairs.append(EndpointChange(each, waiting[key(each)].popleft()))
        else:
            left.append(each)
    rest = [each for queue in waiting.values() for each in queue]
    return pairs, left, sorted(rest, key=content)


def _place(endpoint: Endpoint) -> Hashable:
    return endpoint.address, tuple(sorted(endpoint.ports))


def _address(endpoint: Endpoint) -> Hashable:
    return endpoint.address


def _fields(endpoint: Endpoint) -> dict[str, str]:
    """Return each field by the name and in the words in which it is shown."""
    seldom = {"network": endpoint.network, "service account": endpoint.service_account}
    return {
        **{f"port {name}": str(number) for name, number in endpoint.ports},
        "weight": str(endpoint.weight),
        "health": str(endpoint.health),
        "locality": str(endpoint.locality),
        **{f"label {key}": value for key, value in endpoint.labels},
        **{name: value for name, value in seldom.items() if value},
    }


def without(service: Service, facets: frozenset[Facet]) -> Service:
    """Return the service without what one side cannot say."""
    return replace(
        service,
        aliases=() if "aliases" in facets else service.aliases,
        addresses=() if "addresses" in facets else service.addresses,
    )
