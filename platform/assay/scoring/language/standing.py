"""The words around the rules: dimensions, blocks, adjustments by people, overrides, scale, stages, grades."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from marshmallow import ValidationError, post_load

from assay.scoring.language.conditions import When
from assay.scoring.language.fields import Flag, JsonSchema, Name, Names, Positive, Spoken, Sum, Text, Told, told
from assay.scoring.language.model import Band, Grade, Group, Judgements, Override, Scale, Split, Stage
from assay.scoring.language.quantities import MOST_SUM, number, thousandths
from assay.scoring.language.shapes import Capped, Errors, Named, Words
from assay.scoring.language.words import listed


class GroupWords(Capped):
    max = Sum(load_default=None, metadata=told("0 or above: limits what is earned in it", "{email: {max: 10}}"))
    min = Sum(load_default=None, metadata=told("0 or below: limits what is deducted in it", "{bounces: {min: -20}}"))
    first_match = Flag(
        load_default=False,
        metadata=told(
            "`true`: only the first rule of the group that matches counts, in the order of the document, even when it "
            "gives 0 points",
            "{size: {first_match: true}}",
        ),
    )


class DimensionWords(Capped):
    max = Sum(load_default=None, metadata=told("0 or above: limits what is earned in it", "{fit: {max: 50}}"))
    min = Sum(load_default=None, metadata=told("0 or below: limits what is deducted in it", "{fit: {min: -20}}"))
    groups = Named(
        GroupWords,
        Group,
        load_default=(),
        metadata=told("groups of rules with caps of their own", "{interest: {groups: {email: {max: 10}}}}"),
    )


class SplitWords(Words):
    points = Positive(
        required=True, metadata=told("what all blocks are worth together", "{points: 100, over: [fit, interest]}")
    )
    over = Names(
        required=True,
        metadata=told("the dimensions; each gets an equal block", "{points: 99, over: [fit, interest]}"),
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Split:
        return Split(**data)


class JudgementsWords(Capped):
    max = Sum(load_default=None, metadata=told("0 or above: limits what they add up to", "{max: 20}"))
    min = Sum(load_default=None, metadata=told("0 or below: limits what they deduct", "{min: -20}"))
    dimension = Name(
        load_default=None,
        metadata=told("the dimension they go to; without one, straight to the score", "{dimension: interest}"),
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Judgements:
        return Judgements(**data)


class JudgementsOrNot(Spoken):
    """`false`, or how adjustments by people count."""

    takes = "`false`, or words"
    words = JudgementsWords

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Judgements:
        if isinstance(value, bool):
            return Judgements(counted=value)
        if not isinstance(value, Mapping):
            raise ValidationError("must be false, or a mapping such as {max: 20, min: -20}")
        found: Judgements = self.words().load(value)
        return found


class OverrideWords(Words):
    one_of = (("set", "disqualify"),)

    id = Name(
        required=True,
        metadata=told(
            "its name, which no rule and no other override has",
            "{id: area, when: {trait: country, not_in: [VN, CH]}, set: 0, reason: outside the service area}",
        ),
    )
    when = When(
        "trait",
        required=True,
        metadata=told(
            "the [condition](#conditions) under which it holds",
            "{id: gone, when: {trait: status, is: closed}, set: 0, reason: the firm has closed}",
        ),
    )
    set = Sum(
        metadata=told(
            "the total that is shown instead of the computed one",
            "{id: partner, when: {trait: is_partner, is: true}, set: 100, reason: a partner}",
        )
    )
    disqualify = Flag(
        metadata=told(
            "`true`: no stage, no grade, no actions",
            "{id: student, when: {trait: title, is: Student}, disqualify: true, reason: a student}",
        )
    )
    reason = Text(
        most=500,
        required=True,
        metadata=told(
            "what people read where the score would be explained",
            "{id: press, when: {trait: title, is: Journalist}, disqualify: true, reason: belongs to the press office}",
        ),
    )

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        given = [word for word in ("set", "disqualify") if word in original]
        if not given:
            return {"set": ["is missing: an override says 'set' or 'disqualify'"]}
        if len(given) == 2:
            return {"disqualify": ["cannot stand beside 'set': write two overrides"]}
        if data.get("disqualify") is False:
            return {"disqualify": ["must be true, or be left away together with the override"]}
        return {}

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Override:
        return Override(data["id"], data["when"], data.get("set"), "disqualify" in data, data["reason"])


class ScaleWords(Words):
    min = Sum(load_default=None, metadata=told("the lowest total that is shown", "{min: 0}"))
    max = Sum(load_default=None, metadata=told("the highest total that is shown", "{max: 100}"))

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        high, low = data.get("max"), data.get("min")
        if high is not None and low is not None and low >= high:
            return {"min": [f"({number(low)}) must be below max ({number(high)})"]}
        return {}

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Scale:
        return Scale(**data)


class StageWords(Words):
    one_of = (("from", "above"),)

    name = Text(most=100, required=True, metadata=told("what people read", "{name: Lead, from: 50}"))
    from_ = Sum(data_key="from", metadata=told("the total it begins at (≥)", "{name: Warm, from: 30}"))
    above = Sum(metadata=told("the total it begins above (>)", "{name: Hot, above: 70}"))

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        given = [word for word in ("from", "above") if word in original]
        if len(given) == 1:
            return {}
        if given:
            return {"above": ["cannot stand beside 'from': a stage begins at (from, ≥) or above (above, >) one number"]}
        return {"from": ["is missing: write 'from' (≥) or 'above' (>)"]}

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Stage:
        inclusive = "from_" in data
        return Stage(data["name"], data["from_"] if inclusive else data["above"], inclusive)


class GradeWords(Told):
    """Two dimensions: one graded with letters A to D, one with figures 1 to 4."""

    takes = "mapping of two dimensions"
    scales = ("ABCD", "1234")

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[Grade, ...]:
        if not isinstance(value, Mapping) or len(value) != 2:
            raise ValidationError("must name two dimensions: one graded A to D, one graded 1 to 4")
        found: dict[str, Grade] = {}
        errors: Errors = {}
        for dimension, bands in value.items():
            try:
                scale, grade = self._half(dimension, bands)
                if scale in found:
                    raise ValidationError(
                        f"both dimensions are graded {scale[0]} to {scale[-1]}; one must be the other"
                    )
                found[scale] = grade
            except ValidationError as error:
                errors[dimension] = error.messages
        if errors:
            raise ValidationError(errors)
        return tuple(found[scale] for scale in self.scales)

    def _half(self, dimension: str, bands: object) -> tuple[str, Grade]:
        if not isinstance(bands, Mapping) or not bands:
            raise ValidationError("must map A, B, C, D or 1, 2, 3, 4 to the number each begins from")
        scale = next((scale for scale in self.scales if next(iter(bands)) in scale), None)
        if scale is None:
            raise ValidationError({next(iter(bands)): ["is not a grade: A, B, C, D or 1, 2, 3, 4 are accepted"]})
        errors: dict[str, list[str]] = {}
        found: list[Band] = []
        for mark, threshold in bands.items():
            if mark not in scale or len(mark) != 1:
                errors[mark] = [f"is not a grade beside {next(iter(bands))}: {listed(scale)} are accepted"]
                continue
            try:
                found.append(Band(mark, thousandths(threshold, most=MOST_SUM)))
            except ValueError as error:
                errors[mark] = [str(error)]
        found.sort(key=lambda band: scale.index(band.mark))
        for better, worse in pairwise(found):
            if worse.threshold >= better.threshold:
                errors.setdefault(
                    worse.mark,
                    [f"({number(worse.threshold)}) must be below {better.mark} ({number(better.threshold)})"],
                )
        if errors:
            raise ValidationError(errors)
        return scale, Grade(dimension, tuple(found))

    def json_schema(self) -> JsonSchema:
        halves = [
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {mark: Sum().json_schema() for mark in scale},
            }
            for scale in self.scales
        ]
        shape = {"type": "object", "minProperties": 2, "maxProperties": 2}
        return shape | {"additionalProperties": {"anyOf": halves}}
