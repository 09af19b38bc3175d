"""The receipt of a score as values: parts that sum to `raw`, and adjustments that lead from it to `total`."""

from dataclasses import dataclass
from datetime import datetime

from assay.scoring.engine.reasons import Reason, sentence


@dataclass(frozen=True, slots=True)
class Judged:
    """Who adjusted the score, and why, in their own words."""

    key: str
    by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """One award, or one that was left out: then `counted` is False, `points` 0, and `because` says the reason.

    `points` are thousandths after fading and every cap; `earned` are those of the award itself, whole. `at` is the
    award's own instant, None for what simply holds; of many awards told together, the newest one's. `events` are the
    ids of the events behind it, newest last.
    """

    rule: str
    title: str | None
    dimension: str | None
    group: str | None
    points: int
    earned: int
    counted: bool
    what: Reason
    because: tuple[Reason, ...]
    at: datetime | None
    events: tuple[str, ...]
    #: How many events are behind it, where that is more than are listed.
    events_behind: int = 0
    judged: Judged | None = None

    @property
    def why(self) -> str:
        return sentence(self.what, self.because)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A step from `raw` to `total`: the scale's end, or an override; disqualifying takes no points."""

    kind: str
    override: str | None
    points: int
    because: Reason

    @property
    def why(self) -> str:
        return sentence(self.because, ())


@dataclass(frozen=True, slots=True)
class Explanation:
    """A lead's score under one model with all its parts, in the order of the rules, then of time.

    `raw` plus the points of all adjustments is `total`. A lead outside the model's audience has neither: `applies` is
    False then, and the one part says for whom the model is.
    """

    model: str
    content_hash: str
    lead_id: int | str
    at: datetime
    applies: bool
    total: int | None
    raw: int | None
    dimensions: dict[str, int]
    stage: str | None
    grade: str | None
    override: str | None
    disqualified: str | None
    next_change: datetime | None
    parts: tuple[Part, ...]
    adjustments: tuple[Adjustment, ...]
