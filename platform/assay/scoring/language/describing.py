"""A condition as an English phrase, for receipts."""

from assay.scoring.language.model import Comparison, Condition, EventCount, Every, OfModel, Scalar, Some
from assay.scoring.language.quantities import spoken
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
        return f"{condition.name} {_predicate(condition)}"
    if isinstance(condition, (EventCount, OfModel)):
        return str(condition)
    return f"not ({describe(condition.condition)})"


def _bracketed(condition: Condition) -> str:
    text = describe(condition)
    return f"({text})" if isinstance(condition, (Every, Some)) and len(condition.conditions) > 1 else text


def _predicate(comparison: Comparison) -> str:
    word, operand = comparison.word, comparison.operand
    if word in _FLAGS:
        return _FLAGS[word][0 if operand else 1]
    if isinstance(operand, tuple):
        if word == "between":
            return f"is between {_text(operand[0])} and {_text(operand[1])}"
        shown = [_text(value) for value in operand[:_MOST_LISTED]]
        if len(operand) > _MOST_LISTED:
            shown.append(f"{len(operand) - _MOST_LISTED} more")
        return f"is {listed(shown)}" if word == "in" else f"is neither {listed(shown, 'nor')}"
    if word == "within" and isinstance(operand, int):
        return f"is less than {spoken(operand)} ago"
    if word == "older_than" and isinstance(operand, int):
        return f"is at least {spoken(operand)} ago"
    return f"{_WORDS[word]} {_text(operand)}"


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
