"""Conditions on values that are lists: a JSON array in a text column.

A list satisfies a word when one of its elements does; `contains` asks for an equal element, and `is_not` and
`not_in` ask that no element is equal.
"""

import json
from collections.abc import Iterable

import polars as pl

from assay.scoring.engine.conditions import DATED, Columns, column, comparison_expression, derived, list_flag
from assay.scoring.language import Comparison
from assay_sdk.flatten import as_text

_POSITIVE = {"is_not": "is", "not_in": "in", "contains": "is"}
_QUALITY = ("is_valid_email", "is_free_email", "is_disposable_email", "looks_fake")


def answered(frame: pl.DataFrame, asked: Iterable[Comparison], at: pl.Expr) -> tuple[pl.DataFrame, Columns]:
    """The frame with a column of answers for each comparison whose text column holds lists, and where they stand.

    Of dates in lists, `turns:` and the comparison's place say when the answer next turns.
    """
    columns = Columns()
    elements: dict[str, pl.DataFrame] = {}
    # Put beside the others at once: thousands of columns, one after the other, would be copied thousands of times.
    answers: list[pl.Series] = []
    for comparison in dict.fromkeys(asked):
        name = column(comparison)
        if comparison.word == "exists" or name not in frame.columns:
            continue
        if name not in elements:
            elements[name] = _elements(frame[name])
            if not elements[name].is_empty():
                frame = frame.with_columns(pl.col(name).is_in(elements[name]["list"].implode()).alias(list_flag(name)))
        if not elements[name].is_empty():
            answer = f"listed:{len(columns.lists)}"
            answers += _answers(frame, comparison, elements[name], at, answer)
            columns.lists[comparison] = answer
    return frame.hstack(answers), columns


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


def _answers(
    frame: pl.DataFrame, comparison: Comparison, elements: pl.DataFrame, at: pl.Expr, answer: str
) -> list[pl.Series]:
    word = _POSITIVE.get(comparison.word, comparison.word)
    negated = comparison.word in ("is_not", "not_in")
    operand = comparison.operand
    if comparison.word in _QUALITY:
        negated, operand = not operand, True
    positive = Comparison(comparison.subject, comparison.name, word, operand)
    keys, name = ["list"], column(comparison)
    gives = [comparison_expression(positive).any(ignore_nulls=False).alias(answer)]
    asked = frame.select(pl.col(name).alias("list"), at.alias("at"))
    if comparison.word in DATED:
        # Whether a date is near depends on the instant, which need not be the same for all rows.
        keys = ["list", "at"]
        elements = asked.filter(pl.col("list").is_in(elements["list"].implode())).unique().join(elements, on="list")
        gives.append(turn(positive, pl.col("at")).min().alias(f"turns:{answer}"))
    else:
        elements = elements.with_columns(pl.lit(0, pl.Int64).alias("at"))
    found = elements.with_columns(derived([positive], pl.col("at"))).group_by(keys).agg(gives)
    if negated:
        found = found.with_columns(~pl.col(answer))
    matched = asked.join(found, on=keys, how="left", maintain_order="left")
    return matched.select(pl.exclude("list", "at", "at_right")).get_columns()


def turns(comparison: Comparison, columns: Columns) -> list[pl.Expr]:
    """When the answer to a comparison with a date next turns by itself, over a frame with a column `at`."""
    if comparison.word not in DATED:
        return []
    found = [turn(comparison, pl.col("at"))]
    if comparison in columns.lists:
        found.append(pl.col(f"turns:{columns.lists[comparison]}"))
    return found


def turn(comparison: Comparison, at: pl.Expr) -> pl.Expr:
    age = pl.col(f"age:{column(comparison)}")
    length = pl.lit(comparison.operand, pl.Int64)
    reaches = pl.when(age < length).then(at + length - age)
    if comparison.word == "older_than":
        return reaches
    return pl.when(age < 0).then(at - age).otherwise(reaches)
