"""Knows where interfaces' URLs and applications' instances are the same process; pure."""

from collections.abc import Collection, Iterator
from typing import Final, TypeVar

from meshbridge import Instance
from meshbridge_dubbo import Provider

K = TypeVar("K")

_NOBODY: Final[frozenset[str]] = frozenset()
_SLASHES: Final = 2
"""In ``protocol://address:port``."""


class Endpoints:
    """The endpoints that URLs tell, and those of instances."""

    def __init__(self) -> None:
        """Begin without any."""
        self.urls: dict[str, tuple[Provider, ...]] = {}
        """What URLs tell, by ``protocol://address:port``."""
        self._at: dict[str, set[str]] = {}
        """The instances there, by the paths of their nodes."""

    def come(self, provider: Provider) -> Collection[str]:
        """Take what a URL tells; return the paths of the instances that it tells of."""
        place = _place(provider.instance.id)
        self.urls[place] = (*self.urls.get(place, ()), provider)
        return self._at.get(place, _NOBODY)

    def go(self, provider: Provider) -> Collection[str]:
        """Let a URL go; return the paths of the instances that it told of."""
        place = _place(provider.instance.id)
        held = self.urls.pop(place)
        left = tuple(each for each in held if each is not provider)
        if left:
            self.urls[place] = left
        return self._at.get(place, _NOBODY)

    def link(self, path: str, instance: Instance) -> None:
        """Take an instance."""
        for place in _places(instance):
            self._at.setdefault(place, set()).add(path)

    def unlink(self, path: str, instance: Instance) -> None:
        """Let an instance go."""
        for place in _places(instance):
            discard(self._at, place, path)

    def told(self, instance: Instance) -> list[Provider]:
        """Return what the interfaces' URLs tell of an instance."""
        return [each for place in _places(instance) for each in self.urls.get(place, ())]


def discard(sets: dict[K, set[str]], key: K, path: str) -> None:
    """Take a path out of a set, and the set away when that was all."""
    held = sets.get(key)
    if held is not None:
        held.discard(path)
        if not held:
            del sets[key]


def _places(instance: Instance) -> Iterator[str]:
    """Yield an instance's endpoints as the ids of its providers would name them."""
    host = f"[{instance.address}]" if ":" in instance.address else instance.address
    for port in instance.ports:
        yield f"{port.protocol}://{host}:{port.number}"


def _place(provider: str) -> str:
    """Return the endpoint of a provider's id, which may have a path."""
    if provider.count("/") == _SLASHES:
        return provider
    return "/".join(provider.split("/", _SLASHES + 1)[: _SLASHES + 1])
