"""Which services are served at an address and port: how one that takes over a place is seen."""

from collections.abc import Iterable

from meshbridge.guard.entry import Owner, Place
from meshbridge.guard.overlay import Overlay


class Places:
    """All places of a registry, each with the services that are served there."""

    def __init__(self, base: dict[Place, tuple[Owner, ...]] | None = None) -> None:
        """Begin with what ``base`` holds; changes are laid over it until they are kept."""
        self._at: Overlay[Place, tuple[Owner, ...]] = Overlay({} if base is None else base)

    def draft(self) -> "Places":
        """Return a copy whose changes leave this one as it is."""
        return Places(self._at.keep())

    def keep(self) -> None:
        """Make a draft's changes last."""
        self._at.keep()

    def move(self, owner: Owner, before: Iterable[Place], after: Iterable[Place]) -> None:
        """Let the service be served at the places ``after`` and no longer at those ``before``."""
        old, new = set(before), set(after)
        for place in old - new:
            left = tuple(each for each in self._at.get(place) or () if each != owner)
            self._at.put(place, left or None)
        for place in new - old:
            self._at.put(place, (*(self._at.get(place) or ()), owner))

    def users(self, place: Place) -> tuple[Owner, ...]:
        """Return the services that are served there."""
        return self._at.get(place) or ()
