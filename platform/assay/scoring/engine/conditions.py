"""Conditions as Polars expressions over text columns: true, false, or null for unknown.

Polars' `&`, `|` and `~` on nullable booleans are exactly three-valued logic, so an unknown never turns true.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import and_, or_

import polars as pl

from assay.scoring.engine import quality
from assay.scoring.language import Comparison, Condition, Every, Not, Some

#: Texts of a column that are lists, with the answer for each: lists are rare, so they are looked up.
Answers = Mapping[Comparison, tuple[list[str], list[bool | None]]]

_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([+-][0-9]{2}:?[0-9]{2})$"
# Beyond this a float no longer tells neighbours apart, and such a number is an id anyway.
_EXACT = 2**53

_NEEDS = {
    **dict.fromkeys(("is", "is_not", "in", "not_in", "contains", "starts_with", "ends_with"), "lower"),
    **dict.fromkeys(("gt", "gte", "lt", "lte", "between"), "number"),
    **dict.fromkeys(("within", "older_than"), "age"),
}


def column(comparison: Comparison) -> str:
    return f"{comparison.subject}:{comparison.name}"


def comparisons(condition: Condition | None) -> list[Comparison]:
    """Every comparison in a condition, in document order."""
    if condition is None:
        return []
    if isinstance(condition, Comparison):
        return [condition]
    if isinstance(condition, Not):
        return comparisons(condition.condition)
    return [found for part in condition.conditions for found in comparisons(part)]


def derived(found: Iterable[Comparison], at: int) -> list[pl.Expr]:
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


def _derive(kind: str, text: pl.Expr, at: int) -> pl.Expr:
    if kind == "lower":
        return text.str.to_lowercase()
    if kind == "number":
        bare = text.str.strip_chars()
        value = pl.when(bare.str.contains(_NUMBER)).then(bare).cast(pl.Float64, strict=False)
        return pl.when(value.is_finite()).then(value)
    return pl.lit(at, pl.Int64) - _instant(text)


def _instant(text: pl.Expr) -> pl.Expr:
    """ISO 8601 text as microseconds; a day alone is its midnight, and no offset means UTC."""
    bare = text.str.strip_chars()
    full = pl.when(bare.str.contains(_DAY)).then(bare + "T00:00:00+00:00").otherwise(bare.str.replace(" ", "T"))
    full = full.str.replace(r"[Zz]$", "+00:00").str.replace(r"^(.{10}T[0-9]{2}:[0-9]{2})([+-]|$)", "${1}:00${2}")
    full = pl.when(full.str.contains(r"[+-][0-9]{2}:?[0-9]{2}$")).then(full).otherwise(full + "+00:00")
    stated = pl.when(full.str.contains(_INSTANT)).then(full)
    return stated.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False).to_physical()


def expression(condition: Condition, answers: Answers) -> pl.Expr:
    """The condition over a frame that carries the text columns and their derived ones."""
    if isinstance(condition, Every):
        return _joined(and_, [expression(part, answers) for part in condition.conditions])
    if isinstance(condition, Some):
        return _joined(or_, [expression(part, answers) for part in condition.conditions])
    if isinstance(condition, Not):
        return ~expression(condition.condition, answers)
    scalar = comparison_expression(condition)
    if condition not in answers:
        return scalar
    texts, found = answers[condition]
    text = pl.col(column(condition))
    listed = text.replace_strict(texts, found, default=None, return_dtype=pl.Boolean)
    return pl.when(text.is_in(texts)).then(listed).otherwise(scalar)


def _joined(joint: Callable[[pl.Expr, pl.Expr], pl.Expr], parts: Sequence[pl.Expr]) -> pl.Expr:
    """Joined by halves: over a long chain Polars takes time in the square of its length."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return joint(_joined(joint, parts[:half]), _joined(joint, parts[half:]))


def comparison_expression(comparison: Comparison) -> pl.Expr:
    """One comparison on scalar texts."""
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
