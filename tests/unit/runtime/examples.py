"""Small registrations and adapters that do as they are told."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Never

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from meshbridge import (
    Adapter,
    Context,
    Emit,
    Instance,
    InstancePort,
    RegisteredService,
    ServiceId,
)
from meshbridge.bridge import Bridge, RegistryRuntime
from meshbridge.publish import Registry
from meshbridge.testing import Clock


def service(name: str, *ports: int, weight: float = 1.0) -> RegisteredService:
    """Return a service with an instance at 10.0.0.1 for each port."""
    return RegisteredService(
        ServiceId("", "", name),
        tuple(
            Instance(f"10.0.0.1:{port}", "10.0.0.1", (InstancePort(port, "http"),), weight)
            for port in ports
        ),
    )


def sid(name: str) -> ServiceId:
    """Return the id of that service."""
    return ServiceId("", "", name)


Script = Callable[[Emit], None]


class Scripted:
    """An adapter that runs one script in each watch, then waits or raises."""

    settle = timedelta(0)

    def __init__(self, context: Context, *watches: "Script | Exception") -> None:
        """Run a script in each watch; an exception is raised; the last one is repeated."""
        self.scopes: tuple[str, ...] = ("all",)
        self.context = context
        self.watches = list(watches)
        self.begun: list[float] = []
        self.emit: Emit | None = None

    async def watch(self, emit: Emit) -> Never:
        """Run the next script."""
        self.begun.append(self.context.clock())
        step = self.watches.pop(0) if len(self.watches) > 1 else self.watches[0]
        self.emit = emit
        if isinstance(step, Exception):
            raise step
        step(emit)
        await asyncio.Event().wait()
        raise AssertionError


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        """Start empty."""
        self.entries: list[EventDict] = []

    def logger(self) -> FilteringBoundLogger:
        """Return a logger that writes here."""

        def keep(_: object, __: str, event: EventDict) -> str:
            self.entries.append(dict(event))
            return ""

        made: FilteringBoundLogger = structlog.wrap_logger(
            structlog.ReturnLogger(),
            processors=[structlog.processors.add_log_level, keep],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        return made

    def events(self) -> list[str]:
        """Return the names of the events."""
        return [str(entry["event"]) for entry in self.entries]


def bridge(
    clock: Clock,
    log: Log,
    *makes: Callable[[Context], Adapter],
    optional: frozenset[int] = frozenset(),
) -> Bridge:
    """Return a bridge with a registry for each, r0 being the first."""
    runtimes = [
        RegistryRuntime(Registry(f"r{order}", order), make, order not in optional)
        for order, make in enumerate(makes)
    ]
    return Bridge(runtimes, clock, clock.sleep, log.logger())
