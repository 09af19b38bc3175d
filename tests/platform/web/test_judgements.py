import re
from typing import Any

import pytest

from assay.scoring import judgements, service
from assay_tenants.access.service import SignedUp

MODEL = "{{model: {name}, rules: [{{id: owner, when: {{trait: title, is: Owner}}, points: 94}}]}}"


@pytest.fixture
def lead(tenant: SignedUp, make_lead: Any) -> int:
    for name in ("sample", "other"):
        service.create_model(tenant.tenant_id, MODEL.format(name=name))
        service.publish(tenant.tenant_id, name, by="Ada Example")
    made: int = make_lead(tenant.tenant_id, name="Grace Lotus", traits={"title": "Owner"})
    return made


def timeline(person: Any, lead: int) -> str:
    """The words of it, one space apart."""
    found = re.search(r'<ol class="timeline">(.*?)</ol>', person.opens(f"/leads/{lead}").text, re.S)
    assert found
    return " ".join(re.sub(r"<[^>]*>", " ", found[1]).split())


class TestJudgements:
    def test_given_shown_and_removed(self, person: Any, lead: int) -> None:
        page = f"/leads/{lead}/judgements"
        fields = {"points": "15", "reason": "Met <i>them</i>", "until": "2100-12-31", "shown": "sample"}
        answer = person.sends(page, on=page, **fields)
        assert (answer.status_code, answer.location) == (303, f"/leads/{lead}?model=sample")
        shown = person.opens(page, HX_Request="true").text
        assert "+15" in shown
        assert "Met &lt;i&gt;them&lt;/i&gt;" in shown
        assert "1 Jan 2101, 00:00 UTC" in shown
        assert "<html" not in shown
        (made,) = judgements.list_judgements(person.tenant_id, lead)
        assert made.by == "Ada Example"
        answer = person.sends(f"{page}/{made.key}/withdraw", on=page)
        assert answer.status_code == 303
        assert "removed" in person.opens(page).text

    def test_the_timeline_tells_it_in_words(self, person: Any, lead: int) -> None:
        page = f"/leads/{lead}/judgements"
        person.sends(page, on=page, points="15", reason="Met <i>them</i>", until="2100-12-31", model="other")
        person.sends(page, on=page, points="-1", reason="Wrong number")
        (other, made) = judgements.list_judgements(person.tenant_id, lead)
        words = timeline(person, lead)
        assert "+15 points from Ada Example" in words
        assert "Met &lt;i&gt;them&lt;/i&gt; only under other · until 1 Jan 2101, 00:00 UTC" in words
        assert "−1 point from Ada Example" in words
        assert made.key not in words
        assert "assay.judgement" not in words

        judgements.withdraw(person.tenant_id, lead, made.key, by="Ben Example")
        words = timeline(person, lead)
        assert "+15 points taken back by Ben Example" in words
        assert "only under other · given just now by Ada Example" in words
        assert "only under other · taken back just now by Ben Example" in words
        assert "until" not in words
        assert other.withdrawn_at is None

    def test_the_page_of_its_event_tells_it_too(self, person: Any, lead: int) -> None:
        judgements.record(person.tenant_id, lead, points=15_000, reason="They called", by="Ada Example")
        address = re.search(rf'href="(/leads/{lead}/events/[^"]+)"', person.opens(f"/leads/{lead}").text)
        assert address
        page = person.opens(address[1]).text
        assert "<title>+15 points from Ada Example" in page
        assert "<h1>+15 points from Ada Example</h1>" in page
        assert "They called" in page
        assert "imported file" not in page

    def test_its_page_asks_for_them(self, person: Any, lead: int) -> None:
        assert f'hx-get="/leads/{lead}/judgements' in person.opens(f"/leads/{lead}").text

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            pytest.param({"points": "", "reason": "x"}, "How many points", id="no points"),
            pytest.param({"points": "15", "reason": " "}, "Say why", id="no reason"),
            pytest.param({"points": "ten", "reason": "x"}, "Points are a number", id="no number"),
            pytest.param({"points": "0", "reason": "x"}, "and not 0", id="nought"),
            pytest.param({"points": "1", "reason": "x", "until": "31.12."}, "That is no day", id="no day"),
            pytest.param({"points": "1", "reason": "x", "until": "2020-01-01"}, "is over already", id="past"),
            pytest.param({"points": "1", "reason": "x", "until": "9999-12-31"}, "That is no day", id="past all days"),
            pytest.param({"points": "1", "reason": "x", "model": "none"}, "There is no model", id="no model"),
        ],
    )
    def test_says_what_is_wrong_and_keeps_what_was_typed(
        self, person: Any, lead: int, fields: dict[str, str], sentence: str
    ) -> None:
        answer = person.sends(f"/leads/{lead}/judgements", on=f"/leads/{lead}/judgements", **fields)
        assert answer.status_code == 422
        assert sentence in answer.text
        assert f'value="{fields["points"]}"' in answer.text
        assert judgements.list_judgements(person.tenant_id, lead) == []

    def test_of_the_neighbours_lead_nothing_is_there(self, person: Any, neighbour: SignedUp, make_lead: Any) -> None:
        theirs = make_lead(neighbour.tenant_id)
        assert person.opens(f"/leads/{theirs}/judgements").status_code == 404
        answer = person.sends(f"/leads/{theirs}/judgements", on="/settings", points="1", reason="x")
        assert answer.status_code == 404
        assert judgements.list_judgements(neighbour.tenant_id, theirs) == []
