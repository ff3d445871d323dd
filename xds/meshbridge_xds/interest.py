"""What one subscriber asks for of one type: names, the wildcard, or both.

It promises: after any request it names exactly what the subscriber wants by the rules of the xDS
protocol (Envoy's ``docs/root/api-docs/xds_protocol.rst``), whichever way it was said.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from weakref import WeakValueDictionary

from meshbridge_xds.exchange import WILDCARD, DeltaRequest, check_number
from meshbridge_xds.resources import Resource, ResourceSet


@dataclass(frozen=True, slots=True)
class Change:
    """What a request has changed."""

    told: AbstractSet[str]
    """Names to tell of, since they are asked for anew."""
    given_up: AbstractSet[str]
    """Names that are not asked for by name any more."""
    wildcard_begun: bool
    wildcard_ended: bool


_SHARED = WeakValueDictionary[int, frozenset[str]]()
"""Sets of names that somebody asks for now, by their hash.

Every Envoy of a mesh names all of its clusters when it asks for endpoints: a set of 8,000 takes
1.2 MiB, and a second one until they are answered.
"""


def shared(names: AbstractSet[str]) -> frozenset[str]:
    """Return these names as a set that is the same object for all who ask for the same."""
    asked = frozenset(names)
    found = _SHARED.setdefault(hash(asked), asked)
    return found if found == asked else asked


class Interest:
    """The names and the wildcard of one subscription."""

    def __init__(self, *, wildcard: bool) -> None:
        """Ask for nothing; ``wildcard`` tells whether who names nothing asks for everything."""
        self.wildcard = False
        self.names: AbstractSet[str] = frozenset()
        self._default = wildcard
        self._named_once = False

    def replace(self, names: Iterable[str]) -> Change:
        """Take all names of a state-of-the-world request in. Raises RequestRefused."""
        named = set(names)
        check_number(len(named))
        # Empty means everything only for those who never named anything (xDS protocol, "How the
        # client specifies what resources to return").
        legacy = self._default and not named and not self._named_once
        self._named_once = self._named_once or bool(named)
        wildcard = legacy or WILDCARD in named
        named.discard(WILDCARD)
        names = shared(named)
        told = names - self.names if self.names else names
        given_up = self.names - names
        return self._become(names, wildcard=wildcard, told=told, given_up=given_up)

    def amend(self, request: DeltaRequest, *, first: bool) -> Change:
        """Take the names of a delta request in. Raises RequestRefused."""
        subscribe, unsubscribe = set(request.subscribe), set(request.unsubscribe)
        wildcard = self.wildcard
        if WILDCARD in subscribe or (first and not subscribe and self._default):
            wildcard = True
        elif WILDCARD in unsubscribe:
            wildcard = False
        subscribe.discard(WILDCARD)
        names = shared((self.names - unsubscribe) | subscribe)
        check_number(len(names))
        # A name that the same request takes up again was given up before, and its holding with it.
        given_up = self.names & unsubscribe
        told = subscribe if self.names else names
        return self._become(names, wildcard=wildcard, told=told, given_up=given_up)

    def covers(self, names: AbstractSet[str]) -> bool:
        """Whether all of these are asked for."""
        return self.wildcard or self.names >= names

    def among(self, names: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of the names that are asked for."""
        return names if self.wildcard else self.names & names

    def is_all(self, offered: ResourceSet) -> bool:
        """Whether exactly what is listed is asked for."""
        if self.wildcard:
            return not self.names
        listed = offered.listed.keys()
        return len(self.names) == len(listed) and self.names <= listed

    def wanted(self, offered: ResourceSet) -> AbstractSet[str]:
        """Return all names that are asked for, whether there is anything under them or not."""
        return self.names | offered.listed.keys() if self.wildcard else self.names

    def pick(self, offered: ResourceSet, name: str) -> Resource | None:
        """Return what is offered under a name, if that is asked for."""
        if name in self.names:
            return offered.get(name)
        return offered.listed.get(name) if self.wildcard else None

    def _become(
        self,
        names: AbstractSet[str],
        *,
        wildcard: bool,
        told: AbstractSet[str],
        given_up: AbstractSet[str],
    ) -> Change:
        """Ask for these from now on."""
        change = Change(
            told=told,
            given_up=given_up,
            wildcard_begun=wildcard and not self.wildcard,
            wildcard_ended=self.wildcard and not wildcard,
        )
        self.wildcard, self.names = wildcard, names
        return change
