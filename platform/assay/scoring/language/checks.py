"""Mistakes between distant parts of a model: names used twice, names never declared, stages out of order."""

from collections.abc import Mapping
from typing import Any

from assay.scoring.language.expectations import MOST_EVENTS, check_examples, events_given
from assay.scoring.language.quantities import MOST_SUM, thousandths
from assay.scoring.language.shapes import Errors, as_list, as_mapping
from assay.scoring.language.words import unknown_name

MOST_STAGES = 100
MOST_OVERRIDES = 1000
MOST_EXAMPLES = 1000
#: The rule under which receipts list adjustments by people.
JUDGEMENT = "judgement"


def check_model(document: Mapping[str, Any]) -> Errors:
    """Messages at their places. Reads the raw document, so that one mistake hides no other."""
    dimensions = as_mapping(document.get("dimensions"))
    rules, steps = as_list(document.get("rules")), as_list(document.get("stages"))
    split = as_mapping(document.get("split"))
    errors: Errors = {
        "rules": _check_rules(rules, dimensions, split),
        "overrides": _check_overrides(as_list(document.get("overrides")), rules),
        "split": _check_split(split, rules, dimensions),
        "judgements": _undeclared(as_mapping(document.get("judgements")), dimensions),
        "stages": _check_stages(steps),
        "grades": {
            name: [unknown_name("dimension", name, list(dimensions))]
            for name in as_mapping(document.get("grades"))
            if name not in dimensions
        },
        "examples": check_examples(document),
    }
    if isinstance(document.get("rules"), list) and not rules:
        errors["rules"] = ["must hold at least one rule"]
    for word, most in (("stages", MOST_STAGES), ("overrides", MOST_OVERRIDES), ("examples", MOST_EXAMPLES)):
        given = len(as_list(document.get(word)))
        if given > most:
            errors[word] = [f"has {given:,} {word}; at most {most:,} are accepted"]
    happening = events_given(document)
    if happening > MOST_EVENTS:
        errors["examples"] = [f"give {happening:,} events to look at; at most {MOST_EVENTS:,} are accepted"]
    itself = check_references(document)
    return {word: found for word, found in errors.items() if found} | itself


def _check_rules(rules: list[Any], dimensions: Mapping[str, Any], split: Mapping[str, Any]) -> Errors:
    errors: Errors = {}
    first: dict[str, int] = {}
    for index, rule in enumerate(rules):
        if not isinstance(rule, Mapping):
            continue
        found: Errors = {}
        rule_id = rule.get("id")
        if isinstance(rule_id, str):
            if rule_id in first:
                found["id"] = [f"{rule_id!r} is used by rules[{first[rule_id]}] already"]
            if rule_id == JUDGEMENT:
                found["id"] = [f"{rule_id!r} is what receipts call the adjustments by people; choose another"]
            first.setdefault(rule_id, index)
        found.update(_check_place(rule, dimensions))
        if "share" in rule and (problem := _share_of_nothing(rule, split)):
            found["share"] = [problem]
        if found:
            errors[index] = found
    return errors


def _share_of_nothing(rule: Mapping[str, Any], split: Mapping[str, Any]) -> str | None:
    if not split:
        return "needs a block to share: add split: {points: 100, over: […]} to the model"
    dimension, over = rule.get("dimension"), as_list(split.get("over"))
    if isinstance(dimension, str) and over and dimension not in over:
        return f"needs a block to share: {dimension!r} is not in split.over"
    return None


def _check_place(rule: Mapping[str, Any], dimensions: Mapping[str, Any]) -> Errors:
    if found := _undeclared(rule, dimensions):
        return found
    dimension, group = rule.get("dimension"), rule.get("group")
    if not isinstance(dimension, str):
        return {}
    groups = as_mapping(as_mapping(dimensions[dimension]).get("groups"))
    if isinstance(group, str) and group not in groups:
        return {"group": [unknown_name(f"group of {dimension}", group, list(groups))]}
    return {}


def _undeclared(words: Mapping[str, Any], dimensions: Mapping[str, Any]) -> Errors:
    dimension = words.get("dimension")
    if not isinstance(dimension, str) or dimension in dimensions:
        return {}
    return {"dimension": [unknown_name("dimension", dimension, list(dimensions))]}


def _check_split(split: Mapping[str, Any], rules: list[Any], dimensions: Mapping[str, Any]) -> Errors:
    errors: Errors = {}
    sharing = {
        rule.get("dimension")
        for rule in rules
        if isinstance(rule, Mapping) and isinstance(rule.get("dimension"), str) and _is_positive(rule.get("share"))
    }
    for index, dimension in enumerate(as_list(split.get("over"))):
        if not isinstance(dimension, str):
            continue
        if dimension not in dimensions:
            errors[index] = [unknown_name("dimension", dimension, list(dimensions))]
        elif dimension not in sharing:
            errors[index] = [f"no rule of {dimension!r} has a share above 0, so nobody could earn its block"]
    return {"over": errors} if errors else {}


def _is_positive(value: object) -> bool:
    # Text is a formula whose own mistake is told where it stands.
    return isinstance(value, str) or (isinstance(value, (int, float)) and value > 0)


def _check_overrides(overrides: list[Any], rules: list[Any]) -> Errors:
    taken = {
        rule["id"]: f"rules[{index}]"
        for index, rule in reversed([*enumerate(rules)])
        if isinstance(rule, Mapping) and isinstance(rule.get("id"), str)
    }
    errors: Errors = {}
    for index, override in enumerate(overrides):
        name = override.get("id") if isinstance(override, Mapping) else None
        if not isinstance(name, str):
            continue
        if name in taken:
            errors[index] = {"id": [f"{name!r} is used by {taken[name]} already"]}
        taken.setdefault(name, f"overrides[{index}]")
    return errors


def _check_stages(stages: list[Any]) -> Errors:
    errors: Errors = {}
    names: dict[str, int] = {}
    previous: tuple[int, int] | None = None
    for index, stage in enumerate(stages):
        if not isinstance(stage, Mapping):
            continue
        name = stage.get("name")
        if isinstance(name, str):
            key = name.strip().casefold()
            if key in names:
                errors.setdefault(index, {})["name"] = [f"{name!r} is the name of stages[{names[key]}] already"]
            names.setdefault(key, index)
        word = "from" if "from" in stage else "above"
        try:
            # `above 10` begins later than `from 10`.
            edge = (thousandths(stage.get(word), most=MOST_SUM), 0 if word == "from" else 1)
        except ValueError:
            continue
        if previous is not None and edge <= previous:
            errors.setdefault(index, {})[word] = ["must be higher than the stage before it: stages stand lowest first"]
        previous = edge
    return errors


def check_references(document: Mapping[str, Any]) -> Errors:
    """A model that asks what it says itself."""
    own = document.get("model")
    errors: Errors = {}
    if found := _asks(document.get("audience"), own):
        errors["audience"] = found
    for word in ("rules", "overrides"):
        for index, part in enumerate(as_list(document.get(word))):
            if found := _asks(as_mapping(part).get("when"), own):
                errors.setdefault(word, {})[index] = {"when": found}
    return errors


def _asks(condition: object, own: object) -> Errors:
    if not isinstance(condition, Mapping):
        return {}
    if "model" in condition and condition["model"] == own:
        return {"model": ["is this model itself, and a score cannot rest on itself"]}
    for joint in ("all", "any"):
        found = {index: at for index, part in enumerate(as_list(condition.get(joint))) if (at := _asks(part, own))}
        if found:
            return {joint: found}
    inner = _asks(condition.get("not"), own)
    return {"not": inner} if inner else {}
