"""The adapter SDK: what a registry's adapter is given, what it says, and the laws it keeps.

An adapter watches one registry and tells what it holds. It restarts nothing, smooths nothing and
remembers nothing for safety: that is the core's. The seven laws stand in ``docs/adapters.md``; each
is a test in :class:`meshbridge.testing.AdapterContract`, which an adapter's author inherits.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Never, Protocol, runtime_checkable

from pydantic import BaseModel
from structlog.typing import FilteringBoundLogger

from meshbridge.registration import RegisteredService, ServiceId

Unreadable = tuple[ServiceId | tuple[ServiceId, str], ...]
"""Services, or (service, instance id) pairs, whose record could not be read (law 4)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything a scope holds now.

    ``after_gap`` says that changes may have been missed before it: a registry that just came back
    may hold too little until its clients have registered again.
    """

    scope: str
    services: tuple[RegisteredService, ...]
    unreadable: Unreadable = ()
    after_gap: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """One service as it is now, whole."""

    scope: str
    service: RegisteredService
    unreadable: Unreadable = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """One service that the registry says is gone."""

    scope: str
    service_id: ServiceId


@dataclass(frozen=True, slots=True)
class Gone:
    """The scope itself was deleted in the registry."""

    scope: str


@dataclass(frozen=True, slots=True)
class Stale:
    """The scope cannot be read now; its next update is ``Listing(after_gap=True)``."""

    scope: str
    reason: str


Update = Listing | Changed | Removed | Gone | Stale
Emit = Callable[[Update], None]


class Report(Protocol):
    """Takes the reason why a record is named in ``unreadable``."""

    def __call__(
        self,
        scope: str,
        subject: ServiceId | tuple[ServiceId, str],
        reason: str,
        remedy: str,
    ) -> None:
        """Say it before the update that names the subject in ``unreadable``.

        ``remedy`` tells the registry's operator what to do. The core shows both until an update
        brings the record readable, or without it: nothing needs to be taken back.
        """


class Trouble(Protocol):
    """Takes what is wrong with the registry itself while it can be read: no record, no outage."""

    def __call__(self, subject: str, reason: str, remedy: str = "") -> None:
        """Show it until the same ``subject`` is said again; an empty ``reason`` takes it back.

        ``subject`` is what the registry's operator calls the thing, such as one server of several.
        All of it is taken back when the adapter is replaced or its registry removed.
        """


def untold(subject: str, reason: str, remedy: str = "") -> None:
    """Take a trouble and tell nobody."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an adapter is handed instead of reaching for it: that is how tests hold time still."""

    clock: Callable[[], float]
    """Monotonic seconds."""
    sleep: Callable[[float], Awaitable[None]]
    """Waits that many seconds of ``clock``."""
    report: Report
    logger: FilteringBoundLogger
    """Bound to the registry's name. Per-record events belong to ``report``, not here."""
    trouble: Trouble = untold


@runtime_checkable
class Adapter(Protocol):
    """Watches one registry."""

    @property
    def settle(self) -> timedelta:
        """How long this kind of registry needs to refill after a restart (may be an attribute)."""
        ...

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the options name: the bridge's first answer waits for them.

        A name that ends with ``*`` is the list of all scopes that begin like it, and is listed,
        with nothing, when each of those was spoken of in this ``watch``: others are missed then.
        """
        ...

    async def watch(self, emit: Emit) -> Never:
        """Tell what the registry holds, now and after every change, until cancelled.

        ``emit`` never waits. Raises :class:`RegistryUnavailable` where trying again may help and
        :class:`RegistryRejected` where only a person can; nothing else ever leaves it. The
        supervisor then says ``Stale`` for every scope and calls it again later.
        """
        ...


@runtime_checkable
class NamesDomain(Protocol):
    """An adapter's class that says how its hosts end; optional, else it is the adapter's name.

    For one whose name is no name of a registry: the hosts of ``zookeeper-dubbo`` end in
    ``zookeeper``. What the configuration says (``publish.domain``) goes before it.
    """

    @property
    def domain(self) -> str:
        """A DNS name in lower case, as a class attribute."""
        ...


class AdapterType(Protocol):
    """What the entry point of an adapter (group ``meshbridge.adapters``) must name."""

    Options: type[BaseModel]
    """The adapter's part of a registry's configuration; ``meshbridge adapters`` shows it."""

    def __call__(self, name: str, options: BaseModel, context: Context) -> Adapter:
        """Make an adapter for the registry configured as ``name``; does no I/O."""
        ...
