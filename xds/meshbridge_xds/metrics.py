"""Counts what an outlet's streams do; the names are contracts (``meshbridge_<outlet>_…``).

No label names a peer: each connection comes from a port of its own, and a series that ended stays
with whoever reads it. Who is slow stands in ``/api/subscribers``; here stands that somebody is.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from meshbridge_xds.pace import Pace

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds in seconds: an istiod takes one change in milliseconds, all of a mesh in seconds."""


class Seconds:
    """A histogram of seconds, at a tenth of what prometheus_client's own takes for each."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        """Start empty."""
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return how many were at most as long as each bound."""
        bounds = (*map(str, BOUNDS), "+Inf")
        return [(bound, float(n)) for bound, n in zip(bounds, accumulate(self.counts), strict=True)]


@dataclass(frozen=True, slots=True)
class TypeMetrics:
    """The counters of one type, looked up once: there are two for each response."""

    responses: Counter
    bytes: Counter
    accepted: Counter
    refused: Counter
    acks: Seconds = field(default_factory=Seconds)
    unanswered: dict[Pace, None] = field(default_factory=dict[Pace, None])
    """Who owes an answer, in the order of the responses: the first one has waited longest."""

    def begin(self, pace: Pace, now: float) -> None:
        """Note that a response is handed over."""
        pace.begin(now)
        self.unanswered[pace] = None

    def end(self, pace: Pace, now: float, *, accepted: bool) -> None:
        """Note its answer."""
        (self.accepted if accepted else self.refused).inc()
        self.forget(pace)
        if (seconds := pace.end(now, accepted=accepted)) is not None:
            self.acks.add(seconds)

    def forget(self, pace: Pace) -> None:
        """Expect no answer any more."""
        self.unanswered.pop(pace, None)

    def lag(self, now: float) -> float:
        """Return for how many seconds the oldest unanswered response has been so; 0: none is."""
        oldest = next(iter(self.unanswered), None)
        return (oldest.lag(now) if oldest else None) or 0.0


class StreamMetrics(Collector):
    """The metrics of one outlet that speaks xDS."""

    def __init__(
        self, outlet: str, registry: CollectorRegistry, clock: Callable[[], float]
    ) -> None:
        """Register them under the outlet's name; ``clock`` returns monotonic seconds."""
        self._name = name = f"meshbridge_{outlet}"
        self._clock = clock
        label = ("type",)
        self.streams = Gauge(f"{name}_streams", "Connected streams.", registry=registry)
        self._responses = Counter(
            f"{name}_responses", "Responses sent, by resource type.", label, registry=registry
        )
        self._bytes = Counter(
            f"{name}_sent_bytes", "Bytes of responses sent, by type.", label, registry=registry
        )
        self._accepted = Counter(
            f"{name}_acks", "Responses that subscribers accepted.", label, registry=registry
        )
        self._refused = Counter(
            f"{name}_nacks", "Responses that subscribers refused.", label, registry=registry
        )
        self.aborted = Counter(
            f"{name}_aborted_streams", "Streams ended for their requests.", registry=registry
        )
        self._types: dict[str, TypeMetrics] = {}
        registry.register(self)

    def of(self, label: str) -> TypeMetrics:
        """Return the counters of the types that are called so; they are of a fixed few."""
        found = self._types.get(label)
        if found is None:
            found = self._types[label] = TypeMetrics(
                self._responses.labels(label),
                self._bytes.labels(label),
                self._accepted.labels(label),
                self._refused.labels(label),
            )
        return found

    def collect(self) -> Iterator[Metric]:
        """Yield what is looked up when somebody asks: how quickly subscribers answer."""
        label, now = ("type",), self._clock()
        acks = HistogramMetricFamily(
            f"{self._name}_ack_seconds",
            "From handing over a response to its acceptance.",
            labels=label,
        )
        unanswered = GaugeMetricFamily(
            f"{self._name}_unanswered_responses", "Responses without an answer yet.", labels=label
        )
        lag = GaugeMetricFamily(
            f"{self._name}_unanswered_seconds",
            "For how long the oldest of them has had none; 0 while there is none.",
            labels=label,
        )
        for name, found in sorted(self._types.items()):
            acks.add_metric([name], found.acks.buckets(), found.acks.total)
            unanswered.add_metric([name], len(found.unanswered))
            lag.add_metric([name], found.lag(now))
        yield from (acks, unanswered, lag)

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: names are known once something is there."""
        return iter(())
