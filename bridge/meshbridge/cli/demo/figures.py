"""Pure: what the answers of a load say, as numbers and as pictures of text."""

import enum
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from meshbridge.cli.demo.traffic import Answer


class Glyphs(enum.Enum):
    """The characters that pictures are drawn with: full mark, empty mark, cut, rising levels."""

    BLOCKS = "━", "╌", "✗", "▁▂▃▄▅▆▇█"
    ASCII = "=", ".", "x", "12345678"

    @property
    def full(self) -> str:
        """Something is there."""
        return self.value[0]

    @property
    def empty(self) -> str:
        """Nothing is there."""
        return self.value[1]

    @property
    def cut(self) -> str:
        """The moment at which it ended."""
        return self.value[2]

    @property
    def levels(self) -> str:
        """From little to much."""
        return self.value[3]


@dataclass(frozen=True, slots=True)
class Outage:
    """When the bridge was away, in the load's monotonic seconds."""

    killed: float
    back: float
    """It was ready again."""
    subscribed: float
    """Envoy had its stream again."""


def counts(answers: Iterable[Answer]) -> Counter[str]:
    """Return how many requests each instance answered; failed ones count for nobody."""
    return Counter(answer.instance for answer in answers if not answer.failure)


def failures(answers: Iterable[Answer]) -> Counter[str]:
    """Return how many requests failed, by reason."""
    return Counter(answer.failure for answer in answers if answer.failure)


def rate(answers: Iterable[Answer], start: float, end: float) -> float:
    """Return the requests per second that were answered between two times."""
    answered = sum(not a.failure and start <= a.done < end for a in answers)
    return answered / (end - start)


def expected(weights: Mapping[str, int], total: int) -> dict[str, float]:
    """Return how ``total`` requests spread if each instance gets its share of the weights."""
    whole = sum(weights.values())
    return {name: total * weight / whole for name, weight in weights.items()}


def deviation(found: Mapping[str, int], wanted: Mapping[str, float]) -> float:
    """Return the greatest distance between what was counted and what was expected."""
    return max(abs(found.get(name, 0) - wanted.get(name, 0.0)) for name in {*found, *wanted})


def bars(found: Mapping[str, int], notes: Mapping[str, str], glyphs: Glyphs) -> list[str]:
    """Return a bar for each instance that has a note, in the order of the notes."""
    longest = max([1, *found.values()])
    rows: list[str] = []
    for name, note in notes.items():
        count = found.get(name, 0)
        bar = glyphs.full * round(36 * count / longest)
        rows.append(f"{name:<9} {note:<14} {bar:<36} {count:>5}")
    return rows


def time_line(answers: Sequence[Answer], outage: Outage, glyphs: Glyphs) -> list[str]:
    """Return what happened around an outage of the bridge, a character for each equal slice."""
    start, end = outage.killed - 1.0, outage.subscribed + 1.0
    width = 64
    slice_of = (end - start) / width
    answered, failed = [0] * width, [0] * width
    for answer in answers:
        place = int((answer.done - start) / slice_of)
        if 0 <= place < width and answer.done >= start:
            (failed if answer.failure else answered)[place] += 1
    killed, back, subscribed = (
        min(width - 1, int((moment - start) / slice_of))
        for moment in (outage.killed, outage.back, outage.subscribed)
    )
    up = [glyphs.empty if killed < place < back else glyphs.full for place in range(width)]
    up[killed] = glyphs.cut
    stream = [
        glyphs.empty if killed < place < subscribed else glyphs.full for place in range(width)
    ]
    stream[killed] = glyphs.cut
    most = max(1.0, statistics.median(answered) * 4 / 3)  # so that one burst dwarfs nothing
    return [
        f"{'bridge runs':<17}{''.join(up)}",
        f"{'Envoy has it':<17}{''.join(stream)}",
        f"{'requests served':<17}{''.join(_level(count, most, glyphs) for count in answered)}",
        f"{'requests failed':<17}{''.join(_level(count, most, glyphs) for count in failed)}",
        f"{'':<17}one mark = {slice_of * 1000:.0f} ms",
    ]


def milliseconds(seconds: float) -> str:
    """Return a duration as people read it."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _level(count: int, most: float, glyphs: Glyphs) -> str:
    if count == 0:
        return " " if glyphs is Glyphs.BLOCKS else "."
    return glyphs.levels[min(7, int((count * 8 - 1) / most))]
