"""What of a registry counts from now on: other rules of selection take nothing for a loss."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace

from meshbridge.guard.draft import Draft
from meshbridge.guard.entry import Entry, Held, place, serving
from meshbridge.guard.scope import Scope
from meshbridge.registration import RegisteredService, ServiceId

Said = Mapping[tuple[str, ServiceId], RegisteredService]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which services and instances count, and where to find those that did not so far."""

    select: Callable[[RegisteredService], RegisteredService | None]
    """Returns a service with the instances that count; ``None`` if it does not."""
    left_out: Said
    """As the registry says them: those of which less counted so far, or nothing."""
    dropped: frozenset[str] = frozenset()
    """Scopes that are not read any more."""


def apply_selection(
    draft: Draft, selection: Selection, now: float, window: float
) -> Generator[None]:
    """Let exactly what is selected be listed and held; yields between short pieces of work.

    What is no longer selected goes at once, held or not, and lowers the peak: a person wrote it
    down. What is selected anew is there at once. How much may be written down at a time is judged
    where a configuration is, over all registries together.
    """
    more: dict[str, list[ServiceId]] = {}
    for owner in selection.left_out:
        more.setdefault(owner[0], []).append(owner[1])
    for name in draft.names():
        scope = draft.change(name)
        whole = name in selection.dropped
        for service in dict.fromkeys([*scope.entries, *more.get(name, ())]):
            before = scope.entries.get(service)
            said = selection.left_out.get((name, service))
            after = None if whole else _selected((name, service), before, said, selection)
            if after != before:
                _put(draft, scope, service, after)
            yield
        if whole:
            scope.peaks, scope.unsettled, scope.in_loss, scope.stale = (), None, None, None
        scope.note(now, window)


def _put(draft: Draft, scope: Scope, service: ServiceId, after: Entry | None) -> None:
    before = scope.entries.get(service)
    less = _weight(before) - _weight(after)
    scope.lower(max(0, less), int(_weight(before) > 0 and _weight(after) == 0))
    draft.put(scope, service, after)


def _weight(entry: Entry | None) -> int:
    """Return how many of its instances serve."""
    return entry.serving + len(entry.held) if entry else 0


def _selected(
    owner: tuple[str, ServiceId],
    before: Entry | None,
    said: RegisteredService | None,
    selection: Selection,
) -> Entry | None:
    """Return the service as it is selected; ``None`` if nothing of it is."""
    listed = said or (before.service if before is not None and before.listed else None)
    chosen = selection.select(listed) if listed is not None else None
    held: tuple[Held, ...] = ()
    if before is not None and before.held:
        kept = selection.select(
            replace(before.service, instances=tuple(each.instance for each in before.held))
        )
        ids = {each.id for each in kept.instances} if kept is not None else set[str]()
        here = chosen.instances if chosen is not None else ()
        back_ids, back_places = {each.id for each in here}, {place(each) for each in here}
        held = tuple(
            each
            for each in before.held
            if each.instance.id in ids - back_ids and place(each.instance) not in back_places
        )
    if chosen is None and not held:
        return None
    if chosen is None:
        return replace(before, listed=False, held=held, fresh=(), serving=0) if before else None
    there = {each.id for each in chosen.instances}
    fresh = tuple(each for each in before.fresh if each[0] in there) if before else ()
    return Entry(owner, chosen, held=held, fresh=fresh, serving=sum(map(serving, chosen.instances)))
