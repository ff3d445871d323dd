"""Knows which nodes below the configured roots mean something, and what; pure.

Interface roots are Dubbo's of any version (``<root>/<interface>/providers/<url>``), application
roots are Dubbo 3's and Spring Cloud's (``<root>/<application>/<instance>``). One path may be both,
for the ``group`` of a Dubbo registry is the root of both, and roots may lie below each other.
"""

import enum
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from meshbridge_zookeeper_dubbo.tree import Want

PROVIDERS: Final = "providers"
CONSUMERS: Final = "consumers"
CONFIGURATORS: Final = "configurators"
_NO_INSTANCES: Final = frozenset((PROVIDERS, CONSUMERS, CONFIGURATORS, "routers"))
"""What stands below an interface (ZookeeperRegistry.java, toCategoriesPath)."""
CONFIG: Final = "config"
MAPPING: Final = "mapping"
_METADATA: Final = "metadata"
_OTHERS: Final = frozenset((CONFIG, MAPPING, _METADATA))
"""What stands beside the interfaces and is none."""
_OF_ZOOKEEPER: Final = "/zookeeper"
RULES: Final = "dubbo"
"""The group that Dubbo's configuration centre keeps rules in (GovernanceRuleRepository)."""
_RULE: Final = ".configurators"
_DEPTH: Final = 3
"""Levels below a root that mean something."""


class Sort(enum.Enum):
    """What a node is."""

    INTERFACES = enum.auto()
    """An interface root: its children are interfaces."""
    INTERFACE = enum.auto()
    PROVIDERS = enum.auto()
    """Its children's names are URLs, as those of the next two."""
    CONSUMERS = enum.auto()
    CONFIGURATORS = enum.auto()
    CONFIG = enum.auto()
    """Rules and Dubbo 2.7's mappings stand two levels below."""
    RULES = enum.auto()
    """Its children are rules of the configuration centre."""
    RULE = enum.auto()
    """Its data is a configurators' rule, ``name`` is its key."""
    MAPPINGS = enum.auto()
    """Its children are named as interfaces."""
    MAPPING = enum.auto()
    """Its data and its children name the applications that offer an interface."""
    APPLICATIONS = enum.auto()
    """An application root: its children are applications."""
    APPLICATION = enum.auto()
    """Its children are instances."""
    INSTANCE = enum.auto()
    """Its data is an instance."""


class Place(NamedTuple):
    """What a node is, and of what."""

    sort: Sort
    root: str
    name: str = ""
    """The interface (decoded), the application or the rule's key; empty for a root."""
    node: str = ""
    """An instance's own name; for what belongs to an interface, that one's name as it stands."""


CATEGORIES: Final = {
    Sort.PROVIDERS: PROVIDERS,
    Sort.CONSUMERS: CONSUMERS,
    Sort.CONFIGURATORS: CONFIGURATORS,
}
"""What stands below an interface and is read; the names of its children are URLs."""
_SORTS: Final = {name: sort for sort, name in CATEGORIES.items()}
_WANTS: Final = {
    Sort.RULE: Want.DATA,
    Sort.MAPPING: Want.DATA | Want.CHILDREN,
    Sort.INSTANCE: Want.DATA,
}
"""What is wanted of a node; of those not named here it is the children."""


class Roots:
    """The configured roots: says what to read (:class:`~.tree.Interest`), and what it is."""

    def __init__(self, interfaces: Sequence[str], applications: Sequence[str]) -> None:
        """Take absolute paths, without a slash at their end (but ``/``)."""
        self.all = tuple(dict.fromkeys((*interfaces, *applications)))
        """Each of them once."""
        self.interfaces = tuple(interfaces)
        self._interfaces = frozenset(interfaces)
        self._applications = frozenset(applications)
        self._prefixes = tuple((root, root if root == "/" else f"{root}/") for root in self.all)
        self._no_services = frozenset(
            (_OF_ZOOKEEPER, *(path for root in self.all for path in _upwards(root)))
        )
        """Paths that are neither an interface nor an application: roots, and what leads there."""

    def __call__(self, path: str) -> Want:
        """Return what is wanted of a node."""
        for place in self.places(path):  # if there are two, the same is wanted of both
            return _WANTS.get(place.sort, Want.CHILDREN)
        return Want.NOTHING

    def places(self, path: str) -> list[Place]:
        """Return what the node is; nothing, if it is not looked at."""
        found: list[Place] = []
        for root, prefix in self._prefixes:
            if path == root:
                found += self._root(root)
            elif path.startswith(prefix):
                found += self._below(root, path[len(prefix) :].split("/", _DEPTH))
        return found

    def below(self, path: str) -> Iterator[str]:
        """Yield the roots that a node is, or that lie below it."""
        prefix = path if path == "/" else f"{path}/"
        for root in self.all:
            if root == path or root.startswith(prefix):
                yield root

    def lists(self, root: str, name: str) -> bool:
        """Whether the child of an application root says by itself that there is an application.

        Where interfaces stand beside, it takes an instance to tell one from the other.
        """
        return root not in self._interfaces and join(root, name) not in self._no_services

    def metadata(self, application: str, revision: str) -> Iterator[str]:
        """Yield the paths where an application may have told its interfaces."""
        for root in self.interfaces:
            yield join(root, f"{_METADATA}/{application}/{revision}")

    def definitions(self, interface: str) -> Iterator[str]:
        """Yield the paths below which applications may have left definitions of an interface."""
        for root in self.interfaces:
            yield join(root, f"{_METADATA}/{quote(interface, safe='')}")

    def _root(self, root: str) -> Iterator[Place]:
        if root in self._interfaces:
            yield Place(Sort.INTERFACES, root)
        if root in self._applications:
            yield Place(Sort.APPLICATIONS, root)

    def _below(self, root: str, parts: list[str]) -> Iterator[Place]:
        if join(root, parts[0]) in self._no_services:
            return  # it is a root, or leads to one
        interfaces = root in self._interfaces
        if interfaces and parts[0] in _OTHERS:
            place = _of_others(root, parts)
        else:
            place = _of_interface(root, parts) if interfaces else None
            if root in self._applications and (place is None or place.sort is Sort.INTERFACE):
                yield from _of_application(root, parts, interfaces=interfaces)
        if place is not None:
            yield place


def _of_interface(root: str, parts: list[str]) -> Place | None:
    match parts:
        case [node]:
            return Place(Sort.INTERFACE, root, unquote(node), node)
        case [node, category] if category in _SORTS:
            return Place(_SORTS[category], root, unquote(node), node)
        case _:
            return None


def _of_application(root: str, parts: list[str], *, interfaces: bool) -> Iterator[Place]:
    """Yield what stands below an application, which may be an interface where such are beside."""
    match parts:
        case [application]:
            yield Place(Sort.APPLICATION, root, application)
        case [application, node] if not (interfaces and node in _NO_INSTANCES):
            yield Place(Sort.INSTANCE, root, application, node)
        case _:
            return


def _of_others(root: str, parts: list[str]) -> Place | None:
    """Return what stands beside the interfaces.

    Metadata are definitions of services, large and many; what matters of them is asked for.
    """
    match parts:
        case ["config"]:
            return Place(Sort.CONFIG, root)
        case ["config", "dubbo"]:
            return Place(Sort.RULES, root)
        case ["config", "dubbo", key] if key.endswith(_RULE):
            return Place(Sort.RULE, root, key)
        case ["mapping"] | ["config", "mapping"]:
            return Place(Sort.MAPPINGS, root)
        case ["mapping", interface] | ["config", "mapping", interface]:
            return Place(Sort.MAPPING, root, unquote(interface), interface)
        case _:
            return None


def join(path: str, name: str) -> str:
    """Return the path of a child."""
    return f"/{name}" if path == "/" else f"{path}/{name}"


def _upwards(root: str) -> Iterator[str]:
    """Yield a root and each node that leads to it."""
    while root not in ("", "/"):
        yield root
        root = root.rpartition("/")[0]
