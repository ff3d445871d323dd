"""What went wrong with one thing, in the registry's own words, and what to do about it."""

import enum
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import cast

RUN = 500
"""Problems that are sorted at once, in about a millisecond."""


class ProblemKind(enum.StrEnum):
    """A short fixed name for each sort of problem: the label in metrics and ``/api/problems``."""

    UNREADABLE = "unreadable"
    """A record of the registry cannot be read; its previous value is kept."""
    INVALID_INSTANCE = "invalid-instance"
    """An instance cannot be published as it is: port, weight, address."""
    REFUSED_ADDRESS = "refused-address"
    """An address must not be published: loopback, link-local, metadata service, multicast."""
    INVALID_NAME = "invalid-name"
    """A service has a name of which no host can be made."""
    REFUSED_HOST = "refused-host"
    """A host outside the domains of its registry, or a reserved one."""
    CONFLICT = "conflict"
    """Two registrations want one host, alias or address."""
    RENAMED = "renamed"
    """A host differs from the usual one, because another registration has it."""
    INVALID_LABEL = "invalid-label"
    """A label that Istio would refuse was left out."""
    INVALID_PORT = "invalid-port"
    """A port, or a disagreement about ports."""
    REJECTED = "rejected"
    """A subscriber refused a resource (NACK)."""
    NOT_TAKEN_OVER = "not-taken-over"
    """A subscriber acknowledged a resource, and has none of that name in use, or another one."""
    REGISTRY = "registry"
    """A registry cannot be read, refuses us, or is empty when the first answer waits for it."""
    STATE = "state"
    """Stored state cannot be read or written."""
    HELD = "held"
    """What a registry no longer lists is served on, until it returns or is released."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is not served as registered, why, and the remedy."""

    registry: str
    """The configured name of the registry, or of the outlet for what a subscriber refused."""
    subject: str
    """The registry's own name of the thing: service, or service and instance."""
    kind: ProblemKind
    reason: str
    remedy: str

    def __str__(self) -> str:
        """Return the line that people read."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.registry}: {self.subject}: {self.reason}{remedy}"


IN_ORDER = attrgetter("registry", "subject", "kind", "reason", "remedy")
"""The order of problems, as a key: many times faster than comparing them one with another."""


class Problems:
    """The problems that hold now, by the owner that said so; an owner replaces its whole list.

    There may be one for each instance, so what is asked for often is counted when it changes.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._by_owner: dict[object, tuple[Problem, ...]] = {}
        self._owners: dict[Problem, int] = {}
        """How many owners say so."""
        self._counts: Counter[tuple[str, ProblemKind]] = Counter()

    def put(self, owner: object, problems: Iterable[Problem]) -> None:
        """Let ``owner`` (any hashable) have exactly these problems; none forgets the owner."""
        before = self._by_owner.pop(owner, ())
        kept = tuple(dict.fromkeys(problems))
        if kept:
            self._by_owner[owner] = kept
        for problem in kept:
            self._add(problem)
        for problem in before:
            self._drop(problem)

    def of(self, owner: object) -> tuple[Problem, ...]:
        """Return what this owner said last."""
        return self._by_owner.get(owner, ())

    def forget(self, kinds: Collection[str], registry: str) -> None:
        """Forget the owners that are tuples of one of these kinds, then the registry's name."""
        gone = {(kind, registry) for kind in kinds}
        for owner in [each for each in self._by_owner if _begins(each) in gone]:
            self.put(owner, ())

    def counts(self) -> dict[tuple[str, ProblemKind], int]:
        """Return how many there are of each registry and kind; costs the same however many."""
        return dict(self._counts)

    def runs(self) -> Iterator[list[Problem]]:
        """Yield all problems, each once, in sorted lists to be merged: a short step for each."""
        held = list(self._owners)
        for start in range(0, len(held), RUN):
            yield sorted(held[start : start + RUN], key=IN_ORDER)

    def __iter__(self) -> Iterator[Problem]:
        """Yield all problems, sorted, each once; holds up everything else while it sorts."""
        return iter(sorted(self._owners, key=IN_ORDER))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._owners)

    def _add(self, problem: Problem) -> None:
        owners = self._owners.get(problem, 0)
        self._owners[problem] = owners + 1
        if not owners:
            self._counts[problem.registry, problem.kind] += 1

    def _drop(self, problem: Problem) -> None:
        self._owners[problem] -= 1
        if self._owners[problem]:
            return
        del self._owners[problem]
        which = problem.registry, problem.kind
        self._counts[which] -= 1
        if not self._counts[which]:
            del self._counts[which]


class Said:
    """What one speaker said of its owners, so that all of it can be taken back."""

    def __init__(self, problems: Problems) -> None:
        """Say nothing yet."""
        self._problems = problems
        self._owners = set[object]()
        """Those with a problem: a server has had an owner for each stream that ever was."""

    def put(self, owner: object, problems: Iterable[Problem]) -> None:
        """Let ``owner`` have exactly these problems."""
        said = tuple(problems)
        (self._owners.add if said else self._owners.discard)(owner)
        self._problems.put(owner, said)

    def take_back(self, but: "Said | None" = None) -> None:
        """Take all of it back, but not what another one says by now."""
        others = but._owners if but is not None else set[object]()  # noqa: SLF001 - its own class
        for owner in self._owners - others:
            self._problems.put(owner, ())
        self._owners.clear()

    def __len__(self) -> int:
        """Return how many owners have a problem."""
        return len(self._owners)


def _begins(owner: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", owner)[:2] if isinstance(owner, tuple) else ()
