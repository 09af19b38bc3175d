"""How long things are kept, and how much may be sent, over the API."""

from typing import Any

import pytest

from assay.profiles.retention import get_retention


@pytest.fixture
def call(make_caller: Any, tenant: Any) -> Any:
    return make_caller(tenant.tenant_id)


class TestRetention:
    def test_of_a_new_tenant(self, call: Any) -> None:
        answer = call("GET", "/retention")
        assert answer.status_code == 200, answer.text
        assert answer.json == {
            "messages": {
                "days": 365,
                "gone_after_days": 396,
                "choices": [7, 30, 90, 365, None],
                "progress": None,
            },
            "events": {"days": None, "gone_after_days": None, "choices": [365, 730, 1095, None], "progress": None},
        }

    @pytest.mark.parametrize(
        ("body", "status", "field", "said"),
        [
            pytest.param(
                {"messages_days": 8}, 422, "messages_days", "Accepted: 7, 30, 90, 365, or null for ever.", id="no class"
            ),
            pytest.param({"events_days": 30}, 422, "events_days", "Accepted: 365, 730, 1095", id="of messages only"),
            pytest.param({"messages_days": "x"}, 422, "messages_days", "whole number", id="no number"),
            pytest.param({"messages_days": 7.5}, 422, "messages_days", "whole number", id="a half"),
            pytest.param({"days": 7}, 422, "days", "There is no such parameter. Accepted:", id="misspelt"),
            pytest.param({"messages_days": 7, "confirm": "maybe"}, 422, "confirm", "", id="half a word"),
            pytest.param({"messages_days": 7}, 409, "confirm", "This can't be undone.", id="not confirmed"),
        ],
    )
    def test_refused(self, call: Any, tenant: Any, body: dict[str, Any], status: int, field: str, said: str) -> None:
        answer = call("PUT", "/retention", json=body)
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), answer.text
        assert [problem["field"] for problem in answer.json["errors"]] == [field]
        assert said in answer.json["errors"][0]["message"]
        assert get_retention(tenant.tenant_id)["messages"].days == 365

    def test_chosen_anew(self, call: Any, tenant: Any, neighbour: Any) -> None:
        answer = call("PUT", "/retention", json={"messages_days": 30, "events_days": None, "confirm": True})
        assert answer.status_code == 200, answer.text
        assert answer.json["messages"]["days"] == 30
        assert answer.json["messages"]["progress"]["finished_at"] is None
        assert answer.json["events"]["progress"] is None
        assert get_retention(neighbour.tenant_id)["messages"].days == 365

    def test_longer_needs_no_confirmation(self, call: Any) -> None:
        answer = call("PUT", "/retention", json={"messages_days": None})
        assert answer.json["messages"]["days"] is None

    def test_nothing_asked_changes_nothing(self, call: Any) -> None:
        assert call("PUT", "/retention", json={}).json == call("GET", "/retention").json


class TestPace:
    def test_the_limits_and_how_often_they_were_met(self, call: Any, tenant: Any, api_app: Any) -> None:
        admission = api_app.extensions["tracking"].admission
        for _ in range(2):
            admission.refusals.add(tenant.tenant_id, "too_fast")
        admission.refusals.write()
        answer = call("GET", "/pace")
        assert answer.status_code == 200, answer.text
        assert answer.json == {
            "events_per_second": 5_000,
            "at_once": 50_000,
            "messages_waiting": 0,
            "messages_waiting_at_most": 200_000,
            "refused_today": {"too_fast": 2},
            "refused_in_a_week": {"too_fast": 2},
        }
