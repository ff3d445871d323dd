"""Notes how long what was changed took to be followed, for the table at the end of a run."""

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from statistics import median


@dataclass(frozen=True, slots=True)
class Time:
    """How long it took once."""

    event: str
    where: str
    seconds: float


noted: list[Time] = []
"""All times of this run."""


@contextmanager
def timed(event: str, where: object, *, since: float | None = None) -> Generator[None]:
    """Note the seconds that the block takes: it changes something and waits until that is followed.

    What changed before, when nobody could say so, began ``since`` then, in monotonic seconds. What
    was not followed raises out of the block, and is not noted.
    """
    begun = time.monotonic() if since is None else since
    yield
    noted.append(Time(event, str(where), time.monotonic() - begun))


def table(times: Iterable[Time]) -> Iterator[str]:
    """Give the table's lines: a row for each event and place, with the median and the range."""
    yield f"{'event':<44} {'where':<12} {'times':>5} {'followed after':>20}"
    for (event, where), group in groupby(sorted(times, key=_row), _row):
        seconds = sorted(each.seconds for each in group)
        spread = f"{median(seconds):.2f} ({seconds[0]:.2f}-{seconds[-1]:.2f}) s"
        yield f"{event:<44} {where:<12} {len(seconds):>5} {spread:>20}"


def _row(each: Time) -> tuple[str, str]:
    return each.event, each.where
