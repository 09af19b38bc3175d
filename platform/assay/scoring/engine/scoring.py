"""Scores of any number of leads, in stretches that bound the memory it takes."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import polars as pl

from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.drifting import settle
from assay.scoring.engine.evaluating import Board, Evaluated, evaluate
from assay.scoring.engine.frames import INSTANT, Reads, Scene, events_of, people_of, reads, scene_of
from assay.scoring.engine.totals import as_json

#: Events, and leads times rules, that one stretch holds at most.
_MOST_EVENTS = 600_000
_MOST_CELLS = 4_000_000
#: Into how many stretches a longer one is cut at once: each cut reads all its events that many times.
_CUTS = 16
#: Stretches worked on side by side: Polars itself leaves cores idle between the steps of one.
_ABREAST = 2
# Past the last instant Python and PostgreSQL can both hold, a change is no news to anybody.
_LAST_INSTANT = 253_402_300_799_999_999


def score(
    models: Sequence[CompiledModel],
    leads: pl.DataFrame,
    events: pl.DataFrame,
    at: datetime | None,
    *,
    distinct: bool = False,
) -> pl.DataFrame:
    """One row per model and lead, in the order given.

    Columns: model, content_hash, lead_id, applies, total, raw (thousandths), dimensions (JSON text: name → thousandths
    after caps), stage, grade, override, disqualified, next_change (the earliest instant after `at` when any of it can
    change without news). Without `at` each lead is scored at the instant in its column `at`. `distinct` vouches that no
    event is given twice.
    """
    read = reads(models)
    people = people_of(read, leads, at)
    happened = events_of(read, events, people, ids=not distinct)
    rules = sum(len(model.model.rules) for model in models) or 1
    if people.height * rules <= _MOST_CELLS and happened.height <= _MOST_EVENTS:
        parts = [scored(evaluate(scene_of(read, people, happened, ids=False, distinct=distinct), models), models)]
    else:
        parts = _abreast(models, read, people, happened, rules, distinct)
    frames = [part[place] for place in range(len(models)) for part in parts]
    return pl.concat(frames) if frames else _nothing(leads)


def _abreast(
    models: Sequence[CompiledModel], read: Reads, people: pl.DataFrame, events: pl.DataFrame, rules: int, distinct: bool
) -> list[list[pl.DataFrame]]:
    """The stretches' scores, a few stretches at a time."""
    done: list[list[pl.DataFrame]] = []
    waiting: deque[Future[list[pl.DataFrame]]] = deque()

    def work(some: pl.DataFrame, theirs: pl.DataFrame) -> list[pl.DataFrame]:
        return scored(evaluate(scene_of(read, some, theirs, ids=False, distinct=distinct), models), models)

    with ThreadPoolExecutor(_ABREAST) as workers:
        for first, size, theirs in _stretches(events, 0, people.height, rules):
            if len(waiting) == _ABREAST:
                done.append(waiting.popleft().result())
            waiting.append(workers.submit(work, people.slice(first, size), theirs))
        done += [future.result() for future in waiting]
    return done


def _stretches(events: pl.DataFrame, first: int, size: int, rules: int) -> Iterator[tuple[int, int, pl.DataFrame]]:
    """Runs of leads (the first one, how many) with their events."""
    cuts = max(-(-events.height // _MOST_EVENTS), -(-size * rules // _MOST_CELLS))
    if cuts <= 1 or size <= 1:
        yield first, size, events
        return
    step = -(-size // min(cuts, _CUTS))
    for begin in range(first, first + size, step):
        end = min(begin + step, first + size)
        theirs = events.filter(pl.col("lead").is_between(begin, end, closed="left"))
        yield from _stretches(theirs, begin, end - begin, rules)


def scored(board: Board, models: Sequence[CompiledModel]) -> list[pl.DataFrame]:
    """The rows of `score`, a frame for each model."""
    found, scene = board.found, board.scene
    rows = {model.hash: _row(found[model.hash], scene, settle(scene, found[model.hash], found)) for model in models}
    return [rows[model.hash] for model in models]


def _row(found: Evaluated, scene: Scene, change: pl.Series) -> pl.DataFrame:
    frame = found.outcome.with_columns(scene.leads["lead_id"], change.alias("next_change"))
    return frame.select(
        pl.lit(found.model.name).alias("model"),
        pl.lit(found.model.hash).alias("content_hash"),
        "lead_id",
        "applies",
        "total",
        "raw",
        pl.when("applies").then(as_json(found.model.model)).alias("dimensions"),
        "stage",
        "grade",
        "override",
        "disqualified",
        pl.when(pl.col("next_change") <= _LAST_INSTANT).then("next_change").cast(INSTANT).alias("next_change"),
    )


def _nothing(leads: pl.DataFrame) -> pl.DataFrame:
    texts = dict.fromkeys(("dimensions", "stage", "grade", "override", "disqualified"), pl.String)
    numbers = {"applies": pl.Boolean, "total": pl.Int64, "raw": pl.Int64}
    return pl.DataFrame(
        schema={
            "model": pl.String,
            "content_hash": pl.String,
            "lead_id": leads.schema["lead_id"],
            **numbers,
            **texts,
            "next_change": INSTANT,
        }
    )
