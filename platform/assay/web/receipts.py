"""The receipt of a score as the page shows it: a line for each rule, each award within it, and the bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from assay.scoring.engine import Adjustment, Explanation, Part
from assay.web.waterfall import Fall, Waterfall, filled, waterfall
from assay.web.words import POINT

#: A rule that counted ten thousand page views still makes a page one can open.
MOST_AWARDS = 50


@dataclass(frozen=True)
class Line:
    """All that one rule gave, or all of it that was left out."""

    rule: str
    title: str
    points: int
    #: Newest first, and at most MOST_AWARDS of them.
    awards: tuple[Part, ...]
    count: int
    fall: Fall | None = None

    @property
    def untold(self) -> int:
        return self.count - len(self.awards)


@dataclass(frozen=True)
class DimensionSum:
    name: str
    points: int
    max: int | None
    fill: int


@dataclass(frozen=True)
class Receipt:
    """Where the model does not score the lead, `total` and `raw` are None and the one line says for whom it is."""

    at: datetime
    total: int | None
    raw: int | None
    next_change: datetime | None
    dimensions: list[DimensionSum]
    counted: list[Line]
    uncounted: list[Line]
    waterfall: Waterfall
    #: What leads from the sum to the score.
    adjustments: tuple[Adjustment, ...]

    @property
    def events(self) -> frozenset[str]:
        """The events behind it, as far as they are told."""
        lines = (*self.counted, *self.uncounted)
        return frozenset(event for line in lines for part in line.awards for event in part.events)

    @property
    def counting_events(self) -> frozenset[str]:
        return frozenset(event for line in self.counted for part in line.awards for event in part.events)


def receipt_of(explanation: Explanation, document: Mapping[str, Any]) -> Receipt:
    counted = _lines([part for part in explanation.parts if part.counted])
    fall = waterfall([line.points for line in counted])
    return Receipt(
        at=explanation.at,
        total=explanation.total,
        raw=explanation.raw,
        next_change=explanation.next_change,
        dimensions=_dimensions(explanation.dimensions, document.get("dimensions", {})),
        counted=[
            Line(line.rule, line.title, line.points, line.awards, line.count, step)
            for line, step in zip(counted, fall.falls, strict=True)
        ],
        uncounted=_lines([part for part in explanation.parts if not part.counted]),
        waterfall=fall,
        adjustments=explanation.adjustments,
    )


def _lines(parts: Sequence[Part]) -> list[Line]:
    lines = []
    for rule, found in groupby(parts, key=lambda part: part.rule):
        awards = list(found)
        newest = tuple(reversed(awards[-MOST_AWARDS:]))
        points_ = sum(part.points for part in awards)
        title = awards[0].title or ("Judgement" if awards[0].judged else rule)
        lines.append(Line(rule, title, points_, newest, len(awards)))
    return lines


def _dimensions(sums: Mapping[str, int], documents: Mapping[str, Any]) -> list[DimensionSum]:
    highest = max([POINT, *sums.values()])
    found = []
    for name, total in sums.items():
        written = (documents.get(name) or {}).get("max")
        cap = None if written is None else round(written * POINT)
        found.append(DimensionSum(name, total, cap, filled(total, low=0, high=highest if cap is None else cap)))
    return found
