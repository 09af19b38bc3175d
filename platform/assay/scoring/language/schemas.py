"""The shape of a model document, word by word."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validates_schema

from assay.scoring.language.checks import check_model
from assay.scoring.language.fields import (
    MISSING,
    Duration,
    EventTypes,
    Flag,
    Name,
    Named,
    Points,
    Sum,
    Text,
    When,
    Whole,
)
from assay.scoring.language.model import (
    Band,
    Count,
    Dimension,
    Fading,
    Grade,
    Group,
    Judgements,
    Model,
    OnEvents,
    Rule,
    Scale,
    Stage,
    WhenHolds,
    WhenSilent,
)
from assay.scoring.language.quantities import MOST_POINTS, MOST_SUM, number, thousandths
from assay.scoring.language.words import LATER_IN_FADES, LATER_IN_MODEL, LATER_IN_RULE, listed, unknown_word

Errors = dict[str, list[str]]

_SHAPE = {"type": "must be a mapping of words to values"}


class _Words(Schema):
    """A mapping of known words; others are refused with a hint, together with every other mistake."""

    later: ClassVar[tuple[str, ...]] = ()
    error_messages = _SHAPE

    class Meta:
        unknown = EXCLUDE

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_words(self, data: Mapping[str, Any], original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping):
            return
        known = [field.data_key or name for name, field in self.fields.items()]
        errors: dict[Any, Any] = {
            word: [unknown_word(word, known, self.later)] for word in original if word not in known
        }
        for word, messages in self.contradictions(data, original).items():
            errors.setdefault(word, messages)
        if errors:
            raise ValidationError(errors)

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> dict[Any, Any]:
        """Mistakes between words; `data` holds those that were right by themselves."""
        return {}


class _Capped(_Words):
    max = Sum(load_default=None)
    min = Sum(load_default=None)

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> dict[Any, Any]:
        high, low = data.get("max"), data.get("min")
        if high is not None and low is not None and low > high:
            return {"min": [f"({number(low)}) is above max ({number(high)})"]}
        errors: Errors = {}
        # A cap limits what was earned; on the other side of zero it would give points to every lead.
        if high is not None and high < 0:
            errors["max"] = ["must be 0 or above: it caps what is earned; 'min' limits what is deducted"]
        if low is not None and low > 0:
            errors["min"] = ["must be 0 or below: it limits what is deducted; 'max' caps what is earned"]
        return errors


class GroupWords(_Capped):
    first_match = Flag(load_default=False)


class DimensionWords(_Capped):
    groups = Named(GroupWords, Group, load_default=())


class ScaleWords(_Words):
    min = Sum(load_default=None)
    max = Sum(load_default=None)

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> dict[Any, Any]:
        high, low = data.get("max"), data.get("min")
        if high is not None and low is not None and low >= high:
            return {"min": [f"({number(low)}) must be below max ({number(high)})"]}
        return {}

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Scale:
        return Scale(**data)


class StageWords(_Words):
    name = Text(most=100, required=True)
    from_ = Sum(data_key="from")
    above = Sum()

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> dict[Any, Any]:
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


class CountWords(fields.Field[Count]):
    """`each`, `once`, `once_while_active` or a mapping with one counting word."""

    default_error_messages = MISSING
    plain = ("each", "once", "once_while_active")
    mapped = ("once_per", "first", "from", "first_points")

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Count:
        if isinstance(value, str):
            if value not in self.plain:
                hint = " with a value of its own, such as {first: 3}" if value in self.mapped else ""
                known = [*self.plain, *self.mapped]
                raise ValidationError(f"{value!r} stands{hint}" if hint else unknown_word(value, known))
            return Count(value)  # type: ignore[arg-type] # one of the plain words
        if not isinstance(value, Mapping):
            raise ValidationError(f"must be {listed(self.plain)}, or a mapping with {listed(self.mapped)}")
        errors = {
            word: [unknown_word(word, [*self.mapped, "then"])]
            for word in value
            if word not in self.mapped and word != "then"
        }
        chosen = [word for word in self.mapped if word in value]
        if len(chosen) != 1 and not errors:
            raise ValidationError(f"must hold exactly one of {listed(self.mapped)}")
        if "then" in value and "first_points" not in value:
            errors["then"] = ["belongs to first_points"]
        if errors:
            raise ValidationError(errors)
        return self._chosen(chosen[0], value)

    def _chosen(self, word: str, value: Mapping[str, Any]) -> Count:
        if word == "once_per":
            return Count("once_per", property=_read(Text(most=200), value, word))
        if word in ("first", "from"):
            return Count(word, number=_read(Whole(), value, word))  # type: ignore[arg-type] # first or from
        errors: dict[str, Any] = {}
        found: dict[str, int] = {}
        for key in ("first_points", "then"):
            try:
                found[key] = thousandths(value[key], most=MOST_POINTS)
            except KeyError:
                errors[key] = ["is missing: the points of every later event"]
            except ValueError as error:
                errors[key] = [str(error)]
        if errors:
            raise ValidationError(errors)
        return Count("first_points", number=found["first_points"], then=found["then"])


def _read(field: fields.Field[Any], value: Mapping[str, Any], key: str) -> Any:
    try:
        return field.deserialize(value[key])
    except ValidationError as error:
        raise ValidationError({key: error.messages}) from None


class FadesWords(_Words):
    later = LATER_IN_FADES
    after = Duration()

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> dict[Any, Any]:
        if "after" in original or any(word in self.later for word in original):
            return {}
        return {"after": ["is missing: the age at which an award is gone, such as 60d"]}

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Fading:
        return Fading("after", data["after"])


class IdleWords(_Words):
    for_ = Duration(data_key="for", required=True)
    of = EventTypes(load_default=("any",))
    kept = Flag(load_default=False)
    tiers = Text(most=100, load_default="cumulative")

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> dict[Any, Any]:
        errors: Errors = {}
        tiers = data.get("tiers", "cumulative")
        if tiers not in ("cumulative", "replace"):
            errors["tiers"] = [unknown_word(tiers, ("cumulative", "replace"))]
        of = data.get("of", ())
        if "any" in of and len(of) > 1:
            errors["of"] = ["'any' stands alone: it already means every type"]
        return errors


class RuleWords(_Capped):
    later = LATER_IN_RULE
    id = Name(required=True)
    title = Text(most=200, load_default=None)
    dimension = Name(load_default=None)
    group = Name(load_default=None)
    points = Points()
    when = When("trait")
    on = EventTypes()
    where = When("property")
    idle = fields.Nested(IdleWords, error_messages=MISSING)
    count = CountWords()
    fades = fields.Nested(FadesWords, error_messages=MISSING)

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> dict[Any, Any]:
        errors = super().contradictions(data, original)
        triggers = [word for word in ("when", "on", "idle") if word in original]
        if not triggers:
            misplaced = {"where": "on", "count": "on", "fades": "on"}
            lost = next((word for word in misplaced if word in original), None)
            errors["when"] = [f"is missing: a rule has one of when, on or idle{f'; {lost!r} needs on' if lost else ''}"]
        for extra in triggers[1:]:
            errors[extra] = [f"cannot stand beside {triggers[0]!r}: a rule has one of when, on or idle"]
        if triggers and "on" not in original:
            for word in ("where", "count"):
                if word in original:
                    errors[word] = [f"belongs to event rules (on), not to {triggers[0]!r}"]
            kept = isinstance(original.get("idle"), Mapping) and original["idle"].get("kept") is True
            if "fades" in original and not kept:
                errors["fades"] = [
                    f"needs an award with an instant: an event rule (on) or idle with kept: true, not {triggers[0]!r}"
                ]
        if original.get("group") is not None and original.get("dimension") is None:
            errors["group"] = ["needs a dimension: groups are declared inside one"]
        errors.update(_points_missing(data, original))
        return errors

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Rule:
        trigger: WhenHolds | OnEvents | WhenSilent
        points = data.get("points", 0)
        if "when" in data:
            trigger = WhenHolds(data["when"])
        elif "on" in data:
            count = data.get("count", Count())
            if count.word == "first_points":
                points = count.number
            trigger = OnEvents(data["on"], data.get("where"), count, data.get("fades"))
        else:
            idle = data["idle"]
            of = None if idle["of"] == ("any",) else tuple(sorted(idle["of"]))
            trigger = WhenSilent(idle["for_"], of, idle["kept"], idle["tiers"] == "replace", data.get("fades"))
        plain = {word: data[word] for word in ("id", "title", "dimension", "group", "max", "min")}
        return Rule(trigger=trigger, worth="points", points=points, **plain)


def _points_missing(data: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    count = original.get("count")
    by_count = isinstance(count, Mapping) and "first_points" in count
    if "points" in original:
        if by_count and "points" in data and "count" in data and data["points"] != data["count"].number:
            return {"points": ["contradicts count.first_points; leave 'points' away"]}
        return {}
    if by_count or "milestone" in original:
        return {}
    return {"points": ["is missing"]}


class GradeWords(fields.Field[tuple[Grade, ...]]):
    """Two dimensions: one graded with letters A to D, one with figures 1 to 4."""

    default_error_messages = MISSING
    scales = ("ABCD", "1234")

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[Grade, ...]:
        if not isinstance(value, Mapping) or len(value) != 2:
            raise ValidationError("must name two dimensions: one graded A to D, one graded 1 to 4")
        found: dict[str, Grade] = {}
        errors: dict[str, Any] = {}
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


class ModelWords(_Words):
    later = LATER_IN_MODEL
    model = Name(required=True)
    title = Text(most=200, load_default=None)
    description = Text(most=5000, load_default=None)
    dimensions = Named(DimensionWords, Dimension, load_default=())
    rules = fields.List(
        fields.Nested(RuleWords, error_messages=MISSING),
        required=True,
        error_messages={**MISSING, "invalid": "must be a list of rules"},
    )
    scale = fields.Nested(ScaleWords, load_default=Scale(None, None), error_messages=MISSING)
    stages = fields.List(
        fields.Nested(StageWords, error_messages=MISSING),
        load_default=[],
        error_messages={**MISSING, "invalid": "must be a list such as [{{name: Lead, from: 50}}]"},
    )
    grades = GradeWords(load_default=())

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> dict[Any, Any]:
        return check_model(original)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Model:
        return Model(
            name=data.pop("model"),
            rules=tuple(data.pop("rules")),
            stages=tuple(data.pop("stages")),
            persona=None,
            product_line=None,
            business_unit=None,
            precedence=0,
            parameters=(),
            audience=None,
            split=None,
            judgements=Judgements(),
            overrides=(),
            examples=(),
            **data,
        )
