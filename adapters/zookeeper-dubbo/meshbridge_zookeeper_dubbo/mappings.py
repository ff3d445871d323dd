"""Keeps which applications serve an interface, as the mappings tell it; pure.

Dubbo 3 writes the applications' names into the data of ``mapping/<interface>``. Dubbo 2.7 makes a
node of each instead, below ``config/mapping/<interface>``, or ``mapping/<interface>`` with
``mapping-type=metadata`` (DynamicConfigurationServiceNameMapping, MetadataServiceNameMapping).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshbridge import BadData
from meshbridge_dubbo import read_mapping
from meshbridge_zookeeper_dubbo.applications import Applications
from meshbridge_zookeeper_dubbo.interfaces import Interfaces
from meshbridge_zookeeper_dubbo.records import CORRECT, Fault, plain
from meshbridge_zookeeper_dubbo.roots import Place

_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class _Mapping:
    """What one node tells of an interface."""

    data: frozenset[str] | None = None
    """The applications that its data name; ``None`` without any data."""
    children: frozenset[str] = _NOBODY
    """Those that have a node below it."""

    @property
    def there(self) -> bool:
        return self.data is not None or bool(self.children)

    @property
    def applications(self) -> frozenset[str]:
        return (self.data or _NOBODY) | self.children


_NONE: Final = _Mapping()


class Mappings:
    """The mappings of all roots, by the paths of their nodes."""

    def __init__(
        self, interfaces: Interfaces, applications: Applications, before: "Mappings | None" = None
    ) -> None:
        """Begin without any; both are told of what they say.

        What ``before`` knows is for those that may not be read now.
        """
        self._interfaces = interfaces
        self._applications = applications
        self._before: Mapping[str, _Mapping] = before.held if before else {}
        self.held: dict[str, _Mapping] = {}
        """What each tells, by its path."""

    def forget(self) -> None:
        """Let go of what was known before."""
        self._before = {}

    def known_before(self, path: str) -> list[str]:
        """Return the paths of those below a node that were known before a gap."""
        return [each for each in self._before if each.startswith(f"{path}/")]

    def keep(self, place: Place, path: str) -> None:
        """Take it that a mapping is as before a gap, if not known."""
        if path in self._before and path not in self.held:
            self._put(place, path, self._before[path])

    def data(self, place: Place, path: str, data: bytes | None) -> None:
        """Take a mapping's data; ``None``: it has none."""
        named = None if data is None else _NOBODY
        fault = None
        if data is not None:
            try:
                named = read_mapping(data)
            except BadData as bad:
                fault = Fault(plain(place.name), path, str(bad), CORRECT)
        self._interfaces.mind(place.name, path, fault)
        self._put(place, path, replace(self._of(path), data=named))

    def children(self, place: Place, path: str, names: Sequence[str]) -> None:
        """Take all nodes below a mapping."""
        self._put(place, path, replace(self._of(path), children=frozenset(names)))

    def add(self, place: Place, path: str, name: str) -> None:
        """Take a new node below a mapping."""
        self.children(place, path, [*self._of(path).children, name])

    def remove(self, place: Place, path: str, name: str) -> None:
        """Let a node below a mapping go."""
        self.children(place, path, [each for each in self._of(path).children if each != name])

    def clear(self, place: Place, path: str) -> None:
        """Take it that a mapping is not there."""
        self._interfaces.mind(place.name, path, None)
        self._put(place, path, _NONE)

    def _of(self, path: str) -> _Mapping:
        return self.held.get(path, _NONE)

    def _put(self, place: Place, path: str, mapping: _Mapping) -> None:
        before, now = self._of(path).applications, mapping.applications
        if mapping.there:
            self.held[path] = mapping
        else:
            self.held.pop(path, None)
        self._interfaces.map(place.name, path, mapped=mapping.there)
        self._applications.map(place.name, path, before - now, now - before)
