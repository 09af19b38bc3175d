"""Where the bars stand: pure, so that it can be tested as the score is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

WIDTH = 1000
TONES = 4


@dataclass(frozen=True)
class Bar:
    """In units of a drawing 1000 wide; ``axis`` is where nought stands."""

    x: float
    width: float
    axis: float


@dataclass(frozen=True)
class Fall:
    """One part: the bar reaches from the sum before it to ``running``, the sum after it."""

    points: int
    running: int
    bar: Bar


@dataclass(frozen=True)
class Waterfall:
    falls: list[Fall]
    total: int
    bar: Bar


def waterfall(points: Sequence[int]) -> Waterfall:
    """The bars of all parts, and of their sum, on one scale."""
    sums = list(accumulate(points, initial=0))
    low, high = min(sums), max(sums)
    scale = WIDTH / (high - low or 1)

    def bar(start: int, end: int) -> Bar:
        return Bar(
            round((min(start, end) - low) * scale, 2), round(abs(end - start) * scale, 2), round(-low * scale, 2)
        )

    falls = [Fall(after - before, after, bar(before, after)) for before, after in pairwise(sums)]
    return Waterfall(falls, sums[-1], bar(0, sums[-1]))


def filled(total: int, *, low: int, high: int) -> int:
    """How much of its scale a score fills, in hundredths."""
    return max(0, min(100, round(100 * (total - low) / (high - low)))) if high > low else 0


def tone(position: int, count: int) -> int:
    """The colour step of a stage: the last stage shines most, however many there are."""
    return TONES if count <= 1 else 1 + round(position * (TONES - 1) / (count - 1))
