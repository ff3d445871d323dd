"""A large registry is read in small steps, and a change in it costs next to nothing.

How long it takes depends on the machine, so this looks at shares.
"""

import gc
import time
from collections.abc import Iterator

import pytest
from unit.eureka.answers import NOW, Record, body_of, record

from meshbridge.steps import Steps, at_once, in_turns
from meshbridge_eureka.services import News
from meshbridge_eureka.view import View

APPLICATIONS, EACH = 1_000, 10
SHARE = 0.1
"""Of all work on ten thousand instances, that one step may take: 20 ms where all takes 200."""


def instances(name: str, number: int, renewed: int = NOW, **changed: object) -> Iterator[Record]:
    """Yield instances as Spring Cloud registers them, of about 1 KB."""
    for each in range(number):
        lease = {"lastRenewalTimestamp": renewed, "registrationTimestamp": NOW}
        url = f"http://10.0.{each // 250}.{each % 250}:8080"
        yield record(
            f"{name}-{each}:8080",
            app=name.upper(),
            vipAddress=name,
            secureVipAddress=name,
            ipAddr=f"10.0.{each // 250}.{each % 250}",
            leaseInfo=lease | {"durationInSecs": 90, "renewalIntervalInSecs": 30},
            metadata={"zone": f"z{each % 3}", "version": "v2", "management.port": "8081"},
            homePageUrl=f"{url}/",
            statusPageUrl=f"{url}/actuator/info",
            healthCheckUrl=f"{url}/actuator/health",
            isCoordinatingDiscoveryServer="false",
            **changed,
        )


def body(applications: int, each: int, renewed: int = NOW) -> bytes:
    """Return an answer of so many applications with so many instances each."""
    return body_of(
        *[
            {"name": name.upper(), "instance": list(instances(name, each, renewed))}
            for name in (f"service-{number}" for number in range(applications))
        ],
        hashcode=f"UP_{applications * each}_",
    )


def timed(steps: Steps[News]) -> tuple[News, float, float]:
    """Return what came of it, and the CPU seconds of all steps and of the longest one."""
    turns: list[float] = []

    def timing() -> Steps[News]:
        while True:
            begun = time.thread_time()
            try:
                next(steps)
            except StopIteration as end:
                made: News = end.value
                return made
            finally:
                turns.append(time.thread_time() - begun)
            yield

    gc.collect()
    gc.disable()
    try:
        news = at_once(timing())
    finally:
        gc.enable()
    return news, sum(turns), max(turns)


@pytest.mark.parametrize(("applications", "each"), [(APPLICATIONS, EACH), (1, APPLICATIONS * EACH)])
def test_ten_thousand_instances_leave_others_their_turns(applications: int, each: int) -> None:
    view = View()
    news, first, longest = timed(view.full(body(applications, each), NOW))
    assert len(news.services) == applications
    assert longest < SHARE * first, (longest, first)
    news, again, longest_again = timed(view.full(body(applications, each, NOW + 30_000), NOW))
    assert news == News()
    assert again < first
    assert longest_again < SHARE * first, (longest_again, first)


def test_one_change_among_ten_thousand_instances_costs_next_to_nothing() -> None:
    view = View()
    _, whole, _ = timed(view.full(body(APPLICATIONS, EACH), NOW))
    changes = list(instances("service-7", 1, status="DOWN", lastUpdatedTimestamp=NOW + 1))
    application: Record = {"name": "SERVICE-7", "instance": changes}
    delta = body_of(application, hashcode=f"DOWN_1_UP_{APPLICATIONS * EACH - 1}_")
    news, one, _ = timed(view.delta(delta, NOW))
    assert news.agrees
    assert len(news.services) == 1
    assert one < whole / 50, (one, whole)


@pytest.mark.asyncio
async def test_its_steps_are_turns() -> None:
    assert len((await in_turns(View().full(body(20, EACH), NOW))).services) == 20
