"""``meshbridge run``: the core, the outlets, status server and admin socket, and how they end."""

import asyncio
import importlib.metadata
import os
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from meshbridge.admin.operations import operations
from meshbridge.admin.reloading import RELOAD, reloading
from meshbridge.admin.server import AdminServer
from meshbridge.cli.assembly import make_bridge, read_settings, renewed
from meshbridge.cli.ending import drop_unread_lines
from meshbridge.cli.outlets import ENDS, Outlets, go_over
from meshbridge.cli.parts import Open, Parts, Serve, Ways, left
from meshbridge.cli.reloading import Reloads
from meshbridge.cli.stopping import Limit, Stopping
from meshbridge.cli.triggers import Hangup, Signature, signature, watch_files
from meshbridge.logs import configure, listening
from meshbridge.problems import Problems
from meshbridge.settings.comparing import Plan
from meshbridge.settings.model import Settings, StatusOptions
from meshbridge.status import StatusServer
from meshbridge.store import Store, open_store
from meshbridge.tally import Tally
from meshbridge.watchdog import watchdog

_BRIDGE, _STATUS, _ADMIN, _RELOADS, _FILES = "bridge", "status", "admin", "reloads", "files"
_BRIDGE_ENDS: Final = 2.0
_STATUS_ENDS: Final = 1.5
_ALL_ENDS: Final = 9.0
"""Seconds after which the process ends whatever hangs; 10 are promised."""


def run_bridge(path: Path, *, accept_loss: bool = False) -> None:
    """Serve what the file configures until SIGTERM or SIGINT; SIGHUP or a changed file reloads.

    ``accept_loss``: also if that is much less than what was served before, as it is stored.

    Raises ConfigurationError when it cannot be used, a port in use included. Ends the process
    itself when something does not end.
    """
    logger = configure()
    ending = _Ending(logger)
    with (
        Limit(_ALL_ENDS, ending.say_what_is_left) as limit,
        Stopping(limit) as stopping,
        Hangup() as hangup,
    ):
        # gRPC would print lines of its own beside the logs, about a port in use for one; a user
        # who wants them says so. It reads this when an outlet first imports it.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        seen = signature([path])
        settings = read_settings(path, serving=True)
        run = _Run(settings, logger, hangup, seen)
        if not accept_loss:
            run.refuse_loss()
        asyncio.run(run.serve(stopping, limit, ending))


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
            with suppress(OSError):  # whoever read the log may have gone
                traceback.print_exception(fault)
        drop_unread_lines()
        os._exit(0 if fault is None else 1)


class _Run:
    """One configuration after the other, served."""

    def __init__(
        self, settings: Settings, logger: FilteringBoundLogger, hangup: Hangup, seen: Signature
    ) -> None:
        self._first, self._logger, self._hangup, self._seen = settings, logger, hangup, seen
        self._in_force = settings
        self._store = _opened_store(settings, logger)
        self._bridge = make_bridge(settings, logger, self._store)
        self._metrics = CollectorRegistry()
        self._parts = Parts(logger)
        self._outlets = Outlets(self._bridge, logger, self._metrics, self._parts)
        self._status = StatusServer(self._bridge, self._outlets.serving, self._metrics)

    def refuse_loss(self) -> None:
        """Answer nothing if the configuration takes away too much of what is stored."""
        self._bridge.max_loss = self._first.keeping.max_loss

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
        settings, bridge, parts = self._first, self._bridge, self._parts
        read = partial(read_settings, settings.path, serving=True)
        reloads = Reloads(settings, read, self._go_over, bridge.configuration, self._logger)
        if settings.keeping.admin is not None:
            known = {
                **operations(bridge, self._outlets.serving),
                RELOAD: reloading(reloads.reload),
            }
            admin = AdminServer(settings.keeping.admin, known, self._logger)
            await parts.open(_ADMIN, lambda say: admin.serve(_both(listening(self._logger), say)))
        if settings.status is not None:
            await parts.open(_STATUS, self._serve_status(settings.status))
        for outlet in settings.outlets:
            await self._outlets.begin(outlet)
        parts.start(_BRIDGE, bridge.run())
        parts.start(_RELOADS, reloads.run())
        self._hangup.listen(reloads.ask)

        def files() -> tuple[Path, ...]:
            return (settings.path, *sorted(reloads.settings.files))

        seen = (*self._seen, *signature(files()[1:]))
        parts.start(_FILES, watch_files(files, seen, reloads.ask))
        with watchdog(asyncio.get_running_loop(), self._logger, self._metrics):
            await parts.until_one_ends()

    async def _go_over(self, settings: Settings, plan: Plan, accept_loss: bool) -> Tally | None:  # noqa: FBT001 - Apply's shape
        """Let a configuration hold, or nothing of it; the ports, which may be refused, first."""
        bridge, max_loss = self._bridge, settings.keeping.max_loss
        registries = renewed(settings, plan)
        if plan.touches_registries or bridge.configuration.withheld:
            tally = await bridge.reload(
                registries, max_loss, accept_loss=accept_loss, only_judge=True
            )
            if tally is not None:
                return tally
        await go_over(plan, self._in_force, settings, self._outlets, self._change_status)
        self._in_force = settings
        if plan.touches_registries or bridge.configuration.withheld:
            await bridge.reload(registries, max_loss, accept_loss=True)
        return None

    async def _change_status(
        self, before: StatusOptions | None, after: StatusOptions | None
    ) -> None:
        """Serve the status elsewhere, or not at all. Raises ConfigurationError; it is as before."""
        if before is None and after is not None:
            await self._parts.open(_STATUS, self._serve_status(after))
        elif after is None:
            await self._parts.end(_STATUS, within=_STATUS_ENDS)
        elif before is not None:
            ways = Ways(
                self._serve_status(after),
                self._serve_status(before),
                lambda _: before.listen.port == after.listen.port,
            )
            await self._parts.replace(_STATUS, ways, within=_STATUS_ENDS)

    def _serve_status(self, options: StatusOptions) -> Serve:
        opened = listening(self._logger)
        return lambda say: self._status.serve(options.listen, _both(opened, say))

    async def _end(self) -> None:
        """End who hears from outside first, and what says how things stand last."""
        self._status.drain()
        await self._parts.end_others(_BRIDGE, _STATUS, within=ENDS)
        await self._parts.end(_BRIDGE, within=_BRIDGE_ENDS)
        await self._parts.end_others(within=_STATUS_ENDS)

    def _say_started(self) -> None:
        settings = self._first
        self._logger.info(
            "started",
            version=importlib.metadata.version("meshbridge"),
            configuration=str(settings.path),
            registries=[registry.name for registry in settings.registries],
            outlets=[outlet.name for outlet in settings.outlets],
        )


def _opened_store(settings: Settings, logger: FilteringBoundLogger) -> Store | None:
    directory = settings.keeping.state
    return None if directory is None else open_store(directory, logger, Problems(), time.time)


def _both(log: Callable[[str, str], None], opened: Open) -> Callable[[str, str], None]:
    def say(name: str, address: str) -> None:
        log(name, address)
        opened()

    return say
