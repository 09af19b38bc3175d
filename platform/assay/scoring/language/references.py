"""Which other models a model asks, and whether they ask one another in a circle."""

from collections.abc import Collection, Iterator, Mapping

from assay.scoring.language.model import Comparison, Condition, EventCount, Every, Model, Not, OfModel, Some, WhenHolds


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
