"""Fields marked and unmarked, signs of machines switched: models, scores and receipts follow."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay.scoring import keeping_out, queries, service, studies
from assay.scoring.language import InvalidModel
from assay_tenants.errors import BadInput

MODEL = """
model: pay
rules:
  - {id: rich, when: {trait: salary, gt: 10}, points: 20}
  - {id: poor, when: {trait: salary, exists: false}, points: 3}
  - {id: opens, on: email.opened, points: 5}
"""
NOW = datetime.now(UTC)
BY = "Ada Example"


@pytest.fixture
def scored(tenant: Any, make_lead: Callable[..., int], work_off: Callable[[int], int]) -> Callable[[], int | None]:
    """The total of a lead with a salary and an open two seconds after delivery, once all work is done."""
    service.create_model(tenant.tenant_id, MODEL)
    service.publish(tenant.tenant_id, "pay", by=BY)
    opened = NOW - timedelta(days=1)
    mails = [
        ("email.delivered", opened - timedelta(seconds=2), {"email_id": "a"}),
        ("email.opened", opened, {"email_id": "a"}),
    ]
    lead_id = make_lead(tenant.tenant_id, traits={"salary": 99, "title": "CFO"}, events=mails)

    def total() -> int | None:
        work_off(tenant.tenant_id)
        (score,) = queries.scores_of(tenant.tenant_id, lead_id)
        assert service.explain_lead(tenant.tenant_id, lead_id, "pay").total == score.total
        return score.total

    return total


class TestKeepOut:
    def test_what_a_published_model_asks_is_unknown_from_then_on(
        self, tenant: Any, scored: Callable[[], int | None]
    ) -> None:
        assert scored() == 20_000
        kept = keeping_out.mark(tenant.tenant_id, "salary", by=BY)
        assert kept.rescore_id is not None
        assert scored() == 0
        assert keeping_out.asked_in_vain(tenant.tenant_id) == {"pay": ["salary"]}
        keeping_out.unmark(tenant.tenant_id, "salary", by=BY)
        assert scored() == 20_000
        assert keeping_out.asked_in_vain(tenant.tenant_id) == {}

    def test_such_a_model_is_neither_published_nor_previewed(self, tenant: Any) -> None:
        keeping_out.mark(tenant.tenant_id, "sal*", by=BY)
        service.create_model(tenant.tenant_id, MODEL)
        assert [each.path for each in service.validate(MODEL, tenant_id=tenant.tenant_id)] == [
            "rules[0].when.trait",
            "rules[1].when.trait",
        ]
        with pytest.raises(InvalidModel, match="kept out of scoring"):
            service.publish(tenant.tenant_id, "pay", by=BY)
        with pytest.raises(InvalidModel, match="kept out of scoring"):
            studies.start_preview(tenant.tenant_id, "pay", by=BY)

    def test_nothing_is_done_twice(self, tenant: Any, scored: Callable[[], int | None]) -> None:
        keeping_out.mark(tenant.tenant_id, "salary", by=BY)
        assert keeping_out.mark(tenant.tenant_id, "salary", by=BY).rescore_id is None
        assert keeping_out.unmark(tenant.tenant_id, "never marked", by=BY).rescore_id is None

    def test_of_marks_made_at_once_none_is_lost(self, tenant: Any) -> None:
        names = [f"name{place}" for place in range(8)]
        threads = [
            threading.Thread(target=keeping_out.mark, args=(tenant.tenant_id, name), kwargs={"by": BY})
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(keeping_out.standing(tenant.tenant_id).marks.patterns) == names

    def test_another_tenant_keeps_its_own(self, tenant: Any, neighbour: Any) -> None:
        keeping_out.mark(neighbour.tenant_id, "salary", by=BY)
        assert keeping_out.standing(tenant.tenant_id).marks.patterns == ()

    @pytest.mark.parametrize(
        ("pattern", "sentence"),
        [
            pytest.param("", "1 to 200 characters", id="blank"),
            pytest.param("x" * 201, "1 to 200 characters", id="long"),
            pytest.param("a*b", "at the end alone", id="a star within"),
            pytest.param("a\nb", "line breaks", id="a line break"),
            pytest.param("email", "covers email", id="what a lead is found by"),
            pytest.param("e*", "covers email", id="and what begins so"),
            pytest.param("*", "covers", id="everything"),
            pytest.param("Company", "covers company", id="whatever its letters' case"),
        ],
    )
    def test_what_cannot_be_kept_out_is_refused(self, tenant: Any, pattern: str, sentence: str) -> None:
        with pytest.raises(BadInput, match=sentence):
            keeping_out.keep_out(tenant.tenant_id, ["fine", pattern], by=BY)
        assert keeping_out.standing(tenant.tenant_id).marks.patterns == ()

    def test_there_is_a_most(self, tenant: Any) -> None:
        with pytest.raises(BadInput, match="at most 200"):
            keeping_out.keep_out(tenant.tenant_id, [f"n{place}" for place in range(201)], by=BY)


class TestWatch:
    def test_switching_a_signal_scores_all_leads_anew(self, tenant: Any, scored: Callable[[], int | None]) -> None:
        assert scored() == 20_000
        kept = keeping_out.watch(tenant.tenant_id, {"at_once": False}, by=BY)
        assert kept.signals == {
            "all_links": True,
            "apple_privacy": True,
            "at_once": False,
            "scanners": True,
            "sender_says": True,
        }
        assert kept.rescore_id is not None
        assert scored() == 25_000
        assert keeping_out.watch(tenant.tenant_id, {"at_once": False}, by=BY).rescore_id is None
        keeping_out.watch(tenant.tenant_id, {"at_once": True}, by=BY)
        assert scored() == 20_000

    def test_an_unknown_one_is_refused(self, tenant: Any) -> None:
        with pytest.raises(BadInput, match=r"no signal 'clicks'\. Accepted: all_links"):
            keeping_out.watch(tenant.tenant_id, {"clicks": False}, by=BY)
