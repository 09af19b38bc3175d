"""Models with mistakes: each is told at its place, with what is accepted, and all at once."""

from typing import Any

import pytest

from assay.scoring.language import InvalidModel, load, parse

RULE: dict[str, Any] = {"id": "r", "when": {"trait": "x", "is": 1}, "points": 1}
EVENT: dict[str, Any] = {"id": "r", "on": "a.done", "points": 1}


def problems(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidModel) as refused:
        load(document)
    return {problem.path: problem.message for problem in refused.value.problems}


def with_rule(**words: Any) -> dict[str, Any]:
    rule = RULE | words
    return {"model": "m", "rules": [{word: value for word, value in rule.items() if value is not ...}]}


def with_event(**words: Any) -> dict[str, Any]:
    rule = EVENT | words
    return {"model": "m", "rules": [{word: value for word, value in rule.items() if value is not ...}]}


def with_idle(**words: Any) -> dict[str, Any]:
    rest = {name: words.pop(name) for name in ("count", "fades", "where") if name in words}
    return {"model": "m", "rules": [{"id": "r", "idle": {"for": "30d"} | words, "points": 1} | rest]}


def with_model(**words: Any) -> dict[str, Any]:
    return {"model": "m", "rules": [RULE]} | words


def with_condition(condition: Any) -> dict[str, Any]:
    return with_rule(when=condition)


CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("no model", {"rules": [RULE]}, "model", "is missing"),
    ("model with spaces", with_model(model="my model"), "model", "must be a name of letters"),
    ("model null", with_model(model=None), "model", "must have a value"),
    ("no rules", {"model": "m"}, "rules", "is missing"),
    ("rules empty", {"model": "m", "rules": []}, "rules", "at least one rule"),
    ("rules a mapping", {"model": "m", "rules": {}}, "rules", "must be a list of rules"),
    ("rule a word", {"model": "m", "rules": ["x"]}, "rules[0]", "must be a mapping"),
    ("unknown word, near", with_model(stage=[]), "stage", "did you mean 'stages'?"),
    ("unknown word, far", with_model(zzz=1), "zzz", "unknown word 'zzz'; accepted here: model, title"),
    ("title not text", with_model(title=3), "title", "must be text"),
    ("title long", with_model(title="x" * 201), "title", "has 201 characters; at most 200"),
    ("audience empty", with_model(audience={}), "audience.trait", "is missing: name the trait"),
    ("fades empty", with_event(fades={}), "rules[0].fades.after", "is missing"),
    ("fades a duration", with_event(fades="60d"), "rules[0].fades", "must be a mapping"),
    ("duration without unit", with_event(fades={"after": 60}), "rules[0].fades.after", "such as 60d, 12h, 30m or 2w"),
    ("duration in seconds", with_event(fades={"after": "60s"}), "rules[0].fades.after", "such as 60d"),
    ("duration zero", with_event(fades={"after": "0d"}), "rules[0].fades.after", "longer than nothing"),
    ("duration negative", with_event(fades={"after": "-3d"}), "rules[0].fades.after", "such as 60d"),
    ("duration too long", with_event(fades={"after": "3651d"}), "rules[0].fades.after", "at most ten years"),
    ("id missing", with_rule(id=...), "rules[0].id", "is missing"),
    ("id with a slash", with_rule(id="a/b"), "rules[0].id", "must be a name"),
    ("id twice", {"model": "m", "rules": [RULE, RULE]}, "rules[1].id", "'r' is used by rules[0] already"),
    ("points missing", with_rule(points=...), "rules[0].points", "is missing"),
    ("points text", with_rule(points="10"), "rules[0].points", "must be a number"),
    ("points true", with_rule(points=True), "rules[0].points", "must be a number"),
    ("points NaN", with_rule(points=float("nan")), "rules[0].points", "finite number"),
    ("points infinite", with_rule(points=float("inf")), "rules[0].points", "finite number"),
    ("points too fine", with_rule(points=0.0001), "rules[0].points", "at most three decimal places, not 0.0001"),
    ("points too many", with_rule(points=1_000_001), "rules[0].points", "between -1,000,000 and 1,000,000"),
    ("points beyond float", with_rule(points=10**400), "rules[0].points", "more than 38 digits"),
    ("no trigger", with_rule(when=...), "rules[0].when", "one of when, on, idle or kind"),
    ("two triggers", with_rule(on="a.done"), "rules[0].on", "cannot stand beside 'when'"),
    ("where without on", with_rule(where={"property": "x", "is": 1}), "rules[0].where", "belongs to event rules"),
    ("count on a trait", with_rule(count="once"), "rules[0].count", "belongs to event rules"),
    ("fades on a trait", with_rule(fades={"after": "1d"}), "rules[0].fades", "needs an award with an instant"),
    ("fades on a silence", with_idle(fades={"after": "1d"}), "rules[0].fades", "idle with kept: true"),
    ("count on a silence", with_idle(count="once"), "rules[0].count", "not to 'idle'"),
    ("count unknown", with_event(count="onec"), "rules[0].count", "did you mean 'once'?"),
    ("count first alone", with_event(count="first"), "rules[0].count", "with a value of its own"),
    ("count first zero", with_event(count={"first": 0}), "rules[0].count.first", "whole number from 1"),
    ("count first half", with_event(count={"first": 1.5}), "rules[0].count.first", "whole number from 1"),
    ("count from true", with_event(count={"from": True}), "rules[0].count.from", "whole number from 1"),
    ("count two words", with_event(count={"first": 1, "from": 2}), "rules[0].count", "exactly one of"),
    ("count unknown key", with_event(count={"frist": 1}), "rules[0].count.frist", "did you mean 'first'?"),
    ("count a number", with_event(count=3), "rules[0].count", "must be each, once or once_while_active"),
    ("once_per nothing", with_event(count={"once_per": ""}), "rules[0].count.once_per", "must be text"),
    ("then missing", with_event(count={"first_points": 1}, points=...), "rules[0].count.then", "is missing"),
    ("then alone", with_event(count={"first": 1, "then": 2}), "rules[0].count.then", "belongs to first_points"),
    (
        "two first points",
        with_event(count={"first_points": 2, "then": 1}),
        "rules[0].points",
        "contradicts count.first_points",
    ),
    ("on with spaces", with_event(on="Demo Requested"), "rules[0].on", "did you mean 'demo.requested'?"),
    ("on a pattern", with_event(on="page.*"), "rules[0].on", "must be an event type"),
    ("on empty", with_event(on=[]), "rules[0].on", "must be an event type such as page.viewed, or a list"),
    ("on twice", with_event(on=["a.done", "a.done"]), "rules[0].on[1]", "listed twice"),
    ("on a number in a list", with_event(on=["a.done", 3]), "rules[0].on[1]", "must be an event type"),
    (
        "idle without for",
        {"model": "m", "rules": [{"id": "r", "idle": {}, "points": 1}]},
        "rules[0].idle.for",
        "is missing",
    ),
    ("idle tiers", with_idle(tiers="replaced"), "rules[0].idle.tiers", "did you mean 'replace'?"),
    ("idle kept", with_idle(kept="yes"), "rules[0].idle.kept", "must be true or false"),
    ("idle any and more", with_idle(of=["any", "a.done"]), "rules[0].idle.of", "'any' stands alone"),
    ("dimension unknown", with_rule(dimension="fit"), "rules[0].dimension", "the model declares none"),
    (
        "dimension near",
        with_rule(dimension="intrest") | {"dimensions": {"interest": {}}},
        "rules[0].dimension",
        "did you mean 'interest'?",
    ),
    ("group without dimension", with_rule(group="g"), "rules[0].group", "needs a dimension"),
    ("group with dimension null", with_rule(group="g", dimension=None), "rules[0].group", "needs a dimension"),
    (
        "group unknown",
        with_rule(dimension="d", group="h") | {"dimensions": {"d": {"groups": {"g": {}}}}},
        "rules[0].group",
        "the group of d 'h' is not declared",
    ),
    ("dimensions a list", with_model(dimensions=["fit"]), "dimensions", "must be a mapping of names"),
    ("dimension name", with_model(dimensions={"my fit": {}}), "dimensions.my fit", "must be a name"),
    (
        "dimension caps",
        with_model(dimensions={"d": {"min": -1, "max": -2}}),
        "dimensions.d.min",
        "(-1) is above max (-2)",
    ),
    ("dimension max below 0", with_model(dimensions={"d": {"max": -2}}), "dimensions.d.max", "must be 0 or above"),
    ("dimension min above 0", with_model(dimensions={"d": {"min": 5}}), "dimensions.d.min", "must be 0 or below"),
    (
        "group word",
        with_model(dimensions={"d": {"groups": {"g": {"first_macth": True}}}}),
        "dimensions.d.groups.g.first_macth",
        "did you mean 'first_match'?",
    ),
    ("rule caps", with_rule(max=-1), "rules[0].max", "must be 0 or above"),
    ("cap too large", with_rule(max=10**10), "rules[0].max", "between -1,000,000,000 and"),
    ("scale upside down", with_model(scale={"min": 100, "max": 0}), "scale.min", "(100) must be below max (0)"),
    ("scale flat", with_model(scale={"min": 5, "max": 5}), "scale.min", "must be below max"),
    ("scale a list", with_model(scale=[0, 100]), "scale", "must be a mapping"),
    ("stages a mapping", with_model(stages={"Lead": 50}), "stages", "must be a list"),
    ("stage without name", with_model(stages=[{"from": 1}]), "stages[0].name", "is missing"),
    ("stage without edge", with_model(stages=[{"name": "a"}]), "stages[0].from", "write 'from' (≥) or 'above' (>)"),
    (
        "stage with two edges",
        with_model(stages=[{"name": "a", "from": 1, "above": 2}]),
        "stages[0].above",
        "cannot stand beside",
    ),
    (
        "stages out of order",
        with_model(stages=[{"name": "a", "from": 5}, {"name": "b", "from": 3}]),
        "stages[1].from",
        "stages stand lowest first",
    ),
    (
        "stages at one edge",
        with_model(stages=[{"name": "a", "above": 5}, {"name": "b", "from": 5}]),
        "stages[1].from",
        "higher than the stage before",
    ),
    (
        "stage twice",
        with_model(stages=[{"name": "Lead", "from": 1}, {"name": "lead", "from": 3}]),
        "stages[1].name",
        "'lead' is the name of stages[0] already",
    ),
    ("grades of one", with_model(dimensions={"d": {}}, grades={"d": {"A": 1}}), "grades", "must name two dimensions"),
    (
        "grades of nothing",
        with_model(dimensions={"d": {}}, grades={"d": {"A": 1}, "e": {"1": 1}}),
        "grades.e",
        "the dimension 'e' is not declared",
    ),
    (
        "grades of one kind",
        with_model(dimensions={"d": {}, "e": {}}, grades={"d": {"A": 1}, "e": {"B": 1}}),
        "grades.e",
        "both dimensions are graded A to D",
    ),
    (
        "grades out of order",
        with_model(dimensions={"d": {}, "e": {}}, grades={"d": {"A": 1, "B": 2}, "e": {"1": 1}}),
        "grades.d.B",
        "(2) must be below A (1)",
    ),
    (
        "grade unknown",
        with_model(dimensions={"d": {}, "e": {}}, grades={"d": {"A": 1, "E": 0}, "e": {"1": 1}}),
        "grades.d.E",
        "A, B, C or D are accepted",
    ),
    ("condition a text", with_condition("x"), "rules[0].when", "must be a condition such as"),
    ("condition a list", with_condition([{"trait": "x", "is": 1}]), "rules[0].when", "put several into {all: […]}"),
    ("condition of nothing", with_condition({"trait": "x"}), "rules[0].when", "compares nothing"),
    ("condition without trait", with_condition({"is": 1}), "rules[0].when.trait", "is missing"),
    (
        "condition word",
        with_condition({"trait": "x", "start_with": "a"}),
        "rules[0].when.start_with",
        "did you mean 'starts_with'?",
    ),
    ("property in when", with_condition({"property": "x", "is": 1}), "rules[0].when.property", "write 'trait'"),
    ("trait in where", with_event(where={"trait": "x", "is": 1}), "rules[0].where.trait", "write 'property'"),
    (
        "very many stages",
        {**with_event(), "stages": [{"name": f"s{n}", "from": n} for n in range(101)]},
        "stages",
        "has 101 stages; at most 100",
    ),
    ("very many types", with_event(on=[f"a.b{n}" for n in range(1001)]), "rules[0].on", "at most 1,000 are accepted"),
    (
        "one of very many dimensions",
        {**with_rule(dimension="x"), "dimensions": {f"d{n}": {} for n in range(31)}},
        "rules[0].dimension",
        "'x' is not declared; the model declares 31 others",
    ),
    ("all empty", with_condition({"all": []}), "rules[0].when.all", "at least one condition"),
    ("all beside is", with_condition({"all": [], "trait": "x"}), "rules[0].when.all", "stand alone"),
    (
        "deep in a condition",
        with_condition({"all": [{"trait": "x", "is": 1}, {"not": {"any": [{"trait": "y", "gt": "3"}]}}]}),
        "rules[0].when.all[1].not.any[0].gt",
        "must be a number",
    ),
    ("is empty", with_condition({"trait": "x", "is": ""}), "rules[0].when.is", "exists: false"),
    ("is null", with_condition({"trait": "x", "is": None}), "rules[0].when.is", "exists: false"),
    ("is a list", with_condition({"trait": "x", "is": [1]}), "rules[0].when.is", "several belong under 'in'"),
    ("in a word", with_condition({"trait": "x", "in": "a"}), "rules[0].when.in", "must be a list"),
    ("in with null", with_condition({"trait": "x", "in": ["a", None]}), "rules[0].when.in[1]", "must have a value"),
    ("between one", with_condition({"trait": "x", "between": [1]}), "rules[0].when.between", "two numbers"),
    (
        "between upside down",
        with_condition({"trait": "x", "between": [5, 1]}),
        "rules[0].when.between",
        "(5) is above the highest (1)",
    ),
    ("gt NaN", with_condition({"trait": "x", "gt": float("nan")}), "rules[0].when.gt", "finite number"),
    ("exists a word", with_condition({"trait": "x", "exists": "yes"}), "rules[0].when.exists", "must be true or false"),
    ("within days", with_condition({"trait": "x", "within": 30}), "rules[0].when.within", "such as 60d"),
    ("contains nothing", with_condition({"trait": "x", "contains": ""}), "rules[0].when.contains", "must not be empty"),
    ("pattern invalid", with_condition({"trait": "x", "matches": "("}), "rules[0].when.matches", "unclosed group"),
    ("pattern look-ahead", with_condition({"trait": "x", "matches": "(?=a)"}), "rules[0].when.matches", "look-around"),
    (
        "pattern back-reference",
        with_condition({"trait": "x", "matches": r"(a)\1"}),
        "rules[0].when.matches",
        "backreferences",
    ),
    ("pattern long", with_condition({"trait": "x", "matches": "a" * 501}), "rules[0].when.matches", "at most 500"),
    (
        "pattern huge",
        with_condition({"trait": "x", "matches": "(a{999}){999}"}),
        "rules[0].when.matches",
        "too much memory",
    ),
    ("text with NUL", with_model(title="a\x00"), "title", "U+0000"),
    ("half a surrogate", with_model(title="a\ud800"), "title", "surrogate"),
]


@pytest.mark.parametrize(("document", "path", "message"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_mistake(document: dict[str, Any], path: str, message: str) -> None:
    found = problems(document)
    assert path in found, found
    assert message in found[path]


def test_every_mistake_is_told_at_once() -> None:
    document = {
        "model": "my model",
        "audience": {"all": []},
        "dimensions": {"fit": {"max": -1}},
        "rules": [RULE | {"points": "x"}, RULE | {"dimension": "fti"}, EVENT | {"id": "e", "count": {"first": 0}}, 5],
        "stages": [{"name": "a", "from": 5}, {"name": "a", "from": 1}],
    }
    assert set(problems(document)) == {
        "model",
        "audience.all",
        "dimensions.fit.max",
        "rules[0].points",
        "rules[1].id",
        "rules[1].dimension",
        "rules[2].count.first",
        "rules[3]",
        "stages[1].name",
        "stages[1].from",
    }


def test_the_exception_reads_as_a_sentence() -> None:
    with pytest.raises(InvalidModel, match=r"^rules\[0\]\.points: is missing$"):
        load(with_rule(points=...))


def test_too_many_rules_are_refused_at_once() -> None:
    found = problems({"model": "m", "rules": [{}] * 10_001})
    assert found == {"rules": "has 10,001 rules; at most 10,000 are accepted"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "the document is empty", id="empty"),
        pytest.param("model: [", "line 2, column 1: this is not YAML", id="syntax"),
        pytest.param(
            "model: m\nrules:\n  - {id: a\n  - b", "line 5, column 1: this is not YAML", id="syntax further down"
        ),
        pytest.param("\tmodel: m", "line 1, column 1: this is not YAML: found character that cannot start", id="tab"),
        pytest.param("a: 1\na: 2", "a: line 2, column 1: the key 'a' is given twice", id="duplicate key"),
        pytest.param('{"a": 1, "a": 2}', "the key 'a' is given twice", id="duplicate key in JSON"),
        pytest.param(
            "rules: [{id: a, id: b}]",
            "rules[0].id: line 1, column 17: the key 'id' is given twice",
            id="nested duplicate",
        ),
        pytest.param("- a", "a model is a mapping such as", id="a list"),
        pytest.param("a: 1\n---\nb: 2", "line 2, column 1: a second document", id="two documents"),
        pytest.param("a: !!python/object:os.system x", "tags such as !!str", id="tag"),
        pytest.param("a: *x", "*x stands for nothing", id="alias of nothing"),
        pytest.param("a: &x [*x]", "*x stands for nothing finished", id="alias of itself"),
        pytest.param("a: " + "[" * 5000, "nested more than 40 levels", id="deep"),
        pytest.param('{"a":' * 5000, "nested more than 40 levels", id="deep JSON"),
        pytest.param('{"a":' * 100 + "1" + "}" * 100, "nested more than 40 levels", id="deep, valid JSON"),
        pytest.param("a: " + "x" * 1_000_000, "at most 1,000,000 are accepted", id="large"),
        pytest.param("a: \x01", "is not allowed in YAML", id="control character"),
        pytest.param("a: \ud800", "surrogate", id="half a surrogate"),
        pytest.param("? [a]\n: b", "a key must be a plain word", id="list as a key"),
        pytest.param(
            "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            "more than 300,000 values (aliases counted in full)",
            id="alias bomb",
        ),
    ],
)
def test_documents_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(InvalidModel) as refused:
        parse(text)
    assert message in str(refused.value)
