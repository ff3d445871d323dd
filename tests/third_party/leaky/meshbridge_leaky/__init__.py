"""A phonebook whose author forgot that a task outlives the watch that started it."""

import asyncio
from typing import Never

from meshbridge import Emit
from meshbridge_phonebook import Phonebook


class Leaky(Phonebook):
    """Watches one folder, and leaves a task behind."""

    async def watch(self, emit: Emit) -> Never:
        """Look again and again, with a companion that nobody ends."""
        self._companion = asyncio.create_task(asyncio.sleep(3600))
        await super().watch(emit)
