"""A condition as an English phrase, for receipts."""

from assay.scoring.language.model import Comparison, Condition, EventCount, Every, OfModel, Scalar, Some
from assay.scoring.language.quantities import number, spoken
from assay.scoring.language.words import listed

_MOST_LISTED = 8
_WORDS = {
    "is": "is",
    "is_not": "is not",
    "contains": "contains",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches",
    "gt": "is above",
    "gte": "is at least",
    "lt": "is below",
    "lte": "is at most",
}
_AMOUNTS = {"is": "exactly", "gte": "at least", "lte": "at most"}
_SAYS = {
    "disqualified": ("model {} disqualifies the lead", "model {} does not disqualify the lead"),
    "applies": ("model {} scores the lead", "model {} does not score the lead"),
}
_FLAGS = {
    "exists": ("is known", "is not known"),
    "is_valid_email": ("is a valid e-mail address", "is not a valid e-mail address"),
    "is_free_email": ("is at a free mail provider", "is not at a free mail provider"),
    "is_disposable_email": ("is at a disposable mail provider", "is not at a disposable mail provider"),
    "looks_fake": ("looks made up", "does not look made up"),
}


def describe(condition: Condition) -> str:
    """`title is CFO or Owner`."""
    if isinstance(condition, Every):
        return " and ".join(_bracketed(part) for part in condition.conditions)
    if isinstance(condition, Some):
        return " or ".join(_bracketed(part) for part in condition.conditions)
    if isinstance(condition, Comparison):
        if condition.word == "hidden":
            return f"something about {condition.name}"
        return f"{condition.name} {_predicate(condition.word, condition.operand)}"
    if isinstance(condition, EventCount):
        return _event_count(condition)
    if isinstance(condition, OfModel):
        return _of_model(condition)
    return f"not ({describe(condition.condition)})"


def _bracketed(condition: Condition) -> str:
    text = describe(condition)
    return f"({text})" if isinstance(condition, (Every, Some)) and len(condition.conditions) > 1 else text


def _event_count(count: EventCount) -> str:
    types = "any event" if count.types is None else listed(count.types)
    amount = _amount(count.word, count.operand)
    if count.distinct is None:
        phrase = f"{types} {amount} time{'' if amount.endswith(' 1') else 's'}"
    else:
        phrase = f"{types} with {amount} different {count.distinct}"
    if count.where is not None:
        phrase += f" where {describe(count.where)}"
    return phrase if count.within is None else f"{phrase} within {spoken(count.within)}"


def _amount(word: str, operand: int | tuple[int, int]) -> str:
    if isinstance(operand, tuple):
        return f"{operand[0]} to {operand[1]}"
    if word in ("gt", "lt"):
        word, operand = ("gte", operand + 1) if word == "gt" else ("lte", operand - 1)
    return f"{_AMOUNTS[word]} {operand}"


def _of_model(asked: OfModel) -> str:
    if asked.aspect in _SAYS:
        return _SAYS[asked.aspect][0 if asked.operand else 1].format(asked.model)
    subject = asked.dimension or f"the {asked.aspect}"
    operand = asked.operand
    if asked.aspect == "score":
        operand = tuple(map(_points, operand)) if isinstance(operand, tuple) else _points(operand)
    return f"{subject} under {asked.model} {_predicate(asked.word, operand)}"


def _points(value: Scalar) -> Scalar:
    return number(value) if isinstance(value, int) else value


def _predicate(word: str, operand: Scalar | tuple[Scalar, ...]) -> str:
    if word in _FLAGS:
        return _FLAGS[word][0 if operand else 1]
    if isinstance(operand, tuple):
        if word == "between":
            return f"is between {_text(operand[0])} and {_text(operand[1])}"
        shown = [_text(value) for value in operand[:_MOST_LISTED]]
        if len(operand) > _MOST_LISTED:
            shown.append(f"{len(operand) - _MOST_LISTED} more")
        if word == "not_in":
            return f"is neither {listed(shown, 'nor')}" if len(shown) > 1 else f"is not {shown[0]}"
        return f"is {listed(shown)}"
    if word == "within" and isinstance(operand, int):
        return f"is less than {spoken(operand)} ago"
    if word == "older_than" and isinstance(operand, int):
        return f"is at least {spoken(operand)} ago"
    return f"{_WORDS[word]} {_text(operand)}"


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
