"""Changes laid over a dictionary: seen through it at once, and in it only when they are kept."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")


class Overlay(Generic[K, V]):
    """A dictionary as it would be; costs what is changed, however much there is."""

    def __init__(self, base: dict[K, V]) -> None:
        """Lay nothing over ``base`` yet."""
        self._base = base
        self._changed: dict[K, V | None] = {}

    @property
    def changed(self) -> Mapping[K, V | None]:
        """What was put, ``None`` where something goes."""
        return self._changed

    def get(self, key: K) -> V | None:
        """Return what is there, changes included."""
        return self._changed[key] if key in self._changed else self._base.get(key)

    def before(self, key: K) -> V | None:
        """Return what was there before any change."""
        return self._base.get(key)

    def put(self, key: K, value: V | None) -> None:
        """Change one; ``None`` takes it away."""
        self._changed[key] = value

    def __iter__(self) -> Iterator[K]:
        """Yield the keys of all there is."""
        return (key for key, _ in self.items())

    def values(self) -> Iterator[V]:
        """Yield the values of all there is."""
        return (value for _, value in self.items())

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield all there is; of a long dictionary only where that cannot be helped."""
        for key, value in self._base.items():
            if key not in self._changed:
                yield key, value
        for key, changed in list(self._changed.items()):
            if changed is not None:
                yield key, changed

    def keep(self) -> dict[K, V]:
        """Make the changes in the dictionary below, and return it."""
        for key in [key for key, value in self._changed.items() if value is None]:
            self._base.pop(key, None)
            del self._changed[key]
        kept = cast("dict[K, V]", self._changed)
        self._base.update(kept)  # a first listing has a hundred thousand: nobody waits for a loop
        self._changed = {}
        return self._base
