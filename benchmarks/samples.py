"""A measured figure: its samples, its target, and whether it meets it."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured many times."""

    what: str
    unit: str
    samples: Sequence[float]
    target: float = math.inf
    """The most that the median may be; by default it is there to be compared."""
    cpu: Sequence[float] = ()
    """Seconds of processor time that each sample took of the measured process, where it was one."""
    always: bool = False
    """Whether the target speaks of every sample: what may never be, no median excuses."""

    @property
    def median(self) -> float:
        """The middle sample: what the target speaks of."""
        return statistics.median(self.samples)

    @property
    def met(self) -> bool:
        """Whether the median, or each sample, is within the target."""
        return (max(self.samples) if self.always else self.median) <= self.target

    def percentile(self, share: float) -> float:
        """Return the smallest sample that ``share`` (0 to 1) of all do not exceed."""
        ranked = sorted(self.samples)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]

    def row(self) -> tuple[str, ...]:
        """Return it as a row: what, runs, median, p99, spread, target, met, processor."""
        low, high = min(self.samples), max(self.samples)
        target = f"≤ {self._with_unit(self.target)}{', always' if self.always else ''}"
        return (
            self.what,
            str(len(self.samples)),
            self._with_unit(self.median),
            self._with_unit(self.percentile(0.99)),
            f"{self._number(low)} to {self._with_unit(high)}",
            target if self.target < math.inf else "",
            ("yes" if self.met else "**no**") if self.target < math.inf else "",
            f"{statistics.median(self.cpu):.2f} s" if self.cpu else "",
        )

    def _with_unit(self, value: float) -> str:
        return f"{self._number(value)} {self.unit}"

    def _number(self, value: float) -> str:
        return f"{value:.2f}" if self.unit == "s" else f"{value:.1f}"


HEAD = ("what", "runs", "median", "p99", "spread", "target (median)", "met", "processor")
