"""How quickly subscribers answer, as metrics: nobody's name is in them, and time is handed in."""

import pytest
from prometheus_client import CollectorRegistry

from meshbridge_xds.metrics import StreamMetrics
from meshbridge_xds.pace import Pace


class Outlet:
    """The metrics of an outlet, read as Prometheus would, at a time that the test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.registry = CollectorRegistry()
        self.metrics = StreamMetrics("mcp", self.registry, lambda: self.now)

    def read(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"meshbridge_mcp_{name}", {"type": "cds", **labels})


def test_the_lag_is_that_of_the_oldest_response_without_an_answer() -> None:
    """Whoever answers out of turn takes its own away and no other one's."""
    outlet = Outlet()
    slow, slower, quick = Pace(), Pace(), Pace()
    cds = outlet.metrics.of("cds")
    for pace in (slower, slow, quick):
        cds.begin(pace, outlet.now)
        outlet.now += 1.0
    assert (outlet.read("unanswered_responses"), outlet.read("unanswered_seconds")) == (3, 3.0)
    cds.end(quick, outlet.now, accepted=True)
    assert (outlet.read("unanswered_responses"), outlet.read("unanswered_seconds")) == (2, 3.0)
    outlet.now += 60.0
    assert outlet.read("unanswered_seconds") == 63.0
    cds.forget(slower)
    assert outlet.read("unanswered_seconds") == 62.0
    outlet.metrics.of("cds").end(slow, outlet.now, accepted=False)
    assert (outlet.read("unanswered_responses"), outlet.read("unanswered_seconds")) == (0, 0.0)


@pytest.mark.parametrize(
    ("seconds", "within", "beyond"),
    [(0.0, "0.001", None), (0.25, "0.25", "0.1"), (0.2501, "0.5", "0.25"), (61.0, "+Inf", "60.0")],
)
def test_an_acknowledgement_counts_in_every_bucket_that_it_is_within(
    seconds: float, within: str, beyond: str | None
) -> None:
    outlet = Outlet()
    cds, pace = outlet.metrics.of("cds"), Pace()
    cds.begin(pace, outlet.now)
    cds.end(pace, outlet.now + seconds, accepted=True)
    assert outlet.read("ack_seconds_bucket", le=within) == 1
    assert beyond is None or outlet.read("ack_seconds_bucket", le=beyond) == 0
    assert outlet.read("ack_seconds_count") == 1
    assert outlet.read("ack_seconds_sum") == pytest.approx(seconds)
    assert outlet.read("acks_total") == 1


def test_a_refusal_is_an_answer_and_no_acknowledgement() -> None:
    """What was accepted last took what it took."""
    outlet = Outlet()
    cds, pace = outlet.metrics.of("cds"), Pace()
    for accepted in (True, False):
        cds.begin(pace, outlet.now)
        outlet.now += 2.0
        cds.end(pace, outlet.now, accepted=accepted)
        outlet.now += 5.0
    assert (outlet.read("ack_seconds_count"), outlet.read("nacks_total")) == (1, 1)
    assert (pace.responses, pace.seconds, pace.lag(outlet.now)) == (2, 2.0, None)


def test_an_answer_to_nothing_takes_no_time() -> None:
    pace = Pace()
    assert pace.end(5.0, accepted=True) is None
    assert pace.seconds is None
