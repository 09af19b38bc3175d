from typing import Any

import pytest

from assay.profiles.retention import get_retention


def test_is_told_and_linked(person: Any) -> None:
    assert "/settings/retention" in person.opens("/settings").text
    page = person.opens("/settings/retention").text
    assert '<option value="365" selected>365 days</option>' in " ".join(page.split())
    assert "gone 396 days after its receipt at the latest" in page
    assert "events a second" in page


def test_longer_is_saved_at_once(person: Any) -> None:
    answer = person.sends(
        "/settings/retention", on="/settings/retention", messages_days="forever", events_days="forever"
    )
    assert answer.status_code == 303
    assert get_retention(person.tenant_id)["messages"].days is None
    assert "is under way" in person.opens("/settings/retention").text


def test_shorter_tells_what_goes_and_asks(person: Any) -> None:
    choice = {"messages_days": "30", "events_days": "730"}
    answer = person.sends("/settings/retention", on="/settings/retention", **choice)
    assert answer.status_code == 409
    assert "Keeping raw messages for 30 days deletes those received until" in answer.text
    assert "Keeping events for 730 days deletes" in answer.text
    assert "Delete and save" in answer.text
    assert get_retention(person.tenant_id)["messages"].days == 365
    answer = person.sends("/settings/retention", on="/settings/retention", confirm="yes", **choice)
    assert answer.status_code == 303
    kept = get_retention(person.tenant_id)
    assert (kept["messages"].days, kept["events"].days) == (30, 730)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        pytest.param("8", "can&#39;t be kept for 8 days. Accepted: 7, 30, 90, 365", id="no such class"),
        pytest.param("soon", "Choose one of the list.", id="no number"),
    ],
)
def test_no_such_choice(person: Any, days: str, said: str) -> None:
    answer = person.sends("/settings/retention", on="/settings/retention", messages_days=days)
    assert answer.status_code == 422
    assert said in answer.text
