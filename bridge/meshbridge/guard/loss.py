"""Tells an accident from an ordinary change: by how much of a scope is missing."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from meshbridge.guard.rules import GuardRules
from meshbridge.guard.scope import Scope, Size
from meshbridge.registration import ServiceId

Vanished = Mapping[ServiceId, frozenset[str]]
"""Ids of instances that vanished, by service."""


class Losses:
    """Judges the scopes of one step; the small ones, judged together, are summed up only once."""

    def __init__(
        self, scopes: Callable[[], Iterable[Scope]], rules: GuardRules, now: float
    ) -> None:
        """Judge by these rules; ``scopes`` yields all of them as they are."""
        self._scopes, self._rules, self._now = scopes, rules, now
        self._small: dict[str, _Figures] | None = None
        self._together: _Figures = _NONE

    def in_loss(self, scope: Scope) -> bool:
        """Whether more of the scope is missing than may be, in instances or in services.

        Missing is what is held while unsettled, or what was lost net since the peak. Scopes whose
        peak is below the least size are judged together with all other such scopes.
        """
        if scope.is_announced(self._now):
            return False
        figures = self._figures(scope)
        if not self._is_small(figures):
            return self._judge(figures)
        if self._small is None:
            self._small = {}
            for each in self._scopes():
                self.note(each)
        self.note(scope)
        return self._judge(self._together)

    def note(self, scope: Scope) -> None:
        """Count the scope as it is now; to be called for each that changes between judgements."""
        if self._small is None:
            return
        before, after = self._small.get(scope.name, _NONE), _NONE
        if not scope.is_announced(self._now):
            figures = self._figures(scope)
            after = figures if self._is_small(figures) else _NONE
        if before != after:
            self._small[scope.name] = after
            sums = zip(self._together, before, after, strict=True)
            self._together = _Figures(*(total - old + new for total, old, new in sums))

    def _figures(self, scope: Scope) -> "_Figures":
        missing = _NOTHING if scope.unsettled is None else scope.missing
        return _Figures(*scope.peak(self._now, self._rules.window), *scope.size, *missing)

    def _is_small(self, figures: "_Figures") -> bool:
        return figures.peak < self._rules.min_size

    def _judge(self, of: "_Figures") -> bool:
        lost, emptied = of.peak - of.size, of.peak_services - of.services
        return _too_much(max(lost, of.missing), of.peak, self._rules) or _too_much(
            max(emptied, of.emptied), of.peak_services, self._rules
        )


class _Figures(NamedTuple):
    """What a scope, or several together, are judged by: instances, and services."""

    peak: int
    peak_services: int
    size: int
    services: int
    missing: int
    emptied: int


_NONE = _Figures(0, 0, 0, 0, 0, 0)
_NOTHING = Size()


def takes_too_much(scope: Scope, vanished: Vanished, rules: GuardRules, now: float) -> bool:
    """Whether what one update takes away, and was not announced, is more than may be missing."""
    entries = [scope.entries.get(service) for service in vanished]
    emptied = sum(not (each and each.serving) for each in entries)
    lost = Size(sum(map(len, vanished.values())), emptied)
    peak = scope.peak(now, rules.window)
    return any(_too_much(lost[which], peak[which], rules) for which in (0, 1))


def _too_much(lost: int, peak: int, rules: GuardRules) -> bool:
    return peak >= rules.min_size and lost > rules.max_loss * peak
