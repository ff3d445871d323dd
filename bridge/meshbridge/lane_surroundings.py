"""What the lanes of all registries share: time, log, problems, turns, the store."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from meshbridge.configuration import Configuration
from meshbridge.problems import Problems
from meshbridge.store import Store
from meshbridge.turns import Turns


@dataclass(frozen=True, slots=True)
class LaneSurroundings:
    """What a lane is handed instead of reaching for it."""

    clock: Callable[[], float]
    """Monotonic seconds."""
    unix: Callable[[], float]
    """Seconds since 1970."""
    sleep: Callable[[float], Awaitable[None]]
    logger: FilteringBoundLogger
    problems: Problems
    turns: Turns
    store: Store | None = None
    configuration: Configuration = field(default_factory=Configuration)
    """How that of the bridge stands."""

    def unix_of(self, when: float) -> float:
        """Return the Unix time of a moment of ``clock``."""
        return self.unix() + when - self.clock()
