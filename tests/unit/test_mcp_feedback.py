"""When an istiod is asked what it has taken over, and what is told of its answers and silences."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from unit.runtime.examples import Log

from meshbridge.outlet import OutletContext
from meshbridge.problems import ProblemKind, Problems
from meshbridge.testing.clock import Clock
from meshbridge_mcp.asking import Unreadable
from meshbridge_mcp.feedback import Feedback, FeedbackMetrics
from meshbridge_mcp.kinds import SERVICE_ENTRY, WORKLOAD_ENTRY
from meshbridge_xds.offers import Offer, Offers
from meshbridge_xds.resources import Resource, ResourceSet

ORIGIN = "http://127.0.0.1:15014"


def listening(_what: str, _where: str) -> None:
    """Nothing here listens."""


@dataclass
class Istiod:
    """An istiod that answers what the test says, its clock, and all that is told of it."""

    held: dict[str, str] = field(default_factory=dict[str, str])
    says: bytes | None = None
    """What it answers instead."""
    failure: Exception | None = None
    takes: float = 0.0
    """Seconds until it answers."""
    asked: list[float] = field(default_factory=list[float])
    busy: int = 0
    clock: Clock = field(default_factory=lambda: Clock(0.0))
    log: Log = field(default_factory=Log)
    problems: Problems = field(default_factory=Problems)
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    offers: Offers = field(default_factory=Offers)

    async def ask(self, origin: str) -> bytes:
        assert (origin, self.busy) == (ORIGIN, 0)
        self.asked.append(self.clock())
        self.busy += 1
        await asyncio.sleep(self.takes)
        self.busy -= 1
        if self.failure is not None:
            raise self.failure
        return (
            self.says
            or json.dumps(
                [
                    {
                        "kind": "ServiceEntry",
                        "apiVersion": "networking.istio.io/v1",
                        "metadata": {"name": name, "namespace": "shop", "resourceVersion": version},
                    }
                    for name, version in self.held.items()
                ]
            ).encode()
        )

    def offer(self, **versions: str) -> None:
        entries = {f"shop/{n}": Resource(f"shop/{n}", v) for n, v in versions.items()}
        self.offers.publish(Offer({SERVICE_ENTRY: ResourceSet(entries), WORKLOAD_ENTRY: None}))

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """Follow it while the scenario runs."""
        logger, put = self.log.logger(), self.problems.put
        context = OutletContext(self.clock, logger, self.metrics, listening, put)
        counted = FeedbackMetrics("mcp", self.metrics)
        feedback = Feedback(ORIGIN, self.offers, context, counted, self.ask)

        async def main() -> None:
            following = asyncio.create_task(feedback.follow())
            await scenario()
            following.cancel()
            await asyncio.wait([following])
            assert following.cancelled()

        self.clock.run(main())

    def subjects(self) -> list[str]:
        return [each.subject for each in self.problems]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.get_sample_value(f"meshbridge_mcp_{name}", {"istiod": ORIGIN, **labels})


def test_it_is_asked_each_half_minute_and_soon_after_a_change() -> None:
    it = Istiod()
    it.offer()

    async def scenario() -> None:
        await it.clock.sleep(65)
        assert it.asked == [2, 32, 62]
        it.offer(a="1")  # so soon after a look it has to wait
        await it.clock.sleep(25)
        assert it.asked == [2, 32, 62, 74]
        it.offer(a="2")
        await it.clock.sleep(5)
        assert it.asked == [2, 32, 62, 74, 92]

    it.run(scenario)


def test_it_is_asked_at_most_each_ten_seconds_however_often_something_changes() -> None:
    it = Istiod()

    async def scenario() -> None:
        for second in range(60):
            it.offer(a=str(second))
            await it.clock.sleep(1)
        assert it.asked == [2, 14, 26, 38, 50]

    it.run(scenario)


def test_it_is_asked_one_thing_at_a_time() -> None:
    """One that takes its time is given it."""
    it = Istiod(takes=100.0)
    it.offer()

    async def scenario() -> None:
        await it.clock.sleep(290)
        assert it.asked == [2, 132, 262]

    it.run(scenario)


def test_it_is_not_asked_before_anything_was_offered() -> None:
    it = Istiod()

    async def scenario() -> None:
        await it.clock.sleep(200)
        assert it.asked == []

    it.run(scenario)


def test_what_it_does_not_take_over_is_listed_until_it_has() -> None:
    it = Istiod({"a": "1", "theirs": "x"})
    it.offer(a="1", b="1", theirs="1")

    async def scenario() -> None:
        await it.clock.sleep(31)
        assert it.subjects() == []
        await it.clock.sleep(2)
        assert it.subjects() == ["ServiceEntry shop/b", "ServiceEntry shop/theirs"]
        assert {each.kind for each in it.problems} == {ProblemKind.NOT_TAKEN_OVER}
        assert it.metric("not_taken_over", instead="missing") == 1
        assert it.metric("not_taken_over", instead="foreign") == 1
        assert it.metric("not_taken_over", instead="other-version") == 0
        await it.clock.sleep(300)
        assert it.log.events() == ["resources not taken over"]
        it.held = {"a": "1", "b": "1", "theirs": "1"}
        await it.clock.sleep(31)
        assert it.subjects() == []
        assert it.metric("not_taken_over", instead="missing") == 0

    it.run(scenario)
    begun, ended = it.log.entries
    assert begun["count"] == 2
    assert begun["resources"] == ["ServiceEntry shop/theirs", "ServiceEntry shop/b"]
    assert ended["event"] == "resources taken over"
    assert ended["after_seconds"] == 330.0


def test_what_is_not_known_yet_is_not_missed() -> None:
    """A type that is not answered at all cannot be taken over."""
    it = Istiod()
    it.offers.publish(Offer({SERVICE_ENTRY: None}))

    async def scenario() -> None:
        await it.clock.sleep(200)
        assert it.subjects() == []
        assert it.metric("istiod_up") == 1

    it.run(scenario)


def test_an_outage_is_said_once_and_once_its_end_and_takes_nothing_back() -> None:
    """What was late when it began is late as far as anybody knows."""
    it = Istiod()
    it.offer(a="1")

    async def scenario() -> None:
        await it.clock.sleep(35)
        assert it.subjects() == ["ServiceEntry shop/a"]
        it.failure = Unreadable("it cannot be reached: Connection refused")
        await it.clock.sleep(200)
        assert it.subjects() == ["ServiceEntry shop/a", f"istiod {ORIGIN}"]
        assert it.metric("istiod_up") == 0
        it.failure, it.held = None, {"a": "1"}
        await it.clock.sleep(31)
        assert it.subjects() == []
        assert it.metric("istiod_up") == 1

    it.run(scenario)
    assert it.log.events() == [
        "resources not taken over",
        "istiod unreadable",
        "istiod readable",
        "resources taken over",
    ]
    assert it.log.entries[1]["reason"] == "it cannot be reached: Connection refused"
    assert it.log.entries[1]["istiod"] == ORIGIN
    assert it.log.entries[2]["after_seconds"] > 150


def test_an_answer_that_is_none_is_an_outage() -> None:
    it = Istiod(says=b"<html>")
    it.offer(a="1")

    async def scenario() -> None:
        await it.clock.sleep(100)
        (problem,) = it.problems
        assert problem.reason.startswith("what it has taken over is not known: it is no JSON: ")

    it.run(scenario)
    assert it.log.events() == ["istiod unreadable"]


def test_a_fault_of_ours_is_logged_whole_and_ends_nothing() -> None:
    """It would take the serving of istiod with it."""
    it = Istiod()
    it.offer(a="1")
    it.failure = Unreadable("it cannot be reached")

    async def scenario() -> None:
        await it.clock.sleep(35)
        it.failure = RuntimeError("a bug")
        await it.clock.sleep(100)
        it.failure, it.held = None, {"a": "1"}
        await it.clock.sleep(31)
        assert it.subjects() == []

    it.run(scenario)
    assert it.log.events() == ["istiod unreadable", "istiod unreadable", "istiod readable"]
    assert it.log.entries[1]["exc_info"] is not None
