"""Awards made ready to be told: the engine's own, those that count nothing included, each with what it rests on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from assay.scoring.engine import awards
from assay.scoring.engine.compiling import WITHDRAWN, CompiledModel
from assay.scoring.engine.evaluating import Board
from assay.scoring.engine.fading import lasts
from assay.scoring.engine.making import behind
from assay.scoring.engine.reasons import Reason, reason
from assay.scoring.engine.receipts import Judged
from assay.scoring.language import OnEvents, Rule, WhenSilent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The pseudo-rule of people's judgements.
JUDGEMENTS = "judgement"


@dataclass(slots=True)
class Award:
    """An award on its way through the caps: `whole` units at its own instant, `units` now, `left` after the caps."""

    place: int
    rule: Rule | None
    what: Reason
    t: int | None
    whole: int
    units: int
    refusal: Reason | None = None
    events: tuple[str, ...] = ()
    events_behind: int = 0
    judged: Judged | None = None
    left: int = 0
    points: int = 0
    reductions: list[Reason] = field(default_factory=list)
    remarks: list[Reason] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = 0 if self.refusal else self.units

    @property
    def id(self) -> str:
        return JUDGEMENTS if self.rule is None else self.rule.id

    @property
    def is_milestone(self) -> bool:
        return self.rule is not None and self.rule.worth == "milestone"

    @property
    def order(self) -> tuple[bool, int, str, int]:
        return (self.t is not None, self.t or 0, self.events[0] if self.events else "", self.place)


Listed = Iterator[tuple[int, Award]]


def moment(t: int) -> datetime:
    return _EPOCH + timedelta(microseconds=t)


def from_events(board: Board, model: CompiledModel, found: dict[int, pl.DataFrame]) -> Listed:
    instants = board.scene.leads["at"].to_list()
    words = {one.type: one.words for one in model.made}
    for place, rule, trigger in model.event_rules:
        for lead, t, event_id, event_type, worth, points, verdict, active in _rows(board, found[place]):
            refusal = None if active else left_out(trigger, verdict) or over(t, instants[lead], trigger)
            what = reason("event", type=words.get(event_type, event_type), at=moment(t))
            events = behind(event_id)
            yield lead, Award(place, rule, what, t, worth, points, refusal, events, len(events))


def _rows(board: Board, found: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    if found.is_empty():
        return
    events = board.scene.events.select(pl.col("event_id", "type").gather(found["row"]))
    yield from (
        found.hstack(events).select("lead", "t", "event_id", "type", "worth", "points", "verdict", "active").iter_rows()
    )


def left_out(trigger: OnEvents | WhenSilent, verdict: int) -> Reason | None:
    match verdict:
        case awards.COUNTED_ONCE:
            return reason("counted_once")
        case awards.STILL_ACTIVE:
            return reason("still_active")
        case awards.REPLACED:
            return reason("replaced")
    if isinstance(trigger, WhenSilent):
        return None
    count = trigger.count
    match verdict:
        case awards.COUNTED_FOR_VALUE:
            return reason("counted_for_value", property=count.property)
        case awards.WITHOUT_VALUE:
            return reason("without_value", property=count.property)
        case awards.BEYOND_FIRST:
            return reason("beyond_first", count=count.number)
        case awards.BEFORE_FROM:
            return reason("before_from", nth=count.number)
    return None


def over(t: int, at: int, trigger: OnEvents | WhenSilent) -> Reason:
    """Of an award that the rule's words allow and that does not count at this instant: too early or too late."""
    if t > at:
        return reason("future", at=moment(t))
    life = lasts(trigger.fading)
    if trigger.fading is None or trigger.fading.kind != "after" or life is None:
        return reason("faded_away")
    return reason("expired", day=moment(t + life), length=life)


def from_silences(board: Board, model: CompiledModel, found: dict[int, pl.DataFrame]) -> Listed:
    instants = board.scene.leads["at"].to_list()
    for place, rule, trigger in model.silence_rules:
        for row in found[place].iter_rows(named=True):
            lead, t = row["lead"], row["t"]
            refusal = None if row["active"] else left_out(trigger, row["verdict"]) or over(t, instants[lead], trigger)
            what = _silence(trigger, t - trigger.length)
            yield (
                lead,
                Award(place, rule, what, t, row["worth"], row["points"], refusal, *_behind(board, row["row"])),
            )
        yield from _coming(board, place, rule, trigger, model.worths[place])


def _coming(board: Board, place: int, rule: Rule, trigger: WhenSilent, worth: int) -> Listed:
    """What the silence a lead is in will give, unless something is known to end it before."""
    state = board.silence(trigger.of).select("start", "row", "turn").hstack(board.scene.leads.select("at"))
    for lead, (start, row, turn, at) in enumerate(state.iter_rows()):
        if start is None or start + trigger.length <= at:
            continue
        t = start + trigger.length
        if turn is None or turn > t:
            refusal = reason("not_yet", at=moment(t))
            yield lead, Award(place, rule, _silence(trigger, start), t, worth, 0, refusal, *_behind(board, row))


def _silence(trigger: WhenSilent, since: int) -> Reason:
    if trigger.of is None:
        return reason("silent_altogether", length=trigger.length, since=moment(since))
    return reason("silent", types=trigger.of, length=trigger.length, since=moment(since))


def _behind(board: Board, row: int | None) -> tuple[tuple[str, ...], int]:
    return ((), 0) if row is None else ((board.scene.events["event_id"][row],), 1)


def from_judgements(board: Board, model: CompiledModel, found: dict[int, pl.DataFrame]) -> Listed:
    place = len(model.model.rules)
    if place not in found or found[place].is_empty():
        return
    withdrawn, instants = _withdrawals(board), board.scene.leads["at"].to_list()
    rows = found[place]
    told = board.scene.events.select("event_id", *_properties(board, ("judgement", "by", "reason")))[rows["row"]]
    for row, texts in zip(rows.iter_rows(named=True), told.iter_rows(named=True), strict=True):
        key = texts["property:judgement"] or ""
        judged = Judged(key, texts["property:by"], texts["property:reason"])
        refusal = None
        if row["t"] > instants[row["lead"]]:
            refusal = reason("future", at=moment(row["t"]))
        elif not row["active"]:
            is_withdrawn = withdrawn.get((row["lead"], key)) == row["ends"]
            refusal = reason("withdrawn" if is_withdrawn else "ran_out", at=moment(row["ends"]))
        what, event_id = _judged(judged, moment(row["t"])), texts["event_id"]
        yield (
            row["lead"],
            Award(place, None, what, row["t"], row["worth"], row["points"], refusal, (event_id,), 1, judged),
        )


def _properties(board: Board, names: Sequence[str]) -> list[pl.Expr]:
    columns = board.scene.events.columns
    every = (f"property:{name}" for name in names)
    return [pl.col(name) if name in columns else pl.lit(None, pl.String).alias(name) for name in every]


def _withdrawals(board: Board) -> dict[tuple[int, str | None], int]:
    """When each judgement was first taken back."""
    found: dict[tuple[int, str | None], int] = {}
    events = board.scene.of_types((WITHDRAWN,)).events
    for lead, t, key in events.select("lead", "t", "property:judgement").iter_rows():
        found.setdefault((lead, key), t)
    return found


def _judged(judged: Judged, at: datetime) -> Reason:
    values: dict[str, object] = {"at": at}
    code = "judged"
    if judged.by:
        code, values = f"{code}_by", {**values, "by": judged.by}
    if judged.reason:
        code, values = f"{code}_because", {**values, "reason": judged.reason}
    return Reason(code, values)
