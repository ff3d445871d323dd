"""Keeps what adapters have said and nobody has worked off yet: the newest of each service, no more.

However fast a registry changes, its backlog holds at most one value of each service, so neither a
slow consumer nor a storm of changes can make it grow without bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from meshbridge.adapter import Changed, Gone, Listing, Removed, Stale, Unreadable, Update
from meshbridge.registration import Instance, RegisteredService, ServiceId


@dataclass(slots=True)
class _Waiting:
    """What waits of one scope, in the order in which it must be worked off."""

    before: dict[ServiceId, Changed | Removed] = field(default_factory=dict)
    """Last values of services that ``whole`` could not read: it keeps their previous one."""
    whole: Listing | Gone | None = None
    after: dict[ServiceId, Changed | Removed] = field(default_factory=dict)
    stale: Stale | None = None

    def latest(
        self, service: ServiceId, listed: Mapping[ServiceId, RegisteredService]
    ) -> Changed | Removed | None:
        """Return what the waiting updates amount to for one service; None: nothing.

        ``listed`` holds the services of ``whole``.
        """
        said = self.after.get(service)
        if isinstance(said, Changed):
            return _folded(self._before_after(service, listed), said)
        return said or self._before_after(service, listed)

    def _before_after(
        self, service: ServiceId, listed: Mapping[ServiceId, RegisteredService]
    ) -> Changed | Removed | None:
        earlier = self.before.get(service)
        if self.whole is None:
            return earlier
        unreadable = self.whole.unreadable if isinstance(self.whole, Listing) else ()
        named = _about(service, unreadable)
        if (whole := listed.get(service)) is not None:
            return _folded(earlier, Changed(self.whole.scope, whole, named))
        # Named and not listed: at least that part of it stays, so all of it does.
        return earlier if named else Removed(self.whole.scope, service)


class Backlog:
    """The updates of one registry that wait to be worked off.

    A ``Listing`` or ``Gone`` supersedes what its scope said before; of one service only the newest
    update waits; neither crosses a ``Listing``. A record that a newer update names unreadable
    keeps the value it had in an older one that still waits.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._scopes: dict[str, _Waiting] = {}

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._scopes)

    def put(self, update: Update) -> None:
        """Add the update; what it makes superfluous goes."""
        waiting = self._scopes.setdefault(update.scope, _Waiting())
        match update:
            case Listing():
                self._scopes[update.scope] = _superseded(waiting, update)
            case Gone():
                self._scopes[update.scope] = _Waiting(whole=update)
            case Stale():
                waiting.stale = update
            case Changed():
                older = waiting.after.get(update.service.id)
                waiting.after[update.service.id] = _folded(older, update)
            case Removed():
                waiting.after[update.service_id] = update
            case _:
                assert_never(update)

    def take(self) -> Update:
        """Return what is to be worked off next; scopes take turns. Raises KeyError if empty."""
        if not self._scopes:
            raise KeyError("nothing waits")
        scope = next(iter(self._scopes))
        waiting = self._scopes.pop(scope)
        update = _next(waiting)
        if waiting.before or waiting.whole or waiting.after or waiting.stale:
            self._scopes[scope] = waiting
        return update


def _next(waiting: _Waiting) -> Update:
    if waiting.before:
        return waiting.before.pop(next(iter(waiting.before)))
    if (whole := waiting.whole) is not None:
        waiting.whole = None
        return whole
    if waiting.after:
        return waiting.after.pop(next(iter(waiting.after)))
    if (stale := waiting.stale) is not None:
        waiting.stale = None
        return stale
    raise AssertionError("a scope without anything that waits")


def _superseded(waiting: _Waiting, listing: Listing) -> _Waiting:
    """Return what waits once the scope was listed anew."""
    before: dict[ServiceId, Changed | Removed] = {}
    whole = waiting.whole
    listed = {}
    if listing.unreadable and isinstance(whole, Listing):
        listed = {each.id: each for each in whole.services}
    for service in dict.fromkeys(_service(subject) for subject in listing.unreadable):
        if (latest := waiting.latest(service, listed)) is not None:
            before[service] = latest
    # The gap that an older listing reported is not over because a newer one came before it was
    # worked off.
    gap = isinstance(whole, Listing) and whole.after_gap
    gap = gap or waiting.stale is not None
    return _Waiting(before, replace(listing, after_gap=True) if gap else listing)


def _folded(older: Changed | Removed | None, newer: Changed) -> Changed | Removed:
    """Return one update that says what both said one after the other."""
    if older is None or not newer.unreadable:
        return newer
    service = newer.service
    if service.id in newer.unreadable:
        return older
    if isinstance(older, Removed):  # nothing is left that could be kept
        return replace(newer, unreadable=())
    kept = with_previous(service, older.service, newer.unreadable)
    return Changed(newer.scope, kept, newer.unreadable)


def with_previous(
    service: RegisteredService, previous: RegisteredService, unreadable: Unreadable
) -> RegisteredService:
    """Return the service with those of its previous instances that could not be read now."""
    present = {instance.id for instance in service.instances}
    named = {
        subject[1]
        for subject in unreadable
        if not isinstance(subject, ServiceId) and subject[0] == service.id
    }
    missing: tuple[Instance, ...] = tuple(
        instance
        for instance in previous.instances
        if instance.id in named and instance.id not in present
    )
    return replace(service, instances=service.instances + missing) if missing else service


def _service(subject: ServiceId | tuple[ServiceId, str]) -> ServiceId:
    return subject if isinstance(subject, ServiceId) else subject[0]


def _about(service: ServiceId, unreadable: Unreadable) -> Unreadable:
    return tuple(subject for subject in unreadable if _service(subject) == service)
