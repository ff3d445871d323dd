"""Whether a run counts: its load flowed, its faults took place, and somebody was looking."""

from collections.abc import Iterator
from itertools import count, pairwise
from math import inf

from meshbridge.testing.checker.run import Look, Run
from meshbridge.testing.checker.verdict import Load
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
        if fault.ended == inf:  # which would excuse everybody for being late
            yield f"fault {fault.name!r} never ended: call History.end when it is repaired"


def _without_load(run: Run, rules: Rules) -> Iterator[str]:
    if rules.rate <= 0:
        return
    if not run.requests:
        yield "no request was sent"
    for load in loads(run):
        if load.seconds < rules.span:
            seconds = _written(load.seconds, rules.span, 2)
            yield f"{seconds} s of load {load.where}, to be {rules.span:g} s at least"
        elif load.rate < rules.rate:
            rate = _written(load.rate, rules.rate, 0)
            yield f"{rate} requests/s {load.where}, to be {rules.rate:g} at least"
    pause, begun = _longest_pause(run)
    if pause > rules.pause:
        yield (
            f"no request was sent for {_written(pause, rules.pause, 2)} s"
            f" from {begun - run.zero:.2f} s on,"
            f" to be {rules.pause:g} s at most"
        )


def _written(found: float, allowed: float, digits: int) -> str:
    """Return what is too much or too little, with so many digits or as many as show that."""
    longer = (f"{found:.{number}f}" for number in count(digits))
    if found < allowed:
        return next(text for text in longer if float(text) < allowed)
    return next(text for text in longer if float(text) > allowed)


def _longest_pause(run: Run) -> tuple[float, float]:
    """Return the longest time between two requests, and when it began.

    While one is out that is lost in the end, there is none: a load that waits for it sends no
    other, and what it waits for is found anyhow.
    """
    longest, reached = (0.0, 0.0), inf
    for each in run.requests:
        longest = max(longest, (each.sent - reached, reached))
        last = each.done if each.failure else each.sent
        reached = last if reached == inf else max(reached, last)
    return longest


def loads(run: Run) -> Iterator[Load]:
    """Yield the load on either side of the faults; of the run as a whole if there were none."""
    if not run.requests:
        return
    first, last = run.requests[0].sent, run.requests[-1].sent
    if not run.faults:
        yield _load(run, "in the run", first, last)
        return
    yield _load(run, "before the first fault", first, run.faults[0].begun)
    repaired = max(each.begun if each.ended == inf else each.ended for each in run.faults)
    yield _load(run, "after the last fault", repaired, last)


def _load(run: Run, where: str, start: float, end: float) -> Load:
    sent = [each for each in run.requests if start <= each.sent < end]
    failed = sum(bool(each.failure) for each in sent)
    seconds = max(0.0, end - start)
    return Load(where, seconds, len(sent) / seconds if seconds else 0.0, failed)


def _unwatched(run: Run, rules: Rules) -> Iterator[str]:
    if not run.looks:
        yield "nobody looked at what is shown"
    versioned = frozenset[str]().union(*rules.same_versions)
    due = rules.observers | versioned
    yield from (f"{each} never looked" for each in sorted(due - run.looks.keys()))
    for observer in sorted(versioned & run.looks.keys()):
        if not any(each.versions for each in run.looks[observer]):
            yield f"{observer} never showed a version, to be compared with others'"
    first = [looks[0].at for looks in run.looks.values()]
    start = run.requests[0].sent if run.requests else min(first, default=run.zero)
    for observer, looks in sorted(run.looks.items()):
        seen = [each for each in looks if each.view is not None or observer in rules.away]
        gap, begun = _longest_gap(seen, start, run.end)
        if gap > rules.gap:
            yield (
                f"{observer} was not looked at for {_written(gap, rules.gap, 2)} s"
                f" from {begun - run.zero:.2f} s on, to be {rules.gap:g} s at most"
            )


def _longest_gap(looks: list[Look], start: float, end: float) -> tuple[float, float]:
    """Return the longest time without a look, and when it began."""
    moments = [start, *(each.at for each in looks if start < each.at < end), end]
    return max((after - before, before) for before, after in pairwise(moments))
