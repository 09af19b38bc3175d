"""The words of a rule: when it awards, how often, for how long, and how much."""

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import ValidationError, post_load

from assay.scoring.language.conditions import When
from assay.scoring.language.fields import (
    AnyOrTypes,
    Duration,
    EventTypes,
    Flag,
    JsonSchema,
    Milestone,
    Name,
    OneOf,
    Percentage,
    Points,
    Share,
    Sum,
    Text,
    Told,
    Whole,
    told,
)
from assay.scoring.language.kinds import KindName, Parameters, parameters_of
from assay.scoring.language.model import ByKind, Count, Fading, OnEvents, Rule, WhenHolds, WhenSilent
from assay.scoring.language.quantities import MOST_POINTS, thousandths
from assay.scoring.language.shapes import Errors, Part, Words, caps
from assay.scoring.language.words import listed, unknown_word

TRIGGERS = ("when", "on", "idle", "kind")
WORTHS = ("points", "milestone", "share")


class CountWords(Told):
    """`each`, `once`, `once_while_active` or a mapping with one counting word."""

    plain: ClassVar = {
        "each": told("every event (this is the default)", "{id: replies, on: email.replied, count: each, points: 5}"),
        "once": told(
            "the first event ever; not again after it faded",
            "{id: form, on: form.submitted, count: once, points: 50}",
        ),
        "once_while_active": told(
            "the first event, and again the first one after that award faded",
            "{id: trial, on: trial.started, count: once_while_active, points: 15, fades: {after: 90d}}",
        ),
    }
    mapped: ClassVar = {
        "once_per": told(
            "the first event for each value of a property; an event without the property awards nothing",
            "{id: offers, on: offer.downloaded, count: {once_per: offer_id}, points: 10}",
        ),
        "first": told("the first so many events ever", "{id: opens, on: email.opened, count: {first: 20}, points: 1}"),
        "from": told(
            "the event of this number and every later one",
            "{id: missed, on: call.missed, count: {from: 3}, points: -6.67, min: -6.67}",
        ),
        "first_points": told(
            "these points for the first event, and those of `then` for each later one; `points` is left away",
            "{id: tasks, on: task.created, count: {first_points: 1, then: 2}}",
        ),
    }

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

    def in_words(self) -> str:
        return "see below"

    def json_schema(self) -> JsonSchema:
        number, whole = Points().json_schema(), Whole().json_schema()
        of = {"once_per": Text(most=200).json_schema(), "first": whole, "from": whole}
        shapes = [_only({word: schema}) for word, schema in of.items()]
        return {"anyOf": [{"enum": list(self.plain)}, *shapes, _only({"first_points": number, "then": number})]}


def _only(properties: JsonSchema) -> JsonSchema:
    shape = {"type": "object", "additionalProperties": False}
    return shape | {"properties": properties, "required": list(properties)}


def _read(field: Told, value: Mapping[str, Any], key: str) -> Any:
    try:
        return field.deserialize(value[key])
    except ValidationError as error:
        raise ValidationError({key: error.messages}) from None


class FadesWords(Words):
    one_of = (("after", "linear", "half_life", "every"),)
    beside = ({"dependentRequired": {"every": ["by"], "by": ["every"]}},)

    after = Duration(
        metadata=told(
            "the award stays whole until it is this old, and is gone at that age, to the microsecond",
            "{id: visit, on: page.viewed, points: 3, fades: {after: 60d}}",
        )
    )
    linear = Duration(
        metadata=told(
            "the award shrinks evenly, down to nothing at this age",
            "{id: webinar, on: webinar.attended, points: 20, fades: {linear: 90d}}",
        )
    )
    half_life = Duration(
        metadata=told(
            "half of the award is gone at this age, half of the rest as much later, and so on",
            "{id: read, on: page.viewed, points: 4, fades: {half_life: 14d}}",
        )
    )
    every = Duration(
        metadata=told(
            "each time this much has passed, `by` of the whole award is lost",
            "{id: event, on: event.attended, points: 30, fades: {every: 45d, by: 15%}}",
        )
    )
    by = Percentage(
        metadata=told(
            "how much of the whole award is lost at each step of `every`",
            "{id: call, on: call.answered, points: 10, fades: {every: 30d, by: 50%}}   # 10, then 5, then 0",
        )
    )

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        kinds = [word for word in self.one_of[0] if word in original]
        errors: Errors = {word: [f"cannot stand beside {kinds[0]!r}: an award fades one way"] for word in kinds[1:]}
        if "every" in original and "by" not in original:
            errors["by"] = ["is missing: how much is lost each time, such as 15%"]
        if "by" in original and "every" not in original:
            errors["by"] = ["belongs to 'every'"]
        if not kinds and "by" not in original and all(word in self.fields for word in original):
            errors["after"] = [f"is missing: how an award fades, by {listed(self.one_of[0])}, such as {{after: 60d}}"]
        return errors

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Fading:
        (kind,) = (word for word in self.one_of[0] if word in data)
        return Fading(kind, data[kind], data.get("by", 0))  # type: ignore[arg-type] # one of the four


class IdleWords(Words):
    for_ = Duration(
        data_key="for", required=True, metadata=told("how long", "{id: silent-30, idle: {for: 30d}, points: -15}")
    )
    of = AnyOrTypes(
        load_default=None,
        metadata=told(
            "what would break the silence; `any` is the default",
            "{id: no-calls, idle: {for: 2w, of: call.answered}, points: -5}",
        ),
    )
    kept = Flag(
        load_default=False,
        metadata=told(
            "`true`: each silence that reaches the length makes one award at that instant, which stays when the lead "
            "returns and may fade",
            "{id: no-opens, idle: {for: 60d, of: [email.opened, email.clicked], kept: true}, points: -10, "
            "fades: {after: 90d}}",
        ),
    )
    tiers = OneOf(
        "cumulative",
        "replace",
        load_default="cumulative",
        metadata=told(
            "`replace`: this tier takes the place of the shorter ones with the same `of`, dimension and group, while "
            "`cumulative` (the default) tiers add",
            "{id: quiet-60, idle: {for: 60d, tiers: replace}, points: -30}",
        ),
    )


class RuleWords(Words):
    one_of = (TRIGGERS,)
    beside = (
        {
            "oneOf": [
                *({"required": [worth]} for worth in WORTHS),
                {
                    "properties": {"count": {"required": ["first_points"], "type": "object"}},
                    "required": ["count"],
                    "not": {"anyOf": [{"required": [worth]} for worth in WORTHS]},
                },
            ]
        },
        {
            "dependentRequired": {
                "share": ["dimension"],
                "group": ["dimension"],
                "where": ["on"],
                "count": ["on"],
                "with": ["kind"],
            }
        },
        {"not": {"required": ["fades", "when"]}},
    )

    id = Name(
        required=True,
        metadata=told(
            "its name, unique in the model", "{id: size, when: {trait: company.employees, gte: 50}, points: 15}"
        ),
    )
    title = Text(
        most=200,
        load_default=None,
        metadata=told("what receipts show", "{id: demo, title: Asked for a demo, on: demo.requested, points: 25}"),
    )
    dimension = Name(
        load_default=None,
        metadata=told(
            "where its points go; without one they go straight to the score",
            "{id: owner, dimension: fit, when: {trait: title, is: Owner}, points: 20}",
        ),
    )
    group = Name(
        load_default=None,
        metadata=told(
            "a group of that dimension",
            "{id: opened, dimension: interest, group: email, on: email.opened, points: 1}",
        ),
    )
    when = When(
        "trait",
        metadata=told(
            "awards while a [condition](#conditions) holds",
            "{id: finance, when: {trait: company.industry, is: finance}, points: 10}",
        ),
    )
    on = EventTypes(
        metadata=told(
            "awards for events of a type, or of a list of types",
            "{id: meeting, on: [demo.requested, meeting.booked], points: 25}",
        )
    )
    idle = Part(
        IdleWords, metadata=told("awards for [silence](#idle-silence)", "{id: quiet, idle: {for: 30d}, points: -15}")
    )
    kind = KindName(
        metadata=told(
            "awards what a [plugin's own kind of rule](#kind-rules-of-plugins) does",
            "{id: autumn, kind: acme.seasonal, with: {months: [10, 11]}, points: 10}",
        )
    )
    with_ = Parameters(
        data_key="with",
        metadata=told(
            "what a rule of a plugin's `kind` goes by, in that plugin's own words",
            "{id: lunch, kind: acme.seasonal, with: {months: [8]}, points: 2}",
        ),
    )
    where = When(
        "property",
        metadata=told(
            "which of the events of `on` count, by their properties",
            "{id: pricing, on: page.viewed, where: {property: path, is: /pricing}, points: 15}",
        ),
    )
    count = CountWords(
        metadata=told(
            "[how often](#count-which-of-the-matching-events-award) events of `on` award",
            "{id: offer, on: offer.downloaded, count: {once_per: offer_id}, points: 10}",
        )
    )
    fades = Part(
        FadesWords,
        metadata=told(
            "[until when](#fades-until-when-an-award-counts) an award of `on`, of `kind`, or of `idle` with "
            "`kept: true`, counts",
            "{id: click, on: email.clicked, points: 2, fades: {after: 60d}}",
        ),
    )
    points = Points(
        metadata=told(
            "what an award adds; may be negative", "{id: gone, on: email.unsubscribed, count: once, points: -20}"
        )
    )
    milestone = Milestone(
        metadata=told(
            "lifts its dimension (without one: the score) to [at least this](#milestone-at-least-this-much)",
            "{id: booking, dimension: interest, on: meeting.booked, milestone: 75}",
        )
    )
    share = Share(
        metadata=told(
            "so many [equal parts](#split-and-share-equal-blocks) of its dimension's block; may be negative",
            "{id: budget, dimension: interest, on: quote.requested, count: once, share: 1}",
        )
    )
    max = Sum(
        load_default=None,
        metadata=told(
            "0 or above: limits what the rule's awards add up to", "{id: visits, on: page.viewed, points: 5, max: 15}"
        ),
    )
    min = Sum(
        load_default=None,
        metadata=told("0 or below: limits what they deduct", "{id: bounces, on: email.bounced, points: -5, min: -20}"),
    )

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        found = {**caps(data), **_triggers(original), **_worths(data, original), **_fading(data)}
        return {**parameters_of(data)[1], **found}

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Rule:
        trigger: WhenHolds | OnEvents | WhenSilent | ByKind
        worth = next((word for word in WORTHS if word in data), "points")
        points = data.get(worth, 0)
        fading = data.get("fades")
        if "when" in data:
            trigger = WhenHolds(data["when"])
        elif "on" in data:
            count = data.get("count", Count())
            if count.word == "first_points":
                points = count.number
            trigger = OnEvents(data["on"], data.get("where"), count, fading)
        elif "kind" in data:
            trigger = ByKind(data["kind"].name, parameters_of(data)[0], fading)
        else:
            idle = data["idle"]
            trigger = WhenSilent(idle["for_"], idle["of"], idle["kept"], idle["tiers"] == "replace", fading)
        plain = {word: data[word] for word in ("id", "title", "dimension", "group", "max", "min")}
        return Rule(trigger=trigger, worth=worth, points=points, **plain)  # type: ignore[arg-type] # one of WORTHS


def _triggers(original: Mapping[str, Any]) -> Errors:
    errors: Errors = {}
    triggers = [word for word in TRIGGERS if word in original]
    if not triggers:
        lost = next((word for word in ("where", "count", "fades") if word in original), None)
        errors["when"] = [f"is missing: a rule has one of {listed(TRIGGERS)}{f'; {lost!r} needs on' if lost else ''}"]
    for extra in triggers[1:]:
        errors[extra] = [f"cannot stand beside {triggers[0]!r}: a rule has one of {listed(TRIGGERS)}"]
    if triggers and "on" not in original:
        for word in ("where", "count"):
            if word in original:
                errors[word] = [f"belongs to event rules (on), not to {triggers[0]!r}"]
        kept = isinstance(original.get("idle"), Mapping) and original["idle"].get("kept") is True
        if "fades" in original and not kept and "kind" not in original:
            errors["fades"] = [
                f"needs an award with an instant: an event rule (on) or idle with kept: true, not {triggers[0]!r}"
            ]
    if "with" in original and "kind" not in original:
        errors["with"] = ["belongs to rules of a plugin's kind"]
    if original.get("group") is not None and original.get("dimension") is None:
        errors["group"] = ["needs a dimension: groups are declared inside one"]
    return errors


def _worths(data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
    count = original.get("count")
    by_count = isinstance(count, Mapping) and "first_points" in count
    given = [word for word in WORTHS if word in original]
    errors: Errors = {word: [f"cannot stand beside {given[0]!r}: a rule gives one of the two"] for word in given[1:]}
    if not given and not by_count:
        errors["points"] = ["is missing"]
    if by_count:
        for word in given:
            if word != "points":
                errors[word] = ["cannot stand with count.first_points, which says what each award gives"]
            elif "points" in data and "count" in data and data["points"] != data["count"].number:
                errors["points"] = ["contradicts count.first_points; leave 'points' away"]
    if "milestone" in original:
        for word in ("group", "max", "min"):
            if original.get(word) is not None:
                errors[word] = ["cannot stand beside 'milestone', which adds nothing that could be capped"]
    if "share" in original and original.get("dimension") is None:
        errors["dimension"] = ["is missing: a share is part of a dimension's block"]
    return errors


def _fading(data: Mapping[str, Any]) -> Errors:
    count, fading = data.get("count"), data.get("fades")
    if isinstance(count, Count) and isinstance(fading, Fading):
        endless = count.word == "once_while_active" and fading.kind == "half_life"
        return {"count": ["once_while_active needs an award that ends: with 'half_life' none does"]} if endless else {}
    return {}
