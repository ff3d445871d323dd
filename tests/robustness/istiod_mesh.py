"""A bridge, the real istiod that it serves, requests through an Envoy that knows that istiod only.

All that istiod's store holds is looked at ten times a second.
"""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from robustness.bed import Bed, Connected, Instances, document, replace
from robustness.findings import Bar
from robustness.mesh import HOST, QUIET, RATE

from meshbridge.cli.demo.traffic import Load
from meshbridge.testing import Endpoint, History, Rules
from rig.envoy import Envoy
from rig.istiod import Istiod, Stored, sidecar
from rig.observing import (
    Addressed,
    BridgeObserver,
    EnvoyObserver,
    istiod_observers,
    kept,
    loading,
    observing,
    refuses,
)
from rig.ports import free_port
from rig.waiting import until

OTHERS = 40
"""Services that nobody calls."""
LOOKS = 10.0
"""At istiod's store, a second."""
BACK = 30.0
"""Seconds from a start of the bridge until istiod has acknowledged what it was told.

It seeks the bridge for about as long again as that was away.
"""
WITHHELD = {"ServiceEntry", "VirtualService", "WorkloadEntry"}
"""The kinds of which a bridge that knows no services says nothing."""


@dataclass
class Watch:
    """Looks at all that istiod's store holds, again and again, and notes what differs."""

    istiod: Istiod
    held: Mapping[str, Stored] = field(default_factory=dict[str, Stored])
    """What the first look has shown."""
    phase: str = ""
    looks: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list[str])
    """What differed from the first look, and when."""

    async def store(self) -> dict[str, Stored]:
        """Return what it holds of every kind, by name."""
        return {f"{e.kind} {e.namespace}/{e.name}": e for e in await self.istiod.stored()}

    @asynccontextmanager
    async def looking(self) -> AsyncGenerator[None]:
        """Look until the block ends; raises what a look raised."""
        self.held, begun = await self.store(), time.monotonic()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look(over))
            try:
                yield
            finally:
                over.set()
        self.seconds = time.monotonic() - begun

    async def _look(self, over: asyncio.Event) -> None:
        due = time.monotonic()
        while not over.is_set():
            found = await self.store()
            self.looks += 1
            self.wrong += [
                f"{self.phase}: {name} is {'another' if name in found else 'gone'}"
                for name in sorted(self.held.keys() | found.keys())
                if self.held.get(name) != found.get(name)
            ]
            due = max(due + 1 / LOOKS, time.monotonic())
            await asyncio.sleep(due - time.monotonic())


async def unanswered(bed: Bed) -> list[set[str]] | None:
    """Return of each istiod the kinds that it has not acknowledged; nothing without a bridge.

    A kind of which an answer is on its way counts, and ServiceEntry also before it is asked for.
    """
    try:
        found = await bed.subscribers()
    except (aiohttp.ClientError, OSError):
        return None
    return [_lacking(each) for each in found if each.outlet == "mcp"]


def _lacking(istiod: Connected) -> set[str]:
    has = {
        each.type.rpartition("/")[2]: bool(each.accepted) and each.sent == each.accepted
        for each in istiod.types
    }
    return {kind for kind, accepted in {"ServiceEntry": False, **has}.items() if not accepted}


@dataclass
class Run:
    """A run under way; whatever is broken is noted in its history."""

    it: Bar
    bed: Bed
    istiod: Istiod
    watch: Watch
    history: History
    services: Mapping[str, Instances]
    folder: Path

    async def back(self) -> float:
        """Wait until istiod has acknowledged all that this process told it; return the seconds."""
        _, took = await until(
            lambda: unanswered(self.bed), lambda seen: seen == [set()], within=BACK
        )
        return took

    @asynccontextmanager
    async def fault(self, name: str) -> AsyncGenerator[Callable[[object], None]]:
        """Break something inside; yields what takes the evidence, without which the run is void."""
        self.watch.phase = fault = self.history.begin(name)

        def saw(evidence: object) -> None:
            self.it.void_unless(evidence, f"{fault} was not seen")
            self.history.saw(fault, str(evidence))

        yield saw
        self.history.end(fault)

    async def kill(self) -> str:
        """Kill the bridge; return how that was seen, empty if it was not."""
        await self.bed.bridge.process.kill()
        killed = self.bed.bridge.process.exit_code == -signal.SIGKILL and refuses(self.bed.mcp)
        return f"{self.bed.mcp} refuses" if killed else ""


@asynccontextmanager
async def running(folder: Path, it: Bar, rules: Rules) -> AsyncGenerator[Run]:
    """Start it all, and send requests through the Envoy; ``orders`` has three live instances."""
    port = free_port()
    keeping = {"state": str(folder / "state"), "admin": str(folder / "a.sock")}
    bed = Bed(folder, keeping=keeping, publish={"ports": {"http": port}})
    history = History(rules)
    async with AsyncExitStack() as stack:
        stack.enter_context(kept(history, folder / "history.jsonl"))
        backends = [await stack.enter_async_context(Addressed(name)) for name in "abc"]
        services: dict[str, Instances] = {
            f"other-{number}": [(f"10.1.{number}.{place}", 8080) for place in range(1, 6)]
            for number in range(OTHERS)
        }
        services["orders"] = [("127.0.0.1", each.port) for each in backends]
        replace(bed.file, document(services))
        history.begins_with(endpoints(services))
        await stack.enter_async_context(bed.bridge)
        await bed.ready()
        istiod = await stack.enter_async_context(Istiod(folder, [bed.mcp]))
        envoy = await stack.enter_async_context(Envoy(folder, sidecar(istiod)))
        run = Run(it, bed, istiod, Watch(istiod), history, services, folder)
        await run.back()
        await until(envoy.is_live, bool, within=20)
        everyone = (
            BridgeObserver(bed.status),
            EnvoyObserver(envoy),
            *istiod_observers(f"http://{istiod.debug}"),
        )
        await stack.enter_async_context(observing(history, *everyone))
        await stack.enter_async_context(loading(history, Load(port, HOST, RATE), HOST))
        await asyncio.sleep(QUIET)
        yield run
        await asyncio.sleep(QUIET)


def endpoints(services: Mapping[str, Instances]) -> set[Endpoint]:
    """Return the endpoints that these services have in the mesh."""
    return {
        Endpoint.of(f"{name}.file", *place) for name, places in services.items() for place in places
    }
