"""Who answers callers, as far as they can hear it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from rig.waiting import until

CALLS: Final = 20
SOON: Final = 30.0
"""Seconds for a change to reach a caller on a machine that is busy."""

Call = Callable[[], Awaitable[str]]
"""Returns who answered, or the status of a failure."""


async def heard(call: Call, *wanted: str) -> None:
    """Call until twenty calls in a row are answered by these, and each of them has answered."""

    async def look() -> Counter[str]:
        seen = Counter[str]()
        while seen.total() < CALLS and seen.keys() <= {*wanted}:
            seen[await call()] += 1
        return seen

    await until(look, lambda seen: seen.keys() == {*wanted}, within=SOON)
