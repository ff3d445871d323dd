"""A run that is made up: a registry, observers that follow it late, faults, requests.

Nothing is ever lost in it, so a checker must find nothing. What the checker shall find is put in
afterwards, by :func:`dataclasses.replace` of an event or by ``steal``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from hypothesis import strategies as st

from meshbridge.testing.history import (
    Endpoint,
    FaultBegan,
    FaultEnded,
    FaultSeen,
    History,
    Request,
    Rules,
    Unreachable,
    View,
    Write,
)

ANCHOR = Endpoint("pay.file", "10.0.0.9:80")
"""Registered at first and never taken away."""
CHOICE = [Endpoint(host, f"10.0.0.{n}:80") for host in ("pay.file", "orders.file") for n in (1, 2)]
LAG = 0.4
"""The most that an observer is behind."""
EVERY = 0.1
QUIET = 2.0
RULES = Rules(
    rate=5,
    span=1,
    gap=0.3,
    away=frozenset({"bridge"}),
    grace=LAG,
    converge=LAG + 2 * EVERY + 0.1,
    same_versions=(frozenset({"bridge", "istiod"}),),
)
Seconds = st.floats(0.01, 1.0)


@dataclass(frozen=True)
class Step:
    """One write, with the moment in it at which it takes effect."""

    pause: float
    """Seconds since the one before was done."""
    takes: float
    effect: float
    """The part of ``takes`` after which it is so."""
    added: frozenset[Endpoint]
    removed: frozenset[Endpoint]
    changed: frozenset[str] = frozenset()
    """The hosts that get the other one of two weights."""


@dataclass(frozen=True)
class State:
    """What the registry has."""

    endpoints: frozenset[Endpoint]
    heavy: frozenset[str] = frozenset()
    """The hosts that have the other weight."""

    def after(self, step: Step) -> "State":
        """Return what it has after a write."""
        return State((self.endpoints | step.added) - step.removed, self.heavy ^ step.changed)

    def versions(self) -> dict[str, str]:
        """Return the version of each host: one for one content, as if it were a hash."""
        hosts = {each.host for each in self.endpoints}
        return {host: f"{self._of(host)} {host in self.heavy}" for host in hosts}

    def _of(self, host: str) -> list[str]:
        return sorted(each.address for each in self.endpoints if each.host == host)


@dataclass(frozen=True)
class Plan:
    """What is drawn of a run."""

    steps: Sequence[Step]
    lags: Sequence[float]
    """Of the bridge, Envoy and istiod."""
    delay: float
    """Seconds from asking an observer to its answer."""
    outage: tuple[float, float]
    """The bridge is away: since when, for how long."""
    steal: tuple[str, int] | None = None
    """An observer that does not show the anchor in one of its looks."""


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Draw a write."""
    sets = st.frozensets(st.sampled_from(CHOICE))
    added = draw(sets)
    changed = draw(st.frozensets(st.sampled_from(["pay.file", "orders.file"])))
    takes = draw(Seconds), draw(Seconds), draw(st.floats(0, 1))
    return Step(*takes, added, draw(sets) - added, changed)


plans = st.builds(
    Plan,
    st.lists(steps(), max_size=8),
    st.lists(st.floats(0, LAG), min_size=3, max_size=3),
    st.floats(0, EVERY),
    st.tuples(st.floats(QUIET, 2 * QUIET), st.floats(0.3, 3)),
)
OBSERVERS = ("bridge", "envoy", "istiod")
VERSIONED = ("bridge", "istiod")


@dataclass
class Clock:
    """Says what it is told."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def played(plan: Plan) -> History:
    """Return what would be noted."""
    clock = Clock()
    history = History(RULES, clock)
    states = [*_states(history, plan.steps)]
    begun, lasts = plan.outage
    ended = begun + lasts
    fault = "the bridge is away"
    history.add(FaultBegan(begun, fault))
    history.add(FaultSeen(begun + lasts / 2, fault, "refused"))
    history.add(FaultEnded(ended, fault))
    end = max(ended, states[-1][0] + 2.0) + QUIET
    for observer, lag in zip(OBSERVERS, plan.lags, strict=True):
        for number, asked in enumerate(_times(0.0, end)):
            clock.now = asked + plan.delay
            frozen = observer == "envoy" and begun < asked < ended
            seen = max(0.0, (begun if frozen else asked + plan.delay / 2) - lag)
            if observer == "bridge" and begun <= asked + plan.delay / 2 < ended:
                history.add(Unreachable(asked, clock.now, observer, "refused"))
                continue
            state = next(state for at, state in reversed(states) if at <= seen)
            stolen = {ANCHOR} if plan.steal == (observer, number) else set[Endpoint]()
            versions = state.versions() if observer in VERSIONED else {}
            history.sample(observer, View(state.endpoints - stolen, versions=versions), asked=asked)
    for sent in _times(0.0, end):
        history.add(Request("pay.file", sent, sent + 0.05, ANCHOR.address))
    return history


def _times(start: float, end: float) -> Iterator[float]:
    return (start + EVERY * number for number in range(int((end - start) / EVERY)))


def _states(history: History, listed: Sequence[Step]) -> Iterator[tuple[float, State]]:
    """Note the writes; yield what the registry had since when."""
    history.add(Write(-1.0, -0.5, frozenset({ANCHOR}), note="the first contents"))
    had = State(frozenset({ANCHOR}))
    yield -1.0, had
    ends = accumulate(each.pause + each.takes for each in listed)
    for step, end in zip(listed, ends, strict=True):
        begun = QUIET + end - step.takes
        history.add(Write(begun, begun + step.takes, step.added, step.removed, step.changed))
        had = had.after(step)
        yield begun + step.takes * step.effect, had
