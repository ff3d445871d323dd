"""Counts what an outlet's streams do; the names are contracts (``meshbridge_<outlet>_…``)."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge


@dataclass(frozen=True, slots=True)
class TypeMetrics:
    """The counters of one type, looked up once: there are two for each response."""

    responses: Counter
    bytes: Counter
    accepted: Counter
    refused: Counter


class StreamMetrics:
    """The metrics of one outlet that speaks xDS."""

    def __init__(self, outlet: str, registry: CollectorRegistry) -> None:
        """Register them under the outlet's name."""
        name = f"meshbridge_{outlet}"
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
