"""Fields over the API: listed, kept out, shown masked; signs of machines switched."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay.scoring import service

NOW = datetime.now(UTC)
MODEL = "{model: pay, rules: [{id: rich, when: {trait: salary, gt: 10}, points: 20}]}"


@pytest.fixture
def lead_id(tenant: Any, make_lead: Callable[..., int]) -> int:
    opened = NOW - timedelta(days=1)
    return make_lead(
        tenant.tenant_id,
        email="ada@gmail.com",
        traits={"salary": 99, "email": "ada@gmail.com", "quality.free_email": "no", "quality.own": 1},
        events=[
            ("email.delivered", opened - timedelta(seconds=2), {"email_id": "a"}),
            ("email.opened", opened, {"email_id": "a", "salary": 7}),
        ],
    )


class TestGet:
    def test_lists_fields_signals_and_what_stands(self, call: Any, lead_id: int) -> None:
        found = call("GET", "/fields").json
        salary = {"name": "salary", "types": ["number"], "values": 1, "leads": 1, "sensitive": False, "suggested": True}
        assert [each for each in found["items"] if each["name"] == "salary"] == [
            {**salary, "kind": "trait"},
            {**salary, "kind": "property"},
        ]
        assert (found["leads"], found["looked_at"], found["sensitive"]) == (1, 1, [])
        assert set(found["signals"].values()) == {True}


class TestPut:
    def test_what_is_kept_out_is_masked_everywhere(self, call: Any, tenant: Any, lead_id: int) -> None:
        service.create_model(tenant.tenant_id, MODEL)
        service.publish(tenant.tenant_id, "pay", by="Ada Example")
        answer = call("PUT", "/fields", json={"sensitive": ["salary"]}).json
        assert answer["sensitive"] == ["salary"]
        assert answer["asked_in_vain"] == {"pay": ["salary"]}
        assert answer["rescore_id"] is not None
        assert call("GET", f"/leads/{lead_id}").json["traits"]["salary"] == "•••"
        assert call("GET", f"/leads/{lead_id}/events").json["items"][0]["properties"] == {
            "email_id": "a",
            "salary": "•••",
        }
        refusal = call("POST", "/models/pay/publish")
        assert refusal.status_code == 422
        assert refusal.json["errors"][0]["field"] == "rules[0].when.trait"
        again = call("PUT", "/fields", json={"sensitive": []}).json
        assert (again["sensitive"], again["asked_in_vain"]) == ([], {})
        assert call("GET", f"/leads/{lead_id}").json["traits"]["salary"] == 99

    def test_signals(self, call: Any, tenant: Any, lead_id: int) -> None:
        (event, _) = call("GET", f"/leads/{lead_id}/events").json["items"]
        assert (event["counted"], event["code"]) == (False, "machine_delivered")
        assert event["why"] == "by a machine: 2 seconds after it was delivered"
        assert call("PUT", "/fields", json={"signals": {"at_once": False}}).json["signals"]["at_once"] is False
        (event, _) = call("GET", f"/leads/{lead_id}/events").json["items"]
        assert (event["counted"], event["code"], event["why"]) == (True, None, None)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            pytest.param({"sensitive": ["email"]}, "sensitive[0]", id="what a lead is found by"),
            pytest.param({"sensitive": ["x" * 201]}, "sensitive[0]", id="a long name"),
            pytest.param({"sensitive": "salary"}, "sensitive", id="no list"),
            pytest.param({"signals": {"nonsense": True}}, "signals.nonsense.key", id="no such signal"),
            pytest.param({"signals": {"at_once": "perhaps"}}, "signals.at_once.value", id="neither yes nor no"),
            pytest.param({"hidden": []}, "hidden", id="an unknown word"),
        ],
    )
    def test_refuses_at_the_place(self, call: Any, body: Any, field: str) -> None:
        answer = call("PUT", "/fields", json=body)
        assert answer.status_code == 422
        assert [each["field"] for each in answer.json["errors"]] == [field]


def test_a_lead_tells_its_computed_traits(call: Any, lead_id: int) -> None:
    traits = call("GET", f"/leads/{lead_id}").json["traits"]
    assert (traits["quality.free_email"], traits["quality.valid_email"], traits["quality.own"]) == (True, True, 1)
