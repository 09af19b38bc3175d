"""Values that would make a condition hold: examples made up for what might happen, tried by the engine afterwards."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from assay.scoring.engine.conditions import as_operand
from assay.scoring.language import COMPUTED, HIDDEN, Comparison, Condition, Every, Not, Some

_ADDRESS = "somebody@example.com"
#: A text nobody would ask for by name.
_OTHER = "something else"
_OPPOSITE = {
    "is": "is_not",
    "is_not": "is",
    "in": "not_in",
    "not_in": "in",
    "gt": "lte",
    "gte": "lt",
    "lt": "gte",
    "lte": "gt",
    "within": "older_than",
    "older_than": "within",
}
_FLAGS = ("exists", "is_valid_email", "is_free_email", "is_disposable_email", "looks_fake")
_EXAMPLES = {
    ("exists", True): _OTHER,
    ("exists", False): None,
    ("is_valid_email", True): _ADDRESS,
    ("is_valid_email", False): "nobody",
    ("is_free_email", True): "somebody@gmail.com",
    ("is_free_email", False): _ADDRESS,
    ("is_disposable_email", False): _ADDRESS,
    ("looks_fake", True): "asdf",
    ("looks_fake", False): "Lindner",
}


class CannotMakeUp(Exception):
    """No example of a value that satisfies this can be given."""


@dataclass
class _Wish:
    """What is asked of one value, gathered from several comparisons."""

    low: float | None = None
    high: float | None = None
    starts: str = ""
    inside: str = ""
    ends: str = ""
    exact: list[str | None] = field(default_factory=list)

    def value(self) -> str | None:
        if self.exact:
            return self.exact[0]
        if self.low is not None or self.high is not None:
            return _number(self.low if self.low is not None else self.high)
        return f"{self.starts}{self.inside}{self.ends}"


def examples(condition: Condition | None, at: datetime) -> dict[str, str | None]:
    """A value for each trait or property the condition asks for; raises CannotMakeUp."""
    wishes: dict[str, _Wish] = {}
    for comparison in _asked(condition, negated=False) if condition is not None else ():
        _add(wishes.setdefault(comparison.name, _Wish()), comparison, at)
    return {name: wish.value() for name, wish in wishes.items()}


def _asked(condition: Condition, *, negated: bool) -> Iterator[Comparison]:
    """Comparisons that, all met, make the condition hold: of alternatives the first that can be met."""
    if isinstance(condition, Not):
        yield from _asked(condition.condition, negated=not negated)
    elif isinstance(condition, (Every, Some)):
        if isinstance(condition, Every) != negated:
            for part in condition.conditions:
                yield from _asked(part, negated=negated)
        else:
            yield from _first_possible(condition.conditions, negated=negated)
    elif isinstance(condition, Comparison):
        comparison = _turned(condition) if negated else condition
        # Nobody can send a computed trait; what it is worked out of is not guessed.
        if (
            comparison.word in ("matches", HIDDEN)
            or comparison.name in COMPUTED
            or (comparison.word in _FLAGS and (comparison.word, comparison.operand) not in _EXAMPLES)
        ):
            raise CannotMakeUp
        yield comparison
    else:
        raise CannotMakeUp


def _first_possible(parts: tuple[Condition, ...], *, negated: bool) -> list[Comparison]:
    for part in parts:
        try:
            return list(_asked(part, negated=negated))
        except CannotMakeUp:
            continue
    raise CannotMakeUp


def _turned(comparison: Comparison) -> Comparison:
    if comparison.word == HIDDEN:
        raise CannotMakeUp
    if comparison.word in _FLAGS:
        return Comparison(comparison.subject, comparison.name, comparison.word, not comparison.operand)
    if comparison.word in _OPPOSITE:
        return Comparison(comparison.subject, comparison.name, _OPPOSITE[comparison.word], comparison.operand)
    if comparison.word == "between" and isinstance(comparison.operand, tuple):
        return Comparison(comparison.subject, comparison.name, "gt", comparison.operand[1])
    # A text that does not contain, start or end with the other.
    return Comparison(comparison.subject, comparison.name, "is_not", comparison.operand)


def _add(wish: _Wish, comparison: Comparison, at: datetime) -> None:
    word, operand = comparison.word, comparison.operand
    if word in _FLAGS:
        if word != "exists" or not operand or not wish.exact:
            wish.exact.append(_EXAMPLES[word, bool(operand)])
    elif word in ("is", "in"):
        wish.exact.insert(0, as_operand(operand[0] if isinstance(operand, tuple) else operand))
    elif word in ("is_not", "not_in"):
        wish.inside = wish.inside or _OTHER
    elif word in ("starts_with", "contains", "ends_with"):
        place = {"starts_with": "starts", "contains": "inside", "ends_with": "ends"}[word]
        setattr(wish, place, as_operand(operand))
    elif word in ("within", "older_than"):
        back = timedelta(microseconds=int(str(operand))) if word == "older_than" else timedelta(0)
        wish.exact.append((at - back).isoformat())
    else:
        _bound(wish, word, operand)


def _bound(wish: _Wish, word: str, operand: Any) -> None:
    low, high = operand if isinstance(operand, tuple) else (operand, operand)
    if word in ("gt", "gte", "between"):
        least = float(low) + (1 if word == "gt" else 0)
        wish.low = least if wish.low is None else max(wish.low, least)
    if word in ("lt", "lte", "between"):
        most = float(high) - (1 if word == "lt" else 0)
        wish.high = most if wish.high is None else min(wish.high, most)


def _number(value: float | None) -> str:
    return "" if value is None else str(int(value)) if value == int(value) else str(value)
