"""The words of acceptance cases: what is given, and what must come out."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, post_load

from assay.scoring.language.fields import (
    EventType,
    Flag,
    JsonSchema,
    Moment,
    Name,
    Numeral,
    Spoken,
    Text,
    Told,
    Whole,
    told,
)
from assay.scoring.language.model import Example, Expected, GivenEvent, GivenTraits
from assay.scoring.language.shapes import Errors, Parts, Words

MOST_TIMES = 10_000
MOST_FACTS = 1000


class Facts(Told):
    """Traits or properties: names with plain values."""

    takes = "mapping of names to values"

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[tuple[str, object], ...]:
        if not isinstance(value, Mapping):
            raise ValidationError("must be a mapping of names to values, such as {title: CFO}")
        errors: Errors = {}
        for key, item in value.items():
            if not key.strip() or len(key) > 200:
                errors[key] = ["must be a name of at most 200 characters"]
            elif isinstance(item, Mapping) or (
                isinstance(item, list) and any(isinstance(part, (Mapping, list)) for part in item)
            ):
                errors[key] = ["must be one value or a list of values; write parts of others with dots: company.name"]
            elif isinstance(item, float) and not (abs(item) < 1e300):
                errors[key] = ["must be a finite number, text, true or false"]
        if errors:
            raise ValidationError(errors)
        return tuple((key, tuple(item) if isinstance(item, list) else item) for key, item in value.items())

    def json_schema(self) -> JsonSchema:
        one = {"type": ["string", "number", "boolean", "null"]}
        return {"type": "object", "additionalProperties": {"anyOf": [one, {"type": "array", "items": one}]}}


class GivenWords(Words):
    one_of = (("on", "traits"),)

    on = EventType(
        metadata=told(
            "an event happens; `assay.judgement` and `assay.judgement_withdrawn` are [adjustments](#judgements)",
            "{on: meeting.booked, at: 3d}",
        )
    )
    traits = Facts(metadata=told("the lead's traits become these; others stay", "{traits: {country: VN}, at: 5d}"))
    at = Moment(load_default=0, metadata=told("when; day 0 unless it says otherwise", "{on: email.opened, at: 12h}"))
    times = Whole(
        most=MOST_TIMES,
        load_default=1,
        metadata=told("so many events at that instant", "{on: page.viewed, at: 1d, times: 3}"),
    )
    properties = Facts(
        load_default=(),
        metadata=told("of the event", "{on: page.viewed, at: 1d, properties: {path: /pricing}}"),
    )

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        if "traits" in original and "on" in original:
            return {"traits": ["cannot stand beside 'on': write two facts"]}
        if "traits" in original:
            return {word: ["belongs to events (on)"] for word in ("times", "properties") if word in original}
        if "on" not in original:
            return {"on": ["is missing: a fact is an event (on) or a change of traits"]}
        return {}

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> GivenEvent | GivenTraits:
        if "traits" in data:
            return GivenTraits(data["at"], data["traits"])
        return GivenEvent(data["on"], data["at"], data["times"], data["properties"])


class ScoredDimensions(Told):
    takes = "mapping of dimensions to numbers"

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, Mapping) or not value:
            raise ValidationError("must map dimensions to numbers, such as {fit: 20}")
        errors: Errors = {}
        found: list[tuple[str, Any]] = []
        for key, item in value.items():
            try:
                found.append((key, Numeral().deserialize(item)))
            except ValidationError as error:
                errors[key] = error.messages
        if errors:
            raise ValidationError(errors)
        return tuple(found)

    def json_schema(self) -> JsonSchema:
        return {"type": "object", "minProperties": 1, "additionalProperties": Numeral().json_schema()}


class ExpectWords(Words):
    at = Moment(metadata=told("when; by default at the latest `given`", "{at: 30d, total: 85}"))
    total = Numeral(metadata=told("the score that is shown", "{total: 66.67}"))
    raw = Numeral(metadata=told("the sum before scale and overrides", "{raw: 130}"))
    dimensions = ScoredDimensions(metadata=told("the sum of each dimension", "{dimensions: {fit: 20, interest: 15}}"))
    stage = Text(most=100, allow_none=True, metadata=told("the stage's name, or `null` for none", "{stage: MQL}"))
    grade = Text(most=2, allow_none=True, metadata=told("the grade, or `null` for none", "{grade: A1}"))
    override = Name(
        allow_none=True,
        metadata=told("the override that fixes the total, or `null` for none", "{total: 0, override: area}"),
    )
    disqualified = Name(
        allow_none=True,
        metadata=told(
            "the override that disqualifies the lead, or `null` for none", "{disqualified: student, stage: null}"
        ),
    )
    applies = Flag(metadata=told("whether the lead is in the audience", "{applies: false}"))

    asked = ("total", "raw", "stage", "grade", "override", "disqualified", "applies")

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        if original.get("applies") is False:
            others = [word for word in (*self.asked, "dimensions") if word in original and word != "applies"]
            return {word: ["cannot stand beside 'applies: false': who is outside has no score"] for word in others}
        if not any(word in original for word in (*self.asked, "dimensions")):
            known = all(word in self.fields for word in original)
            return {"total": [f"is missing: expect one of {', '.join(self.asked)} or dimensions"]} if known else {}
        return {}

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[int | None, Expected]:
        words = tuple((word, data[word]) for word in self.asked if word in data)
        return data.get("at"), Expected(data.get("at", 0), words, data.get("dimensions", ()))


class Expectations(Spoken):
    """What is expected at one instant, or at each of a list."""

    takes = "words, or a list of them"
    words = ExpectWords

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, list):
            return [self.words().load(value)]
        if not value:
            raise ValidationError("must expect something, such as {total: 75}")
        return Parts(self.words, such_as="a list such as [{at: 30d, total: 85}]").deserialize(value)


class ExampleWords(Words):
    name = Text(
        most=200,
        required=True,
        metadata=told(
            "what is tried, unique in the model",
            "{name: a booking, given: [{on: meeting.booked}], expect: {total: 75}}",
        ),
    )
    traits = Facts(
        metadata=told(
            "traits at day 0: short for `given: [{traits: …}]`",
            "{name: an owner, traits: {title: Owner}, expect: {total: 20}}",
        )
    )
    given = Parts(
        GivenWords,
        such_as="a list such as [{on: meeting.booked, at: 0d}]",
        load_default=[],
        metadata=told(
            "what happens, and when",
            "{name: two visits, given: [{on: page.viewed, at: 1d, times: 2}], expect: {total: 6}}",
        ),
    )
    first_seen = Moment(
        load_default=0,
        metadata=told(
            "when the lead was first seen; day 0 unless it says otherwise",
            "{name: seen late, first_seen: 10d, expect: {at: 39d, total: 0}}",
        ),
    )
    expect = Expectations(
        required=True,
        metadata=told(
            "what must come out, once or at several instants",
            "{name: it fades, given: [{on: page.viewed}], expect: [{total: 3}, {at: 60d, total: 0}]}",
        ),
    )

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        given = data.get("given", [])
        if len(given) > MOST_FACTS:
            return {"given": [f"has {len(given):,} facts; at most {MOST_FACTS:,} are accepted"]}
        return {}

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Example:
        given: list[GivenEvent | GivenTraits] = list(data["given"])
        if "traits" in data:
            given.insert(0, GivenTraits(0, data["traits"]))
        latest = max((fact.at for fact in given), default=0)
        expect = tuple(
            found if at is not None else Expected(latest, found.words, found.dimensions) for at, found in data["expect"]
        )
        return Example(data["name"], data["first_seen"], tuple(given), expect)
