"""One connection through a FaultProxy: from being taken until both its sockets are closed."""

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass, field

from meshbridge.testing.fault_proxy_counts import Counts, Flow
from meshbridge.testing.fault_proxy_end import End
from meshbridge.testing.fault_proxy_stream import Break, Close, Finish, Hold, Send, Stream, Wait
from meshbridge.testing.faults import Direction, Fault

LINGER = 1.0
"""Seconds that a closed connection's ends have to close theirs before they are dropped."""


@dataclass(slots=True)
class Plan:
    """What all connections of a proxy share."""

    target: tuple[str, int]
    faults: tuple[Fault, ...] = ()
    counts: Counts = field(default_factory=Counts)


@dataclass(slots=True)
class _Way:
    """One direction of the connection."""

    stream: Stream
    source: End
    target: End
    flow: Flow
    held: bool = False

    def step(self, faults: tuple[Fault, ...], now: float) -> Break | Close | Hold | Wait | None:
        """Do the next thing that can be done and return None, or return why there is none."""
        fate = self.stream.fate(faults, now, unsent=self.target.unsent)
        held, self.held = self.held, isinstance(fate, Hold) and self.stream.pending
        self.flow.hangs += self.held and not held
        if fate is not None:
            return fate
        if self.target.gone.is_set():
            self.drop()
        if not self.target.open or self.target.unsent:
            return Wait(None)
        match self.stream.next(faults, now):
            case Send() as send:
                self.target.write(send.data)
                self.flow.forwarded += len(send.data)
                self.flow.altered += send.altered
                self.flow.slowed += len(send.data) if send.slowed else 0
            case Finish():
                self.target.finish()
            case Wait() as wait:
                return wait
        return None

    def drop(self) -> None:
        """Count what is never handed on: what waits, and what has not left."""
        unsent = self.target.unsent
        self.flow.forwarded -= unsent
        self.flow.dropped += unsent + self.stream.discard()

    def ignore(self) -> None:
        """Drop what comes, but let leave what was handed on."""
        self.flow.dropped += self.stream.discard()
        self.source.read_on()

    @property
    def done(self) -> bool:
        """Whether its sender sends nothing more, and what was handed on has left."""
        return (self.stream.ended or not self.source.open) and not self.target.unsent


class Connection:
    """A client that was taken, and its connection to the target."""

    def __init__(self, taken: socket.socket, plan: Plan) -> None:
        """Own the client's socket; :meth:`run` has to be run."""
        self.over = False
        """Whether it ends; :meth:`run` returns once its sockets are closed."""
        self._socket = taken
        self._plan = plan
        self._wake = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        there, back = Stream(Direction.TO_SERVER), Stream(Direction.TO_CLIENT)
        self._client, self._server = End(there, self._wake), End(back, self._wake)
        self._ways = (
            _Way(there, self._client, self._server, plan.counts.to_server),
            _Way(back, self._server, self._client, plan.counts.to_client),
        )
        self._dialing: asyncio.Task[None] | None = None
        self._dropped_at: float | None = None
        """When its ends are dropped, if it was closed and they have not closed theirs."""

    async def run(self) -> None:
        """Forward, as the faults say, until it is over."""
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: self._client, self._socket)
            while not self.over:
                self._wake.clear()
                until = self._look()
                if not self.over:
                    await self._woken(until)
        finally:
            await self._release()

    def end(self) -> None:
        """Let :meth:`run` return soon."""
        self.over = True
        self._wake.set()

    def apply(self) -> None:
        """Let the faults of now show at once."""
        self._look()
        self._wake.set()

    def _look(self) -> float | None:
        """Do what can be done now; return when to look again, None if something will tell."""
        now = self._clock()
        while self._client.transport is not None and not self.over:
            if self._dropped_at is not None:
                return self._linger(self._dropped_at, now)
            steps = [way.step(self._plan.faults, now) for way in self._ways]
            for step in steps:
                if isinstance(step, Break):
                    self._break(step, now)
                    break
                if isinstance(step, Close):
                    self._plan.counts.truncated += 1
                    self._close(now)
                    break
            else:
                self._go_on(all(isinstance(step, Hold) for step in steps))
                if None not in steps:
                    untils = (step.until for step in steps if isinstance(step, Wait))
                    return min((each for each in untils if each is not None), default=None)
        return None

    def _go_on(self, held: bool) -> None:  # noqa: FBT001 - private, and said by its name
        if self._dialing is None and not held:
            self._dialing = asyncio.create_task(self._dial())
        for way in self._ways:
            way.source.read_on()
        self.over = all(way.stream.finished and not way.target.unsent for way in self._ways)

    def _break(self, fate: Break, now: float) -> None:
        self._plan.counts.reset += fate.injected
        for way in self._ways:
            if way.stream.direction in fate.direction:
                way.drop()
                way.target.reset()
        self._close(now)

    def _close(self, now: float) -> None:
        """Say the end to both, and wait a little for theirs: who is read from gets no RST."""
        for way in self._ways:
            way.target.finish()
        self._dropped_at = now + LINGER

    def _linger(self, until: float, now: float) -> float | None:
        for way in self._ways:
            way.ignore()
        self.over = now >= until or all(way.done for way in self._ways)
        return until

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self._server, *self._plan.target)
        except OSError:
            self._plan.counts.unreachable += 1
            self._server.connection_lost(None)

    async def _woken(self, until: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._wake.wait()

    async def _release(self) -> None:
        """Let go of the sockets and of the dialing, and wait until they are gone."""
        self.over = True
        if self._dialing is not None:
            await stopped(self._dialing)
        for way in self._ways:
            way.drop()
            await way.source.close()
        self._socket.close()


async def stopped(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended; raises what it failed with, if it did."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
