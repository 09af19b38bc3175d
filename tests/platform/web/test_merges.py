from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay.normalise import Normalised
from assay.profiles import kinship, service
from assay_sdk import Identifiers, Identify
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
Send = Callable[..., None]


@pytest.fixture
def send(tenant: SignedUp) -> Send:
    def send_it(*sent: dict[str, Any]) -> None:
        records = [Identify(Identifiers(**ids), {}, T0 + timedelta(minutes=number)) for number, ids in enumerate(sent)]
        with tenant_session(tenant.tenant_id) as session:
            service.apply(session, tenant.tenant_id, [Normalised(each, 1, None, T0, None) for each in records])

    return send_it


@pytest.fixture
def merge(tenant: SignedUp, send: Send) -> kinship.MergeRow:
    send({"user_id": "u1"}, {"email": "a@x.test"})
    send({"user_id": "u1", "email": "a@x.test"})
    (made,) = kinship.list_merges(tenant.tenant_id).items
    return made


class TestMerges:
    def test_are_told_with_their_reasons_and_undone(self, person: Any, merge: kinship.MergeRow) -> None:
        page = person.opens("/leads/merges").text
        assert "User u1 and a@x.test came together" in page
        answer = person.sends(f"/leads/merges/{merge.id}/undo", on="/leads/merges", reason="<b>Two</b> people")
        assert (answer.status_code, answer.location) == (303, f"/leads/{merge.kept_id}")
        page = person.opens("/leads/merges").text
        assert "&lt;b&gt;Two&lt;/b&gt; people" in page
        assert "Tell them apart" not in page
        assert kinship.list_identities(person.tenant_id, merge.gone_id).items[0].value in ("a@x.test", "u1")

    def test_undone_twice_is_said(self, person: Any, merge: kinship.MergeRow) -> None:
        person.sends(f"/leads/merges/{merge.id}/undo", on="/leads/merges")
        answer = person.sends(f"/leads/merges/{merge.id}/undo", on="/leads/merges")
        assert answer.status_code == 409
        assert "two leads already" in answer.text

    def test_of_visitors_are_shown_when_asked_for(self, person: Any, send: Send) -> None:
        send({"anonymous_id": "d1"}, {"user_id": "u1"})
        send({"user_id": "u1", "anonymous_id": "d1"})
        assert "No two leads" in person.opens("/leads/merges").text
        assert "evice d1" in person.opens("/leads/merges?visitors=yes").text

    def test_the_page_of_a_lead_that_is_gone_leads_on(self, person: Any, merge: kinship.MergeRow) -> None:
        for path in ("", "/identities", "/judgements"):
            answer = person.opens(f"/leads/{merge.gone_id}{path}?model=sample")
            assert (answer.status_code, answer.location) == (302, f"/leads/{merge.kept_id}{path}?model=sample")
        page = person.opens(f"/leads/{merge.kept_id}").text
        assert "turned out to be this one" in page
        assert person.opens("/leads/999999999").status_code == 404

    def test_decisions_are_listed_and_taken_back(self, person: Any, merge: kinship.MergeRow) -> None:
        person.sends(f"/leads/merges/{merge.id}/undo", on="/leads/merges", reason="Two people")
        page = person.opens("/leads/merges/decisions").text
        assert "are two people" in page
        (made,) = kinship.list_decisions(person.tenant_id).items
        answer = person.sends(f"/leads/merges/decisions/{made.id}/withdraw", on="/leads/merges/decisions")
        assert answer.status_code == 303
        assert "taken back" in person.opens("/leads/merges/decisions").text
        assert kinship.list_identities(person.tenant_id, merge.kept_id).total == 2


class TestIdentities:
    def test_the_panel_of_a_leads_page_tells_how_each_came(self, person: Any, merge: kinship.MergeRow) -> None:
        assert f'hx-get="/leads/{merge.kept_id}/identities"' in person.opens(f"/leads/{merge.kept_id}").text
        panel = person.opens(f"/leads/{merge.kept_id}/identities", HX_Request="true").text
        assert "<html" not in panel
        assert "came together" in panel
        assert "Are these two people?" in panel

    def test_a_panel_of_very_many_shows_the_first(self, person: Any, send: Send) -> None:
        send(*({"user_id": "u1", "anonymous_id": f"d{number}"} for number in range(40)))
        lead_id = kinship.find_lead(person.tenant_id, "u1")
        panel = person.opens(f"/leads/{lead_id}/identities", HX_Request="true").text
        assert "All 41" in panel
        assert panel.count("<li>") == 30

    def test_are_told_apart(self, person: Any, merge: kinship.MergeRow) -> None:
        page = f"/leads/{merge.kept_id}/identities"
        answer = person.sends(f"{page}/apart", on=page, identity="email=a@x.test", reason="Two of them")
        assert answer.status_code == 303
        assert kinship.list_identities(person.tenant_id, merge.kept_id).total == 1
        assert person.opens(answer.location).status_code == 200

    def test_chosen_badly_the_choice_stays(self, person: Any, merge: kinship.MergeRow) -> None:
        page = f"/leads/{merge.kept_id}/identities"
        answer = person.sends(f"{page}/apart", on=page, identity=["email=a@x.test", "user_id=u1"], reason="Two")
        assert answer.status_code == 422
        assert "but not all" in answer.text
        assert answer.text.count("checked") == 2
        assert 'value="Two"' in answer.text

    @pytest.mark.parametrize(
        "written", ["u2", " B@x.test ", "{id}", "http://assay.example.test/leads/{id}?model=sample"]
    )
    def test_are_joined_with_another_lead(self, person: Any, send: Send, written: str) -> None:
        send({"user_id": "u1"}, {"user_id": "u2", "email": "b@x.test"})
        one, other = (kinship.find_lead(person.tenant_id, value) for value in ("u1", "u2"))
        page = f"/leads/{one}/identities"
        answer = person.sends(f"{page}/join", on=page, other=written.format(id=other), why="The same")
        assert answer.status_code == 303, answer.text
        found = kinship.list_identities(person.tenant_id, min(one, other))
        assert {each.value for each in found.items} == {"u1", "u2", "b@x.test"}

    @pytest.mark.parametrize(
        ("written", "sentence"),
        [
            pytest.param("", "Which lead?", id="none"),
            pytest.param("nobody@x.test", "No lead is known as", id="nobody"),
            pytest.param("999999999", "No lead is known as", id="no such number"),
            pytest.param("u1", "the lead itself", id="itself"),
            pytest.param("same", "Several leads", id="two of one value"),
        ],
    )
    def test_another_lead_that_can_not_be_told_is_refused(
        self, person: Any, send: Send, written: str, sentence: str
    ) -> None:
        send({"user_id": "u1"}, {"user_id": "same"}, {"anonymous_id": "same"})
        page = f"/leads/{kinship.find_lead(person.tenant_id, 'u1')}/identities"
        answer = person.sends(f"{page}/join", on=page, other=written)
        assert answer.status_code == 422
        assert sentence in answer.text


class TestSharedValues:
    def test_are_blocked_and_unblocked(self, person: Any, merge: kinship.MergeRow) -> None:
        page = "/leads/merges/shared-values"
        assert "none is blocked" in person.opens(page).text
        answer = person.sends(page, on=page, kind="email", value="A@x.test", rule="blocked", reason="Ours")
        assert answer.status_code == 303
        shown = person.opens(page).text
        assert "Unblock" in shown
        assert "Ours" in shown
        (value,) = kinship.list_shared(person.tenant_id).items
        assert kinship.list_identities(person.tenant_id, merge.kept_id).total == 1
        person.sends(f"{page}/{value.rule_id}/forget", on=page)
        assert kinship.list_identities(person.tenant_id, merge.kept_id).total == 2

    def test_too_many_people_is_said_where_it_matters(self, person: Any, send: Send) -> None:
        send(*({"user_id": f"u{number}", "email": "test@x.test"} for number in range(11)))
        page = person.opens("/leads/merges/shared-values").text
        assert "Came together with 11 user ids." in page
        assert "This is one person" in page
        lead_id = kinship.find_lead(person.tenant_id, "test@x.test")
        assert "too many people use it" in person.opens(f"/leads/{lead_id}/identities", HX_Request="true").text
        person.sends(
            "/leads/merges/shared-values", on="/leads/merges", kind="email", value="test@x.test", rule="released"
        )
        assert "Hold back again" in person.opens("/leads/merges/shared-values").text
        assert kinship.list_identities(person.tenant_id, kinship.find_lead(person.tenant_id, "u0")).total == 12

    def test_nothing_to_block_is_said(self, person: Any) -> None:
        answer = person.sends("/leads/merges/shared-values", on="/leads/merges/shared-values", kind="email", value=" ")
        assert answer.status_code == 422
        assert "Which value?" in answer.text
