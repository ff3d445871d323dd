"""The outlet ``xds``: snapshots in, Envoy's resources out, to whoever subscribes."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Never

from prometheus_client import Gauge
from pydantic import BaseModel

from meshbridge.memory import LOADED, settle
from meshbridge.outlet import Delivery, OutletContext, Subscriber
from meshbridge.problems import Problem, ProblemKind
from meshbridge.service import Service, first_source
from meshbridge.snapshot import Snapshot, Snapshots
from meshbridge_xds.envoy.encoder import Encoder, HttpListener, TcpListener
from meshbridge_xds.envoy.endpoint import Omission
from meshbridge_xds.envoy.names import CDS, EDS, cluster_name, served_type
from meshbridge_xds.envoy.text import as_yaml
from meshbridge_xds.offers import Offer, Offers
from meshbridge_xds.options import XdsOptions
from meshbridge_xds.server import DiscoveryServer

_SLICE = 0.005
"""Seconds of encoding after which everybody else has a turn."""

_UNOPENED = (
    "proxies open it once there is one; if the host or port is wrong, correct outlets.xds.tcp "
    "(`meshbridge dump` shows all hosts and their ports)"
)
"""What to do about a TCP listener that leads nowhere."""


class Xds:
    """Serves Envoy and proxyless gRPC."""

    Options: type[BaseModel] = XdsOptions
    formats = ("envoy",)

    def __init__(self, options: BaseModel) -> None:
        """Make it from :class:`XdsOptions`."""
        self._options = XdsOptions.model_validate(options)
        self._server: DiscoveryServer | None = None

    async def serve(self, snapshots: Snapshots, context: OutletContext) -> Never:
        """Serve until cancelled.

        Raises ConfigurationError for a port in use or an unreadable certificate.
        """
        offers = Offers()
        self._server = DiscoveryServer("xds", offers, served_type, context)
        encoder = self._encode(snapshots, offers, context)
        try:
            await self._server.serve_beside(encoder, self._options)
        finally:
            self._server = None

    def subscribers(self) -> tuple[Subscriber, ...]:
        """Return who is connected now."""
        return self._server.subscribers() if self._server else ()

    def delivered(self, service: Service) -> Iterator[tuple[Delivery, ...]]:
        """Yield for each subscriber how the clusters and endpoints of a service stand."""
        if self._server is not None:
            names = [cluster_name(service.host, port.number) for port in service.ports]
            yield from self._server.delivered({CDS: names, EDS: names})

    def render(self, snapshot: Snapshot, format: str) -> str:  # noqa: A002 - the word of the CLI
        """Return the resources of a snapshot as YAML. Raises ValueError for another format."""
        if format not in self.formats:
            raise ValueError(format)
        return as_yaml(_complete(self._encoder(), snapshot))

    def _encoder(self) -> Encoder:
        return Encoder(
            http=tuple(HttpListener(each.listen, each.ports) for each in self._options.http),
            tcp=tuple(TcpListener(each.listen, each.host, each.port) for each in self._options.tcp),
        )

    async def _encode(self, snapshots: Snapshots, offers: Offers, context: OutletContext) -> Never:
        """Encode each snapshot that comes, in slices, and offer it."""
        encoder = self._encoder()
        encoded = Gauge(
            "meshbridge_xds_encoded_resources",
            "Resources encoded since the start; each once for each change.",
            registry=context.metrics,
        )
        seen: Snapshot | None = None
        unopened: tuple[Omission, ...] = ()
        while True:
            seen = await snapshots.after(seen)
            offers.publish(await _in_slices(encoder, seen, context.clock))
            encoded.set(encoder.encoded)
            context.problems("xds encoder", _problems(encoder.omissions(), seen))
            before, unopened = unopened, encoder.unopened()
            if unopened != before:
                _log_listeners(context, before, unopened)
                context.problems("xds listeners", map(_unopened_problem, unopened))


async def _in_slices(encoder: Encoder, snapshot: Snapshot, clock: Callable[[], float]) -> Offer:
    steps = encoder.encode(snapshot)
    until = clock() + _SLICE
    taken = 0
    while True:
        try:
            next(steps)
        except StopIteration as done:
            offer: Offer = done.value
            return offer
        taken += 1
        if not taken % LOADED:  # a first snapshot, or one after an outage: it stays
            settle()
        if clock() >= until:
            await asyncio.sleep(0)
            until = clock() + _SLICE


def _complete(encoder: Encoder, snapshot: Snapshot) -> Offer:
    steps = encoder.encode(snapshot)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            offer: Offer = done.value
            return offer


def _problems(omissions: Mapping[str, Iterable[Omission]], snapshot: Snapshot) -> list[Problem]:
    """Return what was left out of each host, in the words of the registry that it comes from."""
    return [
        Problem(
            registry=source.registry,
            subject=f"{source.name} {omission.subject}",
            kind=ProblemKind.OTHER,
            reason=omission.reason,
            remedy="it is left out; correct the registration",
        )
        for host, left_out in omissions.items()
        for source in (first_source(snapshot.services[host], "xds"),)
        for omission in left_out
    ]


def _unopened_problem(listener: Omission) -> Problem:
    return Problem(
        registry="xds",
        subject=listener.subject,
        kind=ProblemKind.OTHER,
        reason=listener.reason,
        remedy=_UNOPENED,
    )


def _log_listeners(
    context: OutletContext, before: tuple[Omission, ...], now: tuple[Omission, ...]
) -> None:
    """Say which TCP listeners lead nowhere since this snapshot, and which lead somewhere again."""
    for each in now:
        if each not in before:
            context.logger.warning(
                "listener not opened", listener=each.subject, reason=each.reason, next=_UNOPENED
            )
    remaining = {each.subject for each in now}
    for each in before:
        if each.subject not in remaining:
            context.logger.info("listener open", listener=each.subject)
