"""Whatever happens to a registry, and however late it is told, the view of it comes to the same."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.eureka.simulated_eureka import CACHE_EVERY, DURATION, Lease, SimulatedEureka

from meshbridge import Changed, Health, RegisteredService
from meshbridge.steps import at_once
from meshbridge_eureka.agenda import Agenda, Ask
from meshbridge_eureka.parse import LATE
from meshbridge_eureka.telling import listing, updates
from meshbridge_eureka.view import View

pytestmark = pytest.mark.slow

INTERVAL, FULL_INTERVAL = 5, 250
HISTORIES = 700
"""Of each of the three kinds."""
STATUSES = ("UP", "UP", "DOWN", "STARTING")
OVERRIDES = ("OUT_OF_SERVICE", "UNKNOWN", "UP")
HEALTH = {
    "UP": Health.HEALTHY,
    "DOWN": Health.UNHEALTHY,
    "STARTING": Health.DISABLED,
    "OUT_OF_SERVICE": Health.DISABLED,
}
APPLICATIONS = ("ORDERS", "USERS", "ARCHIVE")
PAUSES = (0, 1, 4, 7, 31, 65)
AWAY_FOR = 190
"""Seconds after which changes are no longer told."""

Told = dict[str, dict[str, tuple[int, Health]]]


class Watching:
    """A server, and who reads it."""

    def __init__(self, *, cached: bool, apart: int = 0) -> None:
        """Begin with an empty server."""
        self.server = SimulatedEureka(cached=cached, apart=apart)
        self.cached = cached
        self.view = View()
        self.agenda = Agenda(INTERVAL, FULL_INTERVAL, lambda: 0.0)
        self.core: dict[str, RegisteredService] = {}
        """What the core was told."""

    def passes(self, seconds: int, then: Callable[[], None] = lambda: None) -> None:
        """Let time pass, and read when it is due."""
        for _ in range(seconds):
            self.server.advance(1)
            while self.agenda.due <= self.server.seconds:
                self.read()
                then()

    def is_quiet(self, seconds: int) -> None:
        """Let time pass in which nothing happens: no lease ends either."""
        for lease in self.server.leases.values():
            lease.alive = True
        self.passes(seconds)

    def read(self) -> None:
        """Ask, and tell the core."""
        now = self.server.seconds
        question = self.agenda.question(now)
        body = self.server.answer(question.ask)
        if question.ask is Ask.FULL:
            news = at_once(self.view.full(body, self.server.now))
            self.agenda.took_full(now)
        else:
            news = at_once(self.view.delta(body, self.server.now))
            self.agenda.took_delta(now, agrees=news.agrees)
        assert news.faults == ()
        if news.agrees and not self.cached:
            assert len(self.view) == len(self.server.leases)
        for update in updates(news, "applications"):
            if isinstance(update, Changed):
                self.core[update.service.id.name] = update.service
            else:
                del self.core[update.service_id.name]

    def told(self) -> Told:
        """Return what the core knows, which is what a listing would tell it."""
        whole = at_once(listing(self.view, "applications", after_gap=False))
        assert {each.id.name: each for each in whole.services} == self.core
        return {
            name: {each.id: (each.ports[0].number, each.health) for each in service.instances}
            for name, service in self.core.items()
        }

    def held(self) -> Told:
        """Return what the server holds; whose lease is long over may be either."""
        found: Told = {}
        told = self.told()
        for (application, own), lease in sorted(self.server.leases.items()):
            for name in lease.vip.split(","):
                held = found.setdefault(name, {})
                identity = f"{application}/{own}" if own in held else own
                known = told.get(name, {}).get(identity)
                held[identity] = (lease.port, self._health(lease, known[1] if known else None))
        return found

    def _health(self, lease: Lease, known: Health | None) -> Health:
        health = HEALTH[lease.status]
        over = self.server.now - lease.renewed - 2_000 * DURATION - LATE
        judged = over > 1_000 * (FULL_INTERVAL + CACHE_EVERY + INTERVAL)
        if health is Health.HEALTHY and over > 0 and (judged or known is Health.DEGRADED):
            return Health.DEGRADED
        return health


def happen(watching: Watching, what: str, number: int) -> None:
    """Let something happen to one of the instances, if it can."""
    server = watching.server
    if what == "register":
        application = APPLICATIONS[number % len(APPLICATIONS)]
        name = application.lower()
        vip = name if number % 2 else f"{name},shared"
        status = STATUSES[number % len(STATUSES)]
        server.register(application, f"i{number % 9}", status, 8080 + number % 5, vip)
        return
    if not server.leases:
        return
    lease = list(server.leases.values())[number % len(server.leases)]
    match what:
        case "cancel":
            server.cancel(lease)
        case "override":
            server.override(lease, OVERRIDES[number % len(OVERRIDES)])
        case "die":
            lease.alive = False
        case "swap":  # as many of each status as before
            server.cancel(lease)
            other = f"i{10 + number % 9}"
            server.register(lease.application, other, lease.status, lease.port, lease.vip)
        case _:
            server.preserving = not server.preserving


WHAT = ("register", "register", "register", "cancel", "override", "die", "swap", "preserve")
HAPPENS = st.tuples(st.sampled_from(WHAT), st.integers(0, 99), st.sampled_from(PAUSES))
AWAY = st.tuples(st.just("away"), st.integers(0, 2), st.sampled_from(PAUSES))


@settings(max_examples=HISTORIES, deadline=None)
@given(history=st.lists(HAPPENS, min_size=5, max_size=25))
def test_without_a_cache_each_answer_leaves_the_view_equal_to_the_server(
    history: list[tuple[str, int, int]],
) -> None:
    watching = Watching(cached=False)

    def compare() -> None:
        if watching.agenda.question(watching.server.seconds).ask is Ask.DELTA:
            assert watching.told() == watching.held()

    watching.passes(1)
    for what, number, pause in history:
        happen(watching, what, number)
        watching.passes(pause, compare)
    watching.is_quiet(2 * INTERVAL)
    assert watching.told() == watching.held()


@settings(max_examples=HISTORIES, deadline=None)
@given(history=st.lists(HAPPENS, min_size=5, max_size=25))
def test_with_the_server_s_cache_the_view_is_equal_after_a_quiet_time(
    history: list[tuple[str, int, int]],
) -> None:
    watching = Watching(cached=True)
    for what, number, pause in history:
        happen(watching, what, number)
        watching.passes(pause)
    watching.is_quiet(CACHE_EVERY + 2 * INTERVAL)
    assert watching.told() == watching.held()


@settings(max_examples=HISTORIES, deadline=None)
@given(
    history=st.lists(
        HAPPENS | st.tuples(st.just("away"), st.integers(0, 2), st.just(0)), max_size=20
    ),
    cached=st.booleans(),
    apart=st.sampled_from([0, 10, 20]),
)
def test_what_nobody_told_is_known_after_the_full_interval(
    history: list[tuple[str, int, int]], *, cached: bool, apart: int
) -> None:
    """Changes that are missed show in the hash code, or in the next full answer."""
    watching = Watching(cached=cached, apart=apart)
    for what, number, pause in history:
        if what == "away":
            for other in range(number):  # things happen meanwhile
                happen(watching, "swap", other)
            watching.server.advance(AWAY_FOR)
        else:
            happen(watching, what, number)
        watching.passes(pause)
    watching.is_quiet(CACHE_EVERY + FULL_INTERVAL + 2 * INTERVAL)
    assert watching.told() == watching.held()
