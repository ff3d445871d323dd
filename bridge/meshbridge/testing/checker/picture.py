"""Draws a history as text: a row for each observer, and marks for faults, writes and requests."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import inf

from meshbridge.testing.checker.run import Look, Run, in_order
from meshbridge.testing.checker.truth import Truth
from meshbridge.testing.history import History

WIDTH = 64
"""Slices of time, each a character."""
LEGEND = (
    "faults: [ began, ! was seen, ] ended.  writes: W done, ? outcome unknown.",
    "requests: 1 to 9 by how many were answered, x if any of the slice failed.",
    "observers: = shows what the registry has, ~ something else, . cannot be asked.",
)


def picture(history: History) -> str:
    """Return the picture, with its legend; raises ValueError as the checker does."""
    run = in_order(history)
    span = max(run.end - run.zero, 1e-9)

    def place(at: float) -> int:
        return max(0, min(WIDTH - 1, int((at - run.zero) / span * WIDTH)))

    rows = {"faults": _faults(run, place), "writes": _writes(run, place)}
    rows["requests"] = _requests(run, place)
    truth = Truth(run.writes)
    for observer, looks in sorted(run.looks.items()):
        marks = [*_marks(run, truth, looks)]
        rows[observer] = _filled(marks, place, history.rules.gap)
    name = max(map(len, rows))
    end = f"{span:.1f} s"
    lines = [f"{'':<{name}} {'0 s':<{WIDTH - len(end)}}{end}"]
    lines += [f"{row:<{name}} {drawn}".rstrip() for row, drawn in rows.items()]
    return "\n".join([*lines, f"one mark is {span / WIDTH * 1000:.0f} ms", *LEGEND])


Place = Callable[[float], int]


def _faults(run: Run, place: Place) -> str:
    drawn = [" "] * WIDTH
    for fault in run.faults:
        end = WIDTH if fault.ended == inf else place(fault.ended)
        for slot in range(place(fault.begun), end):
            drawn[slot] = "-"
    for fault in run.faults:
        if fault.ended < inf:
            drawn[place(fault.ended)] = "]"
        drawn[place(fault.begun)] = "["
        for seen in fault.seen:
            drawn[place(seen.at)] = "!"
    return "".join(drawn)


def _writes(run: Run, place: Place) -> str:
    return _row(
        (place(each.begun), "?") if each.done is None else (place(each.done), "W")
        for each in run.writes
    )


def _requests(run: Run, place: Place) -> str:
    answered, failed = [0] * WIDTH, [0] * WIDTH
    for each in run.requests:
        (failed if each.failure else answered)[place(each.done)] += 1
    most = max(1, *answered)
    return "".join(
        "x" if bad else str(max(1, 9 * good // most)) if good else " "
        for good, bad in zip(answered, failed, strict=True)
    )


def _marks(run: Run, truth: Truth, looks: Iterable[Look]) -> Iterator[tuple[Look, str]]:
    """Yield each look with its mark, which is that of the look before if nothing has changed."""
    ends = [each.begun if each.done is None else each.done for each in run.writes]
    bounds = sorted([*(each.begun for each in run.writes), *ends])
    before, mark, known = None, " ", (-1, -1)
    for look in looks:
        epoch = bisect_right(bounds, look.asked), bisect_right(bounds, look.at)
        if before is None or look.view is not before.view or epoch != known:
            agrees = look.view is not None and truth.agrees(look, look.asked)
            mark = "=" if agrees else "." if look.view is None else "~"
        before, known = look, epoch
        yield look, mark


def _filled(marks: Sequence[tuple[Look, str]], place: Place, gap: float) -> str:
    """Return an observer's row; what it last showed stays until the next look, if that is near."""
    drawn = _row((place(look.at), mark) for look, mark in marks)
    slots = list(drawn)
    for (before, mark), (look, _) in pairwise(marks):
        if look.at - before.at <= gap:
            for slot in range(place(before.at) + 1, place(look.at)):
                slots[slot] = mark
    return "".join(slots)


def _row(marks: Iterable[tuple[int, str]]) -> str:
    """Return the marks in their places; of several in one the worst: what sorts last of ``=.~``."""
    drawn = [" "] * WIDTH
    for slot, mark in marks:
        drawn[slot] = max(drawn[slot], mark, key=" =W.?~".index)
    return "".join(drawn)
