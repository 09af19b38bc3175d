"""The shape of a model document, word by word."""

from collections.abc import Mapping
from typing import Any

from marshmallow import post_load

from assay.scoring.language.checks import check_model
from assay.scoring.language.conditions import When
from assay.scoring.language.examples import ExampleWords
from assay.scoring.language.fields import Name, Text, Whole, told
from assay.scoring.language.model import Dimension, Judgements, Model, Scale
from assay.scoring.language.parameters import ParametersField
from assay.scoring.language.rules import RuleWords
from assay.scoring.language.shapes import Errors, Named, Part, Parts, Words
from assay.scoring.language.standing import (
    DimensionWords,
    GradeWords,
    JudgementsOrNot,
    OverrideWords,
    ScaleWords,
    SplitWords,
    StageWords,
)


class ModelWords(Words):
    model = Name(
        required=True,
        metadata=told("its name: letters, digits, `_`, `-`, `.`", "model: smb-owner"),
    )
    title = Text(most=200, load_default=None, metadata=told("what people read", "title: SMB owners, product A"))
    description = Text(
        most=5000, load_default=None, metadata=told("more of it", "description: Small firms that decide quickly.")
    )
    persona = Text(
        most=200, load_default=None, metadata=told("for people: whom the model is about", "persona: SMB owner")
    )
    product_line = Text(most=200, load_default=None, metadata=told("for people: what it is about", "product_line: A"))
    business_unit = Text(
        most=200, load_default=None, metadata=told("for people: where it is used", "business_unit: Retail")
    )
    precedence = Whole(
        least=0,
        most=1000,
        load_default=0,
        metadata=told(
            "of the models that apply to a lead the one of the highest precedence leads, and ranks lists; 0 by default",
            "precedence: 10",
        ),
    )
    parameters = ParametersField(
        load_default=(),
        metadata=told(
            "numbers and durations that [formulas](#parameters-and-formulas) read",
            "parameters: {offers: 5, expiry: 60d}",
        ),
    )
    audience = When(
        "trait",
        load_default=None,
        metadata=told(
            "the [condition](#conditions) that a lead must meet to be scored at all",
            "audience: {all: [{trait: company.employees, lt: 50}, {trait: product_line, is: A}]}",
        ),
    )
    dimensions = Named(
        DimensionWords,
        Dimension,
        load_default=(),
        metadata=told(
            "parts of the score, with [caps](#dimensions-groups-caps)", "dimensions: {fit: {max: 50}, interest: {}}"
        ),
    )
    split = Part(
        SplitWords,
        load_default=None,
        metadata=told(
            "[equal blocks](#split-and-share-equal-blocks) of points", "split: {points: 100, over: [fit, interest]}"
        ),
    )
    judgements = JudgementsOrNot(
        load_default=Judgements(),
        metadata=told("how [adjustments by people](#judgements) count", "judgements: {max: 20, min: -20}"),
    )
    rules = Parts(
        RuleWords,
        such_as="a list of rules",
        required=True,
        metadata=told("what awards points; at least one", "rules: [{id: opened, on: email.opened, points: 1}]"),
    )
    overrides = Parts(
        OverrideWords,
        such_as="a list such as [{id: area, when: {trait: country, not_in: [VN]}, set: 0, reason: outside}]",
        load_default=[],
        metadata=told(
            "[what goes above the score](#overrides)",
            "overrides: [{id: area, when: {trait: country, is: US}, set: 0, reason: outside the service area}]",
        ),
    )
    scale = Part(
        ScaleWords,
        load_default=Scale(None, None),
        metadata=told("[bounds](#scale-stages-grades) of the total that is shown", "scale: {min: 0, max: 100}"),
    )
    stages = Parts(
        StageWords,
        such_as="a list such as [{name: Lead, from: 50}]",
        load_default=[],
        metadata=told(
            "[names](#scale-stages-grades) for stretches of the total, lowest first",
            "stages: [{name: Lead, from: 50}, {name: Hot, above: 75}]",
        ),
    )
    grades = GradeWords(
        load_default=(),
        metadata=told(
            "[two dimensions as one mark](#scale-stages-grades), A1 to D4",
            "grades: {fit: {A: 40, D: 0}, interest: {1: 45, 4: 0}}",
        ),
    )
    examples = Parts(
        ExampleWords,
        such_as="a list such as [{name: …, given: […], expect: {…}}]",
        load_default=[],
        metadata=told(
            "[acceptance cases](#examples)",
            "examples: [{name: an open, given: [{on: email.opened}], expect: {total: 1}}]",
        ),
    )

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        return check_model(original)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Model:
        lists: dict[str, Any] = {word: tuple(data.pop(word)) for word in ("rules", "overrides", "stages", "examples")}
        return Model(name=data.pop("model"), **lists, **data)
