"""Conditions on values that are lists: a JSON array in a text column.

A list satisfies a word when one of its elements does; `contains` asks for an equal element, and `is_not` and
`not_in` ask that no element is equal.
"""

import json
from collections.abc import Sequence

import polars as pl

from assay.scoring.engine.conditions import column, comparison_expression, comparisons, derived
from assay.scoring.language import Comparison, Condition
from assay_sdk.flatten import as_text

_POSITIVE = {"is_not": "is", "not_in": "in", "contains": "is"}
_QUALITY = ("is_valid_email", "is_free_email", "is_disposable_email", "looks_fake")


def answers(
    frame: pl.DataFrame, conditions: Sequence[Condition], at: int
) -> dict[Comparison, tuple[list[str], list[bool | None]]]:
    """For each comparison whose column holds lists: those lists and what each one answers."""
    found: dict[Comparison, tuple[list[str], list[bool | None]]] = {}
    elements: dict[str, pl.DataFrame] = {}
    for comparison in dict.fromkeys(part for condition in conditions for part in comparisons(condition)):
        name = column(comparison)
        if comparison.word == "exists" or name not in frame.columns:
            continue
        if name not in elements:
            elements[name] = _elements(frame[name])
        if not elements[name].is_empty():
            found[comparison] = _answer(comparison, elements[name], at)
    return found


def _elements(texts: pl.Series) -> pl.DataFrame:
    """One row per element of every distinct list in the column."""
    candidates = texts.filter(texts.str.starts_with("[")).unique()
    rows: list[tuple[str, str | None]] = []
    for text in candidates:
        try:
            items = json.loads(text)
        except ValueError:
            continue
        if isinstance(items, list):
            rows.extend((text, as_text(item)) for item in items)
    return pl.DataFrame(rows, schema={"list": pl.String, texts.name: pl.String}, orient="row")


def _answer(comparison: Comparison, elements: pl.DataFrame, at: int) -> tuple[list[str], list[bool | None]]:
    word = _POSITIVE.get(comparison.word, comparison.word)
    negated = comparison.word in ("is_not", "not_in")
    operand = comparison.operand
    if comparison.word in _QUALITY:
        negated, operand = not operand, True
    positive = Comparison(comparison.subject, comparison.name, word, operand)
    holds = comparison_expression(positive)
    answered = (
        elements.with_columns(derived([positive], at))
        .group_by("list", maintain_order=True)
        .agg(holds.any(ignore_nulls=False).alias("holds"))
    )
    found = answered["holds"].to_list()
    if negated:
        found = [None if value is None else not value for value in found]
    return answered["list"].to_list(), found
