"""``meshbridge run``: the core, the outlets and the status server in one task group."""

import asyncio
import importlib.metadata
import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Never

from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from meshbridge.bridge import Bridge
from meshbridge.cli.assembly import make_bridge, read_settings
from meshbridge.errors import ConfigurationError
from meshbridge.logs import configure, listening
from meshbridge.outlet import Outlet, OutletContext
from meshbridge.settings.model import Settings
from meshbridge.status import StatusServer


def run_bridge(path: Path) -> None:
    """Serve what the file configures until SIGTERM or SIGINT.

    Raises ConfigurationError, alone or in a group, when it cannot be used, a port in use included.
    """
    # gRPC would print lines of its own beside the logs, about a port in use for one; a user who
    # wants them says so. It reads this when an outlet first imports it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    settings = read_settings(path, serving=True)
    asyncio.run(_serve(settings, configure()))


class _Stopped(Exception):  # noqa: N818 - no error: it ends the task group
    """Somebody asked to stop."""


async def _serve(settings: Settings, logger: FilteringBoundLogger) -> None:
    bridge = make_bridge(settings, logger)
    metrics = CollectorRegistry()
    outlets = {each.name: each.outlet_type(each.options) for each in settings.outlets}
    status = StatusServer(bridge, outlets, metrics)
    with _signals() as stop:
        try:
            async with asyncio.TaskGroup() as group:
                _say_started(settings, logger)
                group.create_task(bridge.run(), name="bridge")
                for name, outlet in outlets.items():
                    context = _context(name, bridge, metrics, logger)
                    group.create_task(_serve_outlet(name, outlet, bridge, context), name=name)
                if settings.status is not None:
                    serving = status.serve(settings.status.listen, listening(logger))
                    group.create_task(serving, name="status")
                group.create_task(_stop(stop, logger), name="signals")
        except* _Stopped:
            logger.info("stopped")


def _say_started(settings: Settings, logger: FilteringBoundLogger) -> None:
    logger.info(
        "started",
        version=importlib.metadata.version("meshbridge"),
        configuration=str(settings.path),
        registries=[registry.name for registry in settings.registries],
        outlets=[outlet.name for outlet in settings.outlets],
    )


async def _stop(received: asyncio.Future[str], logger: FilteringBoundLogger) -> Never:
    """Raise _Stopped once a signal was received: that cancels all else in the task group."""
    logger.info("stopping", signal=await received)
    raise _Stopped


@contextmanager
def _signals() -> Generator[asyncio.Future[str]]:
    """Give a future of the first signal to stop; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    received: asyncio.Future[str] = loop.create_future()
    both = (signal.SIGTERM, signal.SIGINT)

    def stop(number: signal.Signals) -> None:
        for each in both:
            loop.remove_signal_handler(each)
        if not received.done():
            received.set_result(number.name)

    for each in both:
        loop.add_signal_handler(each, stop, each)
    try:
        yield received
    finally:
        for each in both:
            loop.remove_signal_handler(each)


def _context(
    name: str, bridge: Bridge, metrics: CollectorRegistry, logger: FilteringBoundLogger
) -> OutletContext:
    bound = logger.bind(outlet=name)
    return OutletContext(time.monotonic, bound, metrics, listening(bound), bridge.problems.put)


async def _serve_outlet(name: str, outlet: Outlet, bridge: Bridge, context: OutletContext) -> None:
    """Serve; what the outlet says about its configuration gets the place where that stands."""
    try:
        await outlet.serve(bridge.snapshots, context)
    except ConfigurationError as error:
        place = f"outlets.{name}"
        raise ConfigurationError(
            *(each if each.startswith(place) else f"{place}: {each}" for each in error.faults)
        ) from error
