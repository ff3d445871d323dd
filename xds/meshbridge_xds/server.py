"""A gRPC server of discovery streams, for any encoder: what it serves comes from :class:`Offers`.

It promises: nothing is answered before the first offer, no subscriber can hold up or harm another,
and when it is cancelled its port is closed and its streams have ended.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Never

import grpc
import grpc.aio
from grpc.aio import ServicerContext

from meshbridge.errors import ConfigurationError, leaves
from meshbridge.outlet import Delivery, OutletContext, Subscribed, Subscriber
from meshbridge.problems import Problem, ProblemKind
from meshbridge.settings import Address, Listener, Tls
from meshbridge_xds.credentials import read_credentials, refusal_of_identity
from meshbridge_xds.exchange import Answer, RequestRefused
from meshbridge_xds.metrics import StreamMetrics
from meshbridge_xds.offers import Offers
from meshbridge_xds.pace import Pace
from meshbridge_xds.refusal import printable
from meshbridge_xds.resources import ResourceType
from meshbridge_xds.stream import Serving, Stream, SubscriberGone

_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_LARGEST_REQUEST = 32 * 1024 * 1024
_GRACE = 1.0
"""Seconds that open streams are served on after the signal (GOAWAY) to connect elsewhere."""
_OPTIONS = (
    # A second process on the same port must fail instead of taking half of the streams.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _LARGEST_REQUEST),
    # Plain requests only: 30 kB compressed may be 30 MB, and no proxy compresses its requests.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    # istiod pings every 30 s and Envoy as often as it is told to, without data in between;
    # grpc's default cuts them off after the fourth ping ("too_many_pings").
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    # Finds peers that vanished without a word within a minute. gRPC looks every 15 s whether
    # anything was read since it looked last, so that a ping is out after 30 s and missed after 50.
    # Behind megabytes that nobody takes it may not get out at all: then an earlier one is missed.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 40_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)


class DiscoveryServer:
    """Serves offers on one address; one outlet may have several."""

    def __init__(
        self,
        outlet: str,
        offers: Offers,
        types: Callable[[str], ResourceType],
        context: OutletContext,
    ) -> None:
        """Make it for an outlet's name; ``types`` tells how each type URL is served."""
        self._outlet = outlet
        self._context = context
        self._metrics = StreamMetrics(outlet, context.metrics, context.clock)
        self._streams: dict[Stream, defaultdict[str, Pace]] = {}
        """With how quickly each answers, by the URL of the type."""
        self._refusing: set[Stream] = set()
        """Those that have ever refused anything: the others have no problems to tell again."""
        self._serving = Serving(offers, types, self, context.clock)

    async def serve_beside(
        self,
        encoder: Coroutine[object, object, Never],
        at: Listener,
        *others: Coroutine[object, object, Never],
    ) -> Never:
        """Run what makes the offers, and serve them where the options say, until cancelled.

        ``others`` run meanwhile too.

        Raises ConfigurationError as :meth:`serve` does, bare: that of a task group would be
        wrapped in a group, which the contract of an outlet does not know.
        """
        fault: Exception = AssertionError("a server that serves until cancelled has returned")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(encoder, name=f"{self._outlet} encoder")
                for other in others:
                    tasks.create_task(other, name=f"{self._outlet} beside")
                await self.serve(at.listen, at.tls if isinstance(at.tls, Tls) else None)
        except* ConfigurationError as group:
            fault = next(leaves(group))
        # What is raised within except* may come out in a group: in Python 3.11.2 it does.
        raise fault

    async def serve(self, address: Address, tls: Tls | None = None) -> Never:
        """Serve until cancelled; then refuse new streams, and end open ones after a grace.

        Raises ConfigurationError for a port that cannot be had or an unreadable certificate.
        """
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((self._handlers(tls.allow if tls else ()),))
        try:
            bound = self._bind(server, address, tls)
        except ConfigurationError:
            # grpc closes a server's descriptors only when it is stopped after it was started.
            await server.start()
            await server.stop(None)
            raise
        try:
            await server.start()
            self._context.listening(self._outlet, str(Address(address.host, bound)))
            await asyncio.Event().wait()
        finally:
            await server.stop(_GRACE)
        raise AssertionError("an event that nobody sets was set")

    def subscribers(self) -> tuple[Subscriber, ...]:
        """Return who is connected now, by node and peer."""
        now = self._context.clock()
        found = (self._subscriber(stream, now) for stream in self._streams)
        return tuple(sorted(found, key=lambda each: (each.node, each.peer)))

    def delivered(self, names: Mapping[str, Iterable[str]]) -> Iterator[tuple[Delivery, ...]]:
        """Yield for each subscriber how these resources stand, by the types' offered names."""
        for stream in sorted(self._streams, key=lambda each: (each.node, each.peer)):
            yield tuple(
                Delivery(self._outlet, stream.peer, stream.node, each.kind.label, name, *standing)
                for _, each in sorted(stream.subscriptions.items())
                for name in names.get(each.kind.offered_as or each.kind.url, ())
                if (standing := each.standing(name)) is not None
            )

    def sending(self, stream: Stream, kind: ResourceType) -> None:
        """Note when a response is handed over."""
        pace = self._streams[stream][kind.url]
        self._metrics.of(kind.label).begin(pace, self._context.clock())

    def sent(self, stream: Stream, kind: ResourceType, size: int) -> None:
        """Count a response."""
        del stream
        metrics = self._metrics.of(kind.label)
        metrics.responses.inc()
        metrics.bytes.inc(size)

    def answered(self, stream: Stream, kind: ResourceType, answer: Answer) -> None:
        """Count an answer; tell of a refusal once, and keep the list of what is refused."""
        pace, now = self._streams[stream][kind.url], self._context.clock()
        self._metrics.of(kind.label).end(pace, now, accepted=answer.accepted)
        if not answer.accepted:
            self._refusing.add(stream)
            self._context.logger.warning(
                "resources refused",
                node=stream.node,
                peer=stream.peer,
                type=kind.label,
                resources=answer.refused[:10],
                count=len(answer.refused),
                words=printable(answer.words or ""),
            )
        if stream in self._refusing:
            self._context.problems((self._outlet, stream), self._problems(stream))

    def _problems(self, stream: Stream) -> list[Problem]:
        return [
            Problem(
                registry=self._outlet,
                subject=name,
                kind=ProblemKind.REJECTED,
                reason=f"{stream.node or stream.peer} refused it: {words}",
                remedy="it keeps what it accepted last; please report this as a bug",
            )
            for subscription in stream.subscriptions.values()
            for name, words in subscription.refused()
        ]

    def _subscriber(self, stream: Stream, now: float) -> Subscriber:
        subscriptions = sorted(stream.subscriptions.items())
        return Subscriber(
            outlet=self._outlet,
            peer=stream.peer,
            node=stream.node,
            connected_at=stream.connected_at,
            types=tuple(
                Subscribed(
                    type=url,
                    sent=each.sent_version,
                    accepted=each.accepted_version,
                    responses=pace.responses,
                    unanswered_seconds=_rounded(pace.lag(now)),
                    ack_seconds=_rounded(pace.seconds),
                )
                for url, each in subscriptions
                for pace in (self._streams[stream][url],)
            ),
            rejections=tuple(
                f"{name}: {words}" for _, each in subscriptions for name, words in each.refused()
            ),
        )

    def _handlers(self, allow: tuple[str, ...]) -> grpc.GenericRpcHandler:
        async def state(_: object, context: ServicerContext[object, bytes]) -> None:
            await self._run(context, allow, delta=False)

        async def delta(_: object, context: ServicerContext[object, bytes]) -> None:
            await self._run(context, allow, delta=True)

        handlers: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
            _SERVICE,
            {
                "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(state),
                "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(delta),
            },
        )
        return handlers

    async def _run(
        self, context: ServicerContext[object, bytes], allow: tuple[str, ...], *, delta: bool
    ) -> None:
        """Serve one stream from its first to its last byte."""
        if refusal := refusal_of_identity(context.auth_context(), allow):
            self._context.logger.warning("subscriber refused", peer=context.peer(), reason=refusal)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal)
        stream = Stream(self._serving, printable(context.peer()), time.time(), delta=delta)
        self._streams[stream] = defaultdict(Pace)
        self._metrics.streams.inc()
        try:
            await stream.run(GrpcWire(context))
        except RequestRefused as refused:
            self._metrics.aborted.inc()
            self._context.logger.warning(
                "stream ended", node=stream.node, peer=stream.peer, reason=str(refused)
            )
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(refused))
        finally:
            for url, pace in self._streams.pop(stream).items():
                self._metrics.of(self._serving.types(url).label).forget(pace)
            self._refusing.discard(stream)
            self._metrics.streams.dec()
            self._context.problems((self._outlet, stream), ())

    def _bind(self, server: grpc.aio.Server, address: Address, tls: Tls | None) -> int:
        try:
            if tls is None:
                return server.add_insecure_port(str(address))
            return server.add_secure_port(str(address), read_credentials(tls))
        except RuntimeError:
            raise ConfigurationError(
                f"outlets.{self._outlet}.listen: {address} cannot be listened on: the port is in "
                "use, or the address is not this machine's; end what uses it or choose another one"
            ) from None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


class GrpcWire:
    """A stream of grpc.aio as :class:`meshbridge_xds.stream.Wire`."""

    def __init__(self, context: ServicerContext[object, bytes]) -> None:
        self._context = context

    async def read(self) -> bytes | None:
        """Return the next request, or ``None`` at the end."""
        read = await self._context.read()
        return read if isinstance(read, bytes) else None

    async def write(self, message: bytes) -> None:
        """Send a response. Raises SubscriberGone."""
        try:
            await self._context.write(message)
        except (grpc.aio.InternalError, grpc.aio.UsageError):
            # What a write that waits for the subscriber ends with when the subscriber cancels.
            raise SubscriberGone from None
