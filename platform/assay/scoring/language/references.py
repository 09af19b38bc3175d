"""Which other models a model asks, and whether they ask one another in a circle."""

from collections.abc import Collection, Iterator, Mapping

from assay.scoring.language.errors import Problem
from assay.scoring.language.model import Comparison, Condition, EventCount, Every, Model, Not, OfModel, Some, WhenHolds
from assay.scoring.language.words import unknown_name


def references(model: Model) -> frozenset[str]:
    """The names of the models that its rules, overrides and audience ask."""
    return frozenset(
        leaf.model for condition in conditions(model) for leaf in leaves(condition) if isinstance(leaf, OfModel)
    )


def conditions(model: Model) -> Iterator[Condition]:
    """Every condition on the lead; those on single events (`where` of a rule) are not among them."""
    if model.audience is not None:
        yield model.audience
    for rule in model.rules:
        if isinstance(rule.trigger, WhenHolds):
            yield rule.trigger.condition
    for override in model.overrides:
        yield override.condition


def leaves(condition: Condition) -> Iterator[Comparison | EventCount | OfModel]:
    """The conditions joined in one; what an event count asks of its events stays inside it."""
    if isinstance(condition, (Every, Some)):
        for part in condition.conditions:
            yield from leaves(part)
    elif isinstance(condition, Not):
        yield from leaves(condition.condition)
    else:
        yield condition


def questions(model: Model) -> Iterator[tuple[str, OfModel]]:
    """Each condition on another model, with the path at which it stands."""
    if model.audience is not None:
        yield from _questions("audience", model.audience)
    for index, rule in enumerate(model.rules):
        if isinstance(rule.trigger, WhenHolds):
            yield from _questions(f"rules[{index}].when", rule.trigger.condition)
    for index, override in enumerate(model.overrides):
        yield from _questions(f"overrides[{index}].when", override.condition)


def _questions(path: str, condition: Condition) -> Iterator[tuple[str, OfModel]]:
    if isinstance(condition, OfModel):
        yield path, condition
    elif isinstance(condition, (Every, Some)):
        word = "all" if isinstance(condition, Every) else "any"
        for index, part in enumerate(condition.conditions):
            yield from _questions(f"{path}.{word}[{index}]", part)
    elif isinstance(condition, Not):
        yield from _questions(f"{path}.not", condition.condition)


def missing_dimensions(model: Model, others: Mapping[str, Model]) -> list[Problem]:
    """Where it asks for a dimension that the other model does not have."""
    names = {name: [dimension.name for dimension in other.dimensions] for name, other in others.items()}
    return [
        Problem(f"{path}.dimension", f"of the model {asked.model!r}: {unknown_name('dimension', name, known)}")
        for path, asked in questions(model)
        for name, known in [(asked.dimension, names[asked.model])]
        if name is not None and name not in known
    ]


def missing_stages(model: Model, others: Mapping[str, Model]) -> list[Problem]:
    """Where it asks for a stage that the other model does not have, which no lead would ever be in."""
    names = {name: [stage.name for stage in other.stages] for name, other in others.items()}
    found: list[Problem] = []
    for path, asked in questions(model):
        if asked.model in names and asked.aspect == "stage" and asked.word != "exists":
            operands = asked.operand if isinstance(asked.operand, tuple) else (asked.operand,)
            known = names[asked.model]
            found += [
                Problem(f"{path}.stage", f"of the model {asked.model!r}: {unknown_name('stage', str(name), known)}")
                for name in operands
                if str(name).lower() not in [stage.lower() for stage in known]
            ]
    return found


def find_cycle(name: str, references: Mapping[str, Collection[str]]) -> list[str] | None:
    """The shortest way from a model back to itself, such as [a, b, a], or None."""
    came_from: dict[str, str] = {}
    waiting = [name]
    for here in waiting:
        for there in sorted(references.get(here, ())):
            if there == name:
                way = [name, here]
                while way[-1] != name:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if there not in came_from:
                came_from[there] = here
                waiting.append(there)
    return None
