from datetime import UTC, datetime, timedelta

import pytest

from assay import facts
from assay.scoring import jobs, queries, rescore_jobs, rescoring, service
from assay.scoring.errors import ModelNameTaken, NoSuchLead, NoSuchModel, NoSuchVersion, NotPublished, WrongModelName
from assay.scoring.language import InvalidModel
from assay_tenants.database import tenant_session

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BAD = "{model: sample, rules: [{id: a, on: page.viewed, points: many}, {id: a, on: page.viewed, points: 1}]}"


def drain(tenant_id: int) -> None:
    while jobs.drain_due(tenant_id) or rescore_jobs.drain_rescores(tenant_id):
        pass


@pytest.fixture
def told():
    heard: list[facts.Fact] = []
    facts.listen(heard.append)
    yield heard
    facts.stop_listening(heard.append)


class TestValidate:
    def test_a_model_has_no_problems(self, model_text) -> None:
        assert service.validate(model_text()) == []

    def test_every_problem_is_named_with_its_path(self) -> None:
        paths = [problem.path for problem in service.validate(BAD)]
        assert "rules[0].points" in paths


class TestCreateModel:
    def test_takes_its_name_from_the_document(self, tenant, model_text) -> None:
        row = service.create_model(tenant.tenant_id, model_text("fresh"))
        assert (row.name, row.published_version) == ("fresh", None)
        assert queries.get_model(tenant.tenant_id, "fresh").draft == model_text("fresh")

    def test_a_name_is_taken_once(self, tenant, model_text) -> None:
        service.create_model(tenant.tenant_id, model_text())
        with pytest.raises(ModelNameTaken, match="sample") as refused:
            service.create_model(tenant.tenant_id, model_text())
        assert (refused.value.status, refused.value.field) == (409, "model")

    def test_the_neighbour_may_use_the_same_name(self, tenant, neighbour, model_text) -> None:
        for each in (tenant, neighbour):
            service.create_model(each.tenant_id, model_text())
        assert len(queries.list_models(neighbour.tenant_id)) == 1

    def test_an_invalid_document_makes_nothing(self, tenant) -> None:
        with pytest.raises(InvalidModel):
            service.create_model(tenant.tenant_id, BAD)
        assert queries.list_models(tenant.tenant_id) == []


class TestSaveDraft:
    def test_does_not_touch_what_is_published(self, tenant, publish, model_text) -> None:
        publish(tenant.tenant_id)
        service.save_draft(tenant.tenant_id, "sample", model_text(owner=99))
        assert queries.get_model(tenant.tenant_id, "sample").draft == model_text(owner=99)
        assert queries.get_version(tenant.tenant_id, "sample", 1).source == model_text()

    @pytest.mark.parametrize(
        ("name", "text_", "error"),
        [
            pytest.param("sample", BAD, InvalidModel, id="invalid"),
            pytest.param("sample", "{model: other, rules: []}", (WrongModelName, InvalidModel), id="another name"),
            pytest.param("missing", BAD, NoSuchModel, id="no such model"),
            pytest.param("sam\x00ple", BAD, NoSuchModel, id="a name that can't be stored"),
            pytest.param("\ud800", BAD, NoSuchModel, id="a name that is no text"),
        ],
    )
    def test_refuses(self, tenant, publish, name, text_, error) -> None:
        publish(tenant.tenant_id)
        before = queries.get_model(tenant.tenant_id, "sample").draft
        with pytest.raises(error):
            service.save_draft(tenant.tenant_id, name, text_)
        assert queries.get_model(tenant.tenant_id, "sample").draft == before


class TestPublish:
    def test_numbers_versions_and_keeps_them(self, tenant, publish, model_text) -> None:
        assert [publish(tenant.tenant_id, owner=points) for points in (1, 2, 3)] == [1, 2, 3]
        assert [version.number for version in queries.list_versions(tenant.tenant_id, "sample")] == [3, 2, 1]
        version = queries.get_version(tenant.tenant_id, "sample", 2)
        assert (version.source, version.published_by) == (model_text(owner=2), "Ada Example")
        assert version.document["model"] == "sample"

    def test_an_unchanged_draft_keeps_its_version_and_wakes_nobody(self, tenant, publish, make_lead, told) -> None:
        publish(tenant.tenant_id)
        make_lead(tenant.tenant_id)
        drain(tenant.tenant_id)
        told.clear()
        assert publish(tenant.tenant_id) == 1
        assert rescore_jobs.drain_rescores(tenant.tenant_id) == 0
        assert told == []

    def test_another_spelling_of_the_same_model_is_unchanged(self, tenant, publish, model_text) -> None:
        publish(tenant.tenant_id)
        service.save_draft(tenant.tenant_id, "sample", "# a remark\n" + model_text())
        assert service.publish(tenant.tenant_id, "sample", by="Ada Example") == 1

    def test_begins_to_score_everybody_anew_and_tells(self, tenant, neighbour, publish, make_lead, told) -> None:
        for _ in range(3):
            make_lead(tenant.tenant_id, due=T0 + 9999 * DAY)
        publish(tenant.tenant_id)
        (rescore,) = rescoring.list_rescores(tenant.tenant_id)
        assert (rescore.leads, rescore.models, rescore.reason) == (3, ["sample"], "publish sample")
        assert rescoring.list_rescores(neighbour.tenant_id) == []
        assert told == [facts.RescoreStarted(tenant.tenant_id)]

    def test_rescores_everybody_by_the_new_version(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id, traits={"title": "CFO"}) for _ in range(3)]
        drain(tenant.tenant_id)
        publish(tenant.tenant_id, owner=44)
        drain(tenant.tenant_id)
        for lead in leads:
            (score,) = queries.scores_of(tenant.tenant_id, lead)
            assert (score.version, score.total, score.stage) == (2, 44_000, "Lead")
            assert [row.version for row in queries.history(tenant.tenant_id, lead, "sample").items] == [2, 1]

    def test_a_model_must_be_there(self, tenant) -> None:
        with pytest.raises(NoSuchModel):
            service.publish(tenant.tenant_id, "missing", by="Ada Example")

    @pytest.mark.parametrize("number", [0, 2, 2**31, 2**63])
    def test_a_version_must_be_there(self, tenant, publish, number) -> None:
        publish(tenant.tenant_id)
        with pytest.raises(NoSuchVersion):
            queries.get_version(tenant.tenant_id, "sample", number)


class TestExplainLead:
    def test_adds_up_to_the_stored_score(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        events = [
            ("page.viewed", T0, {"path": "/pricing/teams"}),
            ("page.viewed", T0 + DAY, {"path": "/pricing"}),
            ("offer.downloaded", T0, {"offer_id": "guide"}),
            ("offer.downloaded", T0 + DAY, {"offer_id": "guide"}),
            ("offer.downloaded", T0 + 2 * DAY, {"offer_id": "checklist"}),
        ]
        lead = make_lead(tenant.tenant_id, traits={"title": "Owner"}, events=events)
        for now in (T0, T0 + 3 * DAY, T0 + 61 * DAY, T0 + 99 * DAY):
            with tenant_session(tenant.tenant_id) as session:
                service.mark_due(session, tenant.tenant_id, [lead], now)
            jobs.drain_due(tenant.tenant_id, now=now)
            (stored,) = queries.scores_of(tenant.tenant_id, lead)
            why = service.explain_lead(tenant.tenant_id, lead, "sample", at=now)
            assert sum(part.points for part in why.parts) == why.raw == stored.raw
            assert (why.total, why.dimensions, why.stage, why.grade, why.next_change) == (
                stored.total,
                stored.dimensions,
                stored.stage,
                stored.grade,
                stored.next_change,
            )

    @pytest.mark.parametrize(
        ("model", "error"),
        [
            pytest.param("sample", NoSuchLead, id="no such lead"),
            pytest.param("draft-only", NotPublished, id="not published"),
            pytest.param("missing", NoSuchModel, id="no such model"),
        ],
    )
    def test_refuses(self, tenant, publish, model_text, model, error) -> None:
        publish(tenant.tenant_id)
        service.create_model(tenant.tenant_id, model_text("draft-only"))
        with pytest.raises(error):
            service.explain_lead(tenant.tenant_id, 2**62, model)
