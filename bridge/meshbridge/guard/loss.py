"""Tells an accident from an ordinary change: by how much of a scope is missing."""

from collections.abc import Callable, Iterable, Mapping

from meshbridge.guard.rules import GuardRules
from meshbridge.guard.scope import Scope, Size
from meshbridge.registration import ServiceId

Vanished = Mapping[ServiceId, frozenset[str]]
"""Ids of instances that vanished, by service."""


def in_loss(
    scope: Scope, scopes: Callable[[], Iterable[Scope]], rules: GuardRules, now: float
) -> bool:
    """Whether more of the scope is missing than may be, in instances or in services.

    Missing is what is held while unsettled, or what was lost net since the peak. Scopes whose
    peak is below the least size are judged together with all other such ``scopes``.
    """
    if scope.is_announced(now):
        return False

    def small(each: Scope) -> bool:
        return each.peak(now, rules.window).instances < rules.min_size

    group = [scope]
    if small(scope):
        group = [each for each in scopes() if small(each) and not each.is_announced(now)]
    peaks = [each.peak(now, rules.window) for each in group]
    missing = [each.missing for each in group if each.unsettled is not None]
    for which in (0, 1):
        peak = sum(each[which] for each in peaks)
        lost = peak - sum(each.size[which] for each in group)
        if _too_much(max(lost, sum(each[which] for each in missing)), peak, rules):
            return True
    return False


def takes_too_much(scope: Scope, vanished: Vanished, rules: GuardRules, now: float) -> bool:
    """Whether what one update takes away is more than may be missing."""
    if scope.is_announced(now):
        return False
    entries = [scope.entries.get(service) for service in vanished]
    emptied = sum(not (each and each.serving) for each in entries)
    lost = Size(sum(map(len, vanished.values())), emptied)
    peak = scope.peak(now, rules.window)
    return any(_too_much(lost[which], peak[which], rules) for which in (0, 1))


def _too_much(lost: int, peak: int, rules: GuardRules) -> bool:
    return peak >= rules.min_size and lost > rules.max_loss * peak
