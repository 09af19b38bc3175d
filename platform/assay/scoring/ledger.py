"""What becomes of scores from look to look: which values end, which begin, and what has to be written. Pure.

Frames hold a row for each lead and model. ``SCORES`` are the columns of a stored score.
"""

from collections.abc import Collection
from datetime import datetime

import polars as pl

INSTANT = pl.Datetime("us", "UTC")
PLACE = ["lead_id", "model_id"]
#: What makes another value of a score when it changes.
VALUES = {
    "version": pl.Int32(),
    "total": pl.Int64(),
    "raw": pl.Int64(),
    "dimensions": pl.String(),
    "stage": pl.String(),
    "grade": pl.String(),
    "override": pl.String(),
    "disqualified": pl.String(),
}
SCORES = {
    "lead_id": pl.Int64(),
    "model_id": pl.Int64(),
    **VALUES,
    "next_change": INSTANT,
    "scored_at": INSTANT,
    "recorded_at": INSTANT,
}
#: What the engine found: scores, and for whom there is none.
FOUND = {"lead_id": pl.Int64(), "model_id": pl.Int64(), "applies": pl.Boolean(), **VALUES, "next_change": INSTANT}
#: A value that ended. Without ``recorded_at`` it was never stored.
PAST = {
    "lead_id": pl.Int64(),
    "model_id": pl.Int64(),
    "at": INSTANT,
    "until": INSTANT,
    "recorded_at": INSTANT,
    **VALUES,
}


class Ledger:
    """Scores as stored, and as they became by one look after the other."""

    def __init__(self, stored: pl.DataFrame) -> None:
        self.stored = stored
        #: Without ``recorded_at``: not written yet.
        self.latest = stored
        self._ended: list[pl.DataFrame] = []

    def become(self, found: pl.DataFrame, at: datetime) -> None:
        """What was found at an instant stands from it on, where it differs from what stood before."""
        both = found.join(self.latest, on=PLACE, how="left", suffix="_before", maintain_order="left")
        differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_before")) for name in VALUES)
        both = both.with_columns(new=pl.col("scored_at").is_null() | differs)
        self._end(both.filter(pl.col("scored_at").is_not_null() & (~pl.col("applies") | pl.col("new"))), at, "_before")
        now = both.filter("applies").select(
            *PLACE,
            *VALUES,
            "next_change",
            pl.when("new").then(pl.lit(at, INSTANT)).otherwise("scored_at").alias("scored_at"),
            pl.when(~pl.col("new")).then("recorded_at").alias("recorded_at"),
        )
        if found.height < self.latest.height:
            now = pl.concat([self.latest.join(found, on=PLACE, how="anti"), now])
        else:
            now = pl.concat([now, self.latest.join(found, on=PLACE, how="anti")])
        self.latest = now

    def remove(self, gone: pl.DataFrame, at: datetime) -> None:
        """These scores, rows of ``latest``, end without another in their place."""
        if not gone.is_empty():
            self._end(gone, at, "")
            self.latest = self.latest.join(gone, on=PLACE, how="anti")

    def _end(self, rows: pl.DataFrame, at: datetime, suffix: str) -> None:
        if not rows.is_empty():
            values = [pl.col(f"{name}{suffix}").alias(name) for name in VALUES]
            until = pl.lit(at, INSTANT).alias("until")
            self._ended.append(rows.select(*PLACE, pl.col("scored_at").alias("at"), until, "recorded_at", *values))

    @property
    def past(self) -> pl.DataFrame:
        """The values that ended, oldest first."""
        return pl.concat([pl.DataFrame(schema=PAST), *self._ended])

    @property
    def changed(self) -> pl.DataFrame:
        """Scores to be written; ``seen`` is when the row that they replace was recorded, null for those without one."""
        before = self.stored.select(
            *PLACE,
            pl.col("recorded_at").alias("seen"),
            *(pl.col(name).alias(f"{name}_before") for name in ("next_change", "scored_at")),
        )
        both = self.latest.join(before, on=PLACE, how="left")
        return both.filter(
            pl.any_horizontal(
                pl.col("recorded_at").is_null(),
                *(pl.col(name).ne_missing(pl.col(f"{name}_before")) for name in ("next_change", "scored_at")),
            )
        ).select(*PLACE, *VALUES, "next_change", "scored_at", "seen")

    @property
    def gone(self) -> pl.DataFrame:
        """Scores to be deleted, with when they were recorded."""
        return self.stored.join(self.latest, on=PLACE, how="anti").select(*PLACE, pl.col("recorded_at").alias("seen"))


def found(frame: pl.DataFrame, versions: Collection[tuple[str, int, int]]) -> pl.DataFrame:
    """The engine's frame with models and versions by number: of each its hash, the model's id and its number."""
    hashes, model_ids, numbers = zip(*versions, strict=True) if versions else ((), (), ())
    known = pl.DataFrame(
        {"content_hash": hashes, "model_id": model_ids, "version": numbers},
        schema={"content_hash": pl.String(), "model_id": pl.Int64(), "version": pl.Int32()},
    )
    return frame.join(known, on="content_hash", how="inner", maintain_order="left").select(
        pl.col(name).cast(type_) for name, type_ in FOUND.items()
    )
