"""What runs from a start to a stop, also for as long as a block lasts."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Startable(ABC):
    """Started at the beginning of a block, stopped at its end."""

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        await self.stop()

    @abstractmethod
    async def start(self) -> object:
        """Start it; returns when it is ready."""

    @abstractmethod
    async def stop(self) -> object:
        """Stop it; returns when that is done."""
