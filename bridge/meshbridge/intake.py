"""Decides which registrations hold: what a registry says now, over what it said last.

This is the place between an adapter and :mod:`meshbridge.publish` where safety is decided, and the
only one: what does not come out of :meth:`Intake.step` changes nothing that is served.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

from meshbridge.adapter import Changed, Gone, Listing, Removed, Stale, Unreadable, Update
from meshbridge.backlog import with_previous
from meshbridge.registration import RegisteredService, ServiceId


@dataclass(frozen=True, slots=True)
class Effective:
    """What one registration is from now on; ``None``: it is no more."""

    scope: str
    service_id: ServiceId
    service: RegisteredService | None


@dataclass(slots=True)
class Belief:
    """What is believed of one scope."""

    services: dict[ServiceId, RegisteredService] = field(default_factory=dict)
    """The last good registrations."""
    instances: int = 0
    """How many instances they have."""
    listed: bool = False
    """Whether the scope was ever read whole; then it counts as settled."""
    stale: str | None = None
    """Why it cannot be read now; ``None`` while it can."""


class Intake:
    """The last good registrations of one registry, by scope and service."""

    def __init__(self) -> None:
        """Believe nothing yet."""
        self._scopes: dict[str, Belief] = {}

    def scopes(self) -> tuple[str, ...]:
        """Return the scopes of which anything was said, in the order of their first update."""
        return tuple(self._scopes)

    def of(self, scope: str) -> Belief:
        """Return what is believed of the scope; nothing for an unknown one."""
        return self._scopes.get(scope) or Belief()

    def settled(self, scope: str) -> bool:
        """Whether the bridge's first answer need not wait for this scope any longer."""
        return self.of(scope).listed

    def step(self, update: Update) -> Iterator[Effective | None]:
        """Yield what the update changes; ``None`` stands for a service looked at and unchanged.

        It changes no belief: :meth:`accept` does for each, then :meth:`finish` for the update.
        The caller may take its time between two of them, which is how the loop is kept turning.
        """
        held = self.of(update.scope).services
        match update:
            case Listing():
                yield from _listing(update, held)
            case Changed():
                yield _changed(update.scope, update.service, update.unreadable, held)
            case Removed(scope, service_id):
                yield Effective(scope, service_id, None) if service_id in held else None
            case Gone(scope):
                yield from [Effective(scope, service_id, None) for service_id in held]
            case Stale():
                return
            case _:
                assert_never(update)

    def accept(self, effective: Effective) -> None:
        """Believe it."""
        belief = self._scopes.setdefault(effective.scope, Belief())
        previous = belief.services.pop(effective.service_id, None)
        belief.instances -= len(previous.instances) if previous else 0
        if effective.service is not None:
            belief.services[effective.service_id] = effective.service
            belief.instances += len(effective.service.instances)

    def finish(self, update: Update) -> None:
        """Note what the update says about its scope as a whole."""
        if isinstance(update, Gone):
            # A scope that was deleted was read: waiting for it would never end.
            self._scopes[update.scope] = Belief(listed=True)
            return
        belief = self._scopes.setdefault(update.scope, Belief())
        if isinstance(update, Stale):
            belief.stale = update.reason
        elif isinstance(update, Listing):
            belief.listed, belief.stale = True, None


def _listing(
    update: Listing, held: dict[ServiceId, RegisteredService]
) -> Iterator[Effective | None]:
    unreadable = _by_service(update.unreadable)
    listed: set[ServiceId] = set()
    for service in update.services:
        listed.add(service.id)
        yield _changed(update.scope, service, unreadable.get(service.id, ()), held)
    for service_id, previous in list(held.items()):
        if service_id in listed:
            continue
        yield _unlisted(update.scope, previous, unreadable.get(service_id, ()))


def _changed(
    scope: str,
    service: RegisteredService,
    unreadable: Unreadable,
    held: dict[ServiceId, RegisteredService],
) -> Effective | None:
    if service.id in unreadable:  # also a new one: what it holds is not known to be nothing
        return None
    previous = held.get(service.id)
    if previous is not None and unreadable:
        service = with_previous(service, previous, unreadable)
    return None if service == previous else Effective(scope, service.id, service)


def _unlisted(scope: str, previous: RegisteredService, unreadable: Unreadable) -> Effective | None:
    if previous.id in unreadable:
        return None
    named = {subject[1] for subject in unreadable if isinstance(subject, tuple)}
    kept = tuple(instance for instance in previous.instances if instance.id in named)
    if not kept:
        return Effective(scope, previous.id, None)
    if len(kept) == len(previous.instances):
        return None
    rest = RegisteredService(
        previous.id, kept, previous.metadata, previous.consumers, previous.kind
    )
    return Effective(scope, previous.id, rest)


def _by_service(unreadable: Unreadable) -> dict[ServiceId, Unreadable]:
    sorted_out: dict[ServiceId, Unreadable] = {}
    for subject in unreadable:
        service = subject if isinstance(subject, ServiceId) else subject[0]
        sorted_out[service] = (*sorted_out.get(service, ()), subject)
    return sorted_out
