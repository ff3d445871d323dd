"""What every outlet gets and gives: an outlet serves snapshots to one kind of subscriber."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Never, Protocol, runtime_checkable

from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from structlog.typing import FilteringBoundLogger

from meshbridge.problems import Problem
from meshbridge.service import Service
from meshbridge.snapshot import Snapshot, Snapshots


@dataclass(frozen=True, slots=True)
class Subscribed:
    """How one connected peer stands with one type that it asks for."""

    type: str
    """The type's URL."""
    sent: str
    """The version that was sent last; empty: none was."""
    accepted: str
    """The version that it acknowledged last; empty: none."""
    responses: int = 0
    """How many were handed over to it."""
    unanswered_seconds: float | None = None
    """Since when the oldest unanswered response waits; grows while it is silent."""
    ack_seconds: float | None = None
    """What the response took that it accepted last, from handing it over to its answer."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One connected peer, as ``/api/subscribers`` shows it."""

    outlet: str
    peer: str
    """The transport's address of the peer."""
    node: str
    """The node id it sent, bounded and printable."""
    connected_at: float
    """Unix time in seconds."""
    types: tuple[Subscribed, ...]
    """Each type that it asks for, sorted by URL."""
    rejections: tuple[str, ...] = ()
    """The resources it refused and still refuses, with its words, bounded."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far one resource of a service has come with one subscriber that asks for it."""

    outlet: str
    peer: str
    node: str
    kind: str
    """The resource's type, in a word: ``cds``, ``ServiceEntry``."""
    resource: str
    """Its name."""
    offered: str
    """The version that is offered now; empty: there is none."""
    sent: str
    """The version that was sent and not answered yet; empty: nothing is under way."""
    held: str
    """The version that the subscriber acknowledged; empty: it holds none."""
    refused: str
    """What it said of the offered version, bounded and printable; empty: it did not refuse it."""


@dataclass(frozen=True, slots=True)
class OutletContext:
    """What an outlet is handed instead of reaching for it."""

    clock: Callable[[], float]
    """Monotonic seconds."""
    logger: FilteringBoundLogger
    """Bound to the outlet's name."""
    metrics: CollectorRegistry
    """Where its ``meshbridge_<outlet>_…`` metrics are registered."""
    listening: Callable[[str, str], None]
    """Called with (what listens, ``host:port`` as bound) once each port is open."""
    problems: Callable[[object, Iterable[Problem]], None]
    """``Problems.put``: an owner of the outlet's own replaces its whole list."""


class Outlet(Protocol):
    """Serves one kind of subscriber."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The names of ``dump --format`` that it renders; may be an attribute."""
        ...

    async def serve(self, snapshots: Snapshots, context: OutletContext) -> Never:
        """Serve until cancelled, then let connections end cleanly.

        Opens its ports at once but answers what depends on services only from a snapshot.
        Raises :class:`meshbridge.errors.ConfigurationError` for a port in use or an unreadable
        certificate.
        """
        ...

    def subscribers(self) -> tuple[Subscriber, ...]:
        """Return who is connected now."""
        ...

    def render(self, snapshot: Snapshot, format: str) -> str:  # noqa: A002 - the word of the CLI
        """Return what it would serve of the snapshot, as text for people and files."""
        ...


@runtime_checkable
class Delivering(Protocol):
    """An outlet that can say of a service what each subscriber holds; that is optional."""

    def delivered(self, service: Service) -> Iterator[tuple[Delivery, ...]]:
        """Yield for each subscriber how its resources of a service stand.

        Empty for one that asks for none of them. Each step must be short, and may be the last one
        that is taken; between two of them subscribers may come and go.
        """
        ...


@runtime_checkable
class TakesNames(Protocol):
    """Options of an outlet that may be told of endpoints whose address is a DNS name; optional.

    Where they say so of any outlet, such instances are published, and every outlet must be ready
    to find a name in :attr:`meshbridge.service.Endpoint.address`.
    """

    @property
    def takes_names(self) -> bool:
        """Whether the outlet's subscribers are left to resolve names."""
        ...


class OutletType(Protocol):
    """What the entry point of an outlet (group ``meshbridge.outlets``) must name."""

    Options: type[BaseModel]
    """Its part of the configuration, under ``outlets.<name>``; must have usable defaults."""

    def __call__(self, options: BaseModel) -> Outlet:
        """Make the outlet; does no I/O."""
        ...
