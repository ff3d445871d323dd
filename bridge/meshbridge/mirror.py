"""What an outlet offers for the comparison of what it says with what its subscriber holds."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from meshbridge.service import Service


@dataclass(frozen=True, slots=True)
class Held:
    """What a subscriber holds."""

    services: tuple[Service, ...]
    """Those that came from a bridge, one for each host, without a version."""
    foreign: int
    """How many resources of the same kind it has from elsewhere."""


@runtime_checkable
class Mirror(Protocol):
    """An outlet whose subscriber can be asked for all it holds, which is less than was served."""

    mirrors: str
    """The subscriber's name, as the command line calls it: ``istiod``."""
    untold: str
    """What of a service the subscriber is never told, in words for people."""

    def told(self, service: Service) -> Service | None:
        """Return what is left of a service once it was told to the subscriber.

        ``None`` when nothing of it is told.
        """
        ...

    def held(self, answer: bytes) -> Held:
        """Read what the subscriber answered; raises BadData when that is no such answer."""
        ...
