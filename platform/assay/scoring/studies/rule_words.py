"""What a rule is called where people read of it, and how it differs between two versions of a model."""

from typing import Literal

from assay.scoring import language
from assay.scoring.language.quantities import spoken

Change = Literal["added", "removed", "changed", "same"]

#: A rule's id in tables of points; people's judgements stand there as a rule of this id.
JUDGEMENT = "judgement"


def words_of(rule: language.Rule) -> str:
    """Its title; without one, what it asks."""
    if rule.title:
        return rule.title
    trigger = rule.trigger
    if isinstance(trigger, language.OnEvents):
        where = f" where {language.describe(trigger.where)}" if trigger.where else ""
        return f"{' or '.join(trigger.types)}{where}"
    if isinstance(trigger, language.WhenSilent):
        activity = "activity" if trigger.of is None else " or ".join(trigger.of)
        return f"no {activity} for {spoken(trigger.length)}"
    if isinstance(trigger, language.ByKind):
        return language.kinds.in_words(trigger)
    return language.describe(trigger.condition)


def rules_words(*models: language.Model | None) -> dict[str, str]:
    """By rule id; where a rule differs between the models, as the last of them words it."""
    found = {JUDGEMENT: "judgements by people"}
    for model in models:
        if model is not None:
            found |= {rule.id: words_of(rule) for rule in model.rules}
            found |= {override.id: override.reason for override in model.overrides if override.id not in found}
    return found


def rule_changes(before: language.Model | None, after: language.Model) -> dict[str, Change]:
    """How each rule of either differs, in the order of the newer, removed ones last."""
    old = {rule.id: rule for rule in before.rules} if before else {}
    new = {rule.id: rule for rule in after.rules}
    found: dict[str, Change] = {}
    for id_, rule in new.items():
        found[id_] = "added" if id_ not in old else "same" if old[id_] == rule else "changed"
    return found | {id_: "removed" for id_ in old if id_ not in new}
