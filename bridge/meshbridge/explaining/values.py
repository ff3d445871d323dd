"""What an explanation is made of; the answer of the operation, and the JSON of the command."""

import enum
from dataclasses import dataclass
from typing import Literal

from meshbridge.outlet import Delivery


class Stage(enum.StrEnum):
    """The way from a registry to the mesh, in its order."""

    REGISTRY = "registry"
    SELECTION = "selection"
    GUARD = "guard"
    PUBLISH = "publish"
    CATALOG = "catalog"
    HEALTH = "health"
    SNAPSHOT = "snapshot"
    OUTLETS = "outlets"


ORDER = {stage: number for number, stage in enumerate(Stage)}


@dataclass(frozen=True, slots=True)
class Note:
    """What one stage says of a registration."""

    stage: Stage
    mark: Literal["ok", "note", "LOST"]
    """``LOST`` where it ends, ``note`` where something is unusual."""
    text: str


@dataclass(frozen=True, slots=True)
class InstanceTold:
    """What became of one instance."""

    id: str
    address: str
    ports: tuple[str, ...]
    """As registered: number, and protocol where the registry names one."""
    weight: str
    health: str
    zone: str
    metadata: tuple[str, ...]
    """Its keys, bounded."""
    listed: bool
    """Whether the registry lists it, be it that the rules leave it out."""
    held_since: str
    """Since when it is held, as it was (UTC); empty: it is not."""
    lost: Stage | None
    """Where it was lost; ``None``: it is served."""
    reason: str
    """Why, or as what it is served."""


@dataclass(frozen=True, slots=True)
class RegistrationTold:
    """What became of one registration, or of those of its instances that were asked for."""

    registry: str
    scope: str
    service: str
    host: str
    """The host that it stands for; empty if there is none."""
    lost: Stage | None
    """How far the last of its instances came; ``None``: at least one is served."""
    notes: tuple[Note, ...]
    instances: tuple[InstanceTold, ...]
    """The lost ones first, bounded."""
    of: int
    """How many instances there are to tell of."""
    served: int
    """How many of them are served."""


@dataclass(frozen=True, slots=True)
class OutletTold:
    """How far a host has come at one outlet."""

    outlet: str
    host: str
    asking: int
    """Subscribers that ask for it."""
    current: int
    """Those of them that acknowledged all of it as it is offered."""
    not_asking: int
    behind: tuple[Delivery, ...]
    """What is not acknowledged as offered, refused things first, bounded."""
    held: tuple[Delivery, ...]
    """What is, bounded."""
    note: str
    """What of the host this outlet never says; empty: nothing."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole answer."""

    asked: str
    known: bool
    served: bool
    lost: Stage | None
    """The stage at which what was asked for was lost, the farthest that any of it came."""
    summary: str
    """One line."""
    registrations: tuple[RegistrationTold, ...] = ()
    more: int = 0
    """How many further registrations there are."""
    outlets: tuple[OutletTold, ...] = ()
    unread: tuple[str, ...] = ()
    """Scopes that cannot be read now, where it may be; a line for each."""
    nearest: tuple[str, ...] = ()
    """Names like the one that is unknown."""
