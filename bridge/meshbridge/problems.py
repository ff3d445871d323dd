"""What went wrong with one thing, in the registry's own words, and what to do about it."""

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


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
    REGISTRY = "registry"
    """A registry cannot be read or refuses us."""
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
        return f"{self.registry}: {self.subject}: {self.reason}; {self.remedy}"


class Problems:
    """The problems that hold now, by the owner that said so; an owner replaces its whole list."""

    def __init__(self) -> None:
        """Start with none."""
        self._by_owner: dict[object, tuple[Problem, ...]] = {}

    def put(self, owner: object, problems: Iterable[Problem]) -> None:
        """Let ``owner`` (any hashable) have exactly these problems; none forgets the owner."""
        kept = tuple(problems)
        if kept:
            self._by_owner[owner] = kept
        else:
            self._by_owner.pop(owner, None)

    def __iter__(self) -> Iterator[Problem]:
        """Yield all problems, sorted, each once."""
        return iter(sorted({each for held in self._by_owner.values() for each in held}))

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(len(held) for held in self._by_owner.values())
