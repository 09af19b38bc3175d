import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from assay.scoring import service
from assay_tenants.access.service import SignedUp

MODEL = """\
model: smb
title: Owners
rules:
  - {id: owner, title: Runs the place, when: {trait: title, in: [CFO, Owner]}, points: 20}
  - {id: pricing, on: page.viewed, where: {property: path, starts_with: /pricing}, points: 15, count: once}
  - {id: visits, on: page.viewed, points: 2.5}
scale: {min: 0, max: 100}
stages:
  - {name: Prospect, from: 10}
  - {name: Lead, from: 20}
"""
OTHER = """\
model: other
title: Other
rules:
  - {id: known, when: {trait: email, exists: true}, points: 1}
stages:
  - {name: Known, from: 1}
"""
Send = Callable[..., None]


@pytest.fixture
def send(client: Any, tenant: SignedUp, work_off: Callable[[int], int]) -> Send:
    """Messages through the public endpoint, worked off at once."""

    def send(*messages: dict[str, Any]) -> None:
        answer = client.post("/v1/batch", json={"batch": list(messages)}, auth=(tenant.write_key, ""))
        assert answer.status_code == 200, answer.text
        work_off(tenant.tenant_id)

    return send


def known(user: str, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "messageId": f"i-{user}", "userId": user, "traits": traits}


def viewed(user: str, path: str, number: int = 1) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": f"{user}-{path}-{number}",
        "userId": user,
        "event": "page.viewed",
        "properties": {"path": path, "note": "<img src=x onerror=alert(1)>"},
    }


@pytest.fixture
def ranked(tenant: SignedUp, send: Send) -> None:
    """Ada has 20 + 15 + 2.5 points, Bo 2.5, Cy none."""
    for text in (MODEL, OTHER):
        name = service.create_model(tenant.tenant_id, text).name
        service.publish(tenant.tenant_id, name, by="Ada Example")
    send(
        known("ada", email="ada@quarry.example.test", name="Ada Quarry", title="CFO"),
        {"type": "group", "messageId": "g-1", "userId": "ada", "groupId": "q", "traits": {"name": "Quarry & Sons"}},
        viewed("ada", "/pricing"),
        known("bo", email="bo@lotus.example.test", name="Bo <script>alert(1)</script>"),
        viewed("bo", "/blog"),
        known("cy", email="cy@lotus.example.test"),
    )


def names_in(page: str) -> list[str]:
    return re.findall(r'<a href="/leads/\d+[^"]*">([^<]+)</a>', page)


def lead_address(page: str, name: str) -> str:
    found = re.search(rf'<a href="(/leads/\d+[^"]*)">{name}</a>', page)
    assert found
    return found[1].replace("&amp;", "&")


class TestList:
    def test_a_newcomer_sees_the_next_steps(self, person: Any) -> None:
        page = person.opens("/leads").text
        for step in ("Send events", "Bring the leads you have", "Say what a good lead is"):
            assert step in page

    def test_without_a_model_the_newest_comes_first(self, person: Any, send: Send) -> None:
        send(known("ada", name="Ada Quarry"))
        page = person.opens("/leads").text
        assert names_in(page) == ["Ada Quarry"]
        assert "no model is published" in page

    def test_ranks_by_score(self, person: Any, ranked: None) -> None:
        page = person.opens("/leads").text
        assert names_in(page)[0] == "Ada Quarry"
        assert "37.5" in page
        assert "Quarry &amp; Sons" in page
        assert "<script>alert" not in page

    def test_the_leading_model_ranks(self, person: Any, ranked: None, tenant: SignedUp) -> None:
        assert "Ranked by <strong>Owners</strong>" in person.opens("/leads").text
        service.save_draft(tenant.tenant_id, "other", f"precedence: 3\n{OTHER}")
        service.publish(tenant.tenant_id, "other", by="Ada Example")
        assert "Ranked by <strong>Other</strong>" in person.opens("/leads").text
        assert "Ranked by <strong>Owners</strong>" in person.opens("/leads?model=smb").text

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            pytest.param("stage=Lead", ["Ada Quarry"], id="stage"),
            pytest.param("text=LOTUS", 2, id="text, whatever its case"),
            pytest.param("text=%3Cscript%3E", 1, id="hostile text"),
            pytest.param("text=nobody", 0, id="nobody"),
            pytest.param("model=other", 3, id="another model"),
            pytest.param("model=other&stage=Lead", 3, id="a stage the model has not"),
        ],
    )
    def test_narrows(self, person: Any, ranked: None, query: str, names: list[str] | int) -> None:
        found = names_in(person.opens(f"/leads?{query}").text)
        assert (found if isinstance(names, list) else len(found)) == names

    def test_a_search_swaps_the_list_and_the_stages_alone(self, person: Any, ranked: None) -> None:
        answer = person.opens(
            "/leads?model=other&text=lotus", HX_Request="true", HX_Target="section#results", HX_Source="form#filters"
        )
        assert "<html" not in answer.text
        assert len(names_in(answer.text)) == 2
        assert 'hx-swap-oob="true"' in answer.text
        assert "2 leads found" in answer.text
        assert "Known" in answer.text

    def test_a_refresh_leaves_the_filters_alone(self, person: Any, ranked: None) -> None:
        section = "section#results"
        answer = person.opens("/leads", HX_Request="true", HX_Target=section, HX_Source=section)
        assert "hx-swap-oob" not in answer.text

    def test_goes_on_where_the_page_before_ended(
        self, person: Any, ranked: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("assay.web.leads.PAGE", 2)
        first = person.opens("/leads").text
        more = re.search(r'hx-get="(/leads\?[^"]*cursor=[^"]+)"', first)
        assert more
        rest = person.opens(more[1].replace("&amp;", "&"), HX_Request="true", HX_Target="tr#more").text
        assert len(names_in(first)) == 2
        assert len(names_in(rest)) == 1
        assert "<table" not in rest


class TestLead:
    def test_the_parts_add_up_to_the_score(self, person: Any, ranked: None) -> None:
        page = person.opens(lead_address(person.opens("/leads").text, "Ada Quarry")).text
        assert 'data-total="37.5"' in page
        assert 'data-raw="37.5"' in page
        assert "Runs the place" in page
        assert "title is CFO or Owner" in page

    def test_a_part_leads_to_its_event_and_the_event_to_its_message(self, person: Any, ranked: None) -> None:
        address = lead_address(person.opens("/leads").text, "Ada Quarry")
        page = person.opens(address).text
        link = re.search(r'href="#(event-[0-9a-f-]+)"', page)
        assert link
        assert f'id="{link[1]}"' in page
        raw = re.search(r'href="(/leads/\d+/events/[0-9a-f-]+)"', page)
        assert raw
        message = person.opens(raw[1]).text
        assert "&#34;messageId&#34;: &#34;ada-/pricing-1&#34;" in message
        assert "<img src=x" not in message

    def test_what_the_sender_wrote_is_never_markup(self, person: Any, ranked: None) -> None:
        address = lead_address(person.opens("/leads").text, "Bo &lt;script&gt;alert\\(1\\)&lt;/script&gt;")
        page = person.opens(address).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page

    def test_shows_the_score_under_another_model(self, person: Any, ranked: None) -> None:
        address = lead_address(person.opens("/leads").text, "Ada Quarry").partition("?")[0]
        assert 'data-total="1"' in person.opens(f"{address}?model=other").text

    def test_the_curve_ends_at_the_score(self, person: Any, ranked: None) -> None:
        address = lead_address(person.opens("/leads").text, "Ada Quarry")
        link = re.search(r'hx-get="(/leads/\d+/curve[^"]*)"', person.opens(address).text)
        assert link
        drawn = person.opens(link[1]).text
        series = re.search(r'data-series="([^"]+)"', drawn)
        assert series
        assert json.loads(unescape(series[1]))["points"][-1] == 37.5
        assert 'data-max="100' in drawn
        assert "As version 1 would have scored" in drawn
        assert "37.5 now" in drawn

    def test_what_would_change_it_follows_the_page(self, person: Any, ranked: None) -> None:
        address = lead_address(person.opens("/leads").text, "Ada Quarry")
        assert 'hx-get="' + address.partition("?")[0] + "/outlook" in person.opens(address).text
        panel = person.opens(address.replace("?", "/outlook?")).text
        assert "By itself" in panel
        assert "<html" not in panel

    def test_earlier_events_come_in_pages(
        self, person: Any, ranked: None, send: Send, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("assay.web.leads.TIMELINE", 2)
        send(*[viewed("ada", "/blog", number) for number in range(2)])
        address = lead_address(person.opens("/leads").text, "Ada Quarry")
        page = person.opens(address).text
        more = re.search(r'hx-get="(/leads/\d+\?[^"]*before=[^"]+)"', page)
        assert more
        rest = person.opens(more[1].replace("&amp;", "&"), HX_Request="true", HX_Target="li#more-events").text
        assert len(re.findall('<li id="event-', page)) == 2
        assert len(re.findall('<li id="event-', rest)) == 1

    def test_the_neighbours_leads_are_not_there(
        self, person: Any, ranked: None, neighbour: SignedUp, person_of: Callable[[SignedUp], Any]
    ) -> None:
        address = lead_address(person.opens("/leads").text, "Ada Quarry").partition("?")[0]
        raw = re.search(r'href="(/leads/\d+/events/[0-9a-f-]+)"', person.opens(address).text)
        assert raw
        other = person_of(neighbour)
        assert other.opens(address).status_code == 404
        assert other.opens(raw[1]).status_code == 404
        assert names_in(other.opens("/leads").text) == []


AREA = """\
model: area
title: Our area
precedence: 1
audience: {trait: country, in: [CH, US]}
rules: [{id: known, when: {trait: country, exists: true}, points: 40}]
overrides:
  - {id: far, when: {trait: country, is: US}, set: 0, reason: outside the service area}
  - {id: student, when: {trait: title, is: Student}, disqualify: true, reason: a student}
stages: [{name: Cold, from: 0}, {name: Hot, from: 30}]
"""
OUTSIDE = "Not in the audience of Our area."


@pytest.mark.parametrize(
    ("traits", "said", "unsaid"),
    [
        pytest.param({"country": "CH"}, ["Hot"], ["Disqualified", "score set", OUTSIDE], id="plain"),
        pytest.param({"country": "US"}, ["Cold", "score set", "outside the service area"], ["Disqualified"], id="set"),
        pytest.param(
            {"country": "CH", "title": "Student"}, ["Disqualified", "a student"], ["score set", OUTSIDE], id="out"
        ),
        pytest.param({"country": "RO"}, [OUTSIDE], ["Disqualified", "score set"], id="outside"),
    ],
)
def test_what_stands_above_a_score_is_seen_at_once(
    person: Any, tenant: SignedUp, send: Send, traits: dict[str, str], said: list[str], unsaid: list[str]
) -> None:
    for text in (AREA, OTHER):
        service.publish(tenant.tenant_id, service.create_model(tenant.tenant_id, text).name, by="Ada Example")
    send(known("ada", name="Ada", **traits))
    listed = person.opens("/leads?model=area").text.partition('id="results"')[2]
    address = lead_address(person.opens("/leads?model=other").text, "Ada").replace("other", "area")
    above = person.opens(address).text.partition('class="falls"')[0]
    assert [words for words in said if words not in above] == []
    assert [words for words in unsaid if words in above] == []
    badges = {"Disqualified", "score set", "Hot", "Cold"}.intersection(said)
    assert [badge for badge in badges if badge not in listed] == []
