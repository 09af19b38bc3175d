"""Conditions as Polars expressions over text columns: true, false, or null for unknown.

Polars' `&`, `|` and `~` on nullable booleans are exactly three-valued logic, so an unknown never turns true.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_

import polars as pl

from assay.scoring.engine import quality
from assay.scoring.language import HIDDEN, Comparison, Condition, EventCount, Every, Not, OfModel, Some

_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([+-][0-9]{2}:?[0-9]{2})$"
# Beyond this a float no longer tells neighbours apart, and such a number is an id anyway.
_EXACT = 2**53

#: Words about the age of a date, whose answer changes by itself.
DATED = ("within", "older_than")
_NEEDS = {
    **dict.fromkeys(("is", "is_not", "in", "not_in", "contains", "starts_with", "ends_with"), "lower"),
    **dict.fromkeys(("gt", "gte", "lt", "lte", "between"), "number"),
    **dict.fromkeys(DATED, "age"),
}


@dataclass
class Columns:
    """Where the answers stand that are no plain text of the frame at hand."""

    #: Comparisons of a text that is a list in some rows, with the column that holds those rows' answers.
    lists: dict[Comparison, str] = field(default_factory=dict)
    counts: Mapping[EventCount, str] = field(default_factory=dict)
    #: What other models say, by the name they are referred to by: the beginning of their columns' names.
    models: Mapping[str, str] = field(default_factory=dict)


def column(comparison: Comparison) -> str:
    return f"{comparison.subject}:{comparison.name}"


def list_flag(name: str) -> str:
    """The column that tells in which rows a text column holds a list."""
    return f"list:{name}"


def derived(found: Iterable[Comparison], at: pl.Expr) -> list[pl.Expr]:
    """The columns the comparisons read beside the text itself: folded text, number, age at the instant."""
    needed: dict[str, pl.Expr] = {}
    for comparison in found:
        name = column(comparison)
        kinds = {_NEEDS.get(comparison.word)}
        if any(_is_numeric(value) for value in _values(comparison)):
            kinds.add("number")
        for kind in kinds - {None}:
            needed[f"{kind}:{name}"] = _derive(str(kind), pl.col(name), at).alias(f"{kind}:{name}")
    return list(needed.values())


def _derive(kind: str, text: pl.Expr, at: pl.Expr) -> pl.Expr:
    if kind == "lower":
        return text.str.to_lowercase()
    return number(text) if kind == "number" else at - instant(text)


def number(text: pl.Expr) -> pl.Expr:
    """Text that reads as a decimal number."""
    bare = text.str.strip_chars()
    value = pl.when(bare.str.contains(_NUMBER)).then(bare).cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def instant(text: pl.Expr) -> pl.Expr:
    """ISO 8601 text as microseconds; a day alone is its midnight, and no offset means UTC."""
    bare = text.str.strip_chars()
    full = pl.when(bare.str.contains(_DAY)).then(bare + "T00:00:00+00:00").otherwise(bare.str.replace(" ", "T"))
    full = full.str.replace(r"[Zz]$", "+00:00").str.replace(r"^(.{10}T[0-9]{2}:[0-9]{2})([+-]|$)", "${1}:00${2}")
    full = pl.when(full.str.contains(r"[+-][0-9]{2}:?[0-9]{2}$")).then(full).otherwise(full + "+00:00")
    stated = pl.when(full.str.contains(_INSTANT)).then(full)
    return stated.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False).to_physical()


def expression(condition: Condition, columns: Columns) -> pl.Expr:
    """The condition over a frame that carries the text columns and their derived ones."""
    if isinstance(condition, Every):
        return _joined(and_, [expression(part, columns) for part in condition.conditions])
    if isinstance(condition, Some):
        return _joined(or_, [expression(part, columns) for part in condition.conditions])
    if isinstance(condition, Not):
        return ~expression(condition.condition, columns)
    if isinstance(condition, EventCount):
        return _compared(pl.col(columns.counts[condition]), condition.word, condition.operand)
    if isinstance(condition, OfModel):
        return _of_model(condition, columns.models[condition.model])
    scalar = comparison_expression(condition)
    if condition not in columns.lists:
        return scalar
    is_list = pl.col(list_flag(column(condition)))
    return pl.when(is_list).then(pl.col(columns.lists[condition])).otherwise(scalar)


def _of_model(asked: OfModel, prefix: str) -> pl.Expr:
    applies = pl.col(f"{prefix}:applies")
    if asked.aspect == "applies":
        return applies == asked.operand
    if asked.aspect == "score":
        name = "total" if asked.dimension is None else f"dimension:{asked.dimension}"
        return _compared(pl.col(f"{prefix}:{name}"), asked.word, asked.operand)
    text = pl.col(f"{prefix}:{asked.aspect}")
    if asked.aspect == "disqualified":
        return pl.when(applies).then(text.is_not_null() == asked.operand)
    if asked.word == "exists":
        return pl.when(applies).then(text.is_not_null() == asked.operand)
    values = asked.operand if isinstance(asked.operand, tuple) else (asked.operand,)
    same = text.str.to_lowercase().is_in([str(value).lower() for value in values])
    return same if asked.word in ("is", "in") else ~same


def _compared(number: pl.Expr, word: str, operand: object) -> pl.Expr:
    """A whole number with a whole number or a pair."""
    if isinstance(operand, tuple):
        low, high = operand
        return number.is_between(pl.lit(low, pl.Int64), pl.lit(high, pl.Int64))
    limit = pl.lit(operand, pl.Int64)
    match word:
        case "is":
            return number == limit
        case "gt":
            return number > limit
        case "gte":
            return number >= limit
        case "lt":
            return number < limit
    return number <= limit


def _joined(joint: Callable[[pl.Expr, pl.Expr], pl.Expr], parts: Sequence[pl.Expr]) -> pl.Expr:
    """Joined by halves: over a long chain Polars takes time in the square of its length."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return joint(_joined(joint, parts[:half]), _joined(joint, parts[half:]))


def comparison_expression(comparison: Comparison) -> pl.Expr:
    """One comparison on scalar texts."""
    if comparison.word == HIDDEN:
        # One for each row: a bare literal would make a column of one.
        return pl.repeat(None, pl.len(), dtype=pl.Boolean)
    name = column(comparison)
    text, lower = pl.col(name), pl.col(f"lower:{name}")
    operand = comparison.operand
    match comparison.word:
        case "is" | "in":
            return _equals(name, _values(comparison))
        case "is_not" | "not_in":
            return ~_equals(name, _values(comparison))
        case "contains":
            return lower.str.contains(as_operand(operand).lower(), literal=True)
        case "starts_with":
            return lower.str.starts_with(as_operand(operand).lower())
        case "ends_with":
            return lower.str.ends_with(as_operand(operand).lower())
        case "matches":
            return text.str.contains(as_operand(operand))
        case "exists":
            return text.is_not_null() if operand else text.is_null()
        case "gt" | "gte" | "lt" | "lte" | "between":
            return _ordered(pl.col(f"number:{name}"), comparison)
        case "within":
            age = pl.col(f"age:{name}")
            return (age >= 0) & (age < operand)
        case "older_than":
            return pl.col(f"age:{name}") >= operand
    holds = quality.CHECKS[comparison.word](text)
    return holds if operand else ~holds


def _ordered(number: pl.Expr, comparison: Comparison) -> pl.Expr:
    if isinstance(comparison.operand, tuple):
        low, high = (float(value) for value in comparison.operand)
        return number.is_between(low, high)
    limit = float(comparison.operand)
    match comparison.word:
        case "gt":
            return number > limit
        case "gte":
            return number >= limit
        case "lt":
            return number < limit
    return number <= limit


def _equals(name: str, values: tuple[object, ...]) -> pl.Expr:
    """Equal to one of the values: numbers as numbers, the rest as text without regard to case."""
    numbers = [float(value) for value in values if _is_numeric(value)]  # type: ignore[arg-type] # they are numeric
    texts = [as_operand(value).lower() for value in values if not _is_numeric(value)]
    parts: list[pl.Expr] = []
    if texts:
        lower = pl.col(f"lower:{name}")
        parts.append(lower == texts[0] if len(texts) == 1 else lower.is_in(texts))
    if numbers:
        # Text that is no number is known to differ from every number.
        same = pl.col(f"number:{name}").is_in(numbers).fill_null(value=False)
        parts.append(pl.when(pl.col(name).is_not_null()).then(same))
    return reduce(or_, parts)


def _values(comparison: Comparison) -> tuple[object, ...]:
    if comparison.word not in ("is", "is_not", "in", "not_in", "contains"):
        return ()
    return comparison.operand if isinstance(comparison.operand, tuple) else (comparison.operand,)


def _is_numeric(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _EXACT


def as_operand(value: object) -> str:
    """An operand as the text a value would have."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
