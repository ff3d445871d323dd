"""What is asked and answered about one type, as values that know no wire format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from meshbridge.errors import MeshbridgeError
from meshbridge_xds.resources import Resource, ResourceSet, Run

WILDCARD = "*"
MOST_NAMES = 100_000


class RequestRefused(MeshbridgeError):  # noqa: N818 - said to a peer, not an error of ours
    """A request asks for more than any honest subscriber needs; its stream ends."""


@dataclass(frozen=True, slots=True)
class StateRequest:
    """A request of the state-of-the-world variant: all names each time."""

    names: tuple[str, ...] = ()
    nonce: str = ""
    error: str | None = None
    """The words of a refusal (NACK), or ``None``."""


@dataclass(frozen=True, slots=True)
class DeltaRequest:
    """A request of the delta variant: what is wanted anew and no more."""

    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict[str, str])
    """Versions by name that the subscriber still holds from an earlier stream."""
    nonce: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """What to send now."""

    nonce: str
    version: str
    resources: Mapping[str, Resource]
    removed: tuple[str, ...] = ()
    fresh: tuple[Resource, ...] = ()
    """Those of ``resources`` that the subscriber does not hold in this version."""
    full: Mapping[str, Resource] | None = None
    """Set where all other ``resources`` go as stubs: what is to be said in full, in this order."""
    run: Run | None = None
    """Set where ``resources`` are all that is listed from one name to another."""
    complete: ResourceSet | None = None
    """Set where the subscriber, after this response, holds exactly what is listed there."""

    def referred(self) -> frozenset[str]:
        """Return the names that the fresh resources refer to."""
        if self.complete is not None and len(self.fresh) == len(self.complete.listed):
            return self.complete.referred
        return frozenset(name for each in self.fresh for name in each.refers)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request meant."""

    accepted: bool = False
    """It acknowledged the last response."""
    refused: tuple[str, ...] = ()
    """The names that are held back from now on, in the version refused."""
    words: str | None = None
    """The subscriber's reason, unbounded, for any refusal of the last response."""


class Standing(NamedTuple):
    """How one resource stands with a subscriber, by versions; empty: there is none."""

    offered: str
    sent: str
    """Sent and not answered yet."""
    held: str
    refused: str
    """What the subscriber said of the offered version."""

    @staticmethod
    def of(
        offered: Resource | None, sent: Resource | None, held: Resource | None, refused: str
    ) -> "Standing":
        """Return it for these resources."""
        return Standing(_version(offered), _version(sent), _version(held), refused)


def _version(resource: Resource | None) -> str:
    return resource.version if resource else ""


def check_number(names: int) -> None:
    """Raise RequestRefused for more names than one subscription may have."""
    if names > MOST_NAMES:
        raise RequestRefused(f"{names} resource names in one subscription; {MOST_NAMES} at most")
