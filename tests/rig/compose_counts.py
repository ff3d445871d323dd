"""What the lines of compose/watch.py say, and whether it is what the weights ask for."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

FAILED = "failed"
LEAST = 5
"""Calls in a second below which a second says nothing about shares."""
ROUGHLY, CLOSELY = 0.12, 0.08
"""How far a share may be from what it must be, in one second and in several."""

_LINE = re.compile(r"\d\d:\d\d:\d\d((?:   \S+ +\d+)+)")
_COUNT = re.compile(r"(\S+) +(\d+)")


def counts(line: str) -> Counter[str] | None:
    """Return the calls that each instance got in that second; None if the line tells none."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    return Counter({name: int(number) for name, number in _COUNT.findall(found[1])})


@dataclass(frozen=True, slots=True)
class Share:
    """What part of a service's calls one instance got."""

    name: str
    weight: int
    calls: int
    found: float
    """Of all calls of its service, 0 to 1."""
    wanted: float
    """By the weights."""

    def holds(self, tolerance: float) -> bool:
        """Whether it got its part, within that much."""
        return abs(self.found - self.wanted) <= tolerance


def shares(seen: Mapping[str, int], weights: Mapping[str, int]) -> Sequence[Share]:
    """Return the share of each instance of one service, in the order of the weights."""
    calls = sum(seen.get(name, 0) for name in weights)
    whole = sum(weights.values())
    return [
        Share(
            name=name,
            weight=weight,
            calls=seen.get(name, 0),
            found=seen.get(name, 0) / calls if calls else 0.0,
            wanted=weight / whole,
        )
        for name, weight in weights.items()
    ]


def follow(seen: Mapping[str, int], services: Iterable[Mapping[str, int]]) -> bool:
    """Whether one second's calls are roughly what the weights of each service ask for."""
    return all(
        sum(seen.get(name, 0) for name in weights) >= LEAST
        and all(each.holds(ROUGHLY) for each in shares(seen, weights))
        for weights in services
    )
