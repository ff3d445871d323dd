"""The command ``meshbridge demo``: from finding Envoy to the exit code."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Awaitable
from pathlib import Path

from rich.console import Console

from meshbridge.cli.demo.child import ChildFailed
from meshbridge.cli.demo.envoy import EnvoyMissing, find
from meshbridge.cli.demo.figures import failures
from meshbridge.cli.demo.show import Show, StepFailed
from meshbridge.cli.demo.stage import HOST, Stage, stage
from meshbridge.cli.demo.telling import Telling
from meshbridge.cli.ending import Exit, complain, printable

_PICTURE = """\
   services.yaml --> meshbridge run --xDS--> Envoy --> orders-1 (v1), orders-2 (v1), orders-3 (v2)
   the registry      the bridge                ^
                                               +--- requests for http://{host}/"""

_KEPT = """
Everything is left running until Ctrl-C, which also removes it.

   the service          curl -H 'Host: {host}' http://127.0.0.1:{http}/
   the registry         edit {services}:
                        weights, healthy: false, fewer or more instances, and ask again
   what is served       curl http://127.0.0.1:{status}/api/services
   what is wrong        curl http://127.0.0.1:{status}/api/problems
   the same, once       meshbridge dump --config {configuration} --format table
   Envoy's own view     curl http://127.0.0.1:{admin}/clusters
   what they log        {logs}
   for other Envoys     xDS on 127.0.0.1:{xds}
   for an istiod        configSources: [{{address: "xds://127.0.0.1:{mcp}"}}]
"""


def play(envoy: Path | None = None, *, keep: bool = False) -> int:
    """Play the demo and return its exit code: 0 only if every step held.

    ``envoy`` is the Envoy to use, by default the one that :mod:`meshbridge.cli.demo.envoy` finds;
    ``keep`` leaves everything running at the end until a signal comes.
    """
    try:
        return asyncio.run(_until_signalled(_show(envoy, keep=keep, telling=Telling(Console()))))
    except KeyboardInterrupt:  # before the loop had its own handler
        return 128 + signal.SIGINT


async def _until_signalled(show: Awaitable[int]) -> int:
    """Run it to its end, or cancel it at the first signal and wait until it is tidy."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(show)
    received: list[int] = []

    def cancel(number: int) -> None:
        received.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, cancel, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        return 128 + received[0]


async def _show(named: Path | None, *, keep: bool, telling: Telling) -> int:
    try:
        found = await find(named, telling.say)
    except EnvoyMissing as missing:
        _refuse(str(missing))
        return Exit.WRONG
    telling.say(f"meshbridge, shown with Envoy {found.version} ({found.path})")
    telling.say(_PICTURE.format(host=HOST))
    try:
        return await _play(found.path, keep=keep, telling=telling)
    except OSError as error:  # no room for the temporary folder, no free port
        _refuse(f"the demo cannot be set up: {error}")
        return Exit.WRONG
    except asyncio.CancelledError:
        telling.say("\nStopped; nothing of it is left.")
        raise


async def _play(envoy: Path, *, keep: bool, telling: Telling) -> int:
    """Play the steps on a stage of their own, which is gone at the end."""
    begun = time.monotonic()
    async with stage(envoy) as bed:
        show = Show(bed, telling)
        try:
            load = await show.play()
        except StepFailed as failed:
            hint = "" if keep else " With --keep all is left running to be looked at."
            telling.say(f"\n{failed} The steps after it were not run.{hint}")
            code = Exit.NO
        else:
            told = f"{show.number} of {show.number} steps held in {time.monotonic() - begun:.1f} s"
            failed_requests = failures(load.answers).total()
            telling.say(f"\n{told}; {len(load.answers)} requests, {failed_requests} failed.")
            code = Exit.FINE
        if keep:
            with contextlib.suppress(asyncio.CancelledError):  # the signal ends the waiting only
                await _wait(bed, telling)
    return code


def _refuse(reason: str) -> None:
    """Say the reason in a line, and what a child wrote about it in lines of its own."""
    first, *more = reason.splitlines()
    complain(first)
    for line in more:
        sys.stderr.write(f"{printable(line)}\n")


async def _wait(bed: Stage, telling: Telling) -> None:
    """Leave everything running until a signal cancels this."""
    try:
        admin = str(await bed.admin_port())
    except ChildFailed:
        admin = "(Envoy did not start)"
    telling.say(
        _KEPT.format(
            http=bed.ports.http,
            host=HOST,
            services=bed.services,
            logs=bed.logs,
            status=bed.ports.status,
            configuration=bed.configuration,
            xds=bed.ports.xds,
            mcp=bed.ports.mcp,
            admin=admin,
        )
    )
    await asyncio.Event().wait()
