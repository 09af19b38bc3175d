from datetime import UTC, datetime, timedelta

import pytest

from assay.scoring import jobs

DAY = timedelta(days=1)
YESTERDAY = datetime.now(UTC) - DAY
PRICING = ("page.viewed", YESTERDAY, {"path": "/pricing"})


def offers(number: int) -> list[tuple[str, datetime, dict[str, str]]]:
    return [("offer.downloaded", YESTERDAY, {"offer_id": str(each)}) for each in range(number)]


class TestListLeads:
    def test_best_first_page_by_page(self, call, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id, events=offers(number)) for number in range(5)]
        jobs.drain_due(tenant.tenant_id)
        found, cursor = [], None
        while True:
            page = call("GET", "/leads", query_string={"limit": 2} | ({"cursor": cursor} if cursor else {})).json
            assert page["model"] == "sample"
            found += [(lead["id"], lead["total"]) for lead in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert found == [(lead, 10 * number) for number, lead in reversed(list(enumerate(leads)))]

    def test_filters(self, call, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        make_lead(tenant.tenant_id, name="Ana", events=offers(1))
        make_lead(tenant.tenant_id, name="Anh", events=offers(4))
        jobs.drain_due(tenant.tenant_id)
        assert [lead["name"] for lead in call("GET", "/leads?stage=Prospect").json["items"]] == ["Ana"]
        assert [lead["name"] for lead in call("GET", "/leads?text=AN").json["items"]] == ["Anh", "Ana"]
        assert call("GET", "/leads?text=AN&stage=Lead&model=sample").json["items"][0]["name"] == "Anh"

    def test_before_anything_is_published_there_are_no_points(self, call, tenant, make_lead) -> None:
        make_lead(tenant.tenant_id, name="Ana")
        page = call("GET", "/leads").json
        assert page["model"] is None
        assert (page["items"][0]["name"], page["items"][0]["total"]) == ("Ana", None)


class TestLead:
    def test_comes_with_traits_identities_and_scores(self, call, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, name="Ana", traits={"title": "CFO", "seats": 40}, events=[PRICING])
        jobs.drain_due(tenant.tenant_id)
        found = call("GET", f"/leads/{lead}").json
        assert (found["id"], found["name"]) == (lead, "Ana")
        assert found["traits"] == {"title": "CFO", "seats": 40}
        assert [identity["kind"] for identity in found["identities"]] == ["user_id"]
        assert [(score["model"], score["version"], score["total"]) for score in found["scores"]] == [("sample", 1, 35)]

    def test_its_scores_at_any_instant(self, call, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, traits={"title": "CFO"}, events=[PRICING], seen=YESTERDAY)
        tomorrow = datetime.now(UTC) + DAY
        found = call("GET", f"/leads/{lead}/scores", query_string={"at": tomorrow.isoformat()}).json
        assert [(score["model"], score["version"], score["total"]) for score in found["items"]] == [("sample", 1, 35)]
        assert found["known"] == "then"
        early = call("GET", f"/leads/{lead}/scores", query_string={"at": (YESTERDAY - DAY).isoformat()})
        assert (early.status_code, "not known yet" in early.json["detail"]) == (404, True)

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            pytest.param({"at": "yesterday"}, 422, id="no instant"),
            pytest.param({"at": "9999-01-01T00:00:00Z"}, 422, id="out of reach"),
            pytest.param({"at": "2026-01-01T00:00:00"}, 422, id="no time zone"),
            pytest.param({"version": "f" * 64}, 404, id="no such version"),
            pytest.param({"model": "missing"}, 404, id="no such model"),
            pytest.param({"known": "later"}, 422, id="neither then nor now"),
        ],
    )
    def test_scores_asked_for_wrongly(self, call, tenant, publish, make_lead, query, status) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id)
        answer = call("GET", f"/leads/{lead}/scores", query_string=query)
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")

    def test_its_events_come_newest_first(self, call, tenant, make_lead) -> None:
        events = [("page.viewed", YESTERDAY - n * DAY, {"path": f"/{n}"}) for n in (2, 0, 1)]
        lead = make_lead(tenant.tenant_id, events=events)
        found, cursor = [], None
        while True:
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = call("GET", f"/leads/{lead}/events", query_string=query).json
            found += [event["properties"]["path"] for event in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert found == ["/0", "/1", "/2"]

    def test_its_history(self, call, tenant, publish, make_lead, add_events) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, events=[PRICING])
        jobs.drain_due(tenant.tenant_id)
        add_events(tenant.tenant_id, lead, offers(1))
        jobs.drain_due(tenant.tenant_id)
        rows = call("GET", f"/leads/{lead}/history?model=sample").json["items"]
        assert [row["total"] for row in rows] == [25, 15]
