"""Keeps what a ZooKeeper tree tells, and works out which services have become something else; pure.

It is told of the tree as a :class:`~meshbridge_zookeeper_dubbo.tree.Listener`, and asked in small
steps for what there is to say: a step reads a few names or works out one interface or application.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Final

from meshbridge_dubbo.overrides import Rules
from meshbridge_zookeeper_dubbo import records
from meshbridge_zookeeper_dubbo.applications import Applications
from meshbridge_zookeeper_dubbo.guarded import Guarded
from meshbridge_zookeeper_dubbo.interfaces import Interfaces
from meshbridge_zookeeper_dubbo.mappings import Mappings
from meshbridge_zookeeper_dubbo.records import Fault, plain
from meshbridge_zookeeper_dubbo.roots import (
    CATEGORIES,
    CONFIG,
    MAPPING,
    PROVIDERS,
    RULES,
    Place,
    Roots,
    Sort,
    join,
)
from meshbridge_zookeeper_dubbo.said import News, Said

_TELLING: Final = frozenset((Sort.INTERFACE, Sort.APPLICATIONS))
"""Nodes of which it says something that they have a child, whatever stands in it."""


class Holdings:
    """What one reading of the tree holds."""

    def __init__(self, roots: Roots, *, dials: bool, before: "Holdings | None" = None) -> None:
        """Begin with nothing.

        What ``before`` has read, fetched and reported is not read, fetched or reported again.
        ``dials`` says whether instances are asked for their metadata.
        """
        self._changed: dict[str, None] = {}
        """Names of interfaces and applications of which there may be something to say."""
        self.applications: Applications = Applications(
            self._changed, dials=dials, before=before.applications if before else None
        )
        self.interfaces: Interfaces = Interfaces(
            self._changed, self.applications, before.interfaces if before else None
        )
        self.said: Said = Said(before.said if before else None)
        self._roots = roots
        self._settled = False
        self.mappings: Mappings = Mappings(
            self.interfaces, self.applications, before.mappings if before else None
        )
        self._guarded = Guarded(roots, self.interfaces, self.applications, self.mappings)
        self._vacant = dict.fromkeys(roots.all)
        self._ruled: dict[str, Place] = {}
        """The rules of the configuration centre, by their paths."""

    def forget(self) -> None:
        """Let go of what was known before: everything has been told again."""
        self.applications.forget()
        self.interfaces.forget()
        self.mappings.forget()
        self.said.forget()

    @property
    def vacant(self) -> tuple[str, ...]:
        """The roots below which nothing has stood yet, whatever it may be."""
        return tuple(self._vacant)

    @property
    def barren(self) -> bool:
        """Whether nothing has stood below any root."""
        return len(self._vacant) == len(self._roots.all)

    def dismantle(self) -> Iterator[None]:
        """Free what is held in small steps, once others know what matters of it."""
        for held in (self.interfaces.all, self.applications.endpoints.urls, self.said.said):
            while held:
                held.popitem()
                yield

    def guarded(self, path: str) -> bool:
        """Take it that a node may not be read; return whether it is known of what it would tell."""
        self._settled = False
        return self._guarded.close(path)

    def children(self, path: str, names: Sequence[str]) -> None:
        """Take all children that a node has."""
        self._settled = False
        self._guarded.open(path)
        if names:
            self._vacant.pop(path, None)
        for place in self._roots.places(path):
            if place.sort in CATEGORIES:
                self.interfaces.replace(place, names)
                continue
            if place.sort is Sort.MAPPING:
                self.mappings.children(place, path, names)
                continue
            listed = frozenset(names)
            known = (*self._known(place, path), *self._guarded.names(path))
            for name in [each for each in known if each not in listed]:
                self.removed(path, name)
            for name in names if place.sort in _TELLING else ():
                self._list(place, path, name)

    def added(self, path: str, name: str) -> None:
        """Take a new child."""
        self._settled = False
        self._vacant.pop(path, None)
        for place in self._roots.places(path):
            if place.sort in CATEGORIES:
                self.interfaces.add(place, name)
            elif place.sort is Sort.MAPPING:
                self.mappings.add(place, path, name)
            else:
                self._list(place, path, name)

    def removed(self, path: str, name: str) -> None:
        """Take it that a child has gone, and all that was below it."""
        self._settled = False
        for place in self._roots.places(path):
            if place.sort in CATEGORIES:
                self.interfaces.remove(place, name)
            elif place.sort is Sort.MAPPING:
                self.mappings.remove(place, path, name)
        gone = join(path, name)
        self._guarded.leave(gone)
        for each in (*self._roots.below(gone), gone):
            for place in self._roots.places(each):
                self._clear(place, each)

    def data(self, path: str, data: bytes | None) -> None:
        """Take a node's data, or that it is not there."""
        self._settled = False
        self._guarded.open(path)
        for place in self._roots.places(path):
            if place.sort is Sort.MAPPING:
                self.mappings.data(place, path, data)
            elif data is None:
                self._clear(place, path)
            elif place.sort is Sort.INSTANCE:
                self.applications.put(place.name, place.node, path, data)
            else:
                self._rule(place, path, records.rule(place.name, data))

    def settled(self) -> None:
        """Take it that what was told so far is one state."""
        self._settled = True

    def read(self) -> Iterator[None]:
        """Read what must be read, also while it is still being told."""
        while self.interfaces.read_some():
            yield

    @property
    def idle(self) -> bool:
        """Whether there is nothing to say."""
        return not (self._changed or self.interfaces.unread or self.applications.stirred)

    def take(self, *, unsettled: bool = False) -> Iterator[News | None]:
        """Yield what has changed, and ``None`` after each step.

        It ends when all is said, and before that when more is told that is not one state, unless
        ``unsettled``.
        """
        while self._settled or unsettled:
            if self.interfaces.read_some():
                pass
            elif self.applications.stirred:
                for serves in self.applications.serving():
                    if serves is not None:
                        self.interfaces.serve(serves)
                    yield None
            elif self._changed:
                name, _ = self._changed.popitem()
                yield from self.said.news(
                    name, self.interfaces.services(name), self.applications.service(name)
                )
            else:
                return
            yield None

    def _list(self, place: Place, path: str, name: str) -> None:
        """Take it that a node has this child, if its being there says something."""
        if place.sort is Sort.INTERFACE and name == PROVIDERS:
            self.interfaces.list(place, listed=True)
        elif place.sort is Sort.APPLICATIONS and self._roots.lists(place.root, name):
            self.applications.list(name, join(path, name))

    def _known(self, place: Place, path: str) -> Iterator[str]:
        """Yield the children that a node is known to have."""
        match place.sort:
            case Sort.INTERFACES:
                yield from (*self.interfaces.nodes(path), CONFIG, MAPPING)
            case Sort.INTERFACE:
                yield from CATEGORIES.values()
            case Sort.CONFIG:
                yield from (RULES, MAPPING)
            case Sort.RULES | Sort.MAPPINGS:
                held = (*self._ruled, *self.mappings.held)
                yield from (each.rpartition("/")[2] for each in held if _is_in(each, path))
            case Sort.APPLICATIONS:
                yield from self.applications.names()
            case Sort.APPLICATION:
                nodes = self.applications.nodes(place.name)
                yield from (each.rpartition("/")[2] for each in nodes if _is_in(each, path))
            case _:
                raise AssertionError(f"{path} is not asked for its children")

    def _clear(self, place: Place, path: str) -> None:
        """Take it that a node is not there."""
        match place.sort:
            case Sort.INTERFACE:
                self.interfaces.drop(place)
            case Sort.PROVIDERS:
                self.interfaces.clear(place)
                self.interfaces.list(place, listed=False)
            case Sort.CONSUMERS | Sort.CONFIGURATORS:
                self.interfaces.clear(place)
            case Sort.RULE:
                self._rule(place, path, None)
            case Sort.MAPPING:
                self.mappings.clear(place, path)
            case Sort.INSTANCE:
                self._drop(path)
            case Sort.APPLICATION:
                self._clear_below(place, path)
                self.applications.unlist(place.name, path)
            case _:
                self._clear_below(place, path)

    def _clear_below(self, place: Place, path: str) -> None:
        for name in list(self._known(place, path)):
            child = join(path, name)
            for each in self._roots.places(child):
                self._clear(each, child)

    def _drop(self, path: str) -> None:
        if serves := self.applications.drop(path):
            self.interfaces.serve(serves)

    def _rule(self, place: Place, path: str, told: Rules | Fault | None) -> None:
        """Take what the configuration centre says; ``None``: nothing."""
        if told is None:
            self._ruled.pop(path, None)
        else:
            self._ruled[path] = place
        name = records.subject(place.name)
        if ":" in place.name:
            self.interfaces.rule(name, path, told if isinstance(told, Rules) else None)
            self.interfaces.mind(name, path, told if isinstance(told, Fault) else None)
        elif isinstance(told, Rules):
            faults = (Fault(plain(name), *astuple(each)) for each in told.remarks)
            self.applications.mind(name, path, tuple(faults))
        else:
            self.applications.mind(name, path, (told,) if told else ())


def _is_in(path: str, parent: str) -> bool:
    return path.rpartition("/")[0] == parent.rstrip("/")
