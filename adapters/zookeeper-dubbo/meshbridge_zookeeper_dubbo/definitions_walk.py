"""Finds the service definitions of applications in the tree, level by level; pure.

They stand at ``metadata/<interface>[/<version>][/<group>]/provider/<application>``, neither of
both encoded (MetadataIdentifier, BaseServiceMetadataIdentifier.getFilePathKey). Of a single name
between interface and ``provider`` only the definition itself tells which of both it is. That is
why a group or a version which is called like a side, ``provider`` or ``consumer``, is not found:
what stands below a side are applications, and there may be many.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from meshbridge import BadData
from meshbridge_dubbo import Variant, read_definition
from meshbridge_zookeeper_dubbo.definitions import Defined
from meshbridge_zookeeper_dubbo.persistent import NO_NODE, Read, Result
from meshbridge_zookeeper_dubbo.records import AGAIN, READABLE
from meshbridge_zookeeper_dubbo.roots import Roots, join
from meshbridge_zookeeper_dubbo.tree import Want

MOST_NODES: Final = 1_000
"""To be read for one interface: of each group and version there are two."""
_PROVIDER: Final = "provider"
_CONSUMER: Final = "consumer"
_BOTH: Final = 2
"""Names between the interface and the side, at most."""
_RETIRE: Final = "delete those that are out of use"


class _Step(NamedTuple):
    """A node to be read."""

    application: str
    interface: str
    path: str
    names: tuple[str, ...] = ()
    """Those between the interface and the side."""
    side: bool = False
    """Whether it is the provider's side, whose children are applications."""
    want: Want = Want.CHILDREN


class Walk:
    """Looks for the definitions of some applications' interfaces."""

    def __init__(self, roots: Roots, wanted: Mapping[str, Sequence[str]]) -> None:
        """Begin at the roots; ``wanted`` are the interfaces of each application."""
        self._steps: deque[_Step] = deque()
        self._taken: dict[tuple[str, str], int] = {}
        self._variants: dict[str, dict[str, set[Variant]]] = {}
        self._faults: dict[str, dict[str, tuple[str, str, str]]] = {}
        for application, interfaces in wanted.items():
            self._variants[application] = {name: set() for name in interfaces}
            self._faults[application] = {}
            for name in interfaces:
                for path in roots.definitions(name):
                    self._add(_Step(application, name, path))
        self._asked: list[_Step] = []

    def next(self, most: int) -> list[Read]:
        """Return the questions to ask now, each of which must be answered; none: that is all."""
        self._asked = [self._steps.popleft() for _ in range(min(most, len(self._steps)))]
        return [Read(step.path, step.want) for step in self._asked]

    def take(self, results: Sequence[Result]) -> None:
        """Take the answers, in the order of the questions."""
        for step, result in zip(self._asked, results, strict=True):
            if isinstance(result, bytes):
                self._read(step, result)
            elif isinstance(result, list):
                for each in _below(step, result):
                    self._add(each)
                if step.side and step.application in result and len(step.names) != 1:
                    self._found(step, _variant(step.names))
            elif result != NO_NODE:
                self._fault(step, f"{step.path} may not be read", READABLE)

    def defined(self) -> Iterator[tuple[str, Defined]]:
        """Yield what was found of each application."""
        for application, found in self._variants.items():
            variants = {name: frozenset(told) for name, told in found.items()}
            yield application, Defined(variants, self._faults[application])

    def _add(self, step: _Step) -> None:
        key = step.application, step.interface
        taken = self._taken[key] = self._taken.get(key, 0) + 1
        if taken <= MOST_NODES:
            self._steps.append(step)
        else:
            reason = f"{step.path} and others are more than {MOST_NODES} nodes of one interface"
            self._fault(step, reason, _RETIRE)

    def _read(self, step: _Step, data: bytes) -> None:
        try:
            self._found(step, read_definition(data))
        except BadData as bad:
            self._fault(step, f"{step.path}: {bad}", AGAIN)

    def _found(self, step: _Step, variant: Variant) -> None:
        self._variants[step.application][step.interface].add(variant)

    def _fault(self, step: _Step, reason: str, remedy: str) -> None:
        """Note the first thing that is wrong."""
        self._faults[step.application].setdefault(step.interface, (step.path, reason, remedy))


def _below(step: _Step, names: Sequence[str]) -> Iterator[_Step]:
    """Yield what is to be read of a node's children."""
    if step.side:
        if len(step.names) == 1 and step.application in names:
            yield step._replace(path=join(step.path, step.application), want=Want.DATA)
        return
    for name in names:
        below = step._replace(path=join(step.path, name))
        if name == _PROVIDER:
            yield below._replace(side=True)
        elif name != _CONSUMER and len(step.names) < _BOTH:
            yield below._replace(names=(*step.names, name))


def _variant(names: Sequence[str]) -> Variant:
    version, group = names or ("", "")
    return Variant(group, version)
