"""Keeps the newest push for each service until it is taken: what is not taken is replaced."""

import asyncio
from collections.abc import Set as AbstractSet

from meshbridge_nacos.parse import Record


class Inbox:
    """The newest push for each service of a group, until it is taken."""

    def __init__(self) -> None:
        self._newest: dict[str, Record] = {}
        self._filled = asyncio.Event()

    def put(self, service: str, info: Record) -> None:
        """Keep a push in place of an older one."""
        self._newest[service] = info
        self._filled.set()

    def take_one(self, service: str) -> Record | None:
        """Return the push for a service if one waits."""
        return self._newest.pop(service, None)

    def clear(self) -> None:
        """Forget all that waits."""
        self._newest.clear()

    async def take(self, leave: AbstractSet[str] = frozenset()) -> dict[str, Record]:
        """Wait for pushes and return them, oldest service first.

        Those for the services that are in ``leave`` by then stay, for :meth:`take_one`.
        """
        await self._filled.wait()
        self._filled.clear()
        taken = {name: info for name, info in self._newest.items() if name not in leave}
        self._newest = {name: info for name, info in self._newest.items() if name in leave}
        return taken
