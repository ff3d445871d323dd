"""What is kept of one application and of each of its instances; pure."""

import enum
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from meshbridge import BadData, Health, Instance
from meshbridge_dubbo import (
    ApplicationInstance,
    ApplicationMetadata,
    Provider,
    Served,
    application_instance,
    read_instance,
)
from meshbridge_zookeeper_dubbo.records import AGAIN, VARIANTS, Fault, plain
from meshbridge_zookeeper_dubbo.revisions import Revision

REMOTE: Final = "remote"
"""Where metadata are that the registry holds (``storage-type``)."""
_KEPT: Final = "the application keeps them to itself, and no mapping names any"
_WAYS: Final = "let it register with metadata-type=remote or register-mode=all"
_AGAIN: Final = "start it again, so that it writes them, or let it register with register-mode=all"
_UNNAMED: Final = "the application tells no revision of them, and no mapping names any"
_ALSO: Final = "let it register its interfaces, too, as without registry-type=service"
_DIALS: Final = f"set dial-instances: true, or {_WAYS}"


class Wanted(NamedTuple):
    """Metadata that somebody must fetch."""

    revision: Revision
    remote: bool
    """Whether they are in the registry; else one of the instances must be asked."""
    instances: tuple[ApplicationInstance, ...]
    """Those that have them, by their ids."""


class Serves(NamedTuple):
    """What one instance serves now, of the interfaces for which that may have changed."""

    path: str
    """Of the instance's node."""
    interfaces: dict[str, tuple[Provider, ...]]
    """By the interface; empty for one that it serves no longer."""
    guessed: frozenset[str] = frozenset()
    """Those of which group and version are not known."""


class How(enum.Enum):
    """How it is known what an instance serves."""

    TOLD = enum.auto()
    GUESSED = enum.auto()
    UNKNOWN = enum.auto()


class Judged(NamedTuple):
    """What an instance serves."""

    served: Served
    """Besides what the URLs of interfaces tell."""
    how: How = How.TOLD
    agreed: Sequence[Provider] = ()
    """What is told of it, which its weight and its labels are found in."""
    guessed: frozenset[str] = frozenset()
    """Interfaces of which group and version are not known."""


@dataclass(slots=True)
class Node:
    """One instance's node."""

    application: str
    data: int
    """The hash of what it held when it was read."""
    value: ApplicationInstance | Fault
    interfaces: frozenset[str] = frozenset()
    """Those that it was last said to serve."""
    instance: Instance | None = None
    """With what its metadata say of it."""
    unknown: bool = False
    """Whether nothing tells what it serves."""
    guessed: bool = False
    """Whether what it serves was guessed last."""
    vague: frozenset[str] = frozenset()
    """The interfaces of which neither group nor version could be."""
    by_urls: bool = False
    """Whether URLs of interfaces have told of it: then what it serves is never guessed."""
    metadata: ApplicationMetadata | None = None
    """What told last what it serves; may be of the revision that it had before."""
    faults: tuple[tuple[str, str], ...] = ()
    """What of its metadata cannot be read."""

    @property
    def revision(self) -> Revision | None:
        """What it exports; ``None`` if that is nothing, or it cannot be read."""
        if isinstance(self.value, Fault) or not self.value.revision:
            return None
        return self.application, self.value.revision

    def follow(self, last: "Node", *, same: bool) -> None:
        """Take from what stood at the same path what holds until more is known.

        ``same`` says whether that was the same node, and not one that an instance made again.
        """
        self.by_urls = same and last.by_urls
        if _endpoint(self) == _endpoint(last) is not None:
            self.guessed, self.metadata = last.guessed, last.metadata

    def serve(self, path: str, judged: Judged) -> Serves:
        """Take what it serves, and return what of that may be news."""
        served, how, agreed, guessed = judged
        if isinstance(self.value, ApplicationInstance):
            self.instance = application_instance(self.value, agreed)
        self.unknown, self.guessed, self.vague = how is How.UNKNOWN, how is How.GUESSED, guessed
        self.faults = served.faults
        interfaces: dict[str, list[Provider]] = {name: [] for name in self.interfaces}
        for each in served.providers:
            interfaces.setdefault(each.service.name, []).append(each)
        self.interfaces = frozenset(name for name, told in interfaces.items() if told)
        by_name = {name: tuple(told) for name, told in interfaces.items()}
        return Serves(path, by_name, guessed)


@dataclass(slots=True)
class Application:
    """What is known of one application."""

    listed: set[str] = field(default_factory=set[str])
    """The paths of its nodes that say by themselves that it exists."""
    nodes: set[str] = field(default_factory=set[str])
    """The paths of its instances' nodes."""
    mapped: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """The interfaces whose mapping names it, with the path of that."""
    wrong: dict[str, tuple[Fault, ...]] = field(default_factory=dict[str, tuple[Fault, ...]])
    """What is to be said of rules that name it, by their paths."""

    @property
    def exists(self) -> bool:
        """Whether there is such an application; a mapping or a rule makes none."""
        return bool(self.listed or self.nodes)


def read(application: str, node: str, data: bytes) -> ApplicationInstance | Fault:
    """Return what an instance's node holds."""
    try:
        return read_instance(application, node, data)
    except BadData as bad:
        return Fault(plain(application), node, str(bad), AGAIN)


def _endpoint(node: Node) -> object:
    """Return where it is served; ``None`` if that cannot be read."""
    if isinstance(node.value, Fault):
        return None
    return node.value.instance.address, node.value.instance.ports


def unknown(value: ApplicationInstance, failure: str | None) -> Fault:
    """Return what is said of an application if nothing tells what its instance serves.

    ``failure`` is why its metadata could not be fetched, if that was tried.
    """
    name = plain(value.application)
    if not value.revision:
        return Fault(name, "interfaces", _UNNAMED, _ALSO)
    record = f"interfaces of revision {value.revision}"
    if failure is not None:
        way = _AGAIN if value.storage == REMOTE else f"let the bridge reach it, or {_WAYS}"
        return Fault(name, record, f"they cannot be fetched: {failure}", way)
    if value.answers_over_triple:
        return Fault(name, record, _KEPT, _DIALS)
    return Fault(name, record, f"{_KEPT}; without Triple it cannot be asked", _WAYS)


def vague(value: ApplicationInstance, interfaces: Collection[str]) -> Fault:
    """Return what is said of an application whose groups and versions nothing tells."""
    name = plain(value.application)
    few = ", ".join(sorted(interfaces)[:3])
    reason = (
        f"no service definition tells group and version of {len(interfaces)} of its interfaces"
        f" ({few}): they are taken to have none"
    )
    ways = _DIALS if value.answers_over_triple else _WAYS
    return Fault(name, VARIANTS, reason, f"{ways}, or with report-definition=true")


def out(value: ApplicationInstance, told: Iterable[Provider]) -> tuple[Provider, ...]:
    """Return what the URLs tell of an instance that is out of use as out of use, too."""
    if value.instance.health is not Health.DISABLED:
        return ()
    return tuple(replace(p, instance=replace(p.instance, health=Health.DISABLED)) for p in told)
