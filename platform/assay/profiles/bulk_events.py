"""Events of an import by the ten thousand: people are worked out once each, events go from columns to the database.

The result is the same as that of ``service.apply`` for the same rows as records.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy.orm import Session

from assay.intake.imports.event_frames import VENDOR, EventFrame
from assay.profiles import events, service
from assay.profiles.contests import Claim
from assay.profiles.gathering import Gathered, Happening, Origin, meet, tell_address
from assay.profiles.matching import Key, persona
from assay.profiles.merging import instant
from assay_sdk import Identifiers

_IDS = ("user_id", "email", "anonymous_id")
#: Which combination of identifiers a row shows.
_WHO = "who"
_INSTANT = pl.Datetime("us", "UTC")


def apply_frame(
    session: Session, tenant_id: int, frame: EventFrame, *, source_id: int, import_id: int, received_at: datetime
) -> set[int]:
    """Gives the leads with news, and those that were merged into others; tells them to ``on_leads_changed`` too."""
    if not len(frame):
        return set()
    names = [*_IDS, *frame.vendors]
    combinations = (
        frame.rows.group_by(names, maintain_order=True)
        .agg(first=pl.col("occurred_at").min(), last=pl.col("occurred_at").max())
        .with_row_index(_WHO)
    )
    found = Gathered(import_id)
    primaries = [_gathered(found, row, source_id) for row in combinations.iter_rows(named=True)]
    rows = _ranked(frame.rows.join(combinations.select(*names, _WHO), on=names, nulls_equal=True), primaries)
    news = _News(rows, primaries, source_id, received_at)
    return service.apply_gathered(session, tenant_id, found, news)


def _gathered(found: Gathered, row: dict[str, Any], source_id: int) -> Key | None:
    """What all events of these identifiers together tell of who it is; gives the identity that they hang on."""
    ids = Identifiers(
        user_id=row["user_id"],
        email=row["email"],
        anonymous_id=row["anonymous_id"],
        vendor={name.removeprefix(VENDOR): value for name, value in row.items() if name.startswith(VENDOR) and value},
    )
    who = persona(ids)
    for at in dict.fromkeys((row["first"], row["last"])):
        origin = Origin(instant(at), source_id, None)
        meet(found, [who], origin)
        tell_address(found, who, origin)
    return who.primary


def _ranked(rows: pl.DataFrame, primaries: list[Key | None]) -> pl.DataFrame:
    """Those that hang on somebody; of two different events under one id the one that precedes."""
    named = [place for place, primary in enumerate(primaries) if primary is not None]
    if len(named) < len(primaries):
        rows = rows.filter(pl.col(_WHO).is_in(named))
    if rows["event_id"].n_unique() == rows.height:
        return rows
    kinds, values = zip(*((key or ("", "")) for key in primaries), strict=True)
    keys = pl.DataFrame(
        {_WHO: range(len(primaries)), "kind": kinds, "value": values}, schema_overrides={_WHO: pl.UInt32}
    )
    order = ["occurred_at", "type", "properties", "kind", "value"]
    return rows.join(keys, on=_WHO).sort(order).unique("event_id", keep="first", maintain_order=True)


class _News:
    """Events as columns, as ``service.apply_gathered`` hands them on."""

    def __init__(self, rows: pl.DataFrame, primaries: list[Key | None], source_id: int, received_at: datetime) -> None:
        self._rows = rows
        self._primaries = primaries
        self._source_id = source_id
        self._received_at = received_at

    def keep(
        self, session: Session, tenant_id: int, places: events.Places, known_at: datetime, *, import_id: int
    ) -> set[int]:
        if not self._rows.height:
            return set()
        homes = [places[key] if key else (None, None) for key in self._primaries]
        lead_ids = pl.Series([lead_id for _, lead_id in homes], dtype=pl.Int64)
        identity_ids = pl.Series([identity_id for identity_id, _ in homes], dtype=pl.Int64)
        lines = self._rows.select(
            "event_id",
            pl.lit(self._received_at.isoformat()).alias("received_at"),
            lead_ids.gather(self._rows[_WHO]).alias("lead_id"),
            identity_ids.gather(self._rows[_WHO]).alias("identity_id"),
            "type",
            pl.col("occurred_at").cast(_INSTANT).dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00"),
            "properties",
            pl.lit(self._source_id).alias("source_id"),
            "sender_id",
            pl.lit(None, pl.String).alias("message_id"),
        )
        # All texts are quoted: one that reads like the sign for nothing stays a text.
        text = lines.write_csv(include_header=False, null_value="\\N", quote_style="non_numeric")
        known = events.insert(
            session, tenant_id, [text], known_at, import_id=import_id, received_at=self._received_at, form="csv"
        )
        if known is None:
            return set()
        again = pl.col("event_id").is_in([id_.hex for id_ in known])
        changed = set(lines.filter(~again)["lead_id"].unique().to_list()) if known else set(lead_ids.unique().to_list())
        if known:
            claims = [Claim(import_id, event, *places[event.key]) for event in self._happenings(again)]
            changed |= events.contest(session, tenant_id, claims, places, known_at)
        return changed

    def _happenings(self, which: pl.Expr) -> Iterator[Happening]:
        for row in self._rows.filter(which).iter_rows(named=True):
            key = self._primaries[row[_WHO]]
            assert key is not None  # noqa: S101 # those without one were left out
            yield Happening(
                id=UUID(row["event_id"]),
                key=key,
                type=row["type"],
                at=instant(row["occurred_at"]),
                properties=row["properties"],
                source_id=self._source_id,
                sender_id=row["sender_id"],
                message_id=None,
                received_at=self._received_at,
            )
