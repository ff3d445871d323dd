"""Whether a run counts: its load flowed, its faults took place, and somebody was looking."""

from collections.abc import Iterator
from itertools import pairwise
from math import inf

from meshbridge.testing.checker.run import Look, Run
from meshbridge.testing.history import Rules


def void_reasons(run: Run, rules: Rules) -> Iterator[str]:
    """Yield each reason for which the run proves nothing."""
    if not run.writes:
        yield "no write of the registry was noted: there is nothing to compare with"
    yield from _without_fault(run, rules)
    yield from _without_load(run, rules)
    yield from _unwatched(run, rules)


def _without_fault(run: Run, rules: Rules) -> Iterator[str]:
    if len(run.faults) < rules.faults:
        yield f"faults that began: {len(run.faults)}, to be {rules.faults} at least"
    for fault in run.faults:
        if not any(fault.begun <= each.at <= fault.ended for each in fault.seen):
            yield f"fault {fault.name!r} was never seen to take place"


def _without_load(run: Run, rules: Rules) -> Iterator[str]:
    if rules.rate <= 0:
        return
    if not run.requests:
        yield "no request was sent"
        return
    first, last = run.requests[0].sent, run.requests[-1].sent
    if not run.faults:
        yield from _thin(run, rules, "in the run", first, last)
        return
    yield from _thin(run, rules, "before the first fault", first, run.faults[0].begun)
    repaired = max(each.begun if each.ended == inf else each.ended for each in run.faults)
    yield from _thin(run, rules, "after the last fault", repaired, last)


def _thin(run: Run, rules: Rules, where: str, start: float, end: float) -> Iterator[str]:
    if end - start < rules.span:
        yield f"{max(0.0, end - start):.2f} s of load {where}, to be {rules.span:g} s at least"
        return
    sent = [each for each in run.requests if start <= each.sent < end]
    rate = len(sent) / (end - start)
    if rate < rules.rate:
        failed = sum(bool(each.failure) for each in sent)
        yield (
            f"{rate:.0f} requests/s {where} ({failed} of them failed),"
            f" to be {rules.rate:g} at least"
        )


def _unwatched(run: Run, rules: Rules) -> Iterator[str]:
    if not run.looks:
        yield "nobody looked at what is shown"
    yield from (f"{each} never looked" for each in sorted(rules.observers - run.looks.keys()))
    first = [looks[0].at for looks in run.looks.values()]
    start = run.requests[0].sent if run.requests else min(first, default=run.zero)
    for observer, looks in sorted(run.looks.items()):
        seen = [each for each in looks if each.view is not None or observer in rules.away]
        gap, begun = _longest_gap(seen, start, run.end)
        if gap > rules.gap:
            yield (
                f"{observer} was not looked at for {gap:.2f} s from {begun - run.zero:.2f} s on,"
                f" to be {rules.gap:g} s at most"
            )


def _longest_gap(looks: list[Look], start: float, end: float) -> tuple[float, float]:
    """Return the longest time without a look, and when it began."""
    moments = [start, *(each.at for each in looks if start < each.at < end), end]
    return max((after - before, before) for before, after in pairwise(moments))
