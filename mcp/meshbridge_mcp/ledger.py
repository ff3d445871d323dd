"""The ServiceEntries of the newest snapshot, each encoded when its service changed and never again.

A change of one service costs work in proportion to that service here; joining all of them into one
response, which the protocol forces, is the sender's.
"""

from collections.abc import Callable, Iterable

from meshbridge.problems import Problem
from meshbridge.snapshot import Snapshot
from meshbridge.turns import Turn
from meshbridge_mcp.istio import entries
from meshbridge_mcp.resource import Encoded, encode
from meshbridge_mcp.stub import stub
from meshbridge_xds.resources import Resource, ResourceSet

Say = Callable[[str, Iterable[Problem]], None]
"""Takes a host and all the problems it has now."""


class Ledger:
    """Follows snapshots; not for two tasks at once."""

    def __init__(self, say: Say) -> None:
        """Start before the first snapshot."""
        self._say = say
        self._names: dict[str, tuple[str, ...]] = {}
        """The names of a host's resources."""
        self._snapshot: Snapshot | None = None
        self._resources = ResourceSet()
        self.encoded = 0
        """How many resources were encoded so far."""

    def names(self, host: str) -> tuple[str, ...]:
        """Return the names of a host's resources."""
        return self._names.get(host, ())

    async def follow(self, snapshot: Snapshot, turn: Turn) -> ResourceSet:
        """Return the resources of a snapshot; breathes between two hosts.

        Cancelled halfway it has changed nothing that a later call would miss.
        """
        changes = snapshot.since(self._snapshot)
        touched: dict[str, Resource | None] = {}
        names: dict[str, tuple[str, ...]] = {}
        problems: dict[str, tuple[Problem, ...]] = {}
        for host in sorted(changes.changed | changes.removed):
            await turn.breathe()
            touched.update(dict.fromkeys(self._names.get(host, ())))
            service = snapshot.services.get(host)
            if service is None:
                names[host], problems[host] = (), ()
                continue
            found = entries(service)
            made = [encode(part) for part in found.parts]
            self.encoded += len(made)
            members = [len(part.spec.endpoints) for part in found.parts]
            touched.update(
                {e.name: _resource(e, count) for e, count in zip(made, members, strict=True)}
            )
            names[host] = tuple(each.name for each in made)
            problems[host] = found.problems
        self._snapshot = snapshot
        self._resources = self._resources.changed(touched)
        self._names.update(names)
        for host in changes.removed:
            self._names.pop(host, None)
        for host, said in problems.items():
            self._say(host, said)
        return self._resources


def _resource(encoded: Encoded, members: int) -> Resource:
    name, version = encoded.name, encoded.version
    return Resource(name, version, encoded.resource, stub=stub(name, version), members=members)
