"""Every lead that a preview found to change, as a CSV file that is read out while it is sent."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from typing import Any

import polars as pl

from assay.scoring.language import parse
from assay.scoring.studies.previewing import STAGE, cause_words
from assay.scoring.studies.queries import changes_of, names_of, read_documents
from assay.scoring.studies.rule_words import rules_words
from assay_tenants.database import tenant_session

_RULES = 3
HEADING = (
    *("lead_id", "name", "email", "total_before", "total_after", "change", "stage_before", "stage_after"),
    *("grade_before", "grade_after", "because_of"),
    *(f"{what}_{place}" for place in range(1, _RULES + 1) for what in ("rule", "points")),
)
# A spreadsheet would take what begins so for a formula, and run it.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def changes_file(tenant_id: int, name: str, study_id: int) -> Iterator[str]:
    """Its lines in a few large pieces; raises NoSuchStudy before the first."""
    ranges = changes_of(tenant_id, name, study_id)
    live, draft = read_documents(tenant_id, study_id)
    words = rules_words(parse(live) if live else None, parse(draft))
    return _pieces(tenant_id, ranges, words)


def _pieces(tenant_id: int, ranges: Iterable[pl.DataFrame], words: Mapping[str, str]) -> Iterator[str]:
    yield _lines([HEADING])
    for changes in ranges:
        if changes.is_empty():
            continue
        with tenant_session(tenant_id) as session:
            names = names_of(session, tenant_id, changes["lead_id"].to_list())
        nobody: dict[str, str | None] = {"name": None, "email": None}
        yield _lines(_row(row, names.get(row["lead_id"], nobody), words) for row in changes.iter_rows(named=True))


def _row(row: Mapping[str, Any], named: Mapping[str, str | None], words: Mapping[str, str]) -> list[object]:
    told = zip(row["rules"] or (), row["points"] or (), strict=True)
    pairs = [cell for rule, gain in told for cell in (words.get(rule, rule), _number(gain))]
    return [
        row["lead_id"],
        named["name"],
        named["email"],
        _number(row["before:total"]),
        _number(row["after:total"]),
        _number(row["moved"]),
        _place(row["before:place"]),
        _place(row["after:place"]),
        row["before:grade"],
        row["after:grade"],
        cause_words(str(row["cause"]), words),
        *pairs,
        *[None] * (2 * _RULES - len(pairs)),
    ]


def _number(thousandths: object) -> float | int | None:
    if not isinstance(thousandths, int):
        return None
    return thousandths // 1000 if thousandths % 1000 == 0 else thousandths / 1000


def _place(place: object) -> str:
    return str(place).removeprefix(STAGE) if str(place).startswith(STAGE) else f"({place})"


def _lines(rows: Iterable[Iterable[object]]) -> str:
    file = StringIO()
    csv.writer(file).writerows([_safe(cell) for cell in row] for row in rows)
    return file.getvalue()


def _safe(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell
