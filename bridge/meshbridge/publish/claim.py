"""What one registration claims in the mesh, before anyone else's claims are looked at."""

from dataclasses import dataclass
from typing import Literal

from meshbridge.problems import Problem
from meshbridge.registration import Kind, ServiceId
from meshbridge.service import Endpoint, Labels, Port, Source


@dataclass(frozen=True, slots=True, order=True)
class ClaimKey:
    """Names one registration among those of all registries; also the owner of its problems."""

    registry: str
    scope: str
    id: ServiceId


@dataclass(frozen=True, slots=True)
class Published:
    """One registration as it would be served if nobody else claimed anything of it."""

    key: ClaimKey
    kind: Kind
    """What it names: how its host was made, and so what makes another one."""
    order: int
    """The registry's place in the configuration: the lowest has a host that several claim."""
    host: str | None
    """The host it asks for, or ``None`` if no legal one can be made (a problem says why)."""
    changes: int
    """How many characters of the name had to change for the host: the fewest keeps it."""
    optional_parts: int
    """Parts of the host that are there because something is not the registry's default."""
    aliases: tuple[str, ...]
    """Further names that it asks for, sorted, none of them reserved."""
    namespace: str
    ports: tuple[Port, ...]
    """Sorted by number."""
    endpoints: tuple[Endpoint, ...]
    """Sorted, with raw health: UNHEALTHY stands in it, DRAINING and DISABLED never."""
    labels: Labels
    export_to: tuple[str, ...]
    """As in :class:`~meshbridge.service.Service`."""
    share: str | None
    keep_last: bool
    addresses: Literal["virtual", "none", "endpoints"] | None
    source: Source
    problems: tuple[Problem, ...]
