"""A past worked out in one go is the past scored instant by instant."""

import random
from bisect import bisect_right
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from assay.scoring import curves, engine, language

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SINCE = NOW - curves.PAST
INSTANT = pl.Datetime("us", "UTC")

MODEL = """
model: past
dimensions: {interest: {max: 60, groups: {reading: {max: 12}}}}
rules:
  - {id: owner, when: {trait: title, is: Owner}, points: 20}
  - {id: visit, dimension: interest, group: reading, on: page.viewed, points: 2.5, fades: {after: 3d}}
  - {id: price, dimension: interest, on: page.viewed, where: {property: path, is: /pricing}, points: 9, count: once_while_active, fades: {after: 2h}}
  - {id: demo, dimension: interest, on: demo.requested, points: 15, count: once}
  - {id: quiet, idle: {for: 5d}, points: -4}
  - {id: away, idle: {for: 9d, of: page.viewed, kept: true}, points: -3, fades: {after: 20d}}
scale: {min: 0, max: 70}
"""  # noqa: E501 # a rule a line, as models are written


def lead(first_seen: datetime | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"lead_id": [7], "first_seen_at": [first_seen], "trait:title": ["Owner"]},
        schema_overrides={"first_seen_at": INSTANT},
    )


def events(happened: list[tuple[str, datetime, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(7, str(place), *each) for place, each in enumerate(happened)],
        schema={"lead_id": pl.Int64, "event_id": pl.String, "type": pl.String, "occurred_at": INSTANT,
                "property:path": pl.String},
        orient="row",
    )  # fmt: skip


def story(seed: int, count: int = 25) -> list[tuple[str, datetime, str | None]]:
    dice = random.Random(seed)
    return [
        (
            dice.choice(["page.viewed", "page.viewed", "demo.requested", "email.opened"]),
            NOW - timedelta(seconds=dice.randrange(-86_400, 100 * 86_400)),
            dice.choice(["/pricing", "/", None]),
        )
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def model() -> engine.CompiledModel:
    return engine.compile_model(language.parse(MODEL))


class TestTrace:
    @pytest.mark.parametrize("seed", range(4))
    def test_it_is_the_score_at_every_instant(self, model: engine.CompiledModel, seed: int) -> None:
        facts = (lead(None if seed == 0 else NOW - timedelta(days=70)), events(story(seed)))
        points, complete = curves.trace(model, *facts, since=SINCE, until=NOW)
        dice = random.Random(seed)
        asked = [at + timedelta(microseconds=off) for at, _ in points[1:-1] for off in (-1, 0)]
        asked += [NOW - timedelta(seconds=dice.randrange(90 * 86_400)) for _ in range(20)]
        starts = [at for at, _ in points]
        assert complete
        assert len(points) > 10
        for at in asked:
            scored = engine.score([model], *facts, at)["total"][0]
            assert points[bisect_right(starts, at) - 1][1] == scored, at

    def test_only_changes_and_both_ends_are_told(self, model: engine.CompiledModel) -> None:
        happened = events([("demo.requested", NOW - timedelta(days=2), None)])
        points, _ = curves.trace(model, lead(NOW - timedelta(days=3)), happened, since=SINCE, until=NOW)
        assert points == [(SINCE, 20_000), (NOW - timedelta(days=2), 35_000), (NOW, 35_000)]

    def test_very_many_events_are_looked_at_here_and_there(self, model: engine.CompiledModel) -> None:
        happened = events(story(9, count=2_000))
        points, complete = curves.trace(model, lead(SINCE), happened, since=SINCE, until=NOW)
        assert not complete
        assert (points[0][0], points[-1][0]) == (SINCE, NOW)
        for at, total in points[::10]:
            assert total == engine.score([model], lead(SINCE), happened, at)["total"][0]


CHANGING = [
    pytest.param("when: {trait: founded, within: 30d}", [(55, 1), (25, 0)], id="a trait's date"),
    pytest.param("on: demo.requested, fades: {every: 10d, by: 50%}", [(40, 1), (30, 0.5), (20, 0)], id="steps"),
    pytest.param("when: {event: demo.requested, within: 15d}", [(40, 1), (25, 0)], id="a count in a window"),
]


@pytest.mark.parametrize(("rule", "expected"), CHANGING)
def test_what_changes_without_events_is_found(rule: str, expected: list[tuple[int, float]]) -> None:
    model = engine.compile_model(language.parse(f"{{model: m, rules: [{{id: a, points: 1, {rule}}}]}}"))
    founded = pl.lit((NOW - timedelta(days=55)).isoformat()).alias("trait:founded")
    person = lead(NOW - timedelta(days=60)).with_columns(founded)
    happened = events([("demo.requested", NOW - timedelta(days=40), None)])
    points, complete = curves.trace(model, person, happened, since=NOW - timedelta(days=60), until=NOW)
    assert complete
    told = [(NOW - timedelta(days=days), round(1_000 * total)) for days, total in expected]
    assert [point for point in points if point[0] not in (NOW - timedelta(days=60), NOW)] == told


def test_what_fades_smoothly_is_looked_at_every_day() -> None:
    model = engine.compile_model(
        language.parse("{model: m, rules: [{id: a, on: demo.requested, points: 1, fades: {linear: 40d}}]}")
    )
    happened = events([("demo.requested", NOW - timedelta(days=40), None)])
    points, complete = curves.trace(model, lead(NOW - timedelta(days=60)), happened, since=SINCE, until=NOW)
    assert complete
    assert dict(points)[NOW - timedelta(days=30)] == 750


class TestPastScores:
    def test_begins_where_the_lead_was_first_seen(self, tenant, make_lead, publish) -> None:
        publish(tenant.tenant_id)
        seen = NOW - timedelta(days=10)
        priced = ("page.viewed", NOW - timedelta(days=4), {"path": "/pricing"})
        lead_id = make_lead(tenant.tenant_id, traits={"title": "CFO"}, events=[priced], seen=seen)
        curve = curves.past_scores(tenant.tenant_id, lead_id, "sample", at=NOW)
        assert (curve.version, curve.complete) == (1, True)
        assert curve.points == [(seen, 20_000), (priced[1], 35_000), (NOW, 35_000)]
