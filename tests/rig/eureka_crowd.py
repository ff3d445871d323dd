"""Thousands of services whose instances live in a Eureka as its clients do, in one process."""

from pathlib import Path

from rig.any_crowd import AnyCrowd

RENEWS = 14.0
"""Seconds in which everyone renews its lease once; 30 where nobody says otherwise."""
LASTS = 90
"""Seconds that a lease lasts, twice as long once it was renewed."""


def host(service: str) -> str:
    """Return the host of a service of the crowd."""
    return f"{service}.eureka"


class EurekaCrowd(AnyCrowd):
    """Instances of many services, each of which renews its lease in a turn of its own.

    One whose lease the server does not know registers again there and then, and one that does not
    reach the server waits for its next turn: so after a restart they come back evenly within
    ``renews`` seconds. While it is paused nobody renews either. Who was deregistered does not come
    back before he is told to.
    """

    def __init__(
        self,
        server: str,
        directory: Path,
        *,
        name: str = "crowd",
        renews: float = RENEWS,
        lasts: int = LASTS,
    ) -> None:
        """Describe it; ``server`` is ``host:port``."""
        super().__init__(name, directory, "eureka_crowd_main", server, renews, lasts, within=120)
