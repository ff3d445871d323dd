"""Encoded resources by type and name: made once, immutable, shared by every subscriber.

What of them is offered at one moment is :mod:`meshbridge_xds.offers`' matter.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple
from weakref import WeakValueDictionary

from meshbridge.copied import copied
from meshbridge_xds.wire import delta_resource, message_field

_REMEMBERED = 64
_FEW = 100
"""Names that are put into sorted ones singly, and resources that are joined for each singly."""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """How resources of one type URL are asked for and answered."""

    url: str
    """As the subscriber asked for it, and as it is answered."""
    offered_as: str = ""
    """What it is called in an :class:`Offer`, where one type has several URLs."""
    whole: bool = True
    """A state-of-the-world response must hold all that was asked for: absence is removal.

    So it is for LDS, CDS and everything istiod reads. Responses of EDS and RDS may hold only what
    changed (xDS protocol, "How the client specifies what resources to return").
    """
    part: int = 0
    """Bytes of resources after which the rest is left to the next response; 0: all in one.

    Only for types that are not ``whole``, whose resources are waited for one by one. A subscriber
    that reads slowly or not at all keeps one part in memory, and takes the first one sooner.
    """
    stubs: bool = False
    """Who holds a resource is sent its :attr:`Resource.stub` where a response must be whole."""
    wildcard: bool = True
    """A first request without names asks for everything."""
    rank: int = 100
    """The order of responses that become due together: CDS, EDS, LDS, RDS make before break."""
    follows: str = ""
    """The type whose resources, whenever they are news, make their ``refers`` due again here."""
    after: tuple[str, ...] = ()
    """Types whose responses must be answered before one of this type is sent: make before break."""
    label: str = "other"
    """What metrics call it; of a fixed few, since subscribers may ask for any type."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as it is sent."""

    name: str
    version: str
    """Hash of the content: same content, same version, on every replica."""
    body: bytes = b""
    """The encoded ``google.protobuf.Any``; empty only for what a subscriber says it holds."""
    refers: tuple[str, ...] = ()
    """Names in the type that follows this one: a cluster's endpoints, a listener's routes."""
    stub: bytes = b""
    """A whole ``resources`` field of a response which says no more than that it is as it was."""
    members: int = 0
    """How many endpoints it holds, where they may move from one resource to another."""

    @staticmethod
    def of(name: str, body: bytes, refers: tuple[str, ...] = ()) -> "Resource":
        """Return the resource with the version that its content gives it."""
        return Resource(name, content_version(body), body, refers)


def content_version(*parts: bytes) -> str:
    """Return the version of this content: 64 bits of SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


class Message:
    """The bytes of a response, which may be under way to many subscribers at once."""

    __slots__ = ("__weakref__", "data")

    def __init__(self, data: bytes) -> None:
        """Hold the bytes."""
        self.data = data


class ResourceSet:
    """All resources of one type at one moment.

    Not to be changed after it was made; :meth:`changed` makes the next one. ``demand`` answers for
    resources that are served by name only and never to a wildcard.
    """

    def __init__(
        self,
        listed: Mapping[str, Resource] = MappingProxyType({}),
        demand: Callable[[str], Resource | None] | None = None,
    ) -> None:
        """Start a history with these resources."""
        self.listed = listed
        self._demand = demand
        self._history = object()
        self._number = 0
        self._recent: tuple[frozenset[str], ...] = ()
        self._newest = True
        self._joined: dict[bool, bytes] = {}
        self._messages = WeakValueDictionary[tuple[str, str, bool, int, int], Message]()
        self._referred: frozenset[str] | None = None
        self._names: list[str] | None = None
        self._digest: int | None = None
        self._size: int | None = None

    def get(self, name: str) -> Resource | None:
        """Return the resource of this name, listed or on demand."""
        found = self.listed.get(name)
        if found is None and self._demand is not None:
            return self._demand(name)
        return found

    def changed(
        self,
        touched: Mapping[str, Resource | None],
        demand: Callable[[str], Resource | None] | None = None,
        demanded: Iterable[str] = (),
    ) -> "ResourceSet":
        """Return the set after this one, in which ``None`` takes a resource away.

        ``demanded`` are the names for which ``demand`` may answer differently than before.
        """
        listed = copied(self.listed)
        names = self._names if len(touched) <= _FEW else None
        digest = self._digest
        for name, resource in touched.items():
            before = listed.pop(name, None) if resource is None else listed.get(name)
            if resource is not None:
                listed[name] = resource
            if names is not None:
                names = _put(names, name, there=resource is not None)
            if digest is not None:
                digest += _digest(resource) - _digest(before)
        # A subscriber that does not read keeps the set it was offered: megabytes that nobody else
        # will ask for must not stay with it.
        self._newest = False
        self._joined.clear()
        newer = ResourceSet(MappingProxyType(listed), demand or self._demand)
        newer._names, newer._digest = names, digest
        newer._history = self._history
        newer._number = self._number + 1
        newer._recent = (*self._recent[-(_REMEMBERED - 1) :], frozenset(touched) | set(demanded))
        return newer

    def touched(self, older: "ResourceSet | None") -> frozenset[str] | None:
        """Return the names that may differ from ``older``, or ``None`` if that is not known."""
        if older is None or older._history is not self._history:  # noqa: SLF001 - its own class
            return None
        behind = self._number - older._number  # noqa: SLF001 - its own class
        if behind == 1 and self._recent:
            return self._recent[-1]
        if not 0 <= behind <= len(self._recent):
            return None
        return frozenset[str]().union(*self._recent[len(self._recent) - behind :])

    def joined(self, *, delta: bool) -> bytes:
        """Return the listed resources as the ``resources`` of a response, made once."""
        if (found := self._joined.get(delta)) is not None:
            return found
        joined = b"".join(self._fields(self.names, delta=delta))
        if self._newest:
            self._joined[delta] = joined
        return joined

    def _fields(self, names: Iterable[str], *, delta: bool) -> Iterator[bytes]:
        """Yield each of these as a ``resources`` field of a response."""
        listed = (self.listed[name] for name in names)
        if delta:
            return (delta_resource(each.name, each.version, each.body) for each in listed)
        return (message_field(2, each.body) for each in listed)

    def run(self, resources: Mapping[str, Resource]) -> "Run | None":
        """Return from where to where these, sorted, are all that is listed; ``None`` for few."""
        if len(resources) < _FEW:
            return None
        begin = bisect_left(self.names, next(iter(resources)))
        end = begin + len(resources)
        return Run(self, begin, end) if self.names[begin:end] == list(resources) else None

    def message(
        self,
        url: str,
        nonce: str,
        make: Callable[[bytes], bytes],
        *,
        delta: bool,
        run: "Run | None" = None,
    ) -> Message:
        """Return the response with all that is listed, or a run of it; one for all who get it.

        Those who connect at the same time and do not read would each keep a copy otherwise, and
        joining a thousand resources takes as long as sending them.
        """
        begin, end = (run.begin, run.end) if run else (0, len(self.listed))
        key = url, nonce, delta, begin, end
        found = self._messages.get(key)
        if found is None:
            joined = (
                b"".join(self._fields(self.names[begin:end], delta=delta))
                if run
                else self.joined(delta=delta)
            )
            found = self._messages[key] = Message(make(joined))
        return found

    @property
    def referred(self) -> frozenset[str]:
        """All names that the listed resources refer to."""
        if self._referred is None:
            self._referred = frozenset(n for each in self.listed.values() for n in each.refers)
        return self._referred

    @property
    def size(self) -> int:
        """The bytes of all that is listed."""
        if self._size is None:
            self._size = sum(len(each.body) for each in self.listed.values())
        return self._size

    @property
    def names(self) -> list[str]:
        """The names of all that is listed, sorted; not to be changed."""
        if self._names is None:
            self._names = sorted(self.listed)
        return self._names

    @property
    def version(self) -> str:
        """The version of the listed resources together."""
        if self._digest is None:
            self._digest = sum(map(_digest, self.listed.values()))
        return _spelled(self._digest)


class Run(NamedTuple):
    """All that is listed in a set from one place to another, by the order of names."""

    of: ResourceSet
    begin: int
    end: int


def _put(names: list[str], name: str, *, there: bool) -> list[str]:
    """Return sorted names with or without this one: the same list if it was so already."""
    place = bisect_left(names, name)
    if there == (place < len(names) and names[place] == name):
        return names
    return [*names[:place], name, *names[place:]] if there else names[:place] + names[place + 1 :]


def _digest(resource: Resource | None) -> int:
    """Return the share of a resource in the version of many: a sum needs no order."""
    if resource is None:
        return 0
    said = f"{resource.name}={resource.version}".encode()
    return int.from_bytes(hashlib.sha256(said).digest()[:16])


def _spelled(digest: int) -> str:
    return f"{digest % 2**64:016x}"


def versions_version(resources: Mapping[str, Resource]) -> str:
    """Return one version for several resources, whatever their order."""
    return _spelled(sum(map(_digest, resources.values())))
