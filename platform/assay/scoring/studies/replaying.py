"""What a draft would have said at instants of the past, beside the live version and what was recorded.

Pure, on frames of what was known at each instant. Leads come in ranges: `look_back` makes a summary of each, and
`conclude` adds them up.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from assay.scoring import language
from assay.scoring.studies.previewing import DISQUALIFIED, NO_STAGE, OUTSIDE, STAGE

Summary = dict[str, Any]

INSTANT = pl.Datetime("us", "UTC")
SIDES = ("draft", "live", "recorded")
_TOLD = 25
#: Instead of a place in the list of instants: never.
_NEVER = -1


@dataclass(frozen=True)
class Outcomes:
    """How a deal ended, by event type, and how long before its end we look."""

    won: str | None = None
    lost: str | None = None
    before: timedelta = timedelta(days=30)

    @property
    def types(self) -> dict[str, str]:
        return {name: type_ for name, type_ in (("won", self.won), ("lost", self.lost)) if type_}


def instants_of(since: datetime, until: datetime, every: timedelta) -> list[datetime]:
    """From ``since`` on, in even steps; ``until`` is always the last."""
    steps = (until - since) // every
    found = [since + step * every for step in range(steps + 1)]
    return found if found[-1] == until else [*found, until]


def look_back(
    places: pl.DataFrame,
    endings: pl.DataFrame,
    instants: Sequence[datetime],
    draft: language.Model,
    live: language.Model | None,
    outcomes: Outcomes,
) -> Summary:
    """``places``: instant (its place in the list), lead_id, draft, live, recorded: where each lead stood.

    A lead unknown at an instant has no row there. ``endings``: lead_id, outcome, ended_at.
    """
    sides = [side for side in SIDES if side != "live" or live is not None]
    return {
        "leads": places["lead_id"].n_unique(),
        "stood": {side: _counts(places.group_by("instant", side).len()) for side in sides},
        "entered": {side: _counts(_entries(places, side)) for side in sides},
        "called": {} if live is None else _called(places, instants, draft, live),
        "outcomes": _outcomes(places, endings, instants, outcomes),
    }


def _counts(frame: pl.DataFrame) -> list[list[Any]]:
    return [list(row) for row in frame.iter_rows()]


def _entries(places: pl.DataFrame, side: str) -> pl.DataFrame:
    """Whoever stands where it did not stand at the instant before; at the first instant nobody is said to enter."""
    before = places.select("lead_id", (pl.col("instant") + 1).alias("instant"), pl.col(side).alias("before"))
    return (
        places.filter(pl.col("instant") > 0)
        .join(before, on=["lead_id", "instant"], how="left")
        .filter(pl.col(side).ne_missing(pl.col("before").fill_null(OUTSIDE)))
        .group_by("instant", side)
        .len()
    )


def _called(
    places: pl.DataFrame, instants: Sequence[datetime], draft: language.Model, live: language.Model
) -> dict[str, Any]:
    """For each stage of both: when each lead first stood there or higher, by the one and by the other."""
    found = {}
    for name in shared_stages(draft, live):
        firsts = (
            places.lazy()
            .group_by("lead_id")
            .agg(
                pl.col("instant").filter(pl.col(side).is_in(_from(model, name))).min().fill_null(_NEVER).alias(side)
                for side, model in (("draft", draft), ("live", live))
            )
            .filter((pl.col("draft") != _NEVER) | (pl.col("live") != _NEVER))
            .collect()
        )
        told = firsts.filter(pl.col("draft") != pl.col("live"), pl.min_horizontal("draft", "live") != _NEVER)
        apart = (pl.col("draft") - pl.col("live")).abs()
        found[name] = {
            "pairs": _counts(firsts.group_by("draft", "live").len()),
            "leads": _counts(told.sort(apart, -pl.col("lead_id"), descending=True).head(_TOLD)),
        }
    return found


def shared_stages(draft: language.Model, live: language.Model) -> list[str]:
    """Best first, as the draft ranks them."""
    theirs = {stage.name for stage in live.stages}
    return [stage.name for stage in sorted(draft.stages, key=lambda stage: -stage.threshold) if stage.name in theirs]


def _from(model: language.Model, name: str) -> list[str]:
    """This stage and those above it."""
    threshold = next(stage.threshold for stage in model.stages if stage.name == name)
    return [STAGE + stage.name for stage in model.stages if stage.threshold >= threshold]


def _outcomes(
    places: pl.DataFrame, endings: pl.DataFrame, instants: Sequence[datetime], outcomes: Outcomes
) -> list[list[Any]]:
    """[outcome, draft's place, live's place, leads] so long before the end; no place: too early to tell."""
    times = pl.DataFrame({"instant": range(len(instants)), "looked_at": instants}).cast(
        {"instant": pl.Int64, "looked_at": INSTANT}
    )
    ended = (
        endings.group_by("lead_id", "outcome")
        .agg(pl.col("ended_at").min())
        .filter(pl.col("ended_at").is_between(instants[0], instants[-1]))
        .with_columns((pl.col("ended_at") - outcomes.before).cast(INSTANT).alias("asked"))
        .sort("asked")
        .join_asof(times, left_on="asked", right_on="looked_at")
    )
    stood = ended.join(places, on=["lead_id", "instant"], how="left")
    return _counts(stood.group_by("outcome", "draft", "live").len())


def conclude(
    summaries: Sequence[Summary],
    instants: Sequence[datetime],
    draft: language.Model,
    live: language.Model | None,
    outcomes: Outcomes,
) -> dict[str, Any]:
    """All ranges together."""
    ranked = [STAGE + name for name in _ranked(draft, live)]
    stood, entered = _by_instant(summaries, "stood"), _by_instant(summaries, "entered")
    sides = [side for side in SIDES if side != "live" or live is not None]
    places = [*ranked, NO_STAGE, DISQUALIFIED, OUTSIDE]
    seen = {place for _, place, _ in stood if place is not None}
    places += sorted(seen - set(places))
    return {
        "leads": sum(summary["leads"] for summary in summaries),
        "places": [
            place for place in places if any(stood[side, place, at] for side in sides for at in range(len(instants)))
        ],
        "instants": [
            {
                "at": at.isoformat(),
                **{
                    side: {
                        "stood": {each: stood[side, each, place] for each in places if stood[side, each, place]},
                        "entered": {each: entered[side, each, place] for each in places if entered[side, each, place]},
                    }
                    for side in sides
                },
            }
            for place, at in enumerate(instants)
        ],
        "called": [] if live is None else [_calls(summaries, name, instants) for name in shared_stages(draft, live)],
        "outcomes": [
            _outcome(summaries, name, type_, places, compared=live is not None)
            for name, type_ in outcomes.types.items()
        ],
    }


def _ranked(draft: language.Model, live: language.Model | None) -> list[str]:
    named = {stage.name: stage.threshold for model in (live, draft) if model for stage in model.stages}
    return sorted(named, key=lambda name: -named[name])


def _by_instant(summaries: Iterable[Summary], name: str) -> Counter[tuple[str, str | None, int]]:
    found: Counter[tuple[str, str | None, int]] = Counter()
    for summary in summaries:
        for side, counts in summary[name].items():
            for instant, place, leads in counts:
                found[side, place, instant] += leads
    return found


def _calls(summaries: Sequence[Summary], name: str, instants: Sequence[datetime]) -> dict[str, Any]:
    pairs: Counter[tuple[int, int]] = Counter()
    leads: list[list[int]] = []
    for summary in summaries:
        for draft, live, count in summary["called"][name]["pairs"]:
            pairs[draft, live] += count
        leads += summary["called"][name]["leads"]
    both = {pair: count for pair, count in pairs.items() if _NEVER not in pair}
    earlier = {pair: count for pair, count in both.items() if pair[0] < pair[1]}
    later = {pair: count for pair, count in both.items() if pair[0] > pair[1]}
    leads.sort(key=lambda lead: (-abs(_days(lead[1:], instants)), lead[0]))
    return {
        "stage": name,
        "earlier": sum(earlier.values()),
        "earlier_by": _median_days(earlier, instants),
        "later": sum(later.values()),
        "later_by": _median_days(later, instants),
        "same": sum(both.values()) - sum(earlier.values()) - sum(later.values()),
        "only_draft": sum(count for (_, live), count in pairs.items() if live == _NEVER),
        "only_live": sum(count for (draft, _), count in pairs.items() if draft == _NEVER),
        "leads": [
            {
                "lead_id": lead_id,
                "draft": instants[draft].isoformat(),
                "live": instants[live].isoformat(),
                "days": _days((draft, live), instants),
            }
            for lead_id, draft, live in leads[:_TOLD]
        ],
    }


def _days(pair: Sequence[int], instants: Sequence[datetime]) -> float:
    """By how many days the draft is earlier; below nought: later."""
    draft, live = pair
    return round((instants[live] - instants[draft]) / timedelta(days=1), 2)


def _median_days(pairs: Mapping[tuple[int, int], int], instants: Sequence[datetime]) -> float | None:
    """The lower one of the two in the middle."""
    ranked = sorted((abs(_days(pair, instants)), count) for pair, count in pairs.items())
    left = (sum(pairs.values()) + 1) // 2
    for days, count in ranked:
        left -= count
        if left <= 0:
            return days
    return None


def _outcome(
    summaries: Sequence[Summary], name: str, type_: str, places: Sequence[str], *, compared: bool
) -> dict[str, Any]:
    draft, live = Counter[str | None](), Counter[str | None]()
    for summary in summaries:
        for outcome, drafted, lived, leads in summary["outcomes"]:
            if outcome == name:
                draft[drafted] += leads
                live[lived] += leads if compared else 0
    return {
        "outcome": name,
        "type": type_,
        "leads": sum(draft.values()),
        #: Ended so early, or came so late, that nothing was known of them then.
        "not_known": draft[None],
        "stood": [
            {"place": place, "draft": draft[place], "live": live[place]}
            for place in places
            if draft[place] or live[place]
        ],
    }
