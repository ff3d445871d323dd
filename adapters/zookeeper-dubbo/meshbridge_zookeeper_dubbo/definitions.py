"""Keeps what service definitions tell of applications whose interfaces are guessed; pure.

The mapping that is read in reverse names interfaces without group and version. These stand in the
definitions, which are read only for the applications that need it. Nobody ever takes one back, no
more than a mapping: what an application had once, it is guessed to have.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from meshbridge_dubbo import Variant
from meshbridge_zookeeper_dubbo.records import VARIANTS, Fault, plain
from meshbridge_zookeeper_dubbo.revisions import DEFINITIONS, Revisions

_REACHABLE: Final = "let the bridge open a further session, and its user read all below the roots"
_UNREAD: Final[Mapping[str, frozenset[Variant]]] = MappingProxyType({})
_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Defined:
    """What the service definitions of one application tell."""

    variants: Mapping[str, frozenset[Variant]]
    """Of each interface that was looked for; empty where there is no definition of it."""
    faults: Mapping[str, tuple[str, str, str]]
    """(path, reason, remedy) for each interface of which not all can be read."""


@dataclass(slots=True)
class Guessed:
    """One application with an instance whose interfaces are guessed."""

    paths: set[str] = field(default_factory=set[str])
    """The paths of those instances' nodes."""
    interfaces: frozenset[str] = _NOBODY
    """Those that the mappings name."""
    defined: Defined | None = None
    """What was read last; ``None``: nothing yet."""
    failure: str = ""
    """Why it could not be read last."""


class Definitions:
    """What is known of all of these applications."""

    def __init__(self, revisions: Revisions, before: "Definitions | None" = None) -> None:
        """Begin without any; until it is read again, what ``before`` knows of them holds.

        What must be read is put among what must be of ``revisions``.
        """
        self._revisions = revisions
        self._before: Mapping[str, Guessed] = before.held if before else {}
        self.held: dict[str, Guessed] = {}
        """By the applications' names."""

    def forget(self) -> None:
        """Let go of what was known before."""
        self._before = {}

    def guess(
        self, application: str, path: str, interfaces: frozenset[str]
    ) -> Mapping[str, Collection[Variant]]:
        """Return the groups and versions of the interfaces that the instance at a path may serve.

        An interface of which they are about to be read is left out until then; one without any
        definition, or of which they cannot be read, has none.
        """
        guessed = self.held.get(application)
        if guessed is None:
            known = self._before.get(application)
            guessed = self.held[application] = Guessed(defined=known.defined if known else None)
            if guessed.defined is None:
                self._revisions.unread.add((application, DEFINITIONS))
        if path not in guessed.paths or interfaces - guessed.interfaces:
            self._revisions.fresh[application, DEFINITIONS] = None
        guessed.paths.add(path)
        guessed.interfaces = interfaces
        variants = guessed.defined.variants if guessed.defined else _UNREAD
        there = interfaces if guessed.failure else interfaces & variants.keys()
        return {name: variants.get(name, frozenset()) for name in there}

    def look_again(self, application: str) -> None:
        """Take it that an instance was registered anew: it may export something else."""
        if application in self.held:
            self._revisions.fresh[application, DEFINITIONS] = None

    def leave(self, application: str, path: str) -> None:
        """Take it that an instance is not guessed about any more."""
        guessed = self.held.get(application)
        if guessed is None:
            return
        guessed.paths.discard(path)
        if not guessed.paths:
            del self.held[application]
            self._revisions.fresh.pop((application, DEFINITIONS), None)
            self._revisions.unread.discard((application, DEFINITIONS))

    def wanted(self, application: str) -> Collection[str]:
        """Return the interfaces whose definitions are wanted; none if that is over."""
        guessed = self.held.get(application)
        return guessed.interfaces if guessed else ()

    def awaited(self, application: str) -> bool:
        """Whether nothing is guessed of an application before they are read."""
        guessed = self.held.get(application)
        return guessed is not None and guessed.defined is None and not guessed.failure

    def learn(self, application: str, defined: Defined) -> Collection[str]:
        """Take what was read; return the paths of the instances that it matters to.

        What cannot be read any more is as it was.
        """
        guessed = self._tried(application)
        if guessed is None:
            return ()
        if last := guessed.defined:
            kept = {name: last.variants.get(name, frozenset()) for name in defined.faults}
            united = {
                name: told | kept[name] for name, told in defined.variants.items() if name in kept
            }
            defined = Defined({**defined.variants, **united}, defined.faults)
        news = defined != last or guessed.failure
        guessed.defined, guessed.failure = defined, ""
        return guessed.paths if news else ()

    def fail(self, application: str, reason: str) -> Collection[str]:
        """Take why they were not read; return the paths of the instances that it matters to."""
        guessed = self._tried(application)
        if guessed is None or guessed.failure == reason:
            return ()
        guessed.failure = reason
        return guessed.paths

    def faults(self, application: str) -> Iterator[Fault]:
        """Yield what cannot be read of an application."""
        guessed = self.held.get(application)
        if guessed is None:
            return
        name = plain(application)
        if guessed.failure:
            reason = f"the service definitions cannot be read: {guessed.failure}"
            yield Fault(name, VARIANTS, reason, _REACHABLE)
        for path, reason, remedy in guessed.defined.faults.values() if guessed.defined else ():
            yield Fault(name, path, reason, remedy)

    def _tried(self, application: str) -> Guessed | None:
        self._revisions.unread.discard((application, DEFINITIONS))
        return self.held.get(application)
