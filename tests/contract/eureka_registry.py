"""A scripted Eureka that does as the contract tells it, for an adapter whose seconds are short."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from meshbridge import Adapter, Context
from meshbridge.testing import RegistryUnderTest
from meshbridge_eureka import Eureka, Options
from meshbridge_eureka.over_http import LARGEST_ANSWER
from rig import scripted_eureka_faults as faults
from rig.scripted_eureka import ScriptedEureka

FASTER: Final = 20
"""How many of the adapter's seconds pass in one of ours, but for those it waits for an answer."""


class ScriptedRegistry(RegistryUnderTest):
    """A server that can do everything that HTTP can."""

    def __init__(
        self,
        server: ScriptedEureka | None = None,
        options: Mapping[str, object] | None = None,
        *,
        faster: int = 1,
    ) -> None:
        """Be ready to start; ``options`` of the adapter replace the usual ones."""
        self.server = server or ScriptedEureka()
        self._options = {"servers": [self.server.url], "interval": "1s", **(options or {})}
        self._faster = faster

    async def start(self) -> None:
        """Listen."""
        await self.server.start()

    async def stop(self) -> None:
        """Listen no more."""
        await self.server.stop()

    def adapter(self, context: Context) -> Adapter:
        """Watch the server."""

        def clock() -> float:
            return time.monotonic() * self._faster

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds / self._faster)

        hurried = replace(context, clock=clock, sleep=sleep)
        return Eureka("contract", Options.model_validate(self._options), hurried)

    async def add(self, service: str, address: str, port: int) -> None:
        """Let an instance register."""
        self.server.registry.register(service, address, port)

    async def change(self, service: str, address: str, port: int) -> None:
        """Give it metadata."""
        self.server.registry.change(service, address, port, metadata={"version": "v2"})

    async def remove(self, service: str, address: str, port: int) -> None:
        """Let it leave."""
        self.server.registry.cancel(service, address, port)

    async def fail(self) -> None:
        """Refuse connections."""
        await self.server.stop()

    async def recover(self) -> None:
        """Take them again."""
        await self.server.start()

    async def reject(self) -> None:
        """Ask for a password that the adapter does not have."""
        self.server.credentials = "somebody", "secret"

    async def spoil(self, service: str, address: str, port: int) -> None:
        """Give it a port that is none."""
        spoilt = {"$": "eighty", "@enabled": "true"}
        self.server.registry.change(service, address, port, port=spoilt)

    async def overflow(self) -> None:
        """Answer with more than is read."""
        self.server.misbehave(faults.floods(LARGEST_ANSWER + faults.MIB))

    async def redirect(self, url: str) -> None:
        """Send whoever asks elsewhere."""
        self.server.misbehave(faults.redirects(url))
