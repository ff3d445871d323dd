"""The resources of the newest snapshot, each encoded when what it says changed and never again.

A change of one service costs work in proportion to that service here; joining all of them into one
response, which the protocol forces, is the sender's.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from google.protobuf.message import Message

from meshbridge.problems import Problem, ProblemKind
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from meshbridge.service import Service, first_source
from meshbridge.snapshot import EMPTY, Snapshot
from meshbridge.turns import Turn
from meshbridge_mcp.document_faults import document_faults
from meshbridge_mcp.faults import Fault
from meshbridge_mcp.istio import USUAL, Shape, entries
from meshbridge_mcp.kinds import FROM_SERVICES
from meshbridge_mcp.resource import Document, encode
from meshbridge_mcp.stub import stub
from meshbridge_mcp.virtual_service import routing
from meshbridge_xds.resources import Resource, ResourceSet

Say = Callable[[str, Iterable[Problem]], None]
"""Takes a host and all the problems it has now."""

Told = tuple[tuple[Document[Message], ...], tuple[Problem, ...]]
"""The documents that a service makes, and what they cannot say of it."""


@dataclass(frozen=True, slots=True)
class _Made:
    """What was made of one host."""

    host: str
    resources: tuple[tuple[str, Resource], ...] = ()
    """(kind, resource)"""
    kept: tuple[tuple[str, str], ...] = ()
    """(kind, name) of what stays as it was told before, because istiod would refuse it now."""
    problems: tuple[Problem, ...] = ()


class _Teller:
    """Makes some of the documents of services, and remembers which."""

    def __init__(
        self, tell: Callable[[Service], Told], alike: Callable[[Service, Service], bool]
    ) -> None:
        """Take what makes them, and what sees cheaply that it would make the same of both."""
        self._tell = tell
        self._alike = alike
        self.names: dict[str, tuple[tuple[str, str], ...]] = {}
        """(kind, name) of a host's resources, of those hosts that have any."""
        self.problems: dict[str, tuple[Problem, ...]] = {}
        """Those of hosts that have any."""

    def make(self, host: str, before: Service | None, after: Service | None) -> _Made | None:
        """Return what there is of a host from now on, or ``None`` if that is what there was."""
        if after is None:
            return _Made(host)
        if before is not None and self._alike(before, after):
            return None
        documents, problems = self._tell(after)
        told: list[tuple[str, Resource]] = []
        kept: list[tuple[str, str]] = []
        for each in documents:
            faults = document_faults(each)
            if not faults:
                told.append((each.kind, _resource(each)))
                continue
            problems += (_refused(after, each, faults[0]),)
            if (each.kind, each.full_name) in self.names.get(host, ()):
                kept.append((each.kind, each.full_name))
        return _Made(host, tuple(told), tuple(kept), problems)

    def take(self, made: _Made) -> None:
        """Remember what there is of a host."""
        self.names.pop(made.host, None)
        self.problems.pop(made.host, None)
        if made.resources or made.kept:
            told = ((kind, each.name) for kind, each in made.resources)
            self.names[made.host] = (*told, *made.kept)
        if made.problems:
            self.problems[made.host] = made.problems


class Ledger:
    """Follows snapshots; not for two tasks at once."""

    def __init__(self, say: Say, shape: Shape = USUAL) -> None:
        """Start before the first snapshot."""
        self._say = say
        self._snapshot: Snapshot | None = None
        self._tellers = (
            _Teller(partial(_entries, shape), _entries_alike),
            _Teller(_routing, _routing_alike),
        )
        self._resources = {kind: ResourceSet() for kind in FROM_SERVICES}
        self.encoded = 0
        """How many resources were encoded so far."""

    def names(self, host: str) -> dict[str, tuple[str, ...]]:
        """Return the names of a host's resources, by their kinds."""
        found: dict[str, tuple[str, ...]] = {}
        for teller in self._tellers:
            for kind, name in teller.names.get(host, ()):
                found[kind] = (*found.get(kind, ()), name)
        return found

    async def follow(self, snapshot: Snapshot, turn: Turn) -> Mapping[str, ResourceSet]:
        """Return the resources of a snapshot, by their kinds; breathes between two hosts.

        Cancelled halfway it has changed nothing that a later call would miss.
        """
        changes = snapshot.since(self._snapshot)
        older = (self._snapshot or EMPTY).services
        hosts = sorted(changes.changed | changes.removed)
        news: list[tuple[_Teller, _Made]] = []
        for host in hosts:
            await turn.breathe()
            for teller in self._tellers:
                made = teller.make(host, older.get(host), snapshot.services.get(host))
                if made is not None:
                    self.encoded += len(made.resources)
                    news.append((teller, made))
        self._snapshot = snapshot
        self._take(news)
        result = dict(self._resources)
        for host in hosts:
            self._say(host, [p for each in self._tellers for p in each.problems.get(host, ())])
            await turn.breathe()
        return result

    def _take(self, news: Iterable[tuple[_Teller, _Made]]) -> None:
        touched: dict[str, dict[str, Resource | None]] = {kind: {} for kind in FROM_SERVICES}
        for teller, made in news:
            for kind, name in teller.names.get(made.host, ()):
                if (kind, name) not in made.kept:
                    touched[kind][name] = None
            for kind, resource in made.resources:
                touched[kind][resource.name] = resource
            teller.take(made)
        for kind, resources in touched.items():
            if resources:
                self._resources[kind] = self._resources[kind].changed(resources)


def _entries(shape: Shape, service: Service) -> Told:
    found = entries(service, shape)
    return found.documents, found.problems


def _entries_alike(before: Service, after: Service) -> bool:
    """Whether nothing but the addresses differs by which they are called."""
    return bool(before.direct or after.direct) and (
        replace(before, direct=(), version="") == replace(after, direct=(), version="")
    )


def _routing(service: Service) -> Told:
    found = routing(service)
    return found.documents, found.problems


def _routing_alike(before: Service, after: Service) -> bool:
    """Whether nothing but the endpoints differs, or there is nothing to tell of either."""
    return not (before.direct or after.direct) or (
        replace(before, endpoints=(), version="") == replace(after, endpoints=(), version="")
    )


def _refused(service: Service, document: Document[Message], fault: Fault) -> Problem:
    """Return what is said of a document that should never have been made."""
    source = first_source(service, "mcp")
    return Problem(
        source.registry,
        source.name,
        ProblemKind.OTHER,
        f"istiod would refuse {document.kind} {document.full_name}: {fault}",
        "report it as a fault of meshbridge; what istiod was told before stays",
    )


def _resource(document: Document[Message]) -> Resource:
    made = encode(document)
    members = len(document.spec.endpoints) if isinstance(document.spec, ServiceEntry) else 0
    return Resource(
        made.name,
        made.version,
        made.resource,
        stub=stub(made.name, made.version),
        members=members,
    )
