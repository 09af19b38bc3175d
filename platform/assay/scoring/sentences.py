"""One plain sentence for each part of a score, in the languages we speak."""

from collections.abc import Iterable, Sequence

from assay.scoring.engine.changes import Action, Hint, Standing, Step, Turn, Way
from assay.scoring.engine.reasons import N_, NN_, TEXTS, Reason, Text, counted_by
from assay.scoring.engine.receipts import Adjustment, Part
from assay.scoring.phrases import LANGUAGES, Language, language

ADDS = NN_("“{title}” adds {points} point: {facts}.", "“{title}” adds {points} points: {facts}.")
TAKES = NN_("“{title}” takes away {points} point: {facts}.", "“{title}” takes away {points} points: {facts}.")
NOTHING = N_("“{title}” counts nothing: {facts}.")
OUTSIDE = N_("Not scored: {facts}.")
RAISES = NN_("{points} point more: {facts}.", "{points} points more: {facts}.")
LOWERS = NN_("{points} point less: {facts}.", "{points} points less: {facts}.")
PLAIN = N_("{facts}.")
SEPARATOR = N_("{fact}; {more}")
JUDGEMENT = N_("Judgement")

STEPS: dict[str, Text] = {
    "score": N_("On {at} the score goes from {total} to {next_total} by itself."),
    "stage": N_(
        "On {at} the score goes from {total} to {next_total} by itself, and the stage from {stage} to {next_stage}."
    ),
    "gained": N_("On {at} the score goes from {total} to {next_total} by itself, which reaches {next_stage}."),
    "lost": N_("On {at} the score goes from {total} to {next_total} by itself, and {stage} is lost."),
    "joins": N_("From {at} on this model scores this lead, with {next_total}."),
    "leaves": N_("From {at} on this model does not score this lead any more."),
    "other": N_("On {at} other things change by themselves; the score stays {total}."),
}
TURNS = NN_("“{title}” gives {points} point more", "“{title}” gives {points} points more")
TURNS_DOWN = NN_("“{title}” gives {points} point less", "“{title}” gives {points} points less")
BECAUSE = N_("{step} ({turns})")

ACTIONS: dict[str, Text] = {
    "event": NN_("{count} more {type}", "{count} more {type}"),
    "event_where": NN_("{count} more {type} where {condition}", "{count} more {type} where {condition}"),
    "trait": N_("the fact that {condition}"),
}
WAY = N_("It takes {actions} to reach {stage}; the score is {total} then.")

HINTS: dict[str, Text] = {
    "missing": NN_("{missing} point is missing for {stage}.", "{missing} points are missing for {stage}."),
    "more_than": N_("For {stage} the score has to be above {total}."),
    "at_top": N_("It stands at the highest stage already."),
    "no_stages": N_("This model has no stages."),
    "outside": N_("This model does not score this lead: it is not in its audience."),
    "disqualified": N_("It is disqualified by {override}, so no stage can be reached."),
    "overridden": N_("The score is set to {total} by {override}, whatever happens."),
    "none_found": N_("No set of up to {count} single things was found that reaches {stage}."),
    "cannot_make_up": N_("“{title}” was left out: no example of what it asks for can be made up."),
    "not_tried": N_("There were too many sets of {count} things to try them all."),
    "too_much": N_("There is too much to look ahead in: the model asks {count} things of this lead’s {events} events."),
    "not_looked": N_("There is so much to look at that not every change by itself was looked for."),
    "fades_on": N_("It changes a little every day by itself, to {total} on {day}."),
}


Told = Part | Adjustment | Step | Way | Hint


def say(told: Told, code: str) -> str:
    """In a language of LANGUAGES; raises KeyError for another."""
    words = language(code)
    if isinstance(told, Part):
        return _part(told, words)
    if isinstance(told, Adjustment):
        return _adjustment(told, words)
    if isinstance(told, Step):
        return _step(told, words)
    if isinstance(told, Way):
        return _way(told, words)
    return words.text(HINTS[told.code], told.values, _counted(told))


def chosen(asked: str | None, accepted: Iterable[str] = ()) -> str:
    """The language asked for, else the first of the accepted ones that we speak, else English."""
    for tag in (asked or "", *accepted):
        code = tag.replace("_", "-").split("-")[0].lower()
        if code in LANGUAGES:
            return code
    return "en"


def _counted(hint: Hint) -> str:
    return "missing" if "missing" in hint.values else "count"


def _part(part: Part, words: Language) -> str:
    facts = _facts(part.what, part.because, words)
    if part.what.code == "only_for":
        return words.text(OUTSIDE, {"facts": facts})
    title = part.title or (words.text(JUDGEMENT, {}) if part.judged else part.rule)
    if not part.counted:
        return words.text(NOTHING, {"title": title, "facts": facts})
    message = TAKES if part.points < 0 else ADDS
    return words.text(message, {"title": title, "points": abs(part.points), "facts": facts}, "points")


def _adjustment(adjustment: Adjustment, words: Language) -> str:
    facts = _reason(adjustment.because, words)
    if not adjustment.points:
        return words.text(PLAIN, {"facts": facts})
    message = LOWERS if adjustment.points < 0 else RAISES
    return words.text(message, {"points": abs(adjustment.points), "facts": facts}, "points")


def _facts(what: Reason, because: Sequence[Reason], words: Language) -> str:
    told = _reason(what, words)
    for each in because:
        told = words.text(SEPARATOR, {"fact": told, "more": _reason(each, words)})
    return told


def _reason(told: Reason, words: Language) -> str:
    values = dict(told.values)
    if "reasons" in values:
        values["reasons"] = words.all_of(_reason(each, words) for each in values["reasons"])
    return words.text(TEXTS[told.code], values, counted_by(told.code))


def _standing(standing: Standing, prefix: str = "") -> dict[str, object]:
    return {f"{prefix}total": standing.total, f"{prefix}stage": standing.stage, f"{prefix}grade": standing.grade}


def _step(step: Step, words: Language) -> str:
    before, after = step.before, step.after
    if before.applies != after.applies:
        kind = "joins" if after.applies else "leaves"
    elif before.stage != after.stage:
        kind = "stage" if before.stage and after.stage else "gained" if after.stage else "lost"
    else:
        kind = "score" if before.total != after.total else "other"
    values = {"at": step.at, **_standing(before), **_standing(after, "next_")}
    told = words.text(STEPS[kind], values)
    if not step.turns:
        return told
    turns = [_turn(turn, words) for turn in step.turns]
    return words.text(BECAUSE, {"step": told, "turns": words.all_of(turns)})


def _turn(turn: Turn, words: Language) -> str:
    message = TURNS_DOWN if turn.points < 0 else TURNS
    return words.text(message, {"title": turn.title or turn.rule, "points": abs(turn.points)}, "points")


def _way(way: Way, words: Language) -> str:
    actions = words.all_of(_action(action, words) for action in way.actions)
    return words.text(WAY, {"actions": actions, "stage": way.stage, "total": way.total})


def _action(action: Action, words: Language) -> str:
    if not action.is_event:
        return words.text(ACTIONS["trait"], {"condition": action.condition})
    values: dict[str, object] = {"count": action.count, "type": action.type}
    if action.condition is None:
        return words.text(ACTIONS["event"], values)
    return words.text(ACTIONS["event_where"], {**values, "condition": action.condition})
