"""What an update says of each service that it is about, with what of it could not be read."""

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from meshbridge.adapter import Changed, Gone, Listing, Removed, Unreadable
from meshbridge.guard.scope import Scope
from meshbridge.registration import RegisteredService, ServiceId

Saying = tuple[ServiceId, RegisteredService | None]
"""A service, and what is said of it; ``None``: it is not listed."""


def sayings(update: Listing | Changed | Removed | Gone, scope: Scope) -> Iterator[Saying]:
    """Yield what the update says of each service of the scope, each once."""
    said = _unsorted(update, scope)
    # Sorted where the order decides who goes first, and only there: it takes its time.
    return said if scope.unsettled is None else iter(sorted(said, key=_by_id))


def _unsorted(update: Listing | Changed | Removed | Gone, scope: Scope) -> Iterator[Saying]:
    match update:
        case Listing():
            yield from _listing(update, scope)
        case Changed(_, service, unreadable):
            yield service.id, _readable(service.id, service, unreadable, scope)
        case Removed(_, service_id):
            yield service_id, None
        case Gone():
            for service_id in list(scope.entries):
                yield service_id, None
        case _:
            assert_never(update)


def _by_id(saying: Saying) -> tuple[str, str, str, str]:
    service = saying[0]
    return service.namespace, service.group, service.name, service.version


def _listing(update: Listing, scope: Scope) -> Iterator[Saying]:
    unreadable: dict[ServiceId, Unreadable] = {}
    for subject in update.unreadable:
        service_id = subject if isinstance(subject, ServiceId) else subject[0]
        unreadable[service_id] = (*unreadable.get(service_id, ()), subject)
    said = {each.id: each for each in update.services}
    for service in said.values():
        named = unreadable.get(service.id)
        yield service.id, _readable(service.id, service, named, scope) if named else service
    for service_id, entry in scope.entries.items():
        if service_id in said:
            continue
        if named := unreadable.get(service_id):
            yield service_id, _readable(service_id, None, named, scope)
        elif entry.listed:
            yield service_id, None


def _readable(
    service_id: ServiceId, said: RegisteredService | None, unreadable: Unreadable, scope: Scope
) -> RegisteredService | None:
    """Return what is said, with the previous value of what of it could not be read.

    That is listed, only not readable: a service as it was served, or an instance as it was.
    """
    if not unreadable:
        return said
    entry = scope.entries.get(service_id)
    before = entry.served if entry else None
    if service_id in unreadable:
        return before  # of a new one it is not known that it holds nothing
    present = {each.id for each in said.instances} if said else set[str]()
    ids = {each[1] for each in unreadable if isinstance(each, tuple) and each[0] == service_id}
    before_of_it = before.instances if before else ()
    kept = tuple(each for each in before_of_it if each.id in ids - present)
    if said is None and not kept:
        return None
    frame = said or before or RegisteredService(service_id)
    return replace(frame, instances=(said.instances if said else ()) + kept)
