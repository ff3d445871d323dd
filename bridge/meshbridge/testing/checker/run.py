"""A history put in order: faults as intervals, and looks, requests and writes by their times."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import TypeVar

from meshbridge.testing.checker.forms import plain
from meshbridge.testing.history import (
    Endpoint,
    Event,
    FaultBegan,
    FaultEnded,
    FaultSeen,
    History,
    Request,
    Same,
    Sample,
    Unreachable,
    View,
    Write,
    moment,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, from its begin to its end."""

    name: str
    begun: float
    ended: float
    """Infinite if it was never repaired."""
    seen: tuple[FaultSeen, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """One answer of an observer, or that there was none."""

    asked: float
    at: float
    view: View | None
    """None: it could not be asked."""
    why: str = ""

    @property
    def shown(self) -> frozenset[Endpoint]:
        """The endpoints that get requests there."""
        return self.view.endpoints - self.view.resting if self.view else frozenset()

    @property
    def resting(self) -> frozenset[Endpoint]:
        """Those that are there, but get none."""
        return self.view.resting if self.view else frozenset()

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of the hosts."""
        return self.view.versions if self.view else {}


@dataclass(frozen=True, slots=True)
class Run:
    """What a history says, in order."""

    zero: float
    """When its first event was; messages count from there."""
    end: float
    """When the last was done, seen or asked for: to wait for a last answer is no part of it."""
    writes: tuple[Write, ...]
    faults: tuple[Fault, ...]
    looks: Mapping[str, tuple[Look, ...]]
    """By observer, oldest first."""
    requests: tuple[Request, ...]
    """By the time at which they were sent."""

    def calm(self, start: float, end: float) -> float:
        """Return the seconds between two times in which no fault was going on."""
        spans = ((max(start, each.begun), min(end, each.ended)) for each in self.faults)
        covered, reached = 0.0, start
        for begun, ended in sorted(spans):
            covered += max(0.0, ended - max(begun, reached))
            reached = max(reached, ended)
        return end - start - covered


def in_order(history: History) -> Run:
    """Return what the history says; raises ValueError where it contradicts itself."""
    events = sorted(map(plain, history.events), key=moment)
    moments = [moment(each) for each in events]
    patience = history.rules.patience
    requests = sorted(
        (_in_time(each, patience) for each in _only(Request, events)), key=lambda each: each.sent
    )
    return Run(
        zero=min([*moments[:1], *(each.sent for each in requests[:1])], default=0.0),
        end=max(map(_reached, events), default=0.0),
        writes=tuple(_only(Write, events)),
        faults=tuple(_faults(events)),
        looks=_looks(events),
        requests=tuple(requests),
    )


def changes(run: Run) -> Iterator[tuple[str, Look, Look]]:
    """Yield the looks of each observer that saw something else than the look before that saw."""
    for observer, looks in sorted(run.looks.items()):
        seeing = [each for each in looks if each.view is not None]
        for before, look in pairwise(seeing):
            if before.view is not look.view:
                yield observer, before, look


def first_at(looks: Sequence[Look], when: float) -> int:
    """Return where in an observer's looks those begin that ended at a time or later."""
    return bisect_left(looks, when, key=lambda each: each.at)


def hosts_of(write: Write) -> frozenset[str]:
    """Return the hosts that a write is about."""
    return write.changed | {each.host for each in write.added | write.removed}


def words(write: Write) -> str:
    """Return what a write was, as people read it."""
    if write.note:
        return write.note
    parts = (("adding", write.added), ("removing", write.removed))
    named = [f"{verb} {_some(sorted(which))}" for verb, which in parts if which]
    return " and ".join(named) or f"changing {', '.join(sorted(write.changed))}"


def _some(endpoints: Sequence[Endpoint]) -> str:
    more = f" and {len(endpoints) - 1} more" if len(endpoints) > 1 else ""
    return f"{endpoints[0]}{more}"


def _reached(event: Event) -> float:
    """Return until when an event says that the run went on.

    A slow last answer is of some moment since it was asked for, and nobody else is looked at
    while it is awaited: that time can neither be missed nor be used to show something.
    """
    return event.asked if isinstance(event, (Sample, Same, Unreachable)) else moment(event)


def _in_time(request: Request, patience: float) -> Request:
    """Return the request, as one that failed if its answer came when nobody waits any more."""
    if request.failure or request.done - request.sent <= patience:
        return request
    return replace(request, failure=f"no answer in {patience:g} s")


def _only(kind: type[T], events: Iterable[Event]) -> list[T]:
    return [each for each in events if isinstance(each, kind)]


def _faults(events: Sequence[Event]) -> Iterable[Fault]:
    ended = {each.fault: each.at for each in _only(FaultEnded, events)}
    seen = _only(FaultSeen, events)
    for each in _only(FaultBegan, events):
        of_it = tuple(found for found in seen if found.fault == each.fault)
        yield Fault(each.fault, each.at, ended.get(each.fault, inf), of_it)


def _looks(events: Sequence[Event]) -> dict[str, tuple[Look, ...]]:
    found: dict[str, list[Look]] = {}
    for each in events:
        match each:
            case Sample(asked, at, observer, view):
                found.setdefault(observer, []).append(Look(asked, at, view))
            case Unreachable(asked, at, observer, why):
                found.setdefault(observer, []).append(Look(asked, at, None, why))
            case Same(asked, at, observer):
                before = found.get(observer, [])
                if not before or before[-1].view is None:
                    raise ValueError(f"{observer} shows the same as before, and nothing was before")
                before.append(Look(asked, at, before[-1].view))
            case _:
                pass
    return {observer: tuple(looks) for observer, looks in found.items()}
