"""An adapter that keeps to its contract until it is told to break it, each registry in its own way.

It lists one service and waits for a file. While the file is there, each of its watches misbehaves
at once; a line ``MONOTONIC-SECONDS`` in the log says when. A ``witness`` never does: it writes how
many tasks the bridge's loop has.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, cast

from meshbridge import (
    Changed,
    Context,
    Emit,
    Instance,
    InstancePort,
    Listing,
    RegisteredService,
    RegistryUnavailable,
    ServiceId,
)
from meshbridge.adapter import Update
from meshbridge.settings import Section

SCOPE = "all"
BLOCKED = 5.0
"""Seconds for which it blocks the loop."""
LEAKED = 50
"""Tasks that it leaks, each of which holds 200 kB."""
WITNESS = "witness"
_LOOK = 0.1


class WaywardOptions(Section):
    """How it misbehaves."""

    kind: str
    """One of KINDS, or ``witness``"""
    folder: Path
    """It misbehaves while ``begin-KIND`` is there, and logs into ``KIND.log``"""


class Wayward:
    """Holds one service."""

    Options = WaywardOptions
    settle = timedelta(0)
    scopes: tuple[str, ...] = (SCOPE,)

    def __init__(self, name: str, options: WaywardOptions, context: Context) -> None:
        """Behave, so far."""
        del name
        self.kind = options.kind
        self._begin = options.folder / f"begin-{options.kind}"
        self._log = options.folder / f"{options.kind}.log"
        self.context = context
        self.turn = 0

    def service(self) -> RegisteredService:
        """Return the one that it has."""
        port = (InstancePort(8080, "http"),)
        return RegisteredService(ServiceId("", "", self.kind), (Instance("1", "10.3.0.1", port),))

    def note(self, text: str) -> None:
        """Write a line."""
        with self._log.open("a") as log:
            log.write(f"{text}\n")

    @property
    def may_begin(self) -> bool:
        """Whether it shall misbehave."""
        return self._begin.exists()

    async def watch(self, emit: Emit) -> None:
        """List, wait to be told, and misbehave."""
        if not self.may_begin:
            emit(Listing(SCOPE, (self.service(),)))
        while True:
            while not self.may_begin:
                if self.kind == WITNESS:
                    self.note(str(len(asyncio.all_tasks())))
                await self.context.sleep(_LOOK)
            self.turn += 1
            self.note(str(time.monotonic()))
            await KINDS[self.kind](self, emit)
            if self.kind == returns.__name__:
                return


async def raises(_: Wayward, __: Emit) -> None:
    """Raise what no contract knows."""
    raise LookupError("I am lost")


async def returns(_: Wayward, __: Emit) -> None:
    """Do nothing: its watch ends with it."""


async def hangs(_: Wayward, emit: Emit) -> None:
    """Give a reason to be cancelled, and take no cancellation."""
    emit(cast("Update", "nonsense"))
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


async def blocks(wayward: Wayward, _: Emit) -> None:
    """Block the loop, once."""
    time.sleep(BLOCKED)  # noqa: ASYNC251 - this is it
    while wayward.may_begin:
        await wayward.context.sleep(_LOOK)


async def leaks(wayward: Wayward, _: Emit) -> None:
    """Leave tasks behind, and say that the registry is away."""

    async def hold(what: bytes) -> None:
        await asyncio.sleep(3600)
        wayward.note(str(len(what)))

    held = [asyncio.create_task(hold(bytes([number]) * 200_000)) for number in range(LEAKED)]
    await asyncio.sleep(0)
    raise RegistryUnavailable(f"{len(held)} tasks are left behind")


async def floods(wayward: Wayward, emit: Emit) -> None:
    """Say more and more, and never let the loop turn."""
    emit(Listing(SCOPE, (wayward.service(),)))
    changed = Changed(SCOPE, wayward.service())
    while True:
        emit(changed)


async def nonsense(wayward: Wayward, emit: Emit) -> None:
    """Say what is no update, or an empty listing with nonsense beside it."""
    values = (
        "nothing",
        None,
        Listing(SCOPE, cast("tuple[RegisteredService]", (None,))),
        Listing(SCOPE, (), cast("tuple[ServiceId]", ("all",))),
        Changed(SCOPE, cast("RegisteredService", {})),
    )
    emit(cast("Update", values[wayward.turn % len(values)]))
    await asyncio.sleep(3600)


async def threads(_: Wayward, emit: Emit) -> None:
    """Empty the registry from another thread than the loop's."""
    threading.Thread(target=emit, args=(Listing(SCOPE, ()),)).start()
    await asyncio.sleep(3600)


KINDS: Final[dict[str, Callable[[Wayward, Emit], Awaitable[None]]]] = {
    each.__name__: each
    for each in (raises, returns, leaks, nonsense, threads, hangs, blocks, floods)
}
