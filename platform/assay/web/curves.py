"""Score over time, drawn: as the version that is live would have scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from assay.scoring import curves, queries
from assay.web.rulers import ruler
from assay.web.words import POINT, points

WORKED_OUT = "As version {} would have scored at each moment, from all that is known today."
SAMPLED = " Drawn from a sample of the moments at which the score can have changed."


@dataclass(frozen=True)
class Drawing:
    series: dict[str, list[float]]
    low: float
    high: float
    #: The same for those who do not see it.
    words: str
    note: str


def drawing(tenant_id: int, lead_id: int, score: queries.LeadScore) -> Drawing:
    """Up to now."""
    curve = curves.past_scores(tenant_id, lead_id, score.model)
    version, drawn = curve.version, curve.points
    note = WORKED_OUT.format(version) + ("" if curve.complete else SAMPLED)
    scale = ruler(queries.get_version(tenant_id, score.model, version))
    return Drawing(
        series={"at": [at.timestamp() for at, _ in drawn], "points": [total / POINT for _, total in drawn]},
        low=scale.low / POINT,
        high=scale.high / POINT,
        words=_words(drawn),
        note=note,
    )


def _words(drawn: Sequence[tuple[datetime, int]]) -> str:
    totals = [total for _, total in drawn]
    return (
        f"Score from {points(totals[0])} on {drawn[0][0]:%-d %B %Y} to {points(totals[-1])} now; "
        f"lowest {points(min(totals))}, highest {points(max(totals))}"
    )
