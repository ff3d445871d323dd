"""Says how long to wait before something is tried or looked at again; pure."""

from typing import Final

SOONEST: Final = 2.0
LATEST: Final = 300.0
"""Most seconds until then, at first and at last."""


def longest(times: int) -> float:
    """Return the most seconds to wait after so many times in a row, the first of which is 1."""
    return min(SOONEST * 2.0 ** min(times - 1, 10), LATEST)
