"""Keeps what adapters have said and nobody has worked off yet: the newest of each service, no more.

However fast a registry changes, its backlog holds at most one value of each service, so neither a
slow consumer nor a storm of changes can make it grow without bound.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from meshbridge.adapter import Changed, Gone, Listing, Removed, Stale, Unreadable, Update
from meshbridge.found import LIST
from meshbridge.registration import Instance, RegisteredService, ServiceId

_Updates = OrderedDict[ServiceId, Changed | Removed]
"""One of each service, oldest first; a plain dict's first entry takes ever longer to be found."""


@dataclass(slots=True)
class _Waiting:
    """What waits of one scope, in the order in which it must be worked off."""

    before: _Updates = field(default_factory=OrderedDict)
    """Last values of services that ``whole`` could not read: it keeps their previous one."""
    whole: Listing | Gone | None = None
    after: _Updates = field(default_factory=OrderedDict)
    stale: Stale | None = None

    def latest(self, service: ServiceId, known: "_Known") -> Changed | Removed | None:
        """Return what the waiting updates amount to for one service; None: nothing.

        ``known`` is what ``whole`` holds.
        """
        said = self.after.get(service)
        if isinstance(said, Changed):
            return _folded(self._before_after(service, known), said)
        return said or self._before_after(service, known)

    def _before_after(self, service: ServiceId, known: "_Known") -> Changed | Removed | None:
        earlier = self.before.get(service)
        if self.whole is None:
            return earlier
        named = tuple(known.unreadable.get(service, ()))
        if (whole := known.listed.get(service)) is not None:
            return _folded(earlier, Changed(self.whole.scope, whole, named))
        # Named and not listed: at least that part of it stays, so all of it does.
        return earlier if named else Removed(self.whole.scope, service)


class _Known:
    """What a waiting whole update holds, by service: looked at once for all of them."""

    def __init__(self, whole: Listing | Gone | None) -> None:
        self.listed: Mapping[ServiceId, RegisteredService] = {}
        self.unreadable: dict[ServiceId, list[ServiceId | tuple[ServiceId, str]]] = {}
        if isinstance(whole, Listing):
            self.listed = {each.id: each for each in whole.services}
            for subject in whole.unreadable:
                self.unreadable.setdefault(_service(subject), []).append(subject)


class Backlog:
    """The updates of one registry that wait to be worked off.

    A ``Listing`` or ``Gone`` supersedes what its scope said before; of one service only the newest
    update waits; neither crosses a ``Listing``. A record that a newer update names unreadable
    keeps the value it had in an older one that still waits.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._scopes: OrderedDict[str, _Waiting] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._scopes)

    def put(self, update: Update) -> None:
        """Add the update; what it makes superfluous goes.

        Raises whatever values that are no registrations make it raise; it has not changed then.
        """
        waiting = self._scopes.get(update.scope) or _Waiting()
        match update:
            case Listing():
                waiting = _superseded(waiting, update)
            case Gone():
                waiting = _Waiting(whole=update)
            case Stale():
                waiting.stale = update
            case Changed():
                older = waiting.after.get(update.service.id)
                waiting.after[update.service.id] = _folded(older, update)
            case Removed():
                waiting.after[update.service_id] = update
            case _:
                assert_never(update)
        self._scopes[update.scope] = waiting
        if isinstance(update, Listing) and update.scope.endswith(LIST):
            # What it leads to no more may still wait to be called stale: that comes first.
            self._scopes.move_to_end(update.scope)

    def stale(self, scope: str) -> bool:
        """Whether it waits to be said that the scope cannot be read."""
        waiting = self._scopes.get(scope)
        return waiting is not None and waiting.stale is not None

    def forget_changes(self, scope: str) -> None:
        """Drop the changes that wait on top of a listing that cannot take effect."""
        waiting = self._scopes.get(scope)
        if waiting is None or waiting.whole is not None:
            return  # they wait on top of a later one
        waiting.after.clear()
        if waiting.stale is None:
            del self._scopes[scope]

    def take(self) -> Update:
        """Return what is to be worked off next; scopes take turns. Raises KeyError if empty."""
        if not self._scopes:
            raise KeyError("nothing waits")
        scope, waiting = self._scopes.popitem(last=False)
        update = _next(waiting)
        if waiting.before or waiting.whole or waiting.after or waiting.stale:
            self._scopes[scope] = waiting
        return update


def _next(waiting: _Waiting) -> Update:
    if waiting.before:
        return waiting.before.popitem(last=False)[1]
    if (whole := waiting.whole) is not None:
        waiting.whole = None
        return whole
    if waiting.after:
        return waiting.after.popitem(last=False)[1]
    if (stale := waiting.stale) is not None:
        waiting.stale = None
        return stale
    raise AssertionError("a scope without anything that waits")


def _superseded(waiting: _Waiting, listing: Listing) -> _Waiting:
    """Return what waits once the scope was listed anew."""
    before = _Updates()
    whole = waiting.whole
    known = _Known(whole if listing.unreadable else None)
    for service in dict.fromkeys(_service(subject) for subject in listing.unreadable):
        if (latest := waiting.latest(service, known)) is not None:
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
    if isinstance(older, Changed) and service.id in older.unreadable:
        return newer  # the older one says nothing of its own
    if service.id in newer.unreadable:
        return older
    if isinstance(older, Removed):  # nothing is left that could be kept
        return replace(newer, unreadable=())
    kept = with_previous(service, older.service, newer.unreadable)
    return Changed(newer.scope, kept, _still_open(newer, older))


def _still_open(newer: Changed, older: Changed) -> Unreadable:
    """Return what the newer one names whose last value the older one did not say to be none.

    What an older one could read, and did not have, had gone: nothing of before may be kept of it.
    """
    service_id = newer.service.id
    had = {instance.id for instance in older.service.instances}
    open_before = frozenset(older.unreadable)
    return tuple(
        subject
        for subject in newer.unreadable
        if isinstance(subject, ServiceId)
        or subject[0] != service_id
        or subject[1] in had
        or subject in open_before
    )


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
