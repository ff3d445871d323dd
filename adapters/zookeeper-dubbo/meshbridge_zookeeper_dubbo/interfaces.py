"""Keeps all interfaces, by the nodes that tell something of them; pure."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeVar

from meshbridge_dubbo import Provider
from meshbridge_dubbo.overrides import Rules
from meshbridge_zookeeper_dubbo import records
from meshbridge_zookeeper_dubbo.application import Serves
from meshbridge_zookeeper_dubbo.applications import Applications
from meshbridge_zookeeper_dubbo.interface import Interface, Part, Told
from meshbridge_zookeeper_dubbo.names import Names
from meshbridge_zookeeper_dubbo.records import Fault, Record
from meshbridge_zookeeper_dubbo.roots import Place, Sort

T = TypeVar("T")
TOGETHER: Final = 10
"""Names that are read in one step, in 0.2 ms: most interfaces have no more of a kind."""

_READ: Final[Mapping[Sort, Callable[[str, str], Record]]] = {
    Sort.PROVIDERS: records.provider,
    Sort.CONSUMERS: records.caller,
    Sort.CONFIGURATORS: records.configurator,
}


class Interfaces:
    """All interfaces, each with what every root tells of it."""

    def __init__(
        self,
        changed: dict[str, None],
        applications: Applications,
        before: "Interfaces | None" = None,
    ) -> None:
        """Begin without any; names that ``before`` has read are not read again.

        ``changed`` is where the names of those are put of which something may have to be said;
        ``applications`` is told of each provider's URL that comes or goes.
        """
        self._changed = changed
        self._applications = applications
        self._before: dict[str, Interface] = before.all if before else {}
        self._reading = True
        self.all: dict[str, Interface] = {}
        """By their names, decoded."""
        self._nodes: dict[str, dict[str, str]] = {}
        """The interfaces that have a node below a root, by its name as it stands."""
        self.unread: dict[tuple[str, Sort, str], Names[Record]] = {}

    def forget(self) -> None:
        """Let go of what was known before: all has been read."""
        self._before = {}
        self._reading = False

    def services(self, name: str) -> list[Told]:
        """Return what is said of an interface's services, none if there is no such interface."""
        known = self.all.get(name)
        if known is None:
            return []
        told = known.services()
        if known.empty:
            del self.all[name]
        return told

    def nodes(self, root: str) -> list[str]:
        """Return the names of all nodes of interfaces below a root."""
        return list(self._nodes.get(root, ()))

    def list(self, place: Place, *, listed: bool) -> None:
        """Note whether an interface's node has one for providers."""
        if listed or place.node in self._nodes.get(place.root, ()):
            part = self._part(place)
            part.old = listed and (part.old or self._reading)
            part.listed = listed

    def add(self, place: Place, name: str) -> None:
        """Take a name that has come into a category."""
        names = self._names(place)
        self._came(names.add(name, self._known(place)))
        self._note(place, names)

    def remove(self, place: Place, name: str) -> None:
        """Let a name go that has left a category."""
        if names := self._held(place):
            self._went(names.remove(name))
            self._note(place, names)

    def replace(self, place: Place, listed: Iterable[str]) -> None:
        """Take all names of a category."""
        names = self._names(place)
        come, gone = names.replace(listed, self._known(place))
        for each in come:
            self._came(each)
        for each in gone:
            self._went(each)
        self._note(place, names)

    def clear(self, place: Place) -> None:
        """Take it that a category is not there."""
        if names := self._held(place):
            _, gone = names.replace(())
            for each in gone:
                self._went(each)
            self._note(place, names)

    def guard(self, place: Place, path: str) -> None:
        """Take it that a node may not be read: what it told before a gap stays."""
        interface = self._changing(place.name)
        interface.guarded[path] = place.sort
        before = self._before.get(place.name)
        if before is not None and path in before.rules:
            interface.rules.setdefault(path, before.rules[path])
        for sort in _READ if place.sort is Sort.INTERFACE else _READ.keys() & {place.sort}:
            category = place._replace(sort=sort)
            known = self._known(category)
            if known and not self._held(category):
                for each in self._names(category).keep(known):
                    self._came(each)

    def unguard(self, place: Place, path: str) -> None:
        """Take it that a node was read or is not there."""
        self._changing(place.name).guarded.pop(path, None)

    def drop(self, place: Place) -> None:
        """Take it that an interface's node is not there."""
        if self._nodes.get(place.root, {}).pop(place.node, None) is None:
            return
        for sort in _READ:
            self.clear(place._replace(sort=sort))
        self._changing(place.name).drop(place.root, place.node)

    def map(self, interface: str, path: str, *, mapped: bool) -> None:
        """Note whether a mapping names an interface."""
        mappings = self._changing(interface).mappings
        if mapped:
            mappings.add(path)
        else:
            mappings.discard(path)

    def rule(self, interface: str, path: str, told: Rules | None) -> None:
        """Take what the configuration centre says of an interface; ``None``: nothing."""
        _put(self._changing(interface).rules, path, told)

    def mind(self, interface: str, path: str, fault: Fault | None) -> None:
        """Take what is wrong with a rule or a mapping; ``None``: nothing."""
        _put(self._changing(interface).wrong, path, fault)

    def serve(self, serves: Serves) -> None:
        """Take what an application's instance serves."""
        for name, providers in serves.interfaces.items():
            if self._open(name).serve(serves.path, providers, guessed=name in serves.guessed):
                self._changed[name] = None

    def read_some(self) -> bool:
        """Read some names that were not read yet; return whether there was any."""
        if not self.unread:
            return False
        key, names = next(reversed(self.unread.items()))  # the first would be searched for
        root, sort, node = key
        read = partial(_READ[sort], self._nodes[root][node])
        for value in names.read_some(TOGETHER, read):
            self._came(value)
        if not names.unread:
            del self.unread[key]
        return True

    def _open(self, name: str) -> Interface:
        known = self.all.get(name)
        if known is None:
            known = self.all[name] = Interface(name)
            if name in self._before:
                known.remember(self._before[name])
        return known

    def _changing(self, name: str) -> Interface:
        self._changed[name] = None
        return self._open(name)

    def _part(self, place: Place) -> Part:
        self._nodes.setdefault(place.root, {})[place.node] = place.name
        return self._changing(place.name).part(place.root, place.node)

    def _names(self, place: Place) -> Names[Record]:
        return self._part(place).names.setdefault(place.sort, Names())

    def _held(self, place: Place) -> Names[Record] | None:
        return _of(self.all.get(place.name), place)

    def _known(self, place: Place) -> Names[Record] | None:
        """Return what was read before a gap."""
        return _of(self._before.get(place.name), place)

    def _note(self, place: Place, names: Names[Record]) -> None:
        self._changed[place.name] = None
        key = (place.root, place.sort, place.node)
        if names.unread:
            self.unread[key] = names
        else:
            self.unread.pop(key, None)

    def _came(self, record: Record) -> None:
        if isinstance(record, Provider):
            self._applications.url_came(record)

    def _went(self, record: Record) -> None:
        if isinstance(record, Provider):
            self._applications.url_went(record)


def _of(interface: Interface | None, place: Place) -> Names[Record] | None:
    part = interface.parts.get((place.root, place.node)) if interface else None
    return part.names.get(place.sort) if part else None


def _put(held: dict[str, T], path: str, value: T | None) -> None:
    if value is None:
        held.pop(path, None)
    else:
        held[path] = value
