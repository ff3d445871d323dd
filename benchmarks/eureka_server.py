"""A stand-in for a Eureka that holds many instances: ``python -m benchmarks.eureka_server A I``.

A applications of I instances each. Prints its URL once it listens. Orders come as lines of JSON on
standard input, and each is answered by one: ``{"change": 3}`` gives three instances another
version, ``{"forget": true}`` makes it tell of no change that was. Ends at the end of its input.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from itertools import cycle

from rig.scripted_eureka import ScriptedEureka

STRIDE = 7
"""Applications between two that are changed one after the other."""


class Estate:
    """What the server holds, and whose turn it is to change."""

    def __init__(self, server: ScriptedEureka, applications: int, instances: int) -> None:
        """Register all."""
        self._registry = server.registry
        self._places = [
            (f"com-acme-service-{number:05}", address(number, place), 8080)
            for place in range(instances)
            for number in range(applications)
        ]
        for each in self._places:
            self._registry.register(*each, metadata=metadata(0))
        self._registry.forget_changes()
        self._turns: Iterator[int] = cycle(range(0, len(self._places), STRIDE))
        self._versions = 0

    def obey(self, order: dict[str, int]) -> None:
        """Do what a line says."""
        if "forget" in order:
            self._registry.forget_changes()
        for _ in range(order.get("change", 0)):
            self._versions += 1
            place = self._places[next(self._turns)]
            self._registry.change(*place, metadata=metadata(self._versions))


def address(number: int, place: int) -> str:
    """Return the address of an instance."""
    at = number * 1000 + place
    return f"10.{at >> 16 & 255}.{at >> 8 & 255}.{at & 255}"


def metadata(version: int) -> dict[str, str]:
    """Return what an instance tells of itself, as Spring Cloud's do."""
    return {"management.port": "8081", "zone": "z1", "version": f"v{version}", "jmx.port": "1099"}


async def main(applications: int, instances: int) -> None:
    """Serve until the input ends."""
    async with ScriptedEureka() as server:
        estate = Estate(server, applications, instances)
        print(server.url, flush=True)  # noqa: T201 - this is how it answers
        while line := await asyncio.to_thread(sys.stdin.readline):
            estate.obey(json.loads(line))
            print("{}", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
