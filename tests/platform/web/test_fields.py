"""The page of fields, and what is masked on the others."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay.scoring import service

NOW = datetime.now(UTC)
MODEL = (
    "{model: pay, rules: [{id: rich, when: {trait: salary, gt: 10}, points: 20}, {id: o, on: email.opened, points: 1}]}"
)


@pytest.fixture
def lead_id(tenant: Any, make_lead: Callable[..., int], work_off: Callable[[int], int]) -> int:
    service.create_model(tenant.tenant_id, MODEL)
    service.publish(tenant.tenant_id, "pay", by="Ada Example")
    opened = NOW - timedelta(days=1)
    made = make_lead(
        tenant.tenant_id,
        name="Ada Example",
        email="ada@gmail.com",
        traits={"salary": 71234, "email": "ada@gmail.com", "name": "Ada Example", "quality.free_email": "never"},
        events=[
            ("email.delivered", opened - timedelta(seconds=2), {"email_id": "a"}),
            ("email.opened", opened, {"email_id": "a", "salary": 71234}),
        ],
    )
    work_off(tenant.tenant_id)
    return made


class TestPage:
    def test_lists_what_is_known_and_suggests(self, person: Any, lead_id: int) -> None:
        page = person.opens("/fields").text
        assert "From 1 lead<" in page
        assert "Often sensitive: keep out" in page
        assert "71234" not in page

    def test_nothing_known_yet(self, person: Any) -> None:
        assert "Nothing is known yet" in person.opens("/fields").text

    def test_a_field_is_kept_out_and_shown_again(self, person: Any, lead_id: int) -> None:
        sent = person.sends("/fields", on="/fields", name="salary")
        assert (sent.status_code, sent.location) == (303, "/fields")
        page = person.opens("/fields").text
        assert "salary is kept out. All leads are scored anew." in page
        assert "asks for salary, which is kept out" in page
        assert "Asks for salary, which is kept out" in person.opens("/models").text
        assert person.sends("/fields/unmark", on="/fields", name="salary").status_code == 303
        assert "Nothing is kept out." in person.opens("/fields").text

    def test_a_name_that_cannot_be_is_refused_with_a_sentence(self, person: Any) -> None:
        sent = person.sends("/fields", on="/fields", name="email")
        assert sent.status_code == 422
        assert "what people find a lead by" in sent.text

    def test_signs_of_machines_are_switched(self, person: Any, lead_id: int) -> None:
        assert "Opened by a machine: 2 seconds after it was delivered" in person.opens(f"/leads/{lead_id}").text
        sent = person.sends("/fields/machines", on="/fields", signal=["sender_says", "scanners"])
        assert (sent.status_code, sent.location) == (303, "/fields#machines")
        assert "by a machine" not in person.opens(f"/leads/{lead_id}").text


class TestLead:
    def test_shows_its_quality_and_why_an_open_counts_nothing(self, person: Any, lead_id: int) -> None:
        page = person.opens(f"/leads/{lead_id}").text
        assert "Data quality" in page
        assert "quality.free_email</dt><dd>yes" in page
        assert "never" not in page
        assert "by a machine: 2 seconds after it was delivered" in page

    def test_masks_what_is_kept_out_and_shows_it_once_asked(self, person: Any, lead_id: int) -> None:
        assert "71234" in person.opens(f"/leads/{lead_id}").text
        person.sends("/fields", on="/fields", name="salary")
        page = person.opens(f"/leads/{lead_id}")
        assert "71234" not in page.text
        assert "Show what is masked" in page.text
        shown = person.sends(f"/leads/{lead_id}/masked", on="/fields")
        assert shown.status_code == 200
        assert shown.text.count("71234") == 2
        assert "Who looked before" not in shown.text
        assert "Ada Example" in person.sends(f"/leads/{lead_id}/masked", on="/fields").text
        assert shown.headers["Cache-Control"] in ("no-store", "no-store, private", "private, no-store")

    def test_the_event_alone(self, person: Any, tenant: Any, lead_id: int) -> None:
        from assay.profiles.queries import timeline

        person.sends("/fields", on="/fields", name="sal*")
        event = timeline(tenant.tenant_id, lead_id).items[0]
        page = person.opens(f"/leads/{lead_id}/events/{event.id}").text
        assert "Opened by a machine: 2 seconds after it was delivered" in page
        assert "71234" not in page
