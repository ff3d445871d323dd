"""Plays a scenario on a new registry, or skips it with the reason why it cannot be played."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from meshbridge.testing.registry import Ability, RegistryUnderTest

Scenario = Callable[[RegistryUnderTest], Awaitable[None]]


class Played:
    """Tests of a registry, each with one of its own."""

    def registry(self) -> RegistryUnderTest:
        """Return a new registry to test the adapter with."""
        raise NotImplementedError

    def play(self, scenario: Scenario, *needed: Ability) -> None:
        """Run a scenario on a registry; skip with its reason if it lacks what is needed."""
        registry = self.registry()
        for ability in needed:
            if ability in registry.lacks:
                pytest.skip(f"this registry does not {ability.value}: {registry.lacks[ability]}")

        async def run() -> None:
            await registry.start()
            try:
                await scenario(registry)
            finally:
                await registry.stop()

        asyncio.run(run())
