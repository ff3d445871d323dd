"""The outlet ``mcp``: serves every snapshot to istiod as MCP over xDS."""

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from typing import Literal, Never

from prometheus_client import Counter, Gauge
from pydantic import BaseModel

from meshbridge.mirror import Held
from meshbridge.outlet import Delivery, OutletContext, Subscriber
from meshbridge.problems import Problem
from meshbridge.service import Service
from meshbridge.settings import Address, ListenAddress, Listener
from meshbridge.snapshot import Snapshot, Snapshots
from meshbridge.turns import Turns
from meshbridge_mcp import mirror
from meshbridge_mcp.asking import Origin
from meshbridge_mcp.crowds import Crowds, crowd
from meshbridge_mcp.feedback import Feedback, FeedbackMetrics
from meshbridge_mcp.istio import Shape, entries
from meshbridge_mcp.kinds import WITHHELD, WORKLOAD_ENTRY, resource_type
from meshbridge_mcp.ledger import Ledger
from meshbridge_mcp.manifest import manifests
from meshbridge_mcp.virtual_service import routing
from meshbridge_xds.offers import Offer, Offers
from meshbridge_xds.resources import ResourceSet
from meshbridge_xds.server import DiscoveryServer

NAME = "mcp"

_UNKNOWN: dict[str, ResourceSet | None] = dict.fromkeys(WITHHELD)


class Options(Listener):
    """Where istiod finds the bridge: its ``configSources`` name the address as ``xds://…``.

    istiod shows no certificate, so one that requires client certificates shuts it out.
    """

    listen: ListenAddress = Address("127.0.0.1", 15051)
    names: Literal["omit", "resolve"] = "omit"
    """An instance whose address is a DNS name: left out, or resolved by each proxy"""
    endpoints: Literal["inline", "workload-entries"] = "inline"
    """In their host's ServiceEntry, or each in a WorkloadEntry"""
    debug: tuple[Origin, ...] = ()
    """Where istiods show their store (/debug/configz), to see what they have taken over"""

    @property
    def takes_names(self) -> bool:
        """Whether instances are published whose address is a DNS name."""
        return self.names == "resolve"


class Mcp:
    """Serves istiod its resources; of a type it is told nothing before the type is known whole."""

    Options = Options
    formats = ("istio",)
    mirrors = "istiod"
    untold = mirror.UNTOLD

    def __init__(self, options: BaseModel) -> None:
        """Make it for its part of the configuration."""
        if not isinstance(options, Options):
            raise TypeError(f"not the options of {NAME}: {options!r}")
        self._options = options
        self._shape = Shape(inline=options.endpoints == "inline", names=options.takes_names)
        self._server: DiscoveryServer | None = None
        self._names: Callable[[str], Mapping[str, tuple[str, ...]]] = _nameless

    async def serve(self, snapshots: Snapshots, context: OutletContext) -> Never:
        """Serve until cancelled.

        Types that do not come from services are answered at once: istiod waits for every one.
        Raises ConfigurationError for a port in use or an unreadable certificate.
        """
        offers = Offers()
        offers.publish(Offer(_UNKNOWN))
        types = partial(resource_type, workloads_first=not self._shape.inline)
        self._server = DiscoveryServer(NAME, offers, types, context)

        def say(host: str, problems: Iterable[Problem]) -> None:
            context.problems((NAME, host), problems)

        ledger = Ledger(say, self._shape)
        self._names = ledger.names
        encoder = _follow(snapshots, offers, context, ledger)
        try:
            feedback = self._feedback(offers, context)
            await self._server.serve_beside(encoder, self._options, *feedback)
        finally:
            self._server = None

    def _feedback(
        self, offers: Offers, context: OutletContext
    ) -> Iterator[Coroutine[object, object, Never]]:
        """Yield what looks at each istiod whose debug address is known."""
        if not self._options.debug:
            return
        metrics = FeedbackMetrics(NAME, context.metrics)
        for origin in dict.fromkeys(self._options.debug):
            yield Feedback(origin, offers, context, metrics).follow()

    def subscribers(self) -> tuple[Subscriber, ...]:
        """Return who is connected now."""
        return self._server.subscribers() if self._server else ()

    def delivered(self, service: Service) -> Iterator[tuple[Delivery, ...]]:
        """Yield for each istiod how the resources of a service stand."""
        if self._server is not None:
            yield from self._server.delivered(self._names(service.host))

    def render(self, snapshot: Snapshot, format: str) -> str:  # noqa: A002 - the word of the CLI
        """Return the resources of a snapshot as YAML documents."""
        if format not in self.formats:
            raise ValueError(f"{NAME} renders {self.formats}, not {format!r}")
        return manifests(
            document
            for _, service in sorted(snapshot.services.items())
            for document in (*entries(service, self._shape).documents, *routing(service).documents)
        )

    def told(self, service: Service) -> Service | None:
        """Return what of a service an istiod gives back."""
        return mirror.told(service)

    def held(self, answer: bytes) -> Held:
        """Read ``/debug/configz`` of an istiod; raises BadData."""
        return mirror.held(answer)


def _nameless(_: str) -> Mapping[str, tuple[str, ...]]:
    """Return what a host's resources are called before there are any."""
    return {}


async def _follow(
    snapshots: Snapshots, offers: Offers, context: OutletContext, ledger: Ledger
) -> Never:
    """Encode each newest snapshot and offer it; those in between are skipped."""
    turns = Turns()
    resources = Gauge(
        f"meshbridge_{NAME}_resources",
        "Resources offered.",
        registry=context.metrics,
    )
    encoded = Counter(
        f"meshbridge_{NAME}_encoded_resources",
        "Resources encoded; each once for each change.",
        registry=context.metrics,
    )
    crowds, logged = Crowds(), set[str]()
    snapshot: Snapshot | None = None
    while True:
        snapshot = await snapshots.after(snapshot)
        before = ledger.encoded
        async with turns.turn() as turn:
            offered = await ledger.follow(snapshot, turn)
        offers.publish(Offer({**_UNKNOWN, **offered}))
        resources.set(sum(len(each.listed) for each in offered.values()))
        encoded.inc(ledger.encoded - before)
        _tell(crowds.follow(offered[WORKLOAD_ENTRY]), context, logged)


def _tell(crowded: Mapping[str, bool], context: OutletContext, logged: set[str]) -> None:
    """Say which namespaces have too many WorkloadEntries; the log hears of each once."""
    for namespace, too_many in crowded.items():
        problem = crowd(NAME, namespace)
        context.problems((NAME, "namespace", namespace), (problem,) if too_many else ())
        if too_many and namespace not in logged:
            logged.add(namespace)
            context.logger.warning(
                "many WorkloadEntries",
                namespace=namespace,
                reason=problem.reason,
                next=problem.remedy,
            )
