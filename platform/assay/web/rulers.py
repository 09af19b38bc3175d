"""What a model's numbers are measured against: its scale, and its stages from the lowest to the highest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay.scoring.models import ModelVersion
from assay.web.waterfall import filled, tone
from assay.web.words import POINT

#: Without a scale and without stages, a hundred points fill the bar.
PLAIN = 100 * POINT


@dataclass(frozen=True)
class Ruler:
    low: int
    high: int
    #: None where the model has no upper end: «40 of 100» would then be invented.
    top: int | None
    stages: tuple[str, ...] = ()

    def fill(self, total: int) -> int:
        return filled(total, low=self.low, high=self.high)

    def tone(self, stage: str | None) -> int:
        return tone(self.stages.index(stage), len(self.stages)) if stage in self.stages else 0


def ruler(version: ModelVersion) -> Ruler:
    """Reads the canonical document alone: a model of thousands of rules is not parsed again for each page."""
    document: Mapping[str, Any] = version.document
    scale = document.get("scale", {})
    stages = sorted((_threshold(stage), stage["name"]) for stage in document.get("stages", []))
    top = _thousandths(scale["max"]) if "max" in scale else None
    high = top if top is not None else stages[-1][0] if stages else PLAIN
    low = min(_thousandths(scale.get("min", 0)), high)
    return Ruler(low, high, top, tuple(name for _, name in stages))


def _threshold(stage: Mapping[str, Any]) -> int:
    return _thousandths(stage["from"] if "from" in stage else stage["above"])


def _thousandths(number: float) -> int:
    return round(number * POINT)
