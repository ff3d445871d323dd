"""What an istiod did not take over of what it was offered: pure, by name and version.

istiod acknowledges whatever it was sent. A resource that it refuses, and one whose name another of
its config sources holds, is missing in its store, or stays as it was, without a word.
"""

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshbridge.problems import Problem, ProblemKind
from meshbridge_mcp.configz import Config
from meshbridge_mcp.workload import HOST_LABEL
from meshbridge_xds.resources import Resource

GRACE = 30.0
"""Seconds for which istiod may be late before that is a problem."""
MOST = 100
"""Resources that are listed by name; how many more there are is said."""

_HOST = f'"{HOST_LABEL}"'.encode()
_OURS = "meshbridge.io/"
"""What labels or annotations of everything begin with that a bridge sends."""
_IN_VAIN = (
    "see in its log (scope adsc) whether it refuses it, in /api/subscribers whether it answers, "
    "and in its configSources whether an earlier one has that name"
)


class Lack(enum.StrEnum):
    """What istiod has instead of the version that is offered."""

    MISSING = "missing"
    """Nothing of that name."""
    OTHER = "other-version"
    """Another version, of this bridge or of another one."""
    FOREIGN = "foreign"
    """What no bridge has sent: another config source holds the name."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """One resource that istiod does not hold as it is offered."""

    kind: str
    """``group/Kind``"""
    name: str
    """``namespace/name``"""
    lack: Lack
    offered: str
    """The version that is offered."""
    held: str = ""
    """The version that istiod holds; empty: none."""

    def __str__(self) -> str:
        """Return what people call it."""
        return f"{self.kind.rpartition('/')[2]} {self.name}"


def compare(
    offered: Mapping[str, Mapping[str, Resource]], found: Iterable[Config | None]
) -> Iterator[NotTaken | None]:
    """Yield what is not taken over; ``None`` for each short step in which nothing was found.

    ``offered`` are resources by kind and name. Raises BadData when ``found`` does.
    """
    seen: dict[str, set[str]] = {kind: set() for kind in offered}
    for config in found:
        yield None if config is None else _judged(config, offered, seen)
    for kind, resources in offered.items():
        for name, resource in resources.items():
            missing = name not in seen[kind]
            yield NotTaken(kind, name, Lack.MISSING, resource.version) if missing else None


def _judged(
    config: Config, offered: Mapping[str, Mapping[str, Resource]], seen: Mapping[str, set[str]]
) -> NotTaken | None:
    metadata = config.metadata
    kind = f"{config.api_version.partition('/')[0]}/{config.kind}"
    name = f"{metadata.namespace}/{metadata.name}"
    resource = offered.get(kind, {}).get(name)
    if resource is None:
        return None
    seen[kind].add(name)
    held = metadata.resource_version
    if held == resource.version:
        return None
    marks = (*(metadata.labels or ()), *(metadata.annotations or ()))
    # A WorkloadEntry has no labels but the endpoint's, which stand in its spec.
    ours = any(mark.startswith(_OURS) for mark in marks) or _HOST in bytes(config.spec)
    return NotTaken(kind, name, Lack.OTHER if ours else Lack.FOREIGN, resource.version, held)


class Look:
    """One look at an istiod: what of that which it lacks it has lacked for too long.

    What counts is since when it has held the same: whether that is offered in one version or, by
    now, in another one makes no difference, or whatever changes often would never be late.
    """

    def __init__(self, now: float, before: "Look | None" = None, *, grace: float = GRACE) -> None:
        """Look at a monotonic second; ``before`` is the look before this one."""
        self._now, self._grace = now, grace
        self._before = before._since if before else {}  # noqa: SLF001 - its own class
        self._since: dict[tuple[str, str], tuple[str, float]] = {}
        self.counts: Counter[Lack] = Counter()
        """How many are late, by what there is instead."""
        self.late: list[NotTaken] = []
        """Some of them."""

    def take(self, lacking: NotTaken) -> None:
        """Take in one resource that was found to be lacking."""
        key = lacking.kind, lacking.name
        held, since = self._before.get(key, (None, self._now))
        if held != lacking.held:
            since = self._now
        self._since[key] = lacking.held, since
        if self._now - since < self._grace:
            return
        self.counts[lacking.lack] += 1
        if len(self.late) < MOST:
            self.late.append(lacking)

    def problems(self, registry: str, istiod: str) -> list[Problem]:
        """Return what is late as problems; ``istiod`` is what the user calls it."""
        found = [_problem(registry, istiod, each) for each in self.late]
        if more := self.counts.total() - len(found):
            reason = f"it has not taken over {more} more resources"
            kind = ProblemKind.NOT_TAKEN_OVER
            found.append(Problem(registry, istiod, kind, reason, "mend those that are listed"))
        return found


def _problem(registry: str, istiod: str, late: NotTaken) -> Problem:
    reason, remedy = _words(late)
    kind = ProblemKind.NOT_TAKEN_OVER
    return Problem(registry, str(late), kind, f"{istiod} {reason}", remedy)


def _words(late: NotTaken) -> tuple[str, str]:
    """Return the reason, of which istiod is the subject, and the remedy."""
    if late.lack is Lack.MISSING:
        return "has not taken it over: it holds none", _IN_VAIN
    if late.lack is Lack.OTHER:
        return f"has not taken over version {late.offered}: it holds {late.held}", _IN_VAIN
    return (
        "holds another one of this name, which no bridge has sent",
        "rename or remove it, or list the bridge before its source in configSources",
    )
