"""A registry that is only an object, with a sound adapter and adapters that break one law each."""

import asyncio
import tempfile
import threading
from datetime import timedelta
from pathlib import Path
from typing import Never
from urllib.parse import urlsplit

from meshbridge import (
    Adapter,
    Changed,
    Context,
    Emit,
    Instance,
    InstancePort,
    Listing,
    RegisteredService,
    RegistryRejected,
    RegistryUnavailable,
    ServiceId,
    Stale,
)
from meshbridge.testing import RegistryUnderTest

MOST = 1_000


class MemoryRegistry(RegistryUnderTest):
    """Can do everything the contract asks for."""

    within = 2.0

    def __init__(self, kind: "type[Sound] | None" = None) -> None:
        """Be watched by adapters of ``kind``."""
        self.kind_of_adapter = kind or Sound
        self.held: dict[str, dict[tuple[str, int], Instance]] = {}
        self.spoilt: set[tuple[str, str]] = set()
        self.reachable, self.accepting, self.size = True, True, 0
        self.elsewhere = ""
        self.news = asyncio.Event()
        self.made: list[Sound] = []

    async def start(self) -> None:
        """Hold nothing."""
        self.news = asyncio.Event()

    async def stop(self) -> None:
        """Let what the broken adapters leaked end, now that it was counted or never will be."""
        for adapter in self.made:
            await adapter.mend()

    def adapter(self, context: Context) -> Adapter:
        """Make an adapter of the kind."""
        made = self.kind_of_adapter(self, context)
        self.made.append(made)
        return made

    async def add(self, service: str, address: str, port: int) -> None:
        instance = Instance(f"{address}:{port}", address, (InstancePort(port),))
        self.held.setdefault(service, {})[address, port] = instance
        self._tell()

    async def change(self, service: str, address: str, port: int) -> None:
        instance = Instance(f"{address}:{port}", address, (InstancePort(port),), weight=2.0)
        self.held[service][address, port] = instance
        self._tell()

    async def remove(self, service: str, address: str, port: int) -> None:
        del self.held[service][address, port]
        self._tell()

    async def fail(self) -> None:
        self.reachable = False
        self._tell()

    async def recover(self) -> None:
        self.reachable = True
        self._tell()

    async def reject(self) -> None:
        self.accepting = False
        self._tell()

    async def spoil(self, service: str, address: str, port: int) -> None:
        self.spoilt.add((service, f"{address}:{port}"))
        self._tell()

    async def overflow(self) -> None:
        self.size = MOST + 1
        self._tell()

    async def redirect(self, url: str) -> None:
        self.elsewhere = url
        self._tell()

    def _tell(self) -> None:
        self.news.set()


class Sound:
    """Keeps every law; the others override one of its steps."""

    settle = timedelta(0)
    scopes: tuple[str, ...] = ("all",)

    def __init__(self, registry: MemoryRegistry, context: Context) -> None:
        """Watch the registry."""
        self.registry = registry
        self.context = context

    async def watch(self, emit: Emit) -> Never:
        """Say everything after each change."""
        gap = False
        while True:
            self.registry.news.clear()
            await asyncio.sleep(0)
            if not self.registry.accepting:
                raise RegistryRejected("not you")
            if self.registry.elsewhere:
                gap = True
                await self.sent_away(emit)
            elif not self.registry.reachable or self.registry.size > MOST:
                gap = True
                self.failed(emit)
            else:
                self.say(emit, gap=gap)
                gap = False
            await self.registry.news.wait()

    def failed(self, emit: Emit) -> None:
        """Say that it cannot be read."""
        emit(Stale("all", "unreachable"))

    async def sent_away(self, emit: Emit) -> None:
        """Stay."""
        self.failed(emit)

    def say(self, emit: Emit, *, gap: bool) -> None:
        """Say all it holds."""
        services: list[RegisteredService] = []
        unreadable: list[tuple[ServiceId, str]] = []
        for name, instances in self.registry.held.items():
            service_id = ServiceId("", "", name)
            spoilt = {each for service, each in self.registry.spoilt if service == name}
            fine = tuple(each for each in instances.values() if each.id not in spoilt)
            services.append(RegisteredService(service_id, fine))
            for instance_id in spoilt:
                unreadable.append((service_id, instance_id))
                self.context.report("all", (service_id, instance_id), "it is spoilt", "mend it")
        emit(Listing("all", tuple(services), tuple(unreadable), after_gap=gap))

    async def mend(self) -> None:
        """End what was leaked."""


class LeaksATask(Sound):
    """Leaves a task running, which nobody waits for."""

    async def watch(self, emit: Emit) -> Never:
        """Start the task."""
        self.task = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
        await super().watch(emit)

    async def mend(self) -> None:
        """End it."""
        if hasattr(self, "task"):
            self.task.cancel()


class LeaksAThread(Sound):
    """Leaves a thread running."""

    async def watch(self, emit: Emit) -> Never:
        """Start the thread."""
        self.end = threading.Event()
        threading.Thread(target=self.end.wait, name="forgotten", daemon=True).start()
        await super().watch(emit)


class LeaksAFile(Sound):
    """Leaves a file open."""

    async def watch(self, emit: Emit) -> Never:
        """Open the file."""
        with tempfile.NamedTemporaryFile(delete=False) as made:
            self.path = Path(made.name)
        self.file = self.path.open()
        await super().watch(emit)


class ChangesFirst(Sound):
    """Says Changed before any Listing."""

    def say(self, emit: Emit, *, gap: bool) -> None:
        """Begin with a part."""
        for name, instances in self.registry.held.items():
            service = RegisteredService(ServiceId("", "", name), tuple(instances.values()))
            emit(Changed("all", service))
        super().say(emit, gap=gap)


class ListsAPart(Sound):
    """Says its first Listing before it has read everything."""

    def say(self, emit: Emit, *, gap: bool) -> None:
        """List nothing, then everything."""
        emit(Listing("all", ()))
        super().say(emit, gap=gap)


class RaisesAForeignException(Sound):
    """Lets an exception of its library out."""

    def failed(self, emit: Emit) -> None:
        """Raise it."""
        emit(Stale("all", "unreachable"))
        raise ConnectionRefusedError("a library's own")


class SaysEmptyOnError(Sound):
    """Takes an error for emptiness."""

    def failed(self, emit: Emit) -> None:
        """List nothing."""
        emit(Listing("all", ()))


class TakesRefusalForOutage(Sound):
    """Does not tell a refusal from an outage."""

    async def watch(self, emit: Emit) -> Never:
        """Raise the wrong one."""
        try:
            await super().watch(emit)
        except RegistryRejected as error:
            raise RegistryUnavailable(str(error)) from error


class HidesTheGap(Sound):
    """Says nothing of the gap after an outage."""

    def say(self, emit: Emit, *, gap: bool) -> None:
        """List as if nothing had been missed."""
        super().say(emit, gap=gap and False)


class DropsTheSpoilt(Sound):
    """Leaves an unreadable record out without a word."""

    def say(self, emit: Emit, *, gap: bool) -> None:
        """List the others."""
        spoilt, self.registry.spoilt = self.registry.spoilt, set()
        for service, instance in spoilt:
            held = self.registry.held[service]
            self.registry.held[service] = {
                key: each for key, each in held.items() if each.id != instance
            }
        super().say(emit, gap=gap)


class FailsOnTheSpoilt(Sound):
    """Lets one unreadable record spoil everything."""

    def say(self, emit: Emit, *, gap: bool) -> None:
        """Say that nothing can be read."""
        if self.registry.spoilt:
            emit(Stale("all", "a record is spoilt"))
        else:
            super().say(emit, gap=gap)


class SaysNothingMore(Sound):
    """Lists once and sleeps."""

    said = False

    def say(self, emit: Emit, *, gap: bool) -> None:
        """List once."""
        if not self.said:
            self.said = True
            super().say(emit, gap=gap)


class HoldsRemovalsBack(Sound):
    """Smooths: an instance that went is listed until another change comes."""

    def say(self, emit: Emit, *, gap: bool) -> None:
        """List what was and what is."""
        for name, instances in self.registry.held.items():
            before = getattr(self, "before", {}).get(name, {})
            instances.update(before)
        self.before = {name: dict(each) for name, each in self.registry.held.items()}
        super().say(emit, gap=gap)


class DialsInstances(Sound):
    """Probes the instances it is told of."""

    async def watch(self, emit: Emit) -> Never:
        """Connect to each."""
        for instances in self.registry.held.values():
            for address, port in instances:
                try:
                    _, writer = await asyncio.open_connection(address, port)
                except OSError:
                    continue
                writer.close()
                await writer.wait_closed()
        await super().watch(emit)


class FollowsRedirects(Sound):
    """Goes where it is sent."""

    async def sent_away(self, emit: Emit) -> None:
        """Connect to that place."""
        url = urlsplit(self.registry.elsewhere)
        _, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.close()
        await writer.wait_closed()
        await super().sent_away(emit)


class ReadsTheFirstThousand(Sound):
    """Cuts what is too large, and takes the rest for all."""

    def failed(self, emit: Emit) -> None:
        """List a part."""
        if self.registry.size > MOST:
            emit(Listing("all", ()))
        else:
            super().failed(emit)
