"""What an adapter's author provides to the contract: a registry that does as the tests tell it."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from meshbridge.adapter import Adapter, Context


class Ability(enum.Enum):
    """Something the test registry can do to the adapter, besides holding services."""

    FAIL = "become unreachable and come back"
    REJECT = "refuse the adapter's credentials"
    SPOIL = "hold a record that cannot be read"
    OVERFLOW = "answer with more than the adapter's bound"
    REDIRECT = "answer with a redirect to another origin"


class RegistryUnderTest(ABC):
    """One registry, real or simulated, with the adapter that watches it.

    Each test starts a new one and stops it. What it cannot do it names in ``lacks`` with the
    reason, which the skipped tests then show; nothing is passed over in silence. All methods but
    ``adapter`` return once the registry holds what was asked for.
    """

    lacks: ClassVar[Mapping[Ability, str]] = {}
    """Abilities this registry does not have, and why."""
    within: ClassVar[float] = 10.0
    """Seconds in which the adapter must say what the registry says."""
    scope: str = ""
    """The scope in which the services are; empty: the first one that the adapter names."""

    @abstractmethod
    async def start(self) -> None:
        """Start an empty registry."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop it and remove everything of it."""

    @abstractmethod
    def adapter(self, context: Context) -> Adapter:
        """Make a new adapter for it."""

    @abstractmethod
    async def add(self, service: str, address: str, port: int) -> None:
        """Register an instance of the service."""

    @abstractmethod
    async def change(self, service: str, address: str, port: int) -> None:
        """Change anything about the instance that the adapter carries, but not where it is."""

    @abstractmethod
    async def remove(self, service: str, address: str, port: int) -> None:
        """Deregister the instance."""

    async def fail(self) -> None:
        """Become unreachable (``Ability.FAIL``)."""
        raise NotImplementedError(self._undeclared(Ability.FAIL))

    async def recover(self) -> None:
        """Be reachable again, holding what it held (``Ability.FAIL``)."""
        raise NotImplementedError(self._undeclared(Ability.FAIL))

    async def reject(self) -> None:
        """Refuse the adapter's credentials from now on (``Ability.REJECT``)."""
        raise NotImplementedError(self._undeclared(Ability.REJECT))

    async def spoil(self, service: str, address: str, port: int) -> None:
        """Make the record of this one instance unreadable (``Ability.SPOIL``)."""
        raise NotImplementedError(self._undeclared(Ability.SPOIL))

    async def overflow(self) -> None:
        """Hold more than the adapter's bound (``Ability.OVERFLOW``)."""
        raise NotImplementedError(self._undeclared(Ability.OVERFLOW))

    async def redirect(self, url: str) -> None:
        """Answer whatever is asked with a redirect to ``url`` (``Ability.REDIRECT``)."""
        raise NotImplementedError(self._undeclared(Ability.REDIRECT))

    def _undeclared(self, ability: Ability) -> str:
        return (
            f"{type(self).__name__} cannot {ability.value}: implement it, or name "
            f"Ability.{ability.name} in `lacks` with the reason"
        )
