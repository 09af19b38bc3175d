"""Rows of files, without those about persons who were erased: they are refused, and nothing of them is kept."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from assay.intake.imports import Batch
from assay.intake.imports.errors import RowRefused
from assay.intake.imports.event_frames import VENDOR, EventFrame
from assay.normalise import Normalised
from assay.profiles import knowing
from assay.profiles.erasing import tombstones
from assay.profiles.erasing.models import Tombstone
from assay.profiles.erasing.naming import ANYTHING, candidates
from assay.profiles.erasing.sifting import erasure_of
from assay.profiles.erasing.verdicts import keys_of, spared
from assay.profiles.matching import ANONYMOUS_ID, EMAIL, USER_ID, Key
from assay_sdk import CoreRecord, Identifiers, Identify

REASON = "The row is about a person whose data was erased, so it was not taken in."
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def sift_batch(session: Session, batch: Batch, good: list[Normalised], *, keeping: bool) -> list[Normalised]:
    """``good`` without the rows of erased persons, which the batch refuses; so does its frame.

    ``keeping``: what is left will be taken in, in this transaction.
    """
    tenant_id = batch.row.tenant_id
    if keeping:
        knowing.learn(session, tenant_id)
    if not tombstones.are_any(session, tenant_id):
        return good
    numbers: dict[int, int] = {}
    _sift_frame(session, batch, numbers)
    good = _sift_records(session, batch, good, numbers)
    _sift_refused(session, batch)
    if keeping:
        tombstones.count_turned_away(session, tenant_id, numbers)
    return good


def _sift_records(session: Session, batch: Batch, good: list[Normalised], numbers: dict[int, int]) -> list[Normalised]:
    erased = tombstones.find(session, batch.row.tenant_id, {key for each in good for key in keys_of(each.record)})
    if not erased:
        return good
    rows = {id(record): number for number, records in batch.records.items() for record in records}
    gone: dict[int, int] = {}
    for each in good:
        if (erasure_id := erasure_of(each.record, erased)) is not None:
            gone[rows[id(each.record)]] = erasure_id
    kept = []
    for each in good:
        number = rows[id(each.record)]
        if number in gone:
            continue
        bared = spared(each.record, erased.keys())
        if bared is not each.record:
            # The row is found by its record, should that be refused later.
            batch.records[number] = [bared if one is each.record else one for one in batch.records[number]]
        kept.append(replace(each, record=bared))
    for number, erasure_id in gone.items():
        _refuse(batch, number)
        numbers[erasure_id] = numbers.get(erasure_id, 0) + 1
    return kept


def _sift_frame(session: Session, batch: Batch, numbers: dict[int, int]) -> None:
    frame = batch.frame
    if frame is None or not len(frame):
        return
    # It brings Polars, which a worker that imports nothing need not hold in memory.
    import polars as pl

    names = [USER_ID, EMAIL, ANONYMOUS_ID, *frame.vendors]
    who = frame.rows.select(names).unique(maintain_order=True)
    people = [_somebody(row) for row in who.iter_rows(named=True)]
    erased = tombstones.find(session, batch.row.tenant_id, {key for each in people for key in keys_of(each)})
    if not erased:
        return
    verdicts = who.with_columns(
        pl.Series("erasure", [erasure_of(each, erased) for each in people], dtype=pl.Int64),
        pl.Series("bare", [spared(each, erased.keys()) is not each for each in people], dtype=pl.Boolean),
    )
    rows = frame.rows.join(verdicts, on=names, how="left", nulls_equal=True, maintain_order="left")
    for number, erasure_id in rows.filter(pl.col("erasure").is_not_null()).select("row_number", "erasure").iter_rows():
        _refuse(batch, number)
        numbers[erasure_id] = numbers.get(erasure_id, 0) + 1
    left = rows.filter(pl.col("erasure").is_null()).with_columns(
        pl.when(pl.col("bare")).then(None).otherwise(pl.col(ANONYMOUS_ID)).alias(ANONYMOUS_ID)
    )
    batch.frame = EventFrame(left.select(frame.rows.columns))


def _somebody(row: dict[str, Any]) -> CoreRecord:
    vendors = {name.removeprefix(VENDOR): value for name, value in row.items() if name.startswith(VENDOR) and value}
    return Identify(Identifiers(row[USER_ID], row[EMAIL], row[ANONYMOUS_ID], vendors), {}, _ANY_TIME)


def _sift_refused(session: Session, batch: Batch) -> None:
    """A row that can't be read is kept as it was, so that it can be mended: unless it names an erased person."""
    tenant_id = batch.row.tenant_id
    if not batch.refused:
        return
    kinds = set(session.scalars(select(Tombstone.kind).where(Tombstone.tenant_id == tenant_id).distinct()))
    named: dict[int, set[Key]] = {}
    for number in batch.refused:
        told = set(_candidates(batch, number, kinds))
        if told:
            named[number] = told
    erased = tombstones.find(session, tenant_id, set().union(*named.values()))
    for number, told in named.items():
        if not told.isdisjoint(erased):
            _refuse(batch, number)


def _candidates(batch: Batch, number: int, kinds: set[str]) -> Iterator[Key]:
    original = batch.original(number)
    if original is None:
        return
    try:
        tree = json.loads(original)
    except (ValueError, RecursionError):
        tree = original.replace('"', " ").replace(",", " ").split()
    yield from candidates(tree, kinds, ANYTHING)


def _refuse(batch: Batch, number: int) -> None:
    batch.records.pop(number, None)
    batch.refused[number] = RowRefused(REASON)
    batch.originals.pop(number, None)
    batch.unkept.add(number)
