"""One subscriber's stream: its subscriptions, what is due on it, and who is at the other end.

It promises: responses that are due together go in the order that makes before it breaks (CDS, EDS,
LDS, RDS), each is made only when the one before it has been handed to the transport, and a
subscriber that reads slowly or not at all holds up nothing but its own stream.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from meshbridge_xds.exchange import Answer, RequestRefused
from meshbridge_xds.offers import Offer, Offers
from meshbridge_xds.requests import Incoming, read_request, write_response
from meshbridge_xds.resources import ResourceType
from meshbridge_xds.subscription import Subscription

MOST_TYPES = 64
HELD_BACK = 5.0
"""Seconds that a route waits at most for the answer to its clusters."""


class SubscriberGone(Exception):  # noqa: N818 - it says what happened
    """The subscriber does not read any more; nothing is wrong here."""


class Wire(Protocol):
    """The two directions of a stream, in bytes."""

    async def read(self) -> bytes | None:
        """Return the next request, or ``None`` when the subscriber ends its side."""
        ...

    async def write(self, message: bytes) -> None:
        """Send a response; waits while the subscriber does not read. Raises SubscriberGone."""
        ...


class Watcher(Protocol):
    """Counts and tells what happens on streams."""

    def sending(self, stream: "Stream", kind: ResourceType) -> None:
        """A response is handed over; it may take its time, and its answer may come meanwhile."""
        ...

    def sent(self, stream: "Stream", kind: ResourceType, size: int) -> None:
        """A response of so many bytes went out."""
        ...

    def answered(self, stream: "Stream", kind: ResourceType, answer: Answer) -> None:
        """A response was accepted or refused."""
        ...


@dataclass(frozen=True, slots=True)
class Serving:
    """What every stream of a server serves, and how."""

    offers: Offers
    types: Callable[[str], ResourceType]
    """Returns how a type is served; one that is not known is answered as being empty."""
    watcher: Watcher
    clock: Callable[[], float]
    """Monotonic seconds."""


class Stream:
    """The state of one stream; :meth:`run` lives as long as it."""

    def __init__(self, serving: Serving, peer: str, connected_at: float, *, delta: bool) -> None:
        """Start before the first request; ``connected_at`` is Unix time in seconds."""
        self.peer = peer
        self.connected_at = connected_at
        self.delta = delta
        self.node = ""
        self.subscriptions: dict[str, Subscription] = {}
        self._serving = serving
        self._in_order: tuple[Subscription, ...] = ()
        self._wake = asyncio.Event()
        self._handing_over = asyncio.Lock()
        self._held_back_until: float | None = None

    async def run(self, wire: Wire) -> None:
        """Serve until the subscriber ends its side.

        Raises RequestRefused for a request that ends the stream.
        """
        refusal: RequestRefused | None = None
        self._serving.offers.watch(self._wake)
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write(wire), name="xds writer")
                refusal = await self._read(wire)
                # gRPC cannot end a stream while a response is being handed over: it would stay
                # open and say nothing. Whoever never takes the response holds up only this one.
                async with self._handing_over:
                    writer.cancel()
        except* SubscriberGone:
            pass
        finally:
            self._serving.offers.unwatch(self._wake)
        if refusal is not None:
            raise refusal

    async def _read(self, wire: Wire) -> RequestRefused | None:
        """Take requests in until the subscriber ends its side or asks for what is refused."""
        try:
            while await self._take(wire):
                pass
        except RequestRefused as refusal:
            return refusal
        return None

    async def _take(self, wire: Wire) -> bool:
        """Take one request in, if there is one, and keep nothing of it: it may be large."""
        if (raw := await wire.read()) is None:
            return False
        self.receive(read_request(raw, delta=self.delta))
        return True

    def receive(self, incoming: Incoming) -> None:
        """Take a request in. Raises RequestRefused."""
        self.node = self.node or incoming.node
        subscription = self.subscriptions.get(incoming.type_url)
        if subscription is None:
            if len(self.subscriptions) >= MOST_TYPES:
                raise RequestRefused(f"more than {MOST_TYPES} types on one stream")
            kind = self._serving.types(incoming.type_url)
            subscription = Subscription(kind, delta=self.delta)
            self.subscriptions[incoming.type_url] = subscription
            self._in_order = tuple(sorted(self.subscriptions.values(), key=_rank))
        answer = subscription.request(incoming.request)
        if answer.accepted or answer.words is not None:
            self._serving.watcher.answered(self, subscription.kind, answer)
        # Most requests say that all is well; to look for what is due costs as much as a response.
        if subscription.unsettled or self._held_back_until is not None:
            self._wake.set()

    async def _write(self, wire: Wire) -> None:
        while True:
            await self._woken()
            if (offer := self._serving.offers.newest) is not None:
                await self._round(wire, offer)

    async def _woken(self) -> None:
        """Wait for a request, an offer, or the end of the time that something was held back."""
        until = self._held_back_until
        if until is None or until <= (now := self._serving.clock()):
            await self._wake.wait()
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until - now):
                    await self._wake.wait()
        self._wake.clear()

    async def _round(self, wire: Wire, offer: Offer) -> None:
        """Send what is due of one offer, in order; what happens meanwhile wakes the next round."""
        if self._held_back_until is not None and not any(
            self._has_unanswered(each.kind.after) for each in self._in_order
        ):
            self._held_back_until = None
        for subscription in self._in_order:
            kind = subscription.kind
            if (offered := offer.of(kind)) is None:
                continue
            subscription.offer(offered)
            if not subscription.unsettled or self._is_held_back(kind):
                continue
            if (response := subscription.respond()) is None:
                continue
            for follower in self._in_order:
                if follower.kind.follows == kind.url:
                    follower.resend(response.referred())
            message = write_response(kind.url, response, delta=self.delta)
            self._serving.watcher.sending(self, kind)
            async with self._handing_over:
                await wire.write(message.data)
            self._serving.watcher.sent(self, kind, len(message.data))

    def _is_held_back(self, kind: ResourceType) -> bool:
        """Whether this type waits for the answer to what must be there before it.

        Envoy answers CDS when the new clusters are warm; a route that arrives earlier answers 503.
        """
        if not self._has_unanswered(kind.after):
            return False
        now = self._serving.clock()
        if self._held_back_until is None:
            self._held_back_until = now + HELD_BACK
        return now < self._held_back_until

    def _has_unanswered(self, urls: tuple[str, ...]) -> bool:
        """Whether a response of one of these types is unanswered."""
        return any(
            (found := self.subscriptions.get(url)) is not None and found.waiting for url in urls
        )


def _rank(subscription: Subscription) -> tuple[int, str]:
    return subscription.kind.rank, subscription.kind.url
