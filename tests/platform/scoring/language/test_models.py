"""Models without mistakes: what each word becomes, and one spelling and one hash for one meaning."""

import json
from typing import Any

import pytest

from assay.scoring.language import (
    Comparison,
    Count,
    Every,
    Fading,
    OnEvents,
    WhenHolds,
    WhenSilent,
    content_hash,
    describe,
    dump,
    load,
    parse,
)

DAY = 86_400_000_000

FULL = """
model: smb-owner
title: SMB owners, product A
description: For small firms.
dimensions:
  fit:      {max: 50, min: -10}
  interest: {max: 60, groups: {email: {max: 10}, size: {first_match: true}}}
rules:
  - {id: owner, title: Decides alone, dimension: fit, when: {trait: title, in: [CFO, Owner]}, points: 20}
  - {id: pricing, dimension: interest, on: page.viewed, where: {property: path, starts_with: /pricing}, points: 15,
     count: once}
  - {id: offers, dimension: interest, on: offer.downloaded, count: {once_per: offer_id}, points: 10,
     fades: {after: 60d}}
  - {id: opens, dimension: interest, group: email, on: [email.opened, email.clicked], points: 0.5, max: 5,
     count: {first: 20}}
  - {id: tasks, on: task.created, count: {first_points: 1, then: 2}}
  - {id: missed, on: call.missed, count: {from: 3}, points: -6.67, min: -6.67}
  - {id: again, on: trial.started, count: once_while_active, points: 3, fades: {after: 2w}}
  - {id: silent30, dimension: interest, idle: {for: 30d, of: any}, points: -15}
  - {id: silent60, dimension: interest, idle: {for: 60d, of: [email.opened], kept: true, tiers: replace},
     points: -30, fades: {after: 48h}}
  - {id: dead-mail, points: -20,
     when: {all: [{trait: email, is_valid_email: false}, {not: {trait: age, between: [1, 2.5]}}]}}
scale: {min: 0, max: 100}
stages: [{name: Prospect, from: 10}, {name: Hot, above: 10}]
grades: {interest: {1: 45, 4: 0}, fit: {A: 40, B: 25, D: 0}}
"""


def rule(**words: Any) -> Any:
    return load({"model": "m", "rules": [{"id": "r", "points": 1, **words}]}).rules[0]


class TestParse:
    def test_points_are_thousandths(self) -> None:
        model = parse(FULL)
        by_id = {rule.id: rule for rule in model.rules}
        assert by_id["owner"].points == 20_000
        assert (by_id["missed"].points, by_id["missed"].min) == (-6670, -6670)
        assert (by_id["tasks"].points, by_id["tasks"].trigger) == (
            1000,
            OnEvents(("task.created",), None, Count("first_points", number=1000, then=2000), None),
        )
        assert (model.scale.min, model.scale.max) == (0, 100_000)

    @pytest.mark.parametrize(
        ("points", "expected"), [(0.1, 100), (0.3, 300), (66.667, 66_667), (-0.001, -1), (1e3, 1_000_000), (2.50, 2500)]
    )
    def test_decimals_are_exact(self, points: float, expected: int) -> None:
        assert rule(when={"trait": "x", "is": 1}, points=points).points == expected

    @pytest.mark.parametrize(("text", "days"), [("60d", 60), ("2w", 14), ("48h", 2), ("1440m", 1), ("3650d", 3650)])
    def test_durations(self, text: str, days: int) -> None:
        assert rule(on="a.done", fades={"after": text}).trigger.fading == Fading("after", days * DAY)

    def test_triggers(self) -> None:
        assert rule(when={"trait": "x", "gte": 1, "lt": 5}).trigger == WhenHolds(
            Every((Comparison("trait", "x", "gte", 1), Comparison("trait", "x", "lt", 5)))
        )
        assert rule(idle={"for": "30d"}).trigger == WhenSilent(30 * DAY, None, kept=False, replaces=False, fading=None)

    def test_grades_stand_letters_first_and_best_first(self) -> None:
        grades = parse(FULL).grades
        assert [grade.dimension for grade in grades] == ["fit", "interest"]
        assert [band.mark for band in grades[0].bands] == ["A", "B", "D"]

    def test_json_is_read_too(self) -> None:
        model = parse(FULL)
        assert parse(json.dumps(dump(model))) == parse(json.dumps(dump(model), indent="\t"))

    def test_aliases_stand_for_what_they_name(self) -> None:
        text = "model: m\nrules:\n- {id: a, points: 1, when: &c {trait: x, is: 1}}\n- {id: b, points: 1, when: *c}"
        first, second = parse(text).rules
        assert first.trigger == second.trigger

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            pytest.param("NO", "NO", id="Norway"),
            pytest.param("yes", "yes", id="yes is a word"),
            pytest.param("off", "off", id="off is a word"),
            pytest.param("true", True, id="true"),
            pytest.param("12:30", "12:30", id="no base sixty"),
            pytest.param("2026-03-01", "2026-03-01", id="a date stays text"),
            pytest.param("01234", "01234", id="a postcode keeps its zero"),
            pytest.param("0x1F", 31, id="hexadecimal"),
            pytest.param("1e3", 1000, id="exponent"),
            pytest.param("5.0", 5, id="a whole number however written"),
            pytest.param("'5'", "5", id="quoted"),
        ],
    )
    def test_yaml_words(self, written: str, expected: object) -> None:
        trigger = parse(f"model: m\nrules: [{{id: r, points: 1, when: {{trait: x, is: {written}}}}}]").rules[0].trigger
        assert isinstance(trigger, WhenHolds)
        assert isinstance(trigger.condition, Comparison)
        assert trigger.condition.operand == expected
        assert type(trigger.condition.operand) is type(expected)

    def test_first_points_may_be_repeated_as_points(self) -> None:
        assert rule(on="a.done", points=1, count={"first_points": 1, "then": 2}).points == 1000


class TestHash:
    def test_dump_and_load_keep_it(self) -> None:
        model = parse(FULL)
        again = load(dump(model))
        assert dump(again) == dump(model)
        assert content_hash(again) == content_hash(model)
        assert load(json.loads(json.dumps(dump(model)))) == again

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            pytest.param({"count": "each"}, {}, id="default count"),
            pytest.param({"fades": {"after": "2w"}}, {"fades": {"after": "14d"}}, id="duration"),
            pytest.param({"points": 2.0}, {"points": 2}, id="number"),
            pytest.param({"on": ["a.done"]}, {"on": "a.done"}, id="one type in a list"),
            pytest.param({"on": ["b.done", "a.done"]}, {"on": ["a.done", "b.done"]}, id="order of types"),
        ],
    )
    def test_one_meaning_has_one_hash(self, one: Any, other: Any) -> None:
        base = {"id": "r", "on": "a.done", "points": 1}
        hashes = {content_hash(load({"model": "m", "rules": [base | words]})) for words in (one, other)}
        assert len(hashes) == 1

    def test_order_of_keys_is_no_meaning_but_order_of_rules_is(self) -> None:
        first, second = ({"id": name, "on": "a.done", "points": 1} for name in "ab")
        forward = load({"model": "m", "rules": [first, second]})
        turned = load({"rules": [dict(reversed(first.items())), second], "model": "m"})
        swapped = load({"model": "m", "rules": [second, first]})
        assert content_hash(forward) == content_hash(turned) != content_hash(swapped)

    @pytest.mark.parametrize(
        ("written", "turned", "meaning"),
        [
            pytest.param({"a": {}, "b": {}}, {"b": {}, "a": {}}, True, id="dimensions"),
            pytest.param(
                {"a": {"groups": {"x": {"max": 5}, "y": {"max": 9}}}},
                {"a": {"groups": {"y": {"max": 9}, "x": {"max": 5}}}},
                True,
                id="groups of one",
            ),
            pytest.param({"a": {"min": 0, "max": 9}}, {"a": {"max": 9, "min": 0}}, False, id="words of a dimension"),
            pytest.param(
                {"a": {"groups": {"x": {"min": 0, "max": 9}}}},
                {"a": {"groups": {"x": {"max": 9, "min": 0}}}},
                False,
                id="words of a group",
            ),
        ],
    )
    def test_parts_are_rounded_in_the_order_of_dimensions_and_groups(
        self, written: dict[str, Any], turned: dict[str, Any], meaning: bool
    ) -> None:
        rules = [{"id": "r", "on": "a.done", "points": 1, "dimension": "a"}]
        one, other = (load({"model": "m", "dimensions": each, "rules": rules}) for each in (written, turned))
        assert (content_hash(one) != content_hash(other)) is meaning
        assert content_hash(load(dump(one))) == content_hash(one)


@pytest.mark.parametrize(
    ("condition", "phrase"),
    [
        ({"trait": "title", "in": ["CFO", "Owner"]}, "title is CFO or Owner"),
        ({"trait": "country", "not_in": ["VN", "CH"]}, "country is neither VN nor CH"),
        ({"trait": "age", "between": [25, 45]}, "age is between 25 and 45"),
        ({"trait": "email", "is_valid_email": False}, "email is not a valid e-mail address"),
        ({"trait": "seen", "older_than": "60d"}, "seen is at least 60 days ago"),
        ({"trait": "seen", "within": "1d"}, "seen is less than 1 day ago"),
        ({"not": {"trait": "a", "is": True}}, "not (a is true)"),
        (
            {"any": [{"trait": "a", "gt": 1}, {"all": [{"trait": "b", "exists": True}, {"trait": "c", "lt": 2}]}]},
            "a is above 1 or (b is known and c is below 2)",
        ),
        ({"trait": "country", "not_in": ["VN"]}, "country is not VN"),
        ({"event": "any"}, "any event at least 1 time"),
        (
            {"event": ["a.b", "c.d"], "where": {"property": "s", "is": "w"}, "within": "30d", "count": {"gt": 3}},
            "a.b or c.d at least 4 times where s is w within 30 days",
        ),
        ({"event": "a.b", "distinct": "mail_id", "count": {"between": [2, 3]}}, "a.b with 2 to 3 different mail_id"),
        ({"event": "a.b", "count": {"lt": 2}}, "a.b at most 1 time"),
        ({"model": "n", "score": {"between": [1, 2.5]}}, "the score under n is between 1 and 2.5"),
        ({"model": "n", "dimension": "fit", "score": {"gte": 30}}, "fit under n is at least 30"),
        ({"model": "n", "stage": {"exists": False}}, "the stage under n is not known"),
        ({"model": "n", "grade": {"in": ["A1", "A2"]}}, "the grade under n is A1 or A2"),
        ({"model": "n", "applies": False}, "model n does not score the lead"),
        ({"model": "n", "disqualified": True}, "model n disqualifies the lead"),
        ({"trait": "x", "in": list(range(10))}, "x is 0, 1, 2, 3, 4, 5, 6, 7 or 2 more"),
    ],
)
def test_describe(condition: dict[str, Any], phrase: str) -> None:
    trigger = rule(when=condition).trigger
    assert describe(trigger.condition) == phrase
