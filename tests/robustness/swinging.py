"""An adapter of a registry without I/O: as many services as are wanted, changing as fast as wanted.

Each change has a number: it stands in the address of the changed service's first instance, and a
line ``NUMBER MONOTONIC-SECONDS`` in the log says when it was emitted.
"""

import ipaddress
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Never

from meshbridge import (
    Changed,
    Context,
    Emit,
    Instance,
    InstancePort,
    Listing,
    RegisteredService,
    ServiceId,
)
from meshbridge.settings import Section

SCOPE = "all"
_FIRST = int(ipaddress.IPv4Address("10.0.0.0"))
_PORTS = (InstancePort(8080, "http"),)


def name_of(number: int) -> str:
    """Return what a service is called."""
    return f"service-{number:05}"


class SwingingOptions(Section):
    """How large and how fast it is."""

    services: int
    """How many"""
    instances: int
    """Of each"""
    moving: int = 0
    """How many of them change, from the first one on; 0: all"""
    rate: float
    """Changes a second, once the file ``begin`` is there"""
    seed: int
    """Of the choice of services"""
    begin: Path
    """Nothing changes before it exists"""
    log: Path
    """When each change was emitted"""


class Swinging:
    """Holds services and changes them."""

    Options = SwingingOptions
    settle = timedelta(0)
    scopes: tuple[str, ...] = (SCOPE,)

    def __init__(self, name: str, options: SwingingOptions, context: Context) -> None:
        """Change nothing yet."""
        del name
        self._options = options
        self._context = context

    async def watch(self, emit: Emit) -> Never:
        """List, wait for the beginning, and change."""
        options, now = self._options, self._context.clock
        services = [self._service(number) for number in range(options.services)]
        emit(Listing(SCOPE, tuple(services)))
        while not options.begin.exists():
            await self._context.sleep(0.05)
        chance = random.Random(options.seed)  # noqa: S311 - no secret
        number, due = 0, now()
        with options.log.open("a", buffering=1) as log:
            while True:
                number += 1
                place = chance.randrange(options.moving or options.services)
                first, *rest = services[place].instances
                address = str(ipaddress.IPv4Address(_FIRST + number))
                changed = replace(first, id=f"{address}:8080", address=address)
                services[place] = replace(services[place], instances=(changed, *rest))
                log.write(f"{number} {now()}\n")
                emit(Changed(SCOPE, services[place]))
                due += 1 / options.rate
                await self._context.sleep(max(0.0, due - now()))

    def _service(self, number: int) -> RegisteredService:
        instances = tuple(
            Instance(f"{address}:8080", address, _PORTS)
            for place in range(self._options.instances)
            for address in (f"172.{16 + place}.{number // 250}.{1 + number % 250}",)
        )
        return RegisteredService(ServiceId("", "", name_of(number)), instances, ())
