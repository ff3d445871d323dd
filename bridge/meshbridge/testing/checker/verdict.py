"""What the checker found in a history: each finding a value, and all of it as text for people."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from meshbridge.testing.history import Endpoint, Request

SHOWN = 8
"""Findings of a kind that are written out."""


@dataclass(frozen=True, slots=True)
class Load:
    """The requests of a part of the run."""

    where: str
    seconds: float
    rate: float
    """Requests sent a second, whatever came of them: a load is not gone because it fails."""
    failed: int

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"{self.rate:.0f} requests/s {self.where} ({self.failed} of them failed)"


@dataclass(frozen=True, slots=True)
class Loss:
    """An observer let go of an endpoint that the registry had all the time."""

    observer: str
    endpoint: Endpoint
    seen: float
    """When it was last there."""
    missing: float
    """When it was not."""
    resting: bool
    """It was there, but got no requests because it counted as unhealthy."""


@dataclass(frozen=True, slots=True)
class Convergence:
    """How long an observer took to show what the registry had after a write or a fault."""

    after: str
    """The write or the fault."""
    since: float
    """When the write was done, or the fault repaired."""
    observer: str
    seconds: float | None
    """Seconds without a fault until it did; None if it never did."""
    waited: float
    """Seconds without a fault until then, or until the end of the run."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What an observer shows otherwise than the registry at the end of the run."""

    observer: str
    missing: tuple[Endpoint, ...] = ()
    surplus: tuple[Endpoint, ...] = ()
    unreachable: str = ""
    """Why it could not be asked."""

    def __str__(self) -> str:
        """Return it as people read it."""
        parts = [
            f"cannot be asked: {self.unreachable}" if self.unreachable else "",
            f"lacks {_listed(self.missing)}" if self.missing else "",
            f"has besides {_listed(self.surplus)}" if self.surplus else "",
        ]
        return f"{self.observer} {' and '.join(filter(None, parts))}"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Observers whose versions of a host are to be the same at the end of the run, and are not."""

    host: str
    versions: tuple[tuple[str, str], ...]
    """By observer; empty where it has none."""

    def __str__(self) -> str:
        """Return it as people read it."""
        shown = (f"{observer} has {version or 'none'}" for observer, version in self.versions)
        return f"{self.host}: {', '.join(shown)}"


@dataclass(frozen=True, slots=True)
class Restless:
    """A host's version changed although nothing was written about it."""

    observer: str
    host: str
    at: float
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that was found; times are those of the history's clock."""

    zero: float
    """When the history began; the text counts from there."""
    voids: tuple[str, ...]
    """Why the run proves nothing; empty if it counts."""
    requests: int
    loads: tuple[Load, ...]
    """Before the faults and after them, or in the whole run without any."""
    failed: tuple[Request, ...]
    strangers: tuple[Request, ...]
    """Requests answered by who never was an instance of their host."""
    lost: tuple[Loss, ...]
    convergences: tuple[Convergence, ...]
    late: tuple[Convergence, ...]
    """Those that took longer than they may."""
    differences: tuple[Difference, ...]
    disagreements: tuple[Disagreement, ...]
    restless: tuple[Restless, ...]

    @property
    def outcome(self) -> Literal["void", "broken", "held"]:
        """A void run neither held nor broke anything, whatever else was found in it."""
        if self.voids:
            return "void"
        return "broken" if [*self.findings()] else "held"

    def slowest(self, observer: str) -> float | None:
        """Return an observer's longest convergence in seconds; None if it never had one."""
        took = [each.seconds for each in self.convergences if each.observer == observer]
        return max((each for each in took if each is not None), default=None)

    def findings(self) -> Iterator[str]:
        """Yield what must not be, a line for each kind and a few examples."""
        reasons = Counter(each.failure for each in self.failed)
        yield from self._kind(
            f"{len(self.failed)} of {self.requests} requests failed ({_counted(reasons)})",
            [f"{self.when(each.sent)}: {each.host}: {each.failure}" for each in self.failed],
        )
        yield from self._kind(
            f"{len(self.strangers)} requests answered by who never was an instance",
            [f"{self.when(each.done)}: {each.host} by {each.by}" for each in self.strangers],
        )
        yield from self._kind(
            f"{len(self.lost)} endpoints lost that the registry had all the time",
            [self._loss(each) for each in self.lost],
        )
        yield from self._kind(
            f"{len(self.late)} times too late in showing what the registry has",
            [self._late(each) for each in self.late],
        )
        yield from self._kind(
            "at the end not all show what the registry has",
            [str(each) for each in self.differences],
        )
        yield from self._kind(
            "at the end not all show the same version that are to",
            [str(each) for each in self.disagreements],
        )
        yield from self._kind(
            f"{len(self.restless)} versions changed though nothing was written",
            [
                f"{self.when(each.at)}: {each.observer}: {each.host}: {each.before} -> {each.after}"
                for each in self.restless
            ],
        )

    def __str__(self) -> str:
        """Return the verdict as people read it."""
        lines = [f"void: {each}" for each in self.voids]
        found = [*self.findings()]
        if not self.voids:
            lines = [*found] or [f"held: {self.requests} requests, none failed; nothing lost"]
        elif found:
            lines += ["found nonetheless:", *found]
        return "\n".join([*lines, *map(str, self.loads), *self._convergence_lines()])

    def when(self, at: float) -> str:
        """Return a time as the text has it."""
        return f"{at - self.zero:.2f} s"

    def _convergence_lines(self) -> Iterator[str]:
        observers = sorted({each.observer for each in self.convergences})
        for observer in observers:
            number = sum(each.observer == observer for each in self.convergences)
            slowest = self.slowest(observer)
            took = "never" if slowest is None else f"at most {slowest:.2f} s"
            yield f"{observer}: showed what was registered {took} after {number} writes and faults"

    def _loss(self, loss: Loss) -> str:
        how = "at rest as unhealthy" if loss.resting else "gone"
        there = f"there at {self.when(loss.seen)}"
        return f"{self.when(loss.missing)}: {loss.observer}: {loss.endpoint} {how}, {there}"

    def _late(self, late: Convergence) -> str:
        took = "never" if late.seconds is None else f"after {late.seconds:.2f} s"
        return f"{self.when(late.since)}: {late.after}: {late.observer} {took}"

    @staticmethod
    def _kind(head: str, examples: list[str]) -> Iterator[str]:
        if examples:
            yield f"{head}:"
            yield from (f"  {each}" for each in examples[:SHOWN])
            if len(examples) > SHOWN:
                yield f"  ... and {len(examples) - SHOWN} more"


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} times {reason}" for reason, count in reasons.most_common(3))


def _listed(endpoints: tuple[Endpoint, ...]) -> str:
    more = f" and {len(endpoints) - SHOWN} more" if len(endpoints) > SHOWN else ""
    return ", ".join(map(str, endpoints[:SHOWN])) + more
