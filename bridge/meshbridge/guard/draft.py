"""A registry as it would be after an update: looked at and changed without touching what is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshbridge.guard.entry import Entry, Held
from meshbridge.guard.places import Places
from meshbridge.guard.scope import Scope
from meshbridge.registration import RegisteredService, ServiceId


@dataclass(frozen=True, slots=True)
class Effective:
    """What one registration is from now on."""

    scope: str
    service_id: ServiceId
    service: RegisteredService | None
    """With what is held of it; ``None``: it is no more."""
    held: tuple[Held, ...] = ()
    """The instances of it that the registry no longer lists, oldest first."""


class Draft:
    """The scopes of a registry, each copied when it is first changed."""

    def __init__(
        self, scopes: Mapping[str, Scope], places: Places, now: float, window: float
    ) -> None:
        """Begin with everything as it is; ``window`` is that of the peaks, in seconds."""
        self.touched: dict[str, Scope] = {}
        """The scopes that are changed, as they will be."""
        self.places = places.draft()
        """Where everything will be served."""
        self._scopes = scopes
        self._now, self._window = now, window

    def __len__(self) -> int:
        """How many scopes there are at most: a scope that is touched counts twice."""
        return len(self._scopes) + len(self.touched)

    def names(self) -> list[str]:
        """Return the names of all scopes, in an order that does not change."""
        return [*self._scopes, *(name for name in self.touched if name not in self._scopes)]

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Return these names in the order of :meth:`names`, known ones only."""
        chosen = set(names)
        return [name for name in self.names() if name in chosen] if len(chosen) > 1 else [*chosen]

    def look(self, name: str) -> Scope:
        """Return a scope to look at."""
        return self.touched.get(name) or self._scopes[name]

    def all(self) -> Iterator[Scope]:
        """Yield all scopes, to look at."""
        return map(self.look, self.names())

    def change(self, name: str) -> Scope:
        """Return a scope to change; what is too old in it is forgotten first."""
        if name not in self.touched:
            known = self._scopes.get(name)
            scope = known.draft() if known else Scope(name)
            scope.age(self._now, self._window)
            self.touched[name] = scope
        return self.touched[name]

    def put(self, scope: Scope, service: ServiceId, entry: Entry | None) -> None:
        """Let the service be this."""
        old = scope.entries.get(service)
        scope.put(service, entry)
        before = old.places() if old else ()
        self.places.move((scope.name, service), before, entry.places() if entry else ())

    def drop(self, scope: Scope, service: ServiceId, ids: Iterable[str] | None = None) -> None:
        """Let go of these instances that are held of a service, or of all of them."""
        self.put(scope, service, scope.known(service).without(ids))

    def drop_as_no_loss(
        self, scope: Scope, service: ServiceId, ids: Iterable[str] | None = None
    ) -> None:
        """Let go of them because they were wanted away: that lowers the peak."""
        entry = scope.known(service)
        left = entry.without(ids)
        still_held = len(left.held) if left else 0
        scope.lower(len(entry.held) - still_held, int(entry.emptied and not still_held))
        self.put(scope, service, left)

    def effective(self) -> Iterator[Effective]:
        """Yield what changes of what is served, and of what of it is held."""
        for name in sorted(self.touched):
            entries = self.touched[name].entries
            for service, after in entries.changed.items():
                before = entries.before(service)
                if _served(before) != _served(after):
                    held = after.held if after else ()
                    yield Effective(name, service, after.served if after else None, held)

    def keep(self) -> Mapping[str, Scope]:
        """Make the changes last; return the scopes that changed."""
        for scope in self.touched.values():
            scope.keep()
        self.places.keep()
        return self.touched


def _served(entry: Entry | None) -> tuple[RegisteredService | None, list[str]]:
    """Return what is served of it and which of that is held; when it goes is another question."""
    return (entry.served, [each.instance.id for each in entry.held]) if entry else (None, [])
