"""Models whose words are right by themselves and wrong beside one another, and values that no word takes."""

from typing import Any

import pytest

from assay.scoring.language import InvalidModel, load

WHEN: dict[str, Any] = {"trait": "x", "is": 1}
RULE: dict[str, Any] = {"id": "r", "when": WHEN, "points": 1}
EVENT: dict[str, Any] = {"id": "r", "on": "a.done", "points": 1}
SET: dict[str, Any] = {"id": "o", "when": WHEN, "set": 0, "reason": "closed"}
NEVER: dict[str, Any] = {"id": "n", "when": WHEN, "disqualify": True, "reason": "a student"}
SHARES: dict[str, Any] = {
    "dimensions": {"fit": {}, "interest": {}},
    "split": {"points": 100, "over": ["fit", "interest"]},
}
SHARED = [
    {"id": "s1", "when": WHEN, "dimension": "fit", "share": 1},
    {"id": "s2", "when": WHEN, "dimension": "interest", "share": 1},
]
CASE: dict[str, Any] = {"name": "c", "expect": {"total": 1}}


def problems(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidModel) as refused:
        load(document)
    return {problem.path: problem.message for problem in refused.value.problems}


def model(**words: Any) -> dict[str, Any]:
    return {"model": "m", "rules": [RULE]} | words


def of(base: dict[str, Any], **words: Any) -> dict[str, Any]:
    return {word: value for word, value in (base | words).items() if value is not ...}


def rule(**words: Any) -> dict[str, Any]:
    return model(rules=[of(RULE, **words)])


def event(**words: Any) -> dict[str, Any]:
    return model(rules=[of(EVENT, **words)])


def sharing(**words: Any) -> dict[str, Any]:
    return SHARES | model(rules=[*SHARED, of(EVENT, points=..., dimension="fit", **words)])


def asks(**condition: Any) -> dict[str, Any]:
    return rule(when=condition)


def override(**words: Any) -> dict[str, Any]:
    return model(overrides=[of(SET, **words)])


def example(**words: Any) -> dict[str, Any]:
    around = {"dimensions": {"fit": {}}, "stages": [{"name": "Lead", "from": 1}], "overrides": [SET, NEVER]}
    return model(examples=[of(CASE, **words)]) | around


FADING = [
    ("two ways", event(fades={"after": "1d", "linear": "2d"}), "fades.linear", "cannot stand beside 'after'"),
    ("no way", event(fades={}), "fades.after", "by after, linear, half_life or every, such as {after: 60d}"),
    ("misspelt", event(fades={"halflife": "2d"}), "fades.halflife", "did you mean 'half_life'?"),
    ("linear a number", event(fades={"linear": 60}), "fades.linear", "such as 60d"),
    ("half_life zero", event(fades={"half_life": "0d"}), "fades.half_life", "longer than nothing"),
    ("every without by", event(fades={"every": "45d"}), "fades.by", "is missing: how much is lost each time"),
    ("by without every", event(fades={"by": "15%"}), "fades.by", "belongs to 'every'"),
    ("by a number", event(fades={"every": "45d", "by": 15}), "fades.by", "a percentage above 0%"),
    ("by nothing", event(fades={"every": "45d", "by": "0%"}), "fades.by", "a percentage above 0%"),
    ("by too much", event(fades={"every": "45d", "by": "100.5%"}), "fades.by", "at most 100%"),
    ("by too fine", event(fades={"every": "45d", "by": "1.2345%"}), "fades.by", "a percentage above 0%"),
    ("by negative", event(fades={"every": "45d", "by": "-5%"}), "fades.by", "a percentage above 0%"),
    (
        "endless while active",
        event(count="once_while_active", fades={"half_life": "3d"}),
        "count",
        "needs an award that ends",
    ),
]
WORTHS = [
    ("points and milestone", rule(milestone=3), "milestone", "cannot stand beside 'points'"),
    (
        "milestone and share without split",
        rule(points=..., milestone=3, share=1),
        "share",
        "needs a block",
    ),
    ("milestone zero", rule(points=..., milestone=0), "milestone", "must be above 0"),
    ("milestone negative", rule(points=..., milestone=-5), "milestone", "must be above 0"),
    ("milestone too high", rule(points=..., milestone=2_000_000), "milestone", "between -1,000,000 and 1,000,000"),
    ("milestone with max", rule(points=..., milestone=3, max=3), "max", "cannot stand beside 'milestone'"),
    ("milestone with min", rule(points=..., milestone=3, min=-3), "min", "cannot stand beside 'milestone'"),
    (
        "milestone in a group",
        rule(points=..., milestone=3, dimension="d", group="g") | {"dimensions": {"d": {"groups": {"g": {}}}}},
        "group",
        "cannot stand beside 'milestone'",
    ),
    (
        "milestone by first_points",
        event(points=..., milestone=3, count={"first_points": 1, "then": 2}),
        "milestone",
        "cannot stand with count.first_points",
    ),
    (
        "share without split",
        rule(points=..., share=1, dimension="d") | {"dimensions": {"d": {}}},
        "share",
        "add split:",
    ),
    ("share without dimension", rule(points=..., share=1), "dimension", "a share is part of a dimension's block"),
    ("on any", event(on="any"), "on", "'any' is no event type here"),
    ("on any and more", event(on=["any", "a.done"]), "on", "'any' is no event type here"),
    ("on ours", event(on="assay.judgement"), "on", "kept for what this system records itself"),
    ("idle of ours", rule(when=..., idle={"for": "1d", "of": ["assay.x"]}), "idle.of[0]", "kept for what this system"),
    ("id of ours", rule(id="judgement"), "id", "what receipts call the adjustments by people"),
]
SHARING = [
    ("share zero", sharing(share=0), "rules[2].share", "must not be 0"),
    ("share half", sharing(share=0.5), "rules[2].share", "whole number from -1,000 to 1,000"),
    (
        "share elsewhere",
        SHARES
        | {"dimensions": {"fit": {}, "interest": {}, "other": {}}}
        | model(rules=[*SHARED, of(EVENT, points=..., dimension="other", share=1)]),
        "rules[2].share",
        "'other' is not in split.over",
    ),
    (
        "block nobody earns",
        SHARES | model(rules=[SHARED[0], of(SHARED[1], share=-1)]),
        "split.over[1]",
        "no rule of 'interest' has a share above 0",
    ),
    (
        "over unknown",
        model(split={"points": 1, "over": ["fti"]}, dimensions={"fit": {}}),
        "split.over[0]",
        "did you mean 'fit'?",
    ),
    (
        "over twice",
        SHARES | model(rules=SHARED, split={"points": 1, "over": ["fit", "fit"]}),
        "split.over[1]",
        "listed twice",
    ),
    ("over nothing", model(split={"points": 1, "over": []}), "split.over", "at least one name"),
    ("split of nothing", SHARES | model(rules=SHARED, split={"points": 0, "over": ["fit"]}), "split.points", "above 0"),
    ("split a number", model(split=100), "split", "must be a mapping"),
    ("judgements text", model(judgements="none"), "judgements", "must be false, or a mapping"),
    ("judgements elsewhere", model(judgements={"dimension": "fit"}), "judgements.dimension", "the model declares none"),
    ("judgements' caps", model(judgements={"max": -1}), "judgements.max", "must be 0 or above"),
    ("judgements' word", model(judgements={"mx": 1}), "judgements.mx", "did you mean 'max'?"),
    ("precedence high", model(precedence=1001), "precedence", "from 0 to 1,000"),
    ("persona blank", model(persona=" "), "persona", "must be text"),
]
ASKING = [
    ("count bare", asks(event="a.b", count=4), "count", "must be a comparison such as {gte: 4}"),
    ("count empty", asks(event="a.b", count={}), "count", "compares nothing"),
    ("count word", asks(event="a.b", count={"least": 4}), "count.least", "unknown word 'least'; accepted here: is, gt"),
    ("count half", asks(event="a.b", count={"gte": 1.5}), "count.gte", "a whole number from 0"),
    ("count negative", asks(event="a.b", count={"lt": -1}), "count.lt", "a whole number from 0"),
    (
        "count upside down",
        asks(event="a.b", count={"between": [3, 1]}),
        "count.between",
        "(3) is above the highest (1)",
    ),
    ("count in", asks(event="a.b", count={"in": [1, 2]}), "count.in", "unknown word 'in'"),
    ("event any and more", asks(event=["any", "a.b"]), "event", "'any' stands alone"),
    ("event of ours", asks(event="assay.judgement"), "event", "kept for what this system records itself"),
    ("event upper case", asks(event="Page Viewed"), "event", "did you mean 'page.viewed'?"),
    ("event where traits", asks(event="a.b", where={"trait": "x", "is": 1}), "where.trait", "write 'property'"),
    (
        "event in events",
        asks(event="a.b", where={"event": "c.d"}),
        "where.event",
        "reads properties of the event alone",
    ),
    ("event and trait", asks(event="a.b", trait="x"), "event", "cannot stand beside 'trait'"),
    ("event and model", asks(event="a.b", model="n"), "model", "cannot stand beside 'event'"),
    ("event within", asks(event="a.b", within=30), "within", "such as 60d"),
    ("event distinct", asks(event="a.b", distinct=""), "distinct", "must be text"),
    ("model alone", asks(model="n"), "score", "is missing: ask for one of score, stage"),
    ("model itself", asks(model="m", applies=True), "model", "is this model itself"),
    ("model word", asks(model="n", stages="MQL"), "stages", "did you mean 'stage'?"),
    ("model name", asks(model="my model", applies=True), "model", "must be a name"),
    ("score bare", asks(model="n", score=50), "score", "must be a comparison"),
    ("score text", asks(model="n", score={"gte": "50"}), "score.gte", "must be a number"),
    ("score too fine", asks(model="n", score={"gte": 0.0001}), "score.gte", "three decimal places"),
    ("dimension alone", asks(model="n", stage="MQL", dimension="fit"), "dimension", "belongs to 'score'"),
    (
        "stage above",
        asks(model="n", stage={"gte": "MQL"}),
        "stage.gte",
        "unknown word 'gte'; accepted here: is, is_not",
    ),
    ("stage a number", asks(model="n", stage=3), "stage", "must be a name"),
    ("stage in a word", asks(model="n", stage={"in": "MQL"}), "stage.in", "a list of at least one name"),
    ("grade", asks(model="n", grade={"in": ["A1", "E5"]}), "grade.in[1]", "'E5' is no grade"),
    ("applies text", asks(model="n", applies="yes"), "applies", "true or false"),
]
AROUND = [
    ("audience of properties", model(audience={"property": "x", "is": 1}), "audience.property", "write 'trait'"),
    (
        "audience itself",
        model(audience={"any": [{"not": {"model": "m", "applies": True}}]}),
        "audience.any[0].not.model",
        "itself",
    ),
    ("override twice", model(overrides=[SET, SET]), "overrides[1].id", "'o' is used by overrides[0] already"),
    ("overrides a mapping", model(overrides={}), "overrides", "must be a list such as [{id: area"),
    ("examples a mapping", model(examples={}), "examples", "must be a list such as [{name:"),
    ("example twice", model(examples=[CASE, CASE]), "examples[1].name", "'c' is the name of examples[0] already"),
]
OVERRIDING = [
    ("override alone", override(set=...), "set", "is missing: an override says 'set' or 'disqualify'"),
    ("override both", override(disqualify=True), "disqualify", "write two overrides"),
    ("override not", override(set=..., disqualify=False), "disqualify", "must be true"),
    ("override without reason", override(reason=...), "reason", "is missing"),
    ("override without condition", override(when=...), "when", "is missing"),
    ("override like a rule", override(id="r"), "id", "'r' is used by rules[0] already"),
    ("override itself", override(when={"model": "m", "score": {"gt": 1}}), "when.model", "is this model itself"),
    ("override points", override(points=3), "points", "unknown word 'points'; accepted here: id, when, set"),
]
EXPECTING = [
    ("example without name", example(name=...), "name", "is missing"),
    ("example without expect", example(expect=...), "expect", "is missing"),
    ("example word", example(givn=[]), "givn", "did you mean 'given'?"),
    ("fact of nothing", example(given=[{"at": "1d"}]), "given[0].on", "an event (on) or a change of traits"),
    ("fact of both", example(given=[{"on": "a.b", "traits": {}}]), "given[0].traits", "write two facts"),
    ("fact before", example(given=[{"on": "a.b", "at": "-1d"}]), "given[0].at", "must not lie before day 0"),
    ("fact at a date", example(given=[{"on": "a.b", "at": "2026-01-01"}]), "given[0].at", "such as 60d"),
    ("fact never", example(given=[{"on": "a.b", "times": 0}]), "given[0].times", "from 1 to 10,000"),
    ("fact of ours", example(given=[{"on": "assay.other"}]), "given[0].on", "kept for what this system"),
    ("times of traits", example(given=[{"traits": {}, "times": 2}]), "given[0].times", "belongs to events (on)"),
    ("nested trait", example(traits={"a": {"b": 1}}), "traits.a", "write parts of others with dots"),
    ("nothing expected", example(expect={"at": "1d"}), "expect.total", "is missing: expect one of total, raw"),
    ("no expectations", example(expect=[]), "expect", "must expect something"),
    ("second expectation", example(expect=[{"total": 1}, {"totl": 1}]), "expect[1].totl", "did you mean 'total'?"),
    ("total a word", example(expect={"total": "high"}), "expect.total", "must be a number"),
    ("stage unknown", example(expect={"stage": "lead"}), "expect.stage", "did you mean 'Lead'?"),
    ("grade without grades", example(expect={"grade": "A1"}), "expect.grade", "declares no grades"),
    ("dimension unknown", example(expect={"dimensions": {"fti": 1}}), "expect.dimensions.fti", "did you mean 'fit'?"),
    ("override unknown", example(expect={"override": "n"}), "expect.override", "override with set 'n' is not declared"),
    ("disqualified unknown", example(expect={"disqualified": "o"}), "expect.disqualified", "not declared; declared: n"),
    ("outside and scored", example(expect={"applies": False, "total": 1}), "expect.total", "has no score"),
]


def placed(rows: list[tuple[str, dict[str, Any], str, str]], prefix: str) -> list[Any]:
    return [pytest.param(document, f"{prefix}{path}", message, id=name) for name, document, path, message in rows]


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        *placed(FADING, "rules[0]."),
        *placed(WORTHS, "rules[0]."),
        *placed(SHARING, ""),
        *placed(ASKING, "rules[0].when."),
        *placed(AROUND, ""),
        *placed(OVERRIDING, "overrides[0]."),
        *placed(EXPECTING, "examples[0]."),
    ],
)
def test_mistake(document: dict[str, Any], path: str, message: str) -> None:
    found = problems(document)
    assert path in found, found
    assert message in found[path]


def test_one_mistake_is_told_once() -> None:
    assert problems(rule(points=..., milestone=-5)) == {"rules[0].milestone": "must be above 0"}
    assert list(problems(event(fades={"lineer": "3d"}))) == ["rules[0].fades.lineer"]
    assert list(problems(asks(model="n", stages="MQL"))) == ["rules[0].when.stages"]
