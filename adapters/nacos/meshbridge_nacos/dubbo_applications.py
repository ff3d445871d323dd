"""Keeps all services of a Nacos group but those of Dubbo's names, and what they serve; pure.

Most are none of Dubbo's and pass through as they are. Instances of Dubbo applications are told
with their real ports, and as providers of the interfaces that they serve.
"""

from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from meshbridge import BadData, Instance, RegisteredService, ServiceId
from meshbridge_dubbo import ApplicationMetadata, Provider
from meshbridge_nacos.dubbo_instance import Node, Serves, place_of, places_of, read_node
from meshbridge_nacos.dubbo_interfaces import Told
from meshbridge_nacos.dubbo_mappings import Mapped
from meshbridge_nacos.dubbo_records import Fault, Path
from meshbridge_nacos.dubbo_revisions import Revision, Revisions
from meshbridge_nacos.parse import Reading

STEP: Final = 200
"""Instances that are read before others get a turn."""


@dataclass(slots=True)
class _Application:
    """One service."""

    service: RegisteredService
    """As Nacos has it, of what can be read."""
    nodes: dict[str, Node]
    """Its instances that are Dubbo's, by their ids; most services have none."""
    faults: tuple[Fault, ...] = ()


class Applications:
    """All services of a group but those of Dubbo's names."""

    def __init__(self, changed: dict[str, None]) -> None:
        """Begin without any; ``changed`` is where the names are put of what may have changed."""
        self._changed = changed
        self._applications: dict[str, _Application] = {}
        self._told: dict[str, tuple[Provider, ...]] = {}
        """What the interfaces' services tell, by ``protocol://address:port``."""
        self._at: dict[str, set[Path]] = {}
        """The instances at each of these places."""
        self._unheard: deque[tuple[Provider, bool]] = deque()
        """What they have told since; whether it is told still."""
        self._mapped: Mapped = {}
        self.revisions = Revisions()
        self._stirred: dict[Path, None] = {}
        """Instances that may serve something else."""
        self._doubtful: set[Path] = set()
        """Instances of which only a mapping may tell what they serve; stirred ones may be, too."""

    def put(self, name: str, reading: Reading) -> Generator[None, None, list[Serves]]:
        """Take what a service holds, in steps; return what is served no longer.

        An instance whose record can no longer be read serves what it did.
        """
        known = self._applications.get(name)
        before = known.nodes if known else {}
        nodes = {key: before[key] for key, _ in reading.faults if key in before}
        service = reading.service
        faults = [Fault(service.id, *each) for each in reading.faults]
        kept: list[Instance] = []
        for position, instance in enumerate(service.instances, 1):
            try:
                node = read_node(name, instance, before.get(instance.id))
            except BadData as bad:
                faults.append(Fault(service.id, instance.id, str(bad)))
                if instance.id in before:
                    nodes[instance.id] = before[instance.id]
            else:
                kept.append(instance)
                if node is not None:
                    nodes[instance.id] = node
            if not position % STEP:
                yield
        if len(kept) < len(service.instances):
            service = replace(service, instances=tuple(kept))
        self._applications[name] = _Application(service, nodes, tuple(faults))
        self._changed[name] = None
        for key, node in nodes.items():
            self._replace(Path(name, key), before.get(key), node)
        return [self._gone(Path(name, key), before[key]) for key in before if key not in nodes]

    def held(self) -> Collection[str]:
        """Return the names of all that is held."""
        return self._applications.keys()

    def stir_all(self) -> None:
        """Work out anew what all instances serve."""
        for name, known in self._applications.items():
            self._stirred.update({Path(name, key): None for key in known.nodes})

    def refuse(self, name: str, service: ServiceId, reason: str) -> None:
        """Take it that a service cannot be read: what it held holds."""
        known = self._applications.setdefault(name, _Application(RegisteredService(service), {}))
        known.faults = (Fault(service, "", reason),)
        self._changed[name] = None

    def drop(self, name: str) -> list[Serves]:
        """Let a service go; return what is served no longer."""
        known = self._applications.pop(name, None)
        if known is None:
            return []
        self._changed[name] = None
        return [self._gone(Path(name, key), node) for key, node in known.nodes.items()]

    def hear(self, come: Iterable[Provider], gone: Iterable[Provider]) -> None:
        """Take what interfaces' services tell now, and what they tell no longer: see listen."""
        self._unheard.extend((each, False) for each in gone)
        self._unheard.extend((each, True) for each in come)

    @property
    def listening(self) -> bool:
        """Whether something that was heard is not worked off."""
        return bool(self._unheard)

    def listen(self) -> None:
        """Work off some of what was heard: all of it at once might hold up the loop."""
        for _ in range(min(STEP, len(self._unheard))):
            each, is_told = self._unheard.popleft()
            place = place_of(each)
            others = tuple(told for told in self._told.get(place, ()) if told is not each)
            if is_told:
                self._told[place] = (*others, each)
            elif others:
                self._told[place] = others
            else:
                del self._told[place]
            self._stir(place)

    def map(self, mapped: Mapped) -> None:
        """Take which interfaces each application serves, as the mappings say."""
        before, self._mapped = self._mapped, mapped
        for path in self.doubtful():
            name = path.application
            if mapped.get(name) != before.get(name):
                self._stirred[path] = None

    def doubtful(self) -> frozenset[Path]:
        """Return the instances of which only a mapping may tell what they serve."""
        stirred = (path for path in self._stirred if self._is_doubtful(path))
        return frozenset((*self._doubtful, *stirred))

    def ripen(self, paths: Iterable[Path]) -> None:
        """Let the mapping tell of instances of which nothing else has for long."""
        for path in paths:
            known = self._applications.get(path.application)
            node = known.nodes.get(path.instance) if known else None
            if node is not None and not node.ripe:
                node.ripe = True
                self._stirred[path] = None

    def learn(self, revision: Revision, metadata: ApplicationMetadata) -> None:
        """Take what the instances of a revision export."""
        self._stirred.update(dict.fromkeys(self.revisions.learn(revision, metadata)))

    def fail(self, revision: Revision, reason: str) -> None:
        """Take it that what they export cannot be read now."""
        self._stirred.update(dict.fromkeys(self.revisions.fail(revision, reason)))

    @property
    def stirred(self) -> bool:
        """Whether some instance may serve something else."""
        return bool(self._stirred)

    def serving(self) -> Iterator[Serves | None]:
        """Yield what one more instance serves, and ``None`` after each step towards it."""
        path, _ = self._stirred.popitem()
        node = self._applications[path.application].nodes[path.instance]
        places = places_of(node.value.instance)
        told = [each for place in places for each in self._told.get(place, ())]
        mapped = self._mapped.get(path.application, {})
        yield from node.serve(path, told, self.revisions, mapped)
        if self._is_doubtful(path):
            self._doubtful.add(path)
        else:
            self._doubtful.discard(path)
        self._changed[path.application] = None

    def told(self, name: str) -> Told | None:
        """Return what is said of a service; ``None`` if there is none."""
        known = self._applications.get(name)
        if known is None:
            return None
        faults = set(known.faults)
        told = known.service
        if known.nodes:
            for node in known.nodes.values():
                faults.update(Fault(told.id, *each) for each in node.faults)
                faults.update(node.unknown(told.id, self.revisions))
            nodes = known.nodes
            instances = (nodes[i.id].instance if i.id in nodes else i for i in told.instances)
            told = replace(told, instances=tuple(instances))
        return Told(told, tuple(sorted(faults)))

    def _is_doubtful(self, path: Path) -> bool:
        node = self._applications[path.application].nodes[path.instance]
        return node.is_doubtful(self.revisions)

    def _replace(self, path: Path, last: Node | None, node: Node) -> None:
        """Take an instance in place of what it was."""
        if node is last:
            return
        if revision := node.revision:
            self.revisions.use(revision, path, remote=node.remote)
        for place in places_of(node.value.instance):
            self._at.setdefault(place, set()).add(path)
        if last is not None:
            self._unlink(path, last, now=node)
        self._stirred[path] = None

    def _unlink(self, path: Path, node: Node, now: Node | None = None) -> None:
        """Take an instance from where it is no longer."""
        if (revision := node.revision) and (now is None or now.revision != revision):
            self.revisions.leave(revision, path)
        still = set(places_of(now.value.instance)) if now else set[str]()
        for place in {*places_of(node.value.instance)} - still:
            self._at[place].discard(path)
            if not self._at[place]:
                del self._at[place]

    def _gone(self, path: Path, node: Node) -> Serves:
        self._unlink(path, node)
        self._stirred.pop(path, None)
        self._doubtful.discard(path)
        return Serves(path, dict.fromkeys(node.services, ()))

    def _stir(self, place: str) -> None:
        self._stirred.update(dict.fromkeys(self._at.get(place, ())))
