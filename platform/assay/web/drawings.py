"""Previews and replays drawn: pure, so that it can be tested where each bar stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.web.waterfall import tone

#: Units of a drawing.
WIDTH, HEIGHT = 1000, 100
_GAP = 0.15

STAGE = "stage:"
_PLACES = {
    "none": "No stage",
    "disqualified": "Disqualified",
    "outside": "Not scored by this model",
}


@dataclass(frozen=True)
class Rect:
    x: float
    y: float
    width: float
    height: float
    tone: str
    words: str


@dataclass(frozen=True)
class Bin:
    before: Rect
    after: Rect
    low: int
    high: int
    leads_before: int
    leads_after: int


@dataclass(frozen=True)
class Column:
    """One instant of a replay: its leads by place, the best on top."""

    at: str
    rects: list[Rect]


def place_words(place: str) -> str:
    return place.removeprefix(STAGE) if place.startswith(STAGE) else _PLACES.get(place, place)


def place_tones(places: Sequence[str]) -> dict[str, str]:
    """The class that gives each place its colour; ``places`` stand best first."""
    stages = [place for place in places if place.startswith(STAGE)]
    tones = {place: str(tone(len(stages) - 1 - number, len(stages))) for number, place in enumerate(stages)}
    return tones | {"none": "0", "disqualified": "out", "outside": "0"}


def bins(totals: Mapping[str, Any]) -> list[Bin]:
    """Before and after side by side in each bin, on one scale."""
    found = totals["bins"]
    most = max((bin_[side] for bin_ in found for side in ("before", "after")), default=0) or 1
    step = WIDTH / (len(found) or 1)
    bar = step * (1 - _GAP) / 2

    def rect(number: int, side: int, leads: int, name: str) -> Rect:
        # Whatever is there is seen, be it one lead of a million.
        height = max(round(HEIGHT * leads / most, 2), 1.0) if leads else 0.0
        x = round(number * step + step * _GAP / 2 + side * bar, 2)
        return Rect(x, round(HEIGHT - height, 2), round(bar, 2), height, name, "")

    return [
        Bin(
            rect(number, 0, bin_["before"], "before"),
            rect(number, 1, bin_["after"], "after"),
            bin_["from"],
            bin_["from"] + totals["width"],
            bin_["before"],
            bin_["after"],
        )
        for number, bin_ in enumerate(found)
    ]


def share(leads: int, most: int) -> float:
    """The length of a bar in hundredths of the longest."""
    return max(round(100 * leads / most, 2), 0.5) if leads else 0.0


def columns(instants: Sequence[Mapping[str, Any]], side: str, places: Sequence[str]) -> list[Column]:
    """Where leads stood, instant by instant. Whoever the model does not score is left out."""
    tones = place_tones(places)
    shown = [place for place in places if place != "outside"]
    most = max(
        (sum(each[one]["stood"].get(place, 0) for place in shown) for each in instants for one in each if one != "at"),
        default=0,
    )
    step = WIDTH / (len(instants) or 1)
    found = []
    for number, each in enumerate(instants):
        top, rects = float(HEIGHT), []
        for place in reversed(shown):
            leads = each[side]["stood"].get(place, 0)
            height = HEIGHT * leads / (most or 1)
            if leads:
                top -= height
                words = f"{place_words(place)}: {leads:,} on {each['at'][:10]}"
                rects.append(
                    Rect(
                        round(number * step + step * _GAP / 2, 2),
                        round(top, 2),
                        round(step * (1 - _GAP), 2),
                        round(height, 2),
                        tones.get(place, "0"),
                        words,
                    )
                )
        found.append(Column(each["at"], rects))
    return found
