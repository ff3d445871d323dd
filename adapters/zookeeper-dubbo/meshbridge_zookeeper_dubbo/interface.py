"""Works out the services of one interface from all that is told of it; pure.

An interface is told by the URLs below its own nodes, in as many roots as there are, and by the
instances of applications that serve it. The same address and port is one instance of it, whoever
tells it, and what the URL says goes before what the application says; only out of use it is if
either says so.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from typing import Final, NamedTuple

from meshbridge import Consumer, Instance, Kind, RegisteredService, ServiceId
from meshbridge_dubbo import Provider, asks_for
from meshbridge_dubbo.overrides import Rules, apply
from meshbridge_dubbo.uniting import join, once, unite
from meshbridge_zookeeper_dubbo.names import Names
from meshbridge_zookeeper_dubbo.records import TELL, Caller, Fault, Record, plain, unreadable
from meshbridge_zookeeper_dubbo.roots import Sort

MOST_EMPTY: Final = 16
"""Groups and versions without a provider that are remembered of one interface."""


_HIDING: Final = frozenset((Sort.INTERFACE, Sort.PROVIDERS))
"""Nodes without which it is not known which providers there are."""


class Told(NamedTuple):
    """What is said of one service."""

    service: RegisteredService
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class Part:
    """What stands below one node of an interface."""

    listed: bool = False
    """Whether it has a node for providers: Dubbo makes it with the first and leaves it."""
    old: bool = False
    """Whether that was there when the reading began; a new one gets its provider in a moment."""
    names: dict[Sort, Names[Record]] = field(default_factory=dict[Sort, Names[Record]])
    """The URLs of each category that has any."""

    @property
    def spoilt(self) -> bool:
        """Whether a provider's URL cannot be read."""
        names = self.names.get(Sort.PROVIDERS)
        return names is not None and any(isinstance(each, Fault) for each in names.read.values())


class Interface:
    """What is known of one interface."""

    __slots__ = (
        "_guessed",
        "_served",
        "guarded",
        "mappings",
        "name",
        "parts",
        "rules",
        "seen",
        "wrong",
    )

    def __init__(self, name: str) -> None:
        """Begin with nothing; ``name`` is decoded."""
        self.name = name
        self.parts: dict[tuple[str, str], Part] = {}
        """By the root, and the name of the interface's node as it stands."""
        self.mappings: set[str] = set()
        """The paths of mappings that name it."""
        self.rules: dict[str, Rules] = {}
        """What the configuration centre says of it, by the path of the rule."""
        self.wrong: dict[str, Fault] = {}
        """What is wrong with rules and mappings, by their paths."""
        self.guarded: dict[str, Sort] = {}
        """The nodes that would tell of it and may not be read, by their paths."""
        self._served: dict[str, tuple[Provider, ...]] = {}
        self._guessed: set[str] = set()
        self.seen: dict[ServiceId, None] = {}
        """Groups and versions of which there was a provider, the latest last."""

    def remember(self, before: "Interface") -> None:
        """Know the groups and versions that were known before a gap."""
        self.seen = dict(before.seen)

    def serve(self, path: str, providers: tuple[Provider, ...], *, guessed: bool) -> bool:
        """Take what the instance at this path serves of it; return whether that is news."""
        news = self._served.get(path, ()) != providers
        self._guessed.discard(path)
        if providers:
            self._served[path] = providers
            if guessed:
                self._guessed.add(path)
        else:
            self._served.pop(path, None)
        return news

    def part(self, root: str, node: str) -> Part:
        """Return what stands below a node of it, which there is from now on."""
        return self.parts.setdefault((root, node), Part())

    def drop(self, root: str, node: str) -> None:
        """Let a node of it go."""
        del self.parts[root, node]
        if not self.parts:
            self.seen = {}

    @property
    def empty(self) -> bool:
        """Whether nothing at all is known of it."""
        return not (
            self.parts or self.mappings or self.rules or self.wrong or self.guarded or self._served
        )

    def services(self) -> list[Told]:
        """Return what is said of each of its services, none if there is no such interface.

        The node of an interface names no group and no version. So one that had a provider while
        this process runs is told on, empty, as long as the interface has a node (or, if it never
        had one, a mapping). An interface that had no provider when the reading began is told as
        that without group and version, until there is one. What cannot be read makes no service
        beside others unless its group and version can be.
        """
        found: dict[ServiceId, dict[str, Provider]] = {}
        faults: dict[ServiceId, set[Fault]] = {}
        for record in self._records():
            if isinstance(record, Provider):
                unite(found.setdefault(record.service, {}), record)
            elif isinstance(record, Fault) and not record.vague:
                faults.setdefault(record.service, set()).add(record)
        for each in self._of_instances(self._served.keys() - self._guessed):
            join(found.setdefault(each.service, {}), each)
        known = set(found)
        self._see(known)
        for each in self._guesses(found):
            faults.setdefault(each.service, set()).add(_apart(each))
        names = sorted({*found, *faults, *self._left()} or self._unseen())
        hiding = self._hiding(names)
        if hiding:
            names = sorted({*names, *self.seen} or {plain(self.name)})
        for name in names:
            faults.setdefault(name, set()).update(each._replace(service=name) for each in hiding)
        rules = tuple(self._rules())
        for fault in self._remarks(rules) if names else ():
            name = fault.service if fault.service in names else names[0]
            faults[name].add(fault._replace(service=name))
        return [
            Told(
                RegisteredService(
                    name,
                    _instances(once(found.get(name, {}).values()), rules),
                    consumers=self._consumers(name),
                    kind=Kind.DUBBO_INTERFACE,
                ),
                tuple(sorted(faults[name])),
            )
            for name in names
        ]

    def _guesses(self, found: dict[ServiceId, dict[str, Provider]]) -> list[Provider]:
        """Take in what may be served; return what nobody must call, beside providers of others.

        Calls that are meant for these would fail at an instance of another group or version. Those
        of one application are taken to be alike.
        """
        if not self._guessed:
            return []
        owners = {
            name: {each.application for each in held.values()} for name, held in found.items()
        }
        apart: list[Provider] = []
        for each in self._of_instances(self._guessed):
            if each.application in owners.get(each.service, {each.application}):
                join(found.setdefault(each.service, {}), each)
            else:
                apart.append(each)
        return apart

    def _of_instances(self, paths: Iterable[str]) -> Iterator[Provider]:
        """Yield what the instances at these paths serve, in an order that does not change."""
        for path in sorted(paths):
            yield from self._served[path]

    def _hiding(self, names: Collection[ServiceId]) -> list[Fault]:
        """Return what of it cannot be read, so that services may have instances not told here.

        A mapping adds nothing to what is told of an interface otherwise.
        """
        hiding = _HIDING if names else _HIDING | {Sort.MAPPING}
        paths = (path for path, sort in self.guarded.items() if sort in hiding)
        return [unreadable(plain(self.name), path)._replace(whole=True) for path in paths]

    def _left(self) -> Collection[ServiceId]:
        """Return what had a provider and is told on without one."""
        listed = any(part.listed for part in self.parts.values())
        return self.seen if listed or self.mappings else ()

    def _unseen(self) -> Collection[ServiceId]:
        """Return what stands for an interface that had no provider, or none that can be read."""
        old = any(part.listed and (part.old or part.spoilt) for part in self.parts.values())
        return (plain(self.name),) if old else ()

    def _records(self) -> Iterator[Record]:
        for part in self.parts.values():
            for names in part.names.values():
                yield from names.read.values()

    def _rules(self) -> Iterator[Rules]:
        yield from self.rules.values()
        yield from (each for each in self._records() if isinstance(each, Rules))

    def _remarks(self, rules: Iterable[Rules]) -> Iterator[Fault]:
        """Yield what must be said of what makes no service by itself."""
        for told in rules:
            yield from (Fault(plain(self.name), *astuple(each)) for each in told.remarks)
        yield from self.wrong.values()
        beside = (path for path, sort in self.guarded.items() if sort not in _HIDING)
        yield from (unreadable(plain(self.name), path) for path in beside)
        yield from (each for each in self._records() if isinstance(each, Fault) and each.vague)

    def _consumers(self, service: ServiceId) -> tuple[Consumer, ...]:
        callers = (each for each in self._records() if isinstance(each, Caller))
        asking = (each.consumer for each in callers if asks_for(each.asked, service))
        return tuple({each.id: each for each in sorted(asking, key=repr)}.values())

    def _see(self, known: Collection[ServiceId]) -> None:
        for name in sorted(known):
            self.seen.pop(name, None)
            self.seen[name] = None
        empty = [name for name in self.seen if name not in known]
        for name in empty[:-MOST_EMPTY]:
            del self.seen[name]


def _apart(guessed: Provider) -> Fault:
    """Return why a guess is not served beside providers of which more is known."""
    reason = (
        f"group and version of what {guessed.application} serves are not known, so its instances"
        " get no calls that other applications' providers can take"
    )
    return Fault(guessed.service, f"all of {guessed.application}", reason, TELL)


def _instances(providers: Iterable[Provider], told: Sequence[Rules]) -> tuple[Instance, ...]:
    rules = [rule for each in told for rule in each.rules]
    instances = [apply(each, rules).instance if rules else each.instance for each in providers]
    return tuple(sorted(instances, key=lambda each: each.id))
