"""Versions: which one scores, who said so, and what follows in models that ask one another."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from assay import facts
from assay.scoring import asking, engine, jobs, language, model_queries, queries, rescore_jobs, service
from assay.scoring.compiled import load_live
from assay.scoring.errors import Archived, DraftChanged, NoSuchModel, NoSuchVersion, ReferredTo
from assay.scoring.language import InvalidModel
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

BASE = """
model: base
rules: [{{id: owner, when: {{trait: title, is: Owner}}, points: {points}}}]
stages: [{{name: MQL, from: 40}}]
"""
BASE_OF_PARTS = """
model: base
dimensions: {fit: {}, interest: {}}
rules: [{id: owner, dimension: fit, when: {trait: title, is: Owner}, points: 40}]
stages: [{name: MQL, from: 40}, {name: Lead, from: 50}]
"""
ASKING = """
model: {name}
rules: [{{id: ripe, when: {{model: {asked}, score: {{gte: 30}}}}, points: {points}}}]
"""

Put = Callable[..., int]


@pytest.fixture
def put(tenant) -> Put:
    """Makes or changes a model, and publishes it."""

    def make(text_: str) -> int:
        name = language.parse(text_).name
        if name in [row.name for row in queries.list_models(tenant.tenant_id)]:
            service.save_draft(tenant.tenant_id, name, text_)
        else:
            service.create_model(tenant.tenant_id, text_)
        return service.publish(tenant.tenant_id, name, by="Ada Example")

    return make


def base(points: int = 40) -> str:
    return BASE.format(points=points)


def who_asks(name: str, asked: str, points: int = 10) -> str:
    return ASKING.format(name=name, asked=asked, points=points)


def live(tenant_id: int) -> dict[str, int | None]:
    return {row.name: row.published_version for row in queries.list_models(tenant_id)}


def told(tenant_id: int, name: str) -> list[tuple[Any, ...]]:
    """Oldest first."""
    return [
        (each.action, each.from_version, each.to_version) for each in model_queries.list_publications(tenant_id, name)
    ][::-1]


def drain(tenant_id: int) -> None:
    while jobs.drain_due(tenant_id) or rescore_jobs.drain_rescores(tenant_id):
        pass


class TestPublish:
    def test_numbers_grow_and_contents_keep_theirs(self, tenant, put) -> None:
        assert [put(base(points)) for points in (10, 20, 10, 30)] == [1, 2, 1, 3]
        assert [version.number for version in queries.list_versions(tenant.tenant_id, "base")] == [3, 2, 1]
        assert told(tenant.tenant_id, "base") == [
            ("publish", None, 1), ("publish", 1, 2), ("publish", 2, 1), ("publish", 1, 3),
        ]  # fmt: skip

    def test_says_who_when_and_why(self, tenant, put) -> None:
        service.create_model(tenant.tenant_id, base())
        before = datetime.now(UTC)
        service.publish(tenant.tenant_id, "base", by="Grace Example", note="Owners matter more")
        (row,) = model_queries.list_publications(tenant.tenant_id, "base")
        assert (row.by, row.note) == ("Grace Example", "Owners matter more")
        assert before <= row.at <= datetime.now(UTC)

    def test_an_unchanged_draft_says_nothing(self, tenant, put) -> None:
        put(base())
        put("# a remark\n" + base())
        assert told(tenant.tenant_id, "base") == [("publish", None, 1)]

    @pytest.mark.parametrize("note", [pytest.param("x" * 501, id="long"), pytest.param("a\x00b", id="NUL")])
    def test_a_note_must_be_kept_as_it_is(self, tenant, put, note) -> None:
        service.create_model(tenant.tenant_id, base())
        with pytest.raises(BadInput):
            service.publish(tenant.tenant_id, "base", by="Ada Example", note=note)

    def test_refuses_while_an_example_fails(self, tenant) -> None:
        example = "{name: wants %d, traits: {title: Owner}, expect: {total: %d}}"
        text_ = base() + f"examples: [{example % (40, 40)}, {example % (41, 41)}]\n"
        service.create_model(tenant.tenant_id, text_)
        with pytest.raises(InvalidModel) as refused:
            service.publish(tenant.tenant_id, "base", by="Ada Example")
        assert [(problem.path, problem.message) for problem in refused.value.problems] == [
            ("examples[1].expect.total", "expected 41, found 40 (example 'wants 41')")
        ]
        assert live(tenant.tenant_id) == {"base": None}
        assert service.validate(text_, tenant_id=tenant.tenant_id) == refused.value.problems

    def test_only_the_draft_one_has_seen(self, tenant, put) -> None:
        seen = service.create_model(tenant.tenant_id, base()).draft_revision
        service.save_draft(tenant.tenant_id, "base", base(50))
        with pytest.raises(DraftChanged):
            service.publish(tenant.tenant_id, "base", by="Ada Example", revision=seen)
        assert service.publish(tenant.tenant_id, "base", by="Ada Example", revision=seen + 1) == 1

    def test_precedence_is_the_live_versions(self, tenant, put) -> None:
        put("precedence: 7\n" + base())
        service.save_draft(tenant.tenant_id, "base", "precedence: 9\n" + base())
        assert queries.get_model(tenant.tenant_id, "base").precedence == 7


class TestPrecedence:
    def test_of_the_models_that_apply_the_highest_leads(self, tenant, put, make_lead) -> None:
        rules = "rules: [{id: a, when: {trait: title, exists: true}, points: 1}]"
        put(f"{{model: first, {rules}}}")
        put(f"{{model: general, precedence: 5, {rules}}}")
        put(f"{{model: special, precedence: 9, audience: {{trait: country, is: CH}}, {rules}}}")
        put(f"{{model: last, precedence: 5, {rules}}}")
        leads = [make_lead(tenant.tenant_id, traits={"title": "Owner", "country": country}) for country in ("CH", "VN")]
        drain(tenant.tenant_id)
        for ask in (queries.scores_of, asking.scores_now, lambda *who: asking.scores_at(*who).items):
            swiss, other = (ask(tenant.tenant_id, lead) for lead in leads)
            assert [score.model for score in swiss] == ["special", "general", "last", "first"]
            assert [score.model for score in swiss if score.leading] == ["special"]
            assert [score.model for score in other if score.leading] == ["general"]


class TestReferences:
    def test_what_is_asked_must_be_published(self, tenant, put) -> None:
        service.create_model(tenant.tenant_id, who_asks("child", "base"))
        with pytest.raises(InvalidModel, match="There is no model named 'base'") as refused:
            service.publish(tenant.tenant_id, "child", by="Ada Example")
        assert refused.value.problems[0].path == "rules[0].when.model"
        service.create_model(tenant.tenant_id, base())
        with pytest.raises(InvalidModel, match="'base' is not published yet"):
            service.publish(tenant.tenant_id, "child", by="Ada Example")
        put(base())
        assert service.publish(tenant.tenant_id, "child", by="Ada Example") == 1

    def test_a_circle_is_spelled_out(self, tenant, put) -> None:
        put(base())
        put(who_asks("middle", "base"))
        put(who_asks("top", "middle"))
        text_ = who_asks("base", "top")
        assert [problem.message for problem in service.validate(text_, tenant_id=tenant.tenant_id)] == [
            "The models would ask one another in a circle: base → top → middle → base."
        ]
        with pytest.raises(InvalidModel, match="base → top → middle → base"):
            put(text_)
        assert live(tenant.tenant_id) == {"base": 1, "middle": 1, "top": 1}

    def test_pins_name_the_versions_asked(self, tenant, put) -> None:
        put(base())
        put(who_asks("child", "base"))
        version = queries.get_version(tenant.tenant_id, "child", 1)
        assert version.pins == {"base": queries.get_version(tenant.tenant_id, "base", 1).hash}
        with tenant_session(tenant.tenant_id) as session:
            models = {live.name: model for live, model in load_live(session, tenant.tenant_id)}
        assert models["child"] is not None
        assert models["child"].hash == version.hash

    def test_those_who_ask_follow_in_one_step(self, tenant, neighbour, put, make_lead) -> None:
        put(base())
        put(who_asks("middle", "base"))
        put(who_asks("top", "middle"))
        put("{model: alone, rules: [{id: a, on: page.viewed, points: 1}]}")
        lead = make_lead(tenant.tenant_id, traits={"title": "Owner"})
        put(base(20))
        assert live(tenant.tenant_id) == {"base": 2, "middle": 2, "top": 2, "alone": 1}
        assert told(tenant.tenant_id, "top") == [("publish", None, 1), ("follow", 1, 2)]
        assert model_queries.list_publications(tenant.tenant_id, "top")[0].note == "Follows base"
        drain(tenant.tenant_id)
        totals = {score.model: score.total for score in queries.scores_of(tenant.tenant_id, lead)}
        assert totals == {"base": 20_000, "middle": 0, "top": 0, "alone": 0}

    def test_who_cannot_follow_holds_the_publication_up(self, tenant, put) -> None:
        put(base())
        put(who_asks("child", "base") + "examples: [{name: ripe, traits: {title: Owner}, expect: {total: 10}}]\n")
        service.save_draft(tenant.tenant_id, "base", base(20))
        with pytest.raises(InvalidModel, match=r"'child' asks for the score of 'base' .*: expected 10, found 0"):
            service.publish(tenant.tenant_id, "base", by="Ada Example")
        assert live(tenant.tenant_id) == {"base": 1, "child": 1}

    @pytest.mark.parametrize(
        ("asked", "path", "message"),
        [
            pytest.param("dimension: fti, score: {gte: 1}", "dimension", "did you mean 'fit'?", id="a dimension"),
            pytest.param("stage: Qualified", "stage", "declared: MQL, Lead", id="a stage"),
            pytest.param("stage: {in: [mql, SQL]}", "stage", "the stage 'SQL' is not declared", id="one of several"),
        ],
    )
    def test_what_another_has_not_cannot_be_asked(self, tenant, put, asked: str, path: str, message: str) -> None:
        put(BASE_OF_PARTS)
        text_ = f"{{model: asks, rules: [{{id: a, when: {{model: base, {asked}}}, points: 1}}]}}"
        (told,) = service.validate(text_, tenant_id=tenant.tenant_id)
        with pytest.raises(InvalidModel) as refused:
            put(text_)
        assert refused.value.problems == [told]
        assert told.path == f"rules[0].when.{path}"
        assert message in told.message

    def test_what_others_ask_cannot_be_taken_away(self, tenant, put) -> None:
        put(BASE_OF_PARTS)
        put("{model: asks, rules: [{id: a, when: {model: base, dimension: fit, score: {gte: 1}}, points: 1}]}")
        with pytest.raises(InvalidModel, match=r"'asks' asks for the score of 'base' and could not follow.*'fit'"):
            put(base())
        assert live(tenant.tenant_id) == {"asks": 1, "base": 1}

    def test_a_stage_that_goes_holds_nobody_up(self, tenant, put) -> None:
        put(BASE_OF_PARTS)
        put("{model: asks, rules: [{id: a, when: {model: base, stage: Lead}, points: 1}]}")
        put(BASE_OF_PARTS.replace("Lead", "Warm"))
        assert live(tenant.tenant_id) == {"asks": 2, "base": 2}

    def test_the_neighbours_models_cannot_be_asked(self, tenant, neighbour, put) -> None:
        put(base())
        service.create_model(neighbour.tenant_id, who_asks("child", "base"))
        with pytest.raises(InvalidModel, match="There is no model named 'base'"):
            service.publish(neighbour.tenant_id, "child", by="Eve Example")


class TestRollback:
    def test_brings_the_same_scores_back(self, tenant, put, make_lead) -> None:
        put(base(15))
        put(who_asks("child", "base"))
        lead = make_lead(tenant.tenant_id, traits={"title": "Owner"})
        drain(tenant.tenant_id)
        before = {
            score.model: (score.version, score.total, score.raw, score.dimensions, score.stage, score.grade)
            for score in queries.scores_of(tenant.tenant_id, lead)
        }
        put(base(50))
        drain(tenant.tenant_id)
        service.rollback(tenant.tenant_id, "base", 1, by="Grace Example", note="Too many")
        drain(tenant.tenant_id)
        after = {
            score.model: (score.version, score.total, score.raw, score.dimensions, score.stage, score.grade)
            for score in queries.scores_of(tenant.tenant_id, lead)
        }
        assert after == before
        assert live(tenant.tenant_id) == {"base": 1, "child": 1}
        assert told(tenant.tenant_id, "base")[-1] == ("rollback", 2, 1)
        assert told(tenant.tenant_id, "child")[-1] == ("follow", 2, 1)

    def test_leaves_the_draft_and_the_numbers(self, tenant, put) -> None:
        put(base(1))
        put(base(2))
        service.rollback(tenant.tenant_id, "base", 1, by="Ada Example")
        assert queries.get_model(tenant.tenant_id, "base").draft == base(2)
        assert put(base(3)) == 3

    def test_of_one_who_asks_keeps_what_it_asked_then(self, tenant, put, make_lead) -> None:
        put(base(40))
        put(who_asks("child", "base", 1))
        put(who_asks("child", "base", 2))
        put(base(20))
        lead = make_lead(tenant.tenant_id, traits={"title": "Owner"})
        service.rollback(tenant.tenant_id, "child", 1, by="Ada Example")
        drain(tenant.tenant_id)
        totals = {score.model: score.total for score in queries.scores_of(tenant.tenant_id, lead)}
        # Asked by its version 1, base still gives 40 and so is ripe.
        assert totals == {"base": 20_000, "child": 1_000}

    @pytest.mark.parametrize(
        ("name", "number", "error"),
        [
            pytest.param("base", 9, NoSuchVersion, id="no such version"),
            pytest.param("other", 1, NoSuchModel, id="no such model"),
        ],
    )
    def test_refuses(self, tenant, put, name, number, error) -> None:
        put(base())
        with pytest.raises(error):
            service.rollback(tenant.tenant_id, name, number, by="Ada Example")

    def test_not_into_a_circle(self, tenant, put) -> None:
        put(base())
        put(who_asks("child", "base"))
        put("{model: child, rules: [{id: a, on: page.viewed, points: 1}]}")
        put(who_asks("base", "child"))
        with pytest.raises(InvalidModel, match="child → base → child"):
            service.rollback(tenant.tenant_id, "child", 1, by="Ada Example")

    def test_to_what_is_live_changes_nothing(self, tenant, put) -> None:
        put(base())
        service.rollback(tenant.tenant_id, "base", 1, by="Ada Example")
        assert told(tenant.tenant_id, "base") == [("publish", None, 1)]


class TestArchive:
    def test_scores_nobody_until_it_is_taken_back(self, tenant, put, make_lead) -> None:
        put(base())
        put("{model: other, rules: [{id: a, on: page.viewed, points: 1}]}")
        lead = make_lead(tenant.tenant_id, traits={"title": "Owner"})
        drain(tenant.tenant_id)
        service.archive(tenant.tenant_id, "base", by="Ada Example")
        drain(tenant.tenant_id)
        assert [score.model for score in queries.scores_of(tenant.tenant_id, lead)] == ["other"]
        assert service.restore(tenant.tenant_id, "base", by="Ada Example") == 1
        drain(tenant.tenant_id)
        assert {score.model for score in queries.scores_of(tenant.tenant_id, lead)} == {"base", "other"}
        assert told(tenant.tenant_id, "base")[1:] == [("archive", 1, None), ("restore", None, 1)]

    def test_the_last_model_takes_its_scores_along(self, tenant, put, make_lead) -> None:
        put(base())
        lead = make_lead(tenant.tenant_id, traits={"title": "Owner"})
        drain(tenant.tenant_id)
        service.archive(tenant.tenant_id, "base", by="Ada Example")
        drain(tenant.tenant_id)
        assert queries.scores_of(tenant.tenant_id, lead) == []

    def test_refused_while_others_ask_it(self, tenant, put) -> None:
        put(base())
        put(who_asks("one", "base"))
        put(who_asks("two", "base"))
        with pytest.raises(ReferredTo, match="'one', 'two'"):
            service.archive(tenant.tenant_id, "base", by="Ada Example")
        for name in ("two", "one", "base"):
            service.archive(tenant.tenant_id, name, by="Ada Example")
        with pytest.raises(InvalidModel, match="'base' is archived"):
            service.restore(tenant.tenant_id, "one", by="Ada Example")
        service.restore(tenant.tenant_id, "base", by="Ada Example")
        assert service.restore(tenant.tenant_id, "one", by="Ada Example") == 1

    def test_twice_is_once(self, tenant, put) -> None:
        put(base())
        for _ in range(2):
            service.archive(tenant.tenant_id, "base", by="Ada Example")
        for _ in range(2):
            service.restore(tenant.tenant_id, "base", by="Ada Example")
        assert len(told(tenant.tenant_id, "base")) == 3

    def test_a_mere_draft_can_rest_too(self, tenant) -> None:
        service.create_model(tenant.tenant_id, base())
        service.archive(tenant.tenant_id, "base", by="Ada Example")
        with pytest.raises(Archived):
            service.publish(tenant.tenant_id, "base", by="Ada Example")
        assert service.restore(tenant.tenant_id, "base", by="Ada Example") is None
        assert service.publish(tenant.tenant_id, "base", by="Ada Example") == 1

    def test_no_way_back_while_archived(self, tenant, put) -> None:
        put(base(1))
        put(base(2))
        service.archive(tenant.tenant_id, "base", by="Ada Example")
        with pytest.raises(Archived):
            service.rollback(tenant.tenant_id, "base", 1, by="Ada Example")


class TestDrafts:
    def test_the_second_save_is_refused_with_what_differs(self, tenant) -> None:
        seen = service.create_model(tenant.tenant_id, base(10), by="Ada Example").draft_revision
        service.save_draft(tenant.tenant_id, "base", base(20), revision=seen, by="Grace Example")
        with pytest.raises(DraftChanged) as refused:
            service.save_draft(tenant.tenant_id, "base", base(30), revision=seen, by="Ada Example")
        assert [change.sentence for change in refused.value.changes] == ["rule owner: points 20 → 30"]
        assert (refused.value.by, refused.value.stored, refused.value.revision) == ("Grace Example", base(20), seen + 1)
        assert queries.get_model(tenant.tenant_id, "base").draft == base(20)

    def test_saving_the_same_again_is_no_conflict(self, tenant) -> None:
        seen = service.create_model(tenant.tenant_id, base(10)).draft_revision
        first = service.save_draft(tenant.tenant_id, "base", base(20), revision=seen)
        again = service.save_draft(tenant.tenant_id, "base", base(20), revision=seen)
        assert first.draft_revision == again.draft_revision == seen + 1

    def test_labels_follow_the_draft(self, tenant) -> None:
        service.create_model(tenant.tenant_id, base())
        row = service.save_draft(
            tenant.tenant_id, "base", "persona: Owner\nproduct_line: A\nbusiness_unit: Retail\n" + base()
        )
        assert (row.persona, row.product_line, row.business_unit) == ("Owner", "A", "Retail")


class TestAllAtOnce:
    def test_people_who_publish_at_once_leave_one_consistent_state(self, tenant, put) -> None:
        put(base(1))
        put(who_asks("middle", "base"))
        put(who_asks("top", "middle"))

        def publish(name: str, text_: str) -> None:
            service.save_draft(tenant.tenant_id, name, text_)
            service.publish(tenant.tenant_id, name, by="Ada Example")

        with ThreadPoolExecutor(3) as pool:
            work = [pool.submit(publish, "base", base(points)) for points in range(2, 6)]
            work += [pool.submit(publish, "middle", who_asks("middle", "base", points)) for points in range(2, 6)]
            work += [pool.submit(service.rollback, tenant.tenant_id, "top", 1, by="Eve Example") for _ in range(2)]
            for each in work:
                each.result()
        with tenant_session(tenant.tenant_id) as session:
            now = {version.name: version for version in queries.read_live_versions(session, tenant.tenant_id)}
        assert now["middle"].pins == {"base": now["base"].hash}
        for name in ("base", "middle", "top"):
            steps = told(tenant.tenant_id, name)
            assert [step[1] for step in steps[1:]] == [step[2] for step in steps[:-1]]
            assert steps[-1][2] == now[name].number

    def test_nothing_is_told_when_it_fails(self, tenant, put, make_lead) -> None:
        put(base())
        make_lead(tenant.tenant_id)
        drain(tenant.tenant_id)
        heard: list[facts.Fact] = []
        facts.listen(heard.append)
        try:
            service.save_draft(tenant.tenant_id, "base", who_asks("base", "missing"))
            with pytest.raises(InvalidModel):
                service.publish(tenant.tenant_id, "base", by="Ada Example")
        finally:
            facts.stop_listening(heard.append)
        assert heard == []
        assert rescore_jobs.drain_rescores(tenant.tenant_id) == 0

    def test_publications_are_never_changed(self, tenant, put) -> None:
        put(base())
        for statement in ("DELETE FROM", "UPDATE"):
            words = " SET by = 'Eve'" if statement == "UPDATE" else ""
            with pytest.raises(Exception, match="permission denied"), tenant_session(tenant.tenant_id) as session:
                session.execute(text(f"{statement} scoring.publications{words} WHERE tenant_id = {tenant.tenant_id}"))

    def test_a_version_keeps_the_hash_it_was_published_under(self, tenant, put, make_lead) -> None:
        put(base())
        put(who_asks("child", "base"))
        with tenant_session(tenant.tenant_id) as session:
            for statement in (
                "UPDATE scoring.model_versions SET hash = 'of old ' || model_id WHERE tenant_id = :t",
                "UPDATE scoring.model_versions SET pins = jsonb_build_object('base', 'of old ' || (SELECT id FROM"
                " scoring.models WHERE tenant_id = :t AND name = 'base')) WHERE tenant_id = :t AND pins <> '{}'",
            ):
                session.execute(text(statement), {"t": tenant.tenant_id})
        lead = make_lead(tenant.tenant_id, traits={"title": "Owner"})
        drain(tenant.tenant_id)
        totals = {score.model: score.total for score in queries.scores_of(tenant.tenant_id, lead)}
        assert totals == {"base": 40_000, "child": 10_000}
        assert service.explain_lead(tenant.tenant_id, lead, "child").content_hash.startswith("of old ")

    def test_a_stored_version_compiles_to_its_hash(self, tenant, put) -> None:
        put(base())
        put(who_asks("child", "base"))
        for name in ("base", "child"):
            version = queries.get_version(tenant.tenant_id, name, 1)
            model = language.parse(version.source)
            assert language.content_hash(model, version.pins) == version.hash
        assert (
            engine.compile_model(language.parse(base())).hash == queries.get_version(tenant.tenant_id, "base", 1).hash
        )
