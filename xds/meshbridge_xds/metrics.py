"""Counts what an outlet's streams do; the names are contracts (``meshbridge_<outlet>_…``)."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class StreamMetrics:
    """The metrics of one outlet that speaks xDS."""

    def __init__(self, outlet: str, registry: CollectorRegistry) -> None:
        """Register them under the outlet's name."""
        name = f"meshbridge_{outlet}"
        label = ("type",)
        self.streams = Gauge(f"{name}_streams", "Connected streams.", registry=registry)
        self.responses = Counter(
            f"{name}_responses", "Responses sent, by resource type.", label, registry=registry
        )
        self.bytes = Counter(
            f"{name}_sent_bytes", "Bytes of responses sent, by type.", label, registry=registry
        )
        self.accepted = Counter(
            f"{name}_acks", "Responses that subscribers accepted.", label, registry=registry
        )
        self.refused = Counter(
            f"{name}_nacks", "Responses that subscribers refused.", label, registry=registry
        )
        self.aborted = Counter(
            f"{name}_aborted_streams", "Streams ended for their requests.", registry=registry
        )
