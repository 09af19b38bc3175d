"""Scores that go back."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from assay_bitrix24.service import Bitrix24
from assay_bitrix24.simulator import Bitrix24Simulator
from assay_bitrix24.simulator.portals import CONTACT, LEAD
from assay_sdk import Link, Refused, ScoreUpdate, TryLater
from assay_sdk.testing import SetClock


@pytest.fixture
def update(clock: SetClock) -> ScoreUpdate:
    return ScoreUpdate(
        key="k",
        vendor_id="lead:1",
        user_id=None,
        anonymous_id=None,
        email=None,
        model="Buyers",
        score=87,
        grade="A1",
        stage=None,
        reasons=("Booked a meeting.", "Costs $result[p0] & more."),
        scored_at=clock.now(),
        url="https://assay.example.test/leads/1",
        version="1",
    )


@pytest.fixture
def ready(service: Bitrix24, link: Link, simulator: Bitrix24Simulator) -> dict[int, dict[str, Any]]:
    simulator.fill(12)
    service.destination.prepare(link)
    return simulator.portal.rows[LEAD]


class TestPrepare:
    def test_makes_what_is_missing_for_leads_and_contacts(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator
    ) -> None:
        simulator.portal.user_fields["lead"]["UF_CRM_ASSAY_GRADE"] = "string"
        service.destination.prepare(link)
        own = set(service.destination.own_fields().values())
        assert set(simulator.portal.user_fields["lead"]) == set(simulator.portal.user_fields["contact"]) == own
        assert simulator.portal.user_fields["lead"]["UF_CRM_ASSAY_SCORE"] == "integer"
        before = len(simulator.calls)
        service.destination.prepare(link)
        assert len(simulator.calls) == before + 1

    def test_unknown_names_are_ignored_without_an_error_so_fields_are_read_back(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from assay_bitrix24.simulator import methods

        monkeypatch.setitem(methods.METHODS, "crm.lead.userfield.add", lambda *_: {"result": 1})
        with pytest.raises(Refused, match="UF_CRM_ASSAY_SCORE"):
            service.destination.prepare(link)


class TestPush:
    def test_writes_the_current_total_and_never_adds(
        self, service: Bitrix24, link: Link, ready: dict[int, dict[str, Any]], update: ScoreUpdate
    ) -> None:
        for _ in range(2):
            (receipt,) = service.destination.push(link, [update])
            assert (receipt.error, receipt.gone) == ("", False)
            assert ready[1]["UF_CRM_ASSAY_SCORE"] == 87
        service.destination.push(link, [replace(update, score=40)])
        assert ready[1]["UF_CRM_ASSAY_SCORE"] == 40

    def test_what_stands_there_already_changes_nothing_and_tells_nobody(
        self,
        service: Bitrix24,
        link: Link,
        simulator: Bitrix24Simulator,
        ready: dict[int, dict[str, Any]],
        update: ScoreUpdate,
        clock: SetClock,
    ) -> None:
        simulator.portal.bound.add(("ONCRMLEADUPDATE", "https://assay.example.test/h"))
        service.destination.push(link, [update])
        clock.turn(timedelta(minutes=1))
        service.destination.push(link, [update])
        assert len(simulator.portal.outbox) == 1

    def test_never_sends_a_stage_and_names_its_connector(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator, ready: Any, update: ScoreUpdate
    ) -> None:
        service.destination.push(link, [update])
        method, given = simulator.requests[-1]
        assert method == "crm.item.update"
        assert set(given["fields"]) == set(service.destination.own_fields().values())
        assert (given["auth_connector"], given["useOriginalUfNames"]) == ("assay", "Y")

    def test_values(self, service: Bitrix24, link: Link, ready: dict[int, dict[str, Any]], update: ScoreUpdate) -> None:
        service.destination.push(link, [update])
        assert ready[1]["UF_CRM_ASSAY_GRADE"] == "A1"
        assert ready[1]["UF_CRM_ASSAY_STAGE"] == ""
        assert ready[1]["UF_CRM_ASSAY_REASONS"] == "Booked a meeting.\nCosts $ result[p0] & more."
        assert ready[1]["UF_CRM_ASSAY_SCORED_AT"] == "2026-09-21T12:00:00+00:00"

    def test_fifty_in_one_request_with_a_receipt_for_each(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator, update: ScoreUpdate
    ) -> None:
        simulator.fill(120)
        service.destination.prepare(link)
        before = len(simulator.calls)
        people = [f"lead:{n}" for n in range(1, 49)] + ["contact:1", "lead:999", "deal:1"]
        updates = [replace(update, key=who, vendor_id=who) for who in people]
        receipts = {receipt.key: receipt for receipt in service.destination.push(link, updates)}
        assert len(simulator.calls) - before == 1
        assert receipts.keys() == set(people)
        assert receipts["lead:999"].gone
        assert receipts["deal:1"].error
        assert not receipts["deal:1"].gone
        assert not any(receipts[who].error for who in people[:49])
        assert simulator.portal.rows[CONTACT][1]["UF_CRM_ASSAY_SCORE"] == 87

    def test_a_field_that_somebody_deleted_is_made_again(
        self,
        service: Bitrix24,
        link: Link,
        simulator: Bitrix24Simulator,
        ready: dict[int, dict[str, Any]],
        update: ScoreUpdate,
    ) -> None:
        del simulator.portal.user_fields["lead"]["UF_CRM_ASSAY_SCORE"]
        (receipt,) = service.destination.push(link, [update])
        assert receipt.error == ""
        assert ready[1]["UF_CRM_ASSAY_SCORE"] == 87

    @pytest.mark.parametrize("name", ["UF_CRM_ASSAY_GRADE", "UF_CRM_ASSAY_REASONS", "UF_CRM_ASSAY_SCORED_AT"])
    def test_so_is_any_other(
        self,
        service: Bitrix24,
        link: Link,
        simulator: Bitrix24Simulator,
        ready: dict[int, dict[str, Any]],
        update: ScoreUpdate,
        name: str,
    ) -> None:
        del simulator.portal.user_fields["lead"][name]
        (receipt,) = service.destination.push(link, [update])
        assert receipt.error == ""
        assert name in simulator.portal.user_fields["lead"]
        assert ready[1][name]

    def test_the_time_budget_is_no_fault_of_the_contact(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator, ready: Any, update: ScoreUpdate
    ) -> None:
        simulator.portal.spent["crm.item.update"] = simulator.clock.now() + timedelta(minutes=3)
        with pytest.raises(TryLater):
            service.destination.push(link, [update])
