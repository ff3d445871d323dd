"""What a step of the demo found: a value that says whether the step held."""

from dataclasses import dataclass

PATIENCE = 5.0
"""Seconds within which a change must have its effect: the demo judges on any machine, under any
load. What is promised stands in benchmarks/."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was measured."""

    what: str
    found: str
    wanted: str
    """Empty when it is only told."""
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """All that one step measured."""

    checks: tuple[Check, ...]
    picture: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether everything that was measured is as it must be."""
        return all(check.holds for check in self.checks)
