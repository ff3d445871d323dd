"""Keeps which scopes cannot be read and why, and says when nothing can: then the registry is out.

A scope that fails is the business of that scope as long as another one is read; when all fail it is
the registry's, and the supervisor's to go on with.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from meshbridge import RegistryRejected, RegistryUnavailable

Failure = RegistryRejected | RegistryUnavailable

SOON, LATER = 0.25, 3.0
"""Most seconds before the first and before any later attempt at what is unavailable: what is back
is to be read within 5 s."""
WELL = 15.0
"""Seconds after which something went well: longer than a question waits for its answer."""
REFUSED = 30.0
"""Most seconds before the next attempt at what is refused: only a person can help, and may."""
FORBIDDEN = 3.0
"""Most seconds before the next attempt at a scope that its user has no right to, while others are
read: nobody is locked out for asking, and who gets the right is to be read within 5 s."""


@dataclass(slots=True)
class _Scope:
    failure: Failure | None = None
    spoken: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it was read or has failed."""


class Standing:
    """The scopes of one registry during one watch."""

    def __init__(self) -> None:
        """Know of no scope."""
        self._scopes: dict[str, _Scope] = {}

    def add(self, scope: str) -> None:
        """Take in a scope, of which nothing is known yet."""
        self._scopes.setdefault(scope, _Scope())

    def drop(self, scope: str) -> None:
        """Forget a scope that is gone."""
        if (dropped := self._scopes.pop(scope, None)) is not None:
            dropped.spoken.set()

    def reads(self, scope: str) -> None:
        """Note that a scope was read."""
        self._note(scope, None)

    def fails(self, scope: str, failure: Failure) -> None:
        """Note why a scope cannot be read."""
        self._note(scope, failure)

    async def spoken_of(self, scopes: Iterable[str]) -> None:
        """Wait until each of these scopes was read, has failed or is gone."""
        for scope in scopes:
            if (known := self._scopes.get(scope)) is not None:
                await known.spoken.wait()

    def outage(self) -> Failure | None:
        """Return why nothing can be read, None while something can or may yet.

        What is unavailable goes before what is refused: after a refusal the next attempt is far
        away, and what may soon be there again is not to wait for it.
        """
        failures = [each.failure for each in self._scopes.values() if each.failure is not None]
        if not failures or len(failures) < len(self._scopes):
            return None
        unavailable = [each for each in failures if isinstance(each, RegistryUnavailable)]
        return (unavailable or failures)[0]

    def _note(self, scope: str, failure: Failure | None) -> None:
        self.add(scope)
        self._scopes[scope].failure = failure
        self._scopes[scope].spoken.set()


class Pauses:
    """How long to wait before each further attempt at one thing; replicas do not march."""

    def __init__(
        self, chance: Callable[[], float] = random.random, *, refused: float = REFUSED
    ) -> None:
        """Begin with the shortest; ``chance`` is from 0 to 1, ``refused`` for after a refusal."""
        self._chance = chance
        self._refused = refused
        self._next = SOON

    def after(self, failure: Failure, lasted: float) -> float:
        """Return the seconds to wait after a failure of what had lasted so many seconds."""
        part = (1 + self._chance()) / 2
        if isinstance(failure, RegistryRejected):
            return part * self._refused
        if lasted >= WELL:
            self._next = SOON
        pause, self._next = self._next, min(2 * self._next, LATER)
        return part * pause
