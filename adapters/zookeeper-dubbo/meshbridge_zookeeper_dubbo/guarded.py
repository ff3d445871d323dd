"""Keeps which nodes may not be read, and names what they would tell of; pure.

What such a node told before still stands, also before a gap. Where it would tell which instances
there are, all services that it may be about are named as unreadable, so that what was served stays.
Where it would tell all mappings, the applications are named that these may say something of.
"""

from collections.abc import Iterator

from meshbridge_zookeeper_dubbo.applications import Applications
from meshbridge_zookeeper_dubbo.endpoints import discard
from meshbridge_zookeeper_dubbo.interfaces import Interfaces
from meshbridge_zookeeper_dubbo.mappings import Mappings
from meshbridge_zookeeper_dubbo.records import plain, subject, unreadable
from meshbridge_zookeeper_dubbo.roots import Place, Roots, Sort

_OF_ALL = frozenset((Sort.CONFIG, Sort.RULES, Sort.MAPPINGS))
"""Nodes whose children's names alone say what they are about."""
_ABOVE_MAPPINGS = frozenset((Sort.CONFIG, Sort.MAPPINGS))


class Guarded:
    """The nodes that may not be read."""

    def __init__(
        self,
        roots: Roots,
        interfaces: Interfaces,
        applications: Applications,
        mappings: Mappings,
    ) -> None:
        """Begin without any."""
        self._roots = roots
        self._interfaces = interfaces
        self._applications = applications
        self._mappings = mappings
        self._paths: dict[str, list[Place]] = {}
        """What each of them is."""
        self._names: dict[str, set[str]] = {}
        """Their names, by the paths of the nodes above."""

    def close(self, path: str) -> bool:
        """Take it that a node may not be read; return whether it is known of what it would tell."""
        places = self._paths[path] = list(self._places(path))
        above, _, name = path.rpartition("/")
        self._names.setdefault(above, set()).add(name)
        for place in places:
            if _is_of_application(place):
                self._close_application(place, path)
            else:
                self._interfaces.guard(place, path)
        for place in self._roots.places(path):
            if place.sort is Sort.MAPPING:
                self._mappings.keep(place, path)
            elif place.sort in _ABOVE_MAPPINGS:
                self._close_mappings(path)
        return bool(places)

    def open(self, path: str) -> None:
        """Take it that a node was read or is not there."""
        if path not in self._paths:
            return
        above, _, name = path.rpartition("/")
        discard(self._names, above, name)
        self._applications.reveal(path)
        for place in self._paths.pop(path):
            if _is_of_application(place):
                self._applications.mind(place.name, path, ())
                if place.sort is Sort.INSTANCE:
                    self._applications.unlist(place.name, path)
            else:
                self._interfaces.unguard(place, path)

    def leave(self, gone: str) -> None:
        """Take it that a node has gone with all that is below it."""
        for path in [each for each in self._paths if f"{each}/".startswith(f"{gone}/")]:
            self.open(path)

    def names(self, parent: str) -> list[str]:
        """Return the names of the children of a node that may not be read."""
        return list(self._names.get(parent.rstrip("/"), ()))

    def _places(self, path: str) -> Iterator[Place]:
        """Yield what a node is; what may be an interface or an application is what it was."""
        places = self._roots.places(path)
        for place in places:
            if place.sort is Sort.APPLICATION:
                if self._roots.lists(place.root, place.name) or self._exists(place.name):
                    yield place
            elif place.sort is Sort.INTERFACE:
                if len(places) == 1 or not self._exists(place.name):
                    yield place
            elif place.sort is Sort.RULE:
                yield _of_rule(place)
            elif place.sort not in _OF_ALL:
                yield place

    def _exists(self, application: str) -> bool:
        return self._applications.service(application) is not None

    def _close_mappings(self, path: str) -> None:
        for each in self._mappings.known_before(path):
            for place in self._roots.places(each):
                self._mappings.keep(place, each)
        self._applications.hide(path)

    def _close_application(self, place: Place, path: str) -> None:
        fault = unreadable(plain(place.name), path)
        if place.sort is Sort.INSTANCE:
            fault = fault._replace(record=place.node)
            self._applications.list(place.name, path)
            self._applications.keep(path)
        elif place.sort is Sort.APPLICATION:
            fault = fault._replace(whole=True)
            self._applications.keep(path, below=True)
        self._applications.mind(place.name, path, (fault,))


def _of_rule(place: Place) -> Place:
    """Return a rule by the name of what it is about; it has a node if that is an interface."""
    node = place.name if ":" in place.name else ""
    return place._replace(name=subject(place.name), node=node)


def _is_of_application(place: Place) -> bool:
    if place.sort is Sort.RULE:
        return not place.node
    return place.sort in (Sort.APPLICATION, Sort.INSTANCE)
