"""What a part of a score rests on and why it counts less: facts with a code, and the English for each code.

The English is also what translations go by (`assay.scoring.sentences`), so it stands here once and is plain.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from assay.scoring.language import Condition, describe
from assay.scoring.language.quantities import number, spoken
from assay.scoring.language.words import listed


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact in a sentence; `values` fill the placeholders of its text.

    What kind of value a placeholder takes is told by its name: see KINDS.
    """

    code: str
    values: Mapping[str, Any]


def reason(code: str, **values: object) -> Reason:
    return Reason(code, values)


def N_(text: str) -> str:  # noqa: N802 # the name by which gettext's tools find texts to translate
    """Marks a text for translation."""
    return text


def NN_(one: str, many: str) -> tuple[str, str]:  # noqa: N802 # as above
    """Marks a text with a plural; which form it takes is decided by `counted_by`."""
    return one, many


#: What the placeholders hold; any other holds text or a whole number.
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("points", "earned", "cap", "rest", "milestone", "total", "next_total", "missing"), "points"),
    **dict.fromkeys(("at", "since"), "instant"),
    "day": "day",
    "length": "length",
    "condition": "condition",
    "types": "any of",
    "names": "list",
    "nth": "nth",
}

Text = str | tuple[str, str]

#: Facts a part rests on.
FACTS: Mapping[str, Text] = {
    "event": N_("{type} on {at}"),
    "events": NN_("{types} {count} time, the last on {at}", "{types} {count} times, the last on {at}"),
    "silences": NN_(
        "{count} silence of {length}, the last since {since}", "{count} silences of {length}, the last since {since}"
    ),
    "silent": N_("no {types} for {length} since {since}"),
    "silent_altogether": N_("no activity for {length} since {since}"),
    "holds": N_("{condition}"),
    "judged": N_("judged on {at}"),
    "judged_by": N_("judged by {by} on {at}"),
    "judged_because": N_("judged on {at}: {reason}"),
    "judged_by_because": N_("judged by {by} on {at}: {reason}"),
    "only_for": N_("this model is only for leads where {condition}"),
}

#: Why a part counts nothing.
REFUSALS: Mapping[str, Text] = {
    "counted_once": N_("counted once already"),
    "counted_for_value": N_("counted once already for this {property}"),
    "beyond_first": NN_("only the first {count} counts", "only the first {count} count"),
    "before_from": N_("counts from the {nth} time on"),
    "without_value": N_("the event has no {property}"),
    "still_active": N_("counted once already, and that award had not faded"),
    "replaced": N_("replaced by a longer silence"),
    "future": N_("counts from {at}"),
    "not_yet": N_("counts from {at}, if nothing happens before"),
    "expired": N_("expired on {day}, {length} after it was earned"),
    "faded_away": N_("faded to nothing"),
    "withdrawn": N_("withdrawn on {at}"),
    "ran_out": N_("valid until {at}"),
    "other_first": N_("rule {rule} matched first in group {group}"),
    "higher_milestone": N_("rule {rule} lifts higher, to {milestone}"),
    "below_milestone": N_("the rest gives {rest} already, so a lift to {milestone} adds nothing"),
    "kept_out": N_("kept out of scoring: {names}"),
    "machine_sender": N_("by a machine, as the sender says"),
    "machine_scanner": N_("by a machine: {agent}"),
    "machine_apple": N_("by a machine: Apple Mail, which fetches every mail in advance"),
    "machine_early": N_("by a machine: before it was delivered"),
    "machine_delivered": NN_(
        "by a machine: {count} second after it was delivered", "by a machine: {count} seconds after it was delivered"
    ),
    "machine_sent": NN_(
        "by a machine: {count} second after it was sent", "by a machine: {count} seconds after it was sent"
    ),
    "machine_links": NN_("by a machine: {count} link at once", "by a machine: {count} links at once"),
    "too_few": N_("so far {found} of {needed}"),
    "unknown": N_("not known: {names}"),
    "other_model_is_silent": N_("model {model} does not score this lead"),
    "other_model_score": NN_("model {model} gives {points} point", "model {model} gives {points} points"),
    "other_model_dimension": NN_(
        "model {model} gives {points} point for {dimension}", "model {model} gives {points} points for {dimension}"
    ),
    "other_model_stage": N_("model {model} says {stage}"),
    "other_model_no_stage": N_("model {model} sees no stage"),
    "other_model_grade": N_("model {model} grades it {grade}"),
    "other_model_no_grade": N_("model {model} gives no grade"),
    "other_model_applies": N_("model {model} scores this lead"),
    "other_model_disqualified": N_("model {model} disqualifies this lead"),
    "other_model_not_disqualified": N_("model {model} does not disqualify this lead"),
}

#: What took some of a part's points, or all of them.
REDUCTIONS: Mapping[str, Text] = {
    "over_rule": N_("over the cap of {cap} for rule {name}"),
    "over_group": N_("over the cap of {cap} for group {name}"),
    "over_dimension": N_("over the cap of {cap} for dimension {name}"),
    "over_judgements": N_("over the cap of {cap} for judgements"),
    "under_rule": N_("below the floor of {cap} for rule {name}"),
    "under_group": N_("below the floor of {cap} for group {name}"),
    "under_dimension": N_("below the floor of {cap} for dimension {name}"),
    "under_judgements": N_("below the floor of {cap} for judgements"),
}

#: What else there is to say of a part that counts.
REMARKS: Mapping[str, Text] = {
    "rest": NN_(
        "{points} of {earned} point, the rest is {reasons}", "{points} of {earned} points, the rest is {reasons}"
    ),
    "faded": NN_("faded from {earned} to {points} point", "faded from {earned} to {points} points"),
    "lifts": N_("lifts {dimension} from {rest} to {milestone}"),
    "lifts_score": N_("lifts the score from {rest} to {milestone}"),
}

#: Why the score is not the sum of its parts.
ADJUSTMENTS: Mapping[str, Text] = {
    "scale_max": N_("the scale of this model ends at {total}"),
    "scale_min": N_("the scale of this model begins at {total}"),
    "set": N_("set to {total} by {override}: {reason}"),
    "disqualified": N_("disqualified by {override}: {reason}"),
}

TEXTS: Mapping[str, Text] = {**FACTS, **REFUSALS, **REDUCTIONS, **REMARKS, **ADJUSTMENTS}

#: By which of its values a text takes its plural.
COUNTED_BY: Mapping[str, str] = {
    **dict.fromkeys(("events", "silences", "beyond_first"), "count"),
    **dict.fromkeys(("machine_delivered", "machine_sent", "machine_links"), "count"),
    "rest": "earned",
    "faded": "points",
}


def counted_by(code: str) -> str:
    return COUNTED_BY.get(code, "points")


def english(told: Reason) -> str:
    """Plain and unambiguous: ISO dates, numbers as a document has them."""
    text = TEXTS[told.code]
    if isinstance(text, tuple):
        amount = told.values[counted_by(told.code)]
        one = 1000 if KINDS.get(counted_by(told.code)) == "points" else 1
        text = text[0] if abs(amount) == one else text[1]
    return text.format_map({name: _shown(name, value) for name, value in told.values.items()})


def sentence(what: Reason, because: Sequence[Reason]) -> str:
    """`page.viewed on 2026-03-01 00:00 UTC; counted once already`."""
    return "; ".join(english(told) for told in (what, *because))


def _shown(name: str, value: Any) -> str:
    if name == "reasons":
        return " and ".join(english(told) for told in value)
    return _ENGLISH.get(KINDS.get(name, ""), str)(value)


def _instant(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _day(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d}"


def ordinal(place: int) -> str:
    suffix = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{suffix}"


def _points(thousandths: int) -> str:
    return str(number(thousandths))


def _any_of(texts: Iterable[str]) -> str:
    return listed(list(texts))


def _condition(condition: Condition) -> str:
    return describe(condition)


_ENGLISH: Mapping[str, Callable[[Any], str]] = {
    "points": _points,
    "instant": _instant,
    "day": _day,
    "length": spoken,
    "condition": _condition,
    "any of": _any_of,
    "list": ", ".join,
    "nth": ordinal,
}
