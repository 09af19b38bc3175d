"""A kind of rule as a partner's plugin would bring it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from marshmallow import Schema, fields, validate

from assay.scoring.language import kinds
from assay_sdk import Award, LeadFacts, RuleKind


class Months(Schema):
    months = fields.List(fields.Integer(validate=validate.Range(1, 12)), required=True)


class Seasonal(RuleKind):
    """An award for each visit in some months; one more at the first of them for who named a season."""

    name = "acme.seasonal"
    title = "Seasonal interest"
    parameters = Months

    def event_types(self, parameters: Mapping[str, Any]) -> Sequence[str]:
        return ("page.viewed",)

    def traits(self, parameters: Mapping[str, Any]) -> Sequence[str]:
        return ("season",)

    def properties(self, parameters: Mapping[str, Any]) -> Sequence[str]:
        return ("path",)

    def awards(self, lead: LeadFacts, parameters: Mapping[str, Any]) -> Iterable[Award]:
        visits = [
            (place, fact)
            for place, fact in enumerate(lead.events)
            if fact.at.month in parameters["months"] and fact.properties.get("path") != "/careers"
        ]
        for place, fact in visits:
            yield Award(fact.at, event=place)
        if visits and lead.traits.get("season"):
            yield Award(visits[0][1].at)

    def reason(self, parameters: Mapping[str, Any]) -> str:
        return f"visit in month {', '.join(str(month) for month in parameters['months'])}"


@pytest.fixture(autouse=True)
def seasonal() -> Iterator[Seasonal]:
    kind = Seasonal()
    before = kinds.installed
    kinds.installed = lambda: SimpleNamespace(rule_kinds={kind.name: kind})  # type: ignore[assignment, return-value] # all that is asked of it
    yield kind
    kinds.installed = before
