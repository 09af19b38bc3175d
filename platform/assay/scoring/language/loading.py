"""From a document to a `Model`, or every mistake in it at once."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from assay.scoring.language.document import bounded, read
from assay.scoring.language.errors import InvalidModel, Problem, problems_in
from assay.scoring.language.limits import MOST_RULES, check_cost, check_unit
from assay.scoring.language.model import Model
from assay.scoring.language.schemas import ModelWords
from assay.scoring.language.settling import settle


def parse(text: str) -> Model:
    """The model a YAML or JSON text describes; raises InvalidModel."""
    return _load(read(text))


def load(document: Mapping[str, Any]) -> Model:
    """The model a tree describes; raises InvalidModel."""
    return _load(bounded(document))


def _load(document: dict[str, Any]) -> Model:
    rules = document.get("rules")
    if isinstance(rules, list) and len(rules) > MOST_RULES:
        raise InvalidModel([Problem("rules", f"has {len(rules):,} rules; at most {MOST_RULES:,} are accepted")])
    check_cost(document)
    unsettled = settle(document)
    try:
        model: Model = ModelWords().load(document)
    except ValidationError as error:
        # Text that should have become a number is told once, as the formula it is.
        wrong = {problem.path for problem in unsettled}
        found = [problem for problem in problems_in(error.messages, "") if problem.path not in wrong]
        raise InvalidModel([*found, *(problem for problem in unsettled if problem.message)]) from None
    if unsettled:
        raise InvalidModel(unsettled)
    check_unit(model)
    return model
