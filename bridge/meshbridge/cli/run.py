"""``meshbridge run``: the core, the outlets, status server and admin socket, and how they end."""

import asyncio
import importlib.metadata
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from meshbridge.admin.operations import operations
from meshbridge.admin.server import AdminServer
from meshbridge.cli.assembly import make_bridge, read_settings
from meshbridge.cli.parts import Open, Parts, left
from meshbridge.cli.stopping import Limit, Stopping
from meshbridge.errors import ConfigurationError
from meshbridge.logs import configure, listening
from meshbridge.outlet import Outlet, OutletContext
from meshbridge.problems import Problems
from meshbridge.settings.model import Settings
from meshbridge.status import StatusServer
from meshbridge.store import Store, open_store
from meshbridge.watchdog import watchdog

_BRIDGE, _STATUS, _ADMIN = "bridge", "status", "admin"
_OUTLETS_END: Final = 4.0
"""Seconds that outlets have to end: a grace for their streams, and as much again for what hangs."""
_BRIDGE_ENDS: Final = 2.0
_STATUS_ENDS: Final = 1.5
_ALL_ENDS: Final = 9.0
"""Seconds after which the process ends whatever hangs; 10 are promised."""


def run_bridge(path: Path) -> None:
    """Serve what the file configures until SIGTERM or SIGINT.

    Raises ConfigurationError when it cannot be used, a port in use included. Ends the process
    itself when something does not end.
    """
    logger = configure()
    ending = _Ending(logger)
    with Limit(_ALL_ENDS, ending.say_what_is_left) as limit, Stopping(limit) as stopping:
        # gRPC would print lines of its own beside the logs, about a port in use for one; a user
        # who wants them says so. It reads this when an outlet first imports it.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        settings = read_settings(path, serving=True)
        asyncio.run(_Run(settings, logger).serve(stopping, limit, ending))


class _Ending:
    """Says what has not ended, from whichever thread, and ends the process without it."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        self._logger = logger
        self.loop: asyncio.AbstractEventLoop | None = None

    def say_what_is_left(self) -> None:
        """Log it in one line."""
        tasks = [] if self.loop is None or self.loop.is_closed() else left(self.loop)
        threads = sorted(
            each.name
            for each in threading.enumerate()
            if not each.daemon and each is not threading.main_thread()
        )
        self._logger.error(
            "left behind: it has not ended in time",
            tasks=tasks,
            threads=threads,
        )

    def leave(self, fault: BaseException | None) -> NoReturn:
        """End the process at once; a fault is shown as the interpreter would."""
        self.say_what_is_left()
        if fault is not None:
            traceback.print_exception(fault)
        sys.stderr.flush()
        os._exit(0 if fault is None else 1)


class _Run:
    """One configuration, served."""

    def __init__(self, settings: Settings, logger: FilteringBoundLogger) -> None:
        self._settings, self._logger = settings, logger
        self._store = _opened_store(settings, logger)
        self._bridge = make_bridge(settings, logger, self._store)
        self._metrics = CollectorRegistry()
        self._outlets = {each.name: each.outlet_type(each.options) for each in settings.outlets}
        self._status = StatusServer(self._bridge, self._outlets, self._metrics)
        self._parts = Parts(logger)

    async def serve(self, stopping: Stopping, limit: Limit, ending: _Ending) -> None:
        """Serve until a signal comes or a part fails, and end everything in time."""
        ending.loop = asyncio.get_running_loop()
        asked = asyncio.create_task(stopping.asked(), name="signals")
        living = asyncio.create_task(self._live(), name="run")
        await asyncio.wait({asked, living}, return_when=asyncio.FIRST_COMPLETED)
        limit.begin(1)
        fault = living.exception() if living.done() and stopping.signal is None else None
        if fault is None:
            self._logger.info("stopping", signal=stopping.signal)
        for each in (asked, living):
            each.cancel()
        await asyncio.wait({asked, living})
        await self._end()
        if self._parts.running:
            ending.leave(fault)
        if fault is not None:
            raise fault
        self._logger.info("stopped")

    async def _live(self) -> None:
        """Open the ports in one order, then read the registries; raises when a part ends.

        An instance that is refused a port has asked no registry for anything.
        """
        self._say_started()
        settings, opened = self._settings, listening(self._logger)
        if settings.keeping.admin is not None:
            known = operations(self._bridge, self._outlets)
            admin = AdminServer(settings.keeping.admin, known, self._logger)
            await self._parts.open(_ADMIN, lambda say: admin.serve(_both(opened, say)))
        if settings.status is not None:
            address = settings.status.listen
            await self._parts.open(
                _STATUS, lambda say: self._status.serve(address, _both(opened, say))
            )
        for name, outlet in self._outlets.items():
            await self._parts.open(_of_outlet(name), partial(self._serve_outlet, name, outlet))
        self._parts.start(_BRIDGE, self._bridge.run())
        with watchdog(asyncio.get_running_loop(), self._logger, self._metrics):
            await self._parts.until_one_ends()

    async def _end(self) -> None:
        """End who hears from outside first, and what says how things stand last."""
        self._status.drain()
        outlets = [_of_outlet(name) for name in self._outlets]
        await self._parts.end(_ADMIN, *outlets, within=_OUTLETS_END)
        await self._parts.end(_BRIDGE, within=_BRIDGE_ENDS)
        await self._parts.end(_STATUS, within=_STATUS_ENDS)

    def _say_started(self) -> None:
        settings = self._settings
        self._logger.info(
            "started",
            version=importlib.metadata.version("meshbridge"),
            configuration=str(settings.path),
            registries=[registry.name for registry in settings.registries],
            outlets=[outlet.name for outlet in settings.outlets],
        )

    async def _serve_outlet(self, name: str, outlet: Outlet, say: Open) -> None:
        """Serve; what the outlet says about its configuration gets the place where that stands."""
        bridge, logger = self._bridge, self._logger.bind(outlet=name)
        opened = _both(listening(logger), say)
        context = OutletContext(time.monotonic, logger, self._metrics, opened, bridge.problems.put)
        try:
            await outlet.serve(bridge.snapshots, context)
        except ConfigurationError as error:
            place = f"outlets.{name}"
            raise ConfigurationError(
                *(each if each.startswith(place) else f"{place}: {each}" for each in error.faults)
            ) from error


def _opened_store(settings: Settings, logger: FilteringBoundLogger) -> Store | None:
    directory = settings.keeping.state
    return None if directory is None else open_store(directory, logger, Problems(), time.time)


def _of_outlet(name: str) -> str:
    return f"outlet {name}"


def _both(log: Callable[[str, str], None], opened: Open) -> Callable[[str, str], None]:
    def say(name: str, address: str) -> None:
        log(name, address)
        opened()

    return say
