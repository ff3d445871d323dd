"""Short histories, written by hand, for tests of the checker."""

from unit.testing.simulation import Plan

from meshbridge.testing.history import Endpoint, Event, History, Rules, Sample, View, Write

ONE, TWO, THREE = (Endpoint("a.file", f"10.0.0.{n}:80") for n in (1, 2, 3))
BARE = Rules(rate=0, faults=0, gap=100, converge=5)
"""Rules of a run that is only about what is shown."""
PLAN = Plan((), (0.1, 0.1, 0.1), 0.02, (2.0, 1.0))


def of(*events: Event, rules: Rules = BARE) -> History:
    """Return the history of these events."""
    history = History(rules)
    for event in events:
        history.add(event)
    return history


def shows(at: float, *endpoints: Endpoint, observer: str = "envoy") -> Sample:
    """Return a look that saw these."""
    return Sample(at, at, observer, View(frozenset(endpoints)))


def registered(at: float, *endpoints: Endpoint) -> Write:
    """Return a write that adds these and takes a tenth of a second."""
    return Write(at, at + 0.1, frozenset(endpoints))


def removed(at: float, *endpoints: Endpoint) -> Write:
    """Return a write that removes these and takes a tenth of a second."""
    return Write(at, at + 0.1, removed=frozenset(endpoints))
