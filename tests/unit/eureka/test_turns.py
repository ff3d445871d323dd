"""A large registry is read in small steps, and a change in it is none.

How long they take is measured in benchmarks/eureka.py.
"""

from collections.abc import Iterator

import pytest
from unit.eureka.answers import NOW, Record, body_of, record

from meshbridge.steps import Steps, at_once, in_turns
from meshbridge_eureka.services import News
from meshbridge_eureka.view import View

APPLICATIONS, EACH = 1_000, 10
OFTEN = 100
"""Turns that others get at least: a step of a hundred instances takes 2 ms."""


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


def counted(steps: Steps[News]) -> tuple[News, int]:
    """Return what came of it, and how often others got their turn."""
    turns = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: News = end.value
            return made, turns
        turns += 1


@pytest.mark.parametrize(("applications", "each"), [(APPLICATIONS, EACH), (1, APPLICATIONS * EACH)])
def test_ten_thousand_instances_leave_others_their_turns(applications: int, each: int) -> None:
    view = View()
    news, turns = counted(view.full(body(applications, each), NOW))
    assert len(news.services) == applications
    assert turns >= OFTEN
    news, turns = counted(view.full(body(applications, each, NOW + 30_000), NOW))
    assert news == News()
    assert turns >= OFTEN


def test_one_change_among_ten_thousand_instances_is_one_step() -> None:
    view = View()
    at_once(view.full(body(APPLICATIONS, EACH), NOW))
    changes = list(instances("service-7", 1, status="DOWN", lastUpdatedTimestamp=NOW + 1))
    application: Record = {"name": "SERVICE-7", "instance": changes}
    delta = body_of(application, hashcode=f"DOWN_1_UP_{APPLICATIONS * EACH - 1}_")
    news, turns = counted(view.delta(delta, NOW))
    assert news.agrees
    assert len(news.services) == 1
    assert turns == 0


@pytest.mark.asyncio
async def test_its_steps_are_turns() -> None:
    assert len((await in_turns(View().full(body(20, EACH), NOW))).services) == 20
