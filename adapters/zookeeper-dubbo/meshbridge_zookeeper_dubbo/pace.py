"""Lets others have their turn while there is much to do."""

import asyncio
import time
from typing import Final

SLICE: Final = 0.003
"""Seconds of work after which the loop gets its turn."""


class Pace:
    """Of one piece of work."""

    def __init__(self) -> None:
        """Begin with it now."""
        self._until = time.perf_counter() + SLICE

    async def breathe(self) -> None:
        """Between two steps."""
        if time.perf_counter() > self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + SLICE
