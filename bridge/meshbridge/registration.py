"""What a registry says, as it says it: the values that adapters hand to the core.

All of them are frozen and compare by value. An adapter fills them in with the registry's own
words; everything that the mesh needs to differ (hosts, ports, weights, labels) is decided later,
by :mod:`meshbridge.publish`.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from meshbridge import repeated

Metadata = tuple[tuple[str, str], ...]
"""Sorted (key, value) pairs: a tenth of a dictionary's memory, hashable, of one order."""


def metadata(pairs: Mapping[str, str]) -> Metadata:
    """Return the pairs as :data:`Metadata`; those that repeat take one place in memory."""
    return repeated.sorted_pairs(pairs)


class Health(enum.StrEnum):
    """How fit an instance is to take traffic, in the registry's opinion."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    """Leaving on purpose: never sent, and no loss."""
    DISABLED = "disabled"
    """Switched off by a person: never sent, and no loss."""


class Kind(enum.StrEnum):
    """What the name of a registration names; it decides the shape of the default host."""

    APPLICATION = "application"
    """A process that serves: ``orders``. Its host ends in the registry's domain."""
    DUBBO_INTERFACE = "dubbo-interface"
    """A Dubbo interface: ``com.acme.OrderService``. Its host ends in ``dubbo`` everywhere."""


@dataclass(frozen=True, slots=True, order=True)
class ServiceId:
    """Names one service within one registry.

    ``namespace`` and ``group`` are empty when they are the registry's default (``public`` and
    ``DEFAULT_GROUP`` in Nacos), so that the default needs no spelling anywhere.
    """

    namespace: str
    group: str
    name: str
    version: str = ""

    def __str__(self) -> str:
        """Return the identity for people and annotations, e.g. ``prod/blue@@orders#2.0``.

        The four separators are escaped inside the parts, so that no two identities read the same.
        """
        namespace = f"{_escape(self.namespace)}/" if self.namespace else ""
        group = f"{_escape(self.group)}@@" if self.group else ""
        version = f"#{_escape(self.version)}" if self.version else ""
        return f"{namespace}{group}{_escape(self.name)}{version}"


_ESCAPES = tuple((sign, f"%{ord(sign):02X}") for sign in "%/@#")
"""The per cent sign first: the others' escapes begin with it."""


def _escape(part: str) -> str:
    for sign, escape in _ESCAPES:
        if sign in part:
            part = part.replace(sign, escape)
    return part


@dataclass(frozen=True, slots=True, order=True)
class InstancePort:
    """A port that an instance listens on."""

    number: int
    protocol: str = ""
    """As registered (``dubbo``, ``tri``, ``http``); empty when the registration does not say."""
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """One process that serves, as the registry holds it.

    Values are kept as registered even when they are absurd: a weight of NaN or port 0 is for
    :mod:`meshbridge.publish` to leave out and to report in the registry's words.
    """

    id: str
    """Unique within the service, stable over updates; the registry's own, or address and port."""
    address: str
    ports: tuple[InstancePort, ...]
    """In the registry's order; of several with one protocol the first is served."""
    weight: float = 1.0
    """Relative to 1.0, the registry's own default (Dubbo's 100, Nacos' 1)."""
    health: Health = Health.HEALTHY
    metadata: Metadata = ()
    zone: str = ""
    """What the registry calls zone, cluster or region/zone; see ``publish.locality``."""
    registered_at: float | None = None
    """Unix time in seconds, where the registry tells it."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A process that calls a service and says so in the registry (Dubbo does)."""

    id: str
    address: str
    application: str = ""
    metadata: Metadata = ()


@dataclass(frozen=True, slots=True)
class RegisteredService:
    """One service with all it holds: always whole, never a part of it."""

    id: ServiceId
    instances: tuple[Instance, ...] = ()
    metadata: Metadata = ()
    consumers: tuple[Consumer, ...] = ()
    kind: Kind = Kind.APPLICATION
