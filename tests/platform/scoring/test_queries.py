from datetime import UTC, datetime, timedelta

import pytest

from assay.profiles.queries import get_lead
from assay.scoring import jobs, queries, service
from assay.scoring.errors import NoSuchModel
from assay_tenants.errors import BadInput

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PRICING = ("page.viewed", T0, {"path": "/pricing"})


def offers(number: int, at: datetime = T0) -> list[tuple[str, datetime, dict[str, str]]]:
    return [("offer.downloaded", at, {"offer_id": f"offer {n}"}) for n in range(number)]


def fresh_offers(number: int) -> list[tuple[str, datetime, dict[str, str]]]:
    return offers(number, datetime.now(UTC) - DAY)


def drain(tenant_id: int, now: datetime | None = None) -> None:
    while jobs.drain_due(tenant_id, now=now):
        pass


def walk(tenant_id: int, between=lambda: None, **question) -> list[int]:
    """Lead ids in the order the pages give them; ``between`` happens after each page."""
    found, cursor = [], None
    while True:
        page = queries.list_leads(tenant_id, cursor=cursor, **question)
        found += [item.lead_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found
        between()


class TestListLeads:
    def test_best_first_and_on_a_tie_the_older_lead(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        middle, best, also_middle = (make_lead(tenant.tenant_id, events=offers(n)) for n in (1, 3, 1))
        drain(tenant.tenant_id, T0)
        page = queries.list_leads(tenant.tenant_id)
        assert [item.lead_id for item in page.items] == [best, middle, also_middle]
        assert (page.model, page.next_cursor) == ("sample", None)

    def test_an_item_says_what_the_list_shows(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, name="Ana Ánh", email="ana@example.test", events=offers(1), seen=T0)
        drain(tenant.tenant_id, T0)
        (item,) = queries.list_leads(tenant.tenant_id).items
        assert item == queries.RankedLead(
            lead_id=lead,
            name="Ana Ánh",
            email="ana@example.test",
            company=None,
            last_seen_at=T0,
            total=10_000,
            raw=10_000,
            stage="Prospect",
            grade=None,
            dimensions={},
            next_change=T0 + 60 * DAY,
            version=1,
        )

    @pytest.mark.parametrize(
        ("traits", "company"),
        [
            pytest.param({"company.name": "Quarry & Sons"}, "Quarry & Sons", id="as imports name it"),
            pytest.param({"company_name": " Lotus "}, "Lotus", id="as forms name it"),
            pytest.param({"company": {"id": 7}, "companyName": "Onyx"}, "Onyx", id="only a text is a name"),
            pytest.param({"company.name": "", "company": ""}, None, id="empty"),
        ],
    )
    def test_a_company_nobody_described_is_named_by_the_lead(self, tenant, make_lead, traits, company) -> None:
        lead = make_lead(tenant.tenant_id, traits=traits)
        (item,) = queries.list_leads(tenant.tenant_id).items
        assert (item.company, get_lead(tenant.tenant_id, lead).company) == (company, company)

    def test_another_model_ranks_otherwise(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id, "first")
        publish(tenant.tenant_id, "titles-matter", owner=90)
        owner = make_lead(tenant.tenant_id, traits={"title": "Owner"})
        reader = make_lead(tenant.tenant_id, events=offers(3))
        drain(tenant.tenant_id, T0)
        assert walk(tenant.tenant_id, model="first") == [reader, owner]
        assert walk(tenant.tenant_id, model="titles-matter") == [owner, reader]

    def test_the_leading_model_ranks_unless_another_is_named(self, tenant, make_lead) -> None:
        rules = "rules: [{id: a, when: {trait: title, exists: true}, points: 1}]"
        documents = {
            "oldest": "",
            "leading": "precedence: 5, ",
            "as-high": "precedence: 5, ",
            "draft": "precedence: 9, ",
        }
        for name, words in documents.items():
            service.create_model(tenant.tenant_id, f"{{model: {name}, {words}{rules}}}")
            if name != "draft":
                service.publish(tenant.tenant_id, name, by="Ada Example")
        make_lead(tenant.tenant_id, traits={"title": "Owner"})
        drain(tenant.tenant_id)
        assert queries.list_leads(tenant.tenant_id).model == "leading"
        assert queries.list_leads(tenant.tenant_id, model="oldest").model == "oldest"
        assert [row.name for row in queries.list_published(tenant.tenant_id)] == ["leading", "as-high", "oldest"]
        service.archive(tenant.tenant_id, "leading", by="Ada Example")
        assert queries.list_leads(tenant.tenant_id).model == "as-high"

    def test_without_a_published_model_the_newest_activity_comes_first(self, tenant, make_lead, model_text) -> None:
        service.create_model(tenant.tenant_id, model_text())
        leads = [make_lead(tenant.tenant_id, seen=T0 + n * DAY) for n in (2, 1, 3, 3)]
        assert walk(tenant.tenant_id, limit=1) == [leads[2], leads[3], leads[0], leads[1]]
        assert queries.list_leads(tenant.tenant_id).model is None

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            pytest.param("minh", ["Minh Đức", "Minh 100%"], id="any case"),
            pytest.param("duc", ["Minh Đức"], id="without accents"),
            pytest.param("ĐỨC", ["Minh Đức"], id="with other accents"),
            pytest.param("100%", ["Minh 100%"], id="a wildcard stands for itself"),
            pytest.param("1_0", [], id="so does the other"),
            pytest.param("\\", [], id="and the escape"),
            pytest.param("@example.test", ["Minh Đức", "Minh 100%", "Ștefan"], id="e-mail"),
            pytest.param("nobody", [], id="nobody"),
        ],
    )
    def test_text_is_found_in_names_and_addresses(self, tenant, publish, make_lead, text, found) -> None:
        publish(tenant.tenant_id)
        for number, name in enumerate(("Minh Đức", "Minh 100%", "Ștefan")):
            make_lead(tenant.tenant_id, name=name, email=f"{number}@example.test", events=offers(3 - number))
        drain(tenant.tenant_id, T0)
        assert [item.name for item in queries.list_leads(tenant.tenant_id, text=text).items] == found

    def test_stage_filters(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id, events=offers(n)) for n in (0, 1, 4, 5)]
        drain(tenant.tenant_id, T0)
        assert walk(tenant.tenant_id, stage="Prospect") == [leads[1]]
        assert walk(tenant.tenant_id, stage="Lead", limit=1) == [leads[3], leads[2]]
        assert walk(tenant.tenant_id, stage="Unheard of") == []
        assert queries.stage_counts(tenant.tenant_id, "sample") == {None: 1, "Prospect": 1, "Lead": 2}

    def test_leads_that_are_gone_are_left_out(self, tenant, publish, make_lead, remove_lead) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id, events=offers(1)) for _ in range(5)]
        drain(tenant.tenant_id, T0)
        remove_lead(tenant.tenant_id, leads[1])
        assert walk(tenant.tenant_id, limit=2) == [leads[0], *leads[2:]]

    def test_refuses_a_cursor_asked_for_with_other_filters(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        for _ in range(3):
            make_lead(tenant.tenant_id, events=offers(1))
        drain(tenant.tenant_id, T0)
        cursor = queries.list_leads(tenant.tenant_id, limit=1).next_cursor
        with pytest.raises(BadInput, match="same filters"):
            queries.list_leads(tenant.tenant_id, cursor=cursor, text="ada")

    def test_a_model_must_be_there(self, tenant) -> None:
        with pytest.raises(NoSuchModel):
            queries.list_leads(tenant.tenant_id, model="missing")

    def test_an_unpublished_model_ranks_nobody(self, tenant, make_lead, model_text) -> None:
        service.create_model(tenant.tenant_id, model_text())
        make_lead(tenant.tenant_id)
        assert queries.list_leads(tenant.tenant_id, model="sample").items == []


class TestPagingWhileScoresMove:
    def test_each_lead_is_met_once(self, tenant, publish, make_lead, add_events) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id, events=fresh_offers(n % 4)) for n in range(24)]
        drain(tenant.tenant_id)
        moves = iter(leads[::-1] + leads)

        def move() -> None:
            # One from the end of the list to its top, one from anywhere.
            for _ in range(2):
                add_events(tenant.tenant_id, next(moves), fresh_offers(9))
            drain(tenant.tenant_id)

        assert sorted(walk(tenant.tenant_id, move, limit=3)) == leads

    def test_the_order_is_that_of_the_first_page(self, tenant, publish, make_lead, add_events) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id, events=fresh_offers(number)) for number in (5, 4, 3, 2, 1)]
        drain(tenant.tenant_id)

        def last_becomes_first() -> None:
            add_events(tenant.tenant_id, leads[-1], fresh_offers(9))
            drain(tenant.tenant_id)

        assert walk(tenant.tenant_id, last_becomes_first, limit=2) == leads
        assert walk(tenant.tenant_id, limit=2) == [leads[-1], *leads[:-1]]

    def test_a_version_published_meanwhile_changes_nothing_of_it(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        owner = make_lead(tenant.tenant_id, traits={"title": "Owner"})
        readers = [make_lead(tenant.tenant_id, events=fresh_offers(n)) for n in (5, 4, 3)]
        drain(tenant.tenant_id)

        def republish() -> None:
            publish(tenant.tenant_id, owner=90)
            drain(tenant.tenant_id)

        assert walk(tenant.tenant_id, republish, limit=2) == [*readers, owner]

    def test_another_model_that_leads_meanwhile_changes_nothing_of_it(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id, events=offers(5 - n)) for n in range(5)]
        drain(tenant.tenant_id, T0)

        def another_leads() -> None:
            if "high" not in [row.name for row in queries.list_models(tenant.tenant_id)]:
                service.create_model(
                    tenant.tenant_id,
                    "{model: high, precedence: 9, rules: [{id: a, on: offer.downloaded, points: -1}]}",
                )
                service.publish(tenant.tenant_id, "high", by="Ada Example")
                drain(tenant.tenant_id, T0)

        assert walk(tenant.tenant_id, another_leads, limit=2) == leads
        assert queries.list_leads(tenant.tenant_id).model == "high"

    def test_what_changed_by_itself_before_and_is_noticed_meanwhile(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        old = ("offer.downloaded", T0, {"offer_id": "guide"})
        fading, steady = (
            make_lead(tenant.tenant_id, events=[old, ("page.viewed", T0, {"path": "/pricing"})]),
            make_lead(tenant.tenant_id, traits={"title": "Owner"}),
        )
        jobs.drain_due(tenant.tenant_id, now=T0)

        def notice() -> None:
            jobs.drain_due(tenant.tenant_id, now=T0 + timedelta(days=61))

        assert walk(tenant.tenant_id, notice, limit=1) == [fading, steady]

    def test_who_is_scored_first_meanwhile_waits_for_the_next_listing(self, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id, events=fresh_offers(2)) for _ in range(4)]
        drain(tenant.tenant_id)
        late: list[int] = []

        def arrive() -> None:
            late.append(make_lead(tenant.tenant_id, events=fresh_offers(1)))
            drain(tenant.tenant_id)

        assert walk(tenant.tenant_id, arrive, limit=2) == leads
        assert walk(tenant.tenant_id) == leads + late


class TestHistory:
    def test_comes_in_pages_newest_first(self, tenant, publish, make_lead, add_events) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id)
        for day in range(5):
            add_events(tenant.tenant_id, lead, [("offer.downloaded", T0, {"offer_id": str(day)})], due=T0 + day * DAY)
            drain(tenant.tenant_id, T0 + day * DAY)
        found, cursor = [], None
        while True:
            page = queries.history(tenant.tenant_id, lead, "sample", cursor=cursor, limit=2)
            found += [row.total for row in page.items]
            if (cursor := page.next_cursor) is None:
                break
        assert found == [50_000, 40_000, 30_000, 20_000, 10_000]

    def test_refuses_another_leads_cursor(self, tenant, publish, make_lead, add_events) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id)
        for day in range(3):
            add_events(tenant.tenant_id, lead, [("offer.downloaded", T0, {"offer_id": str(day)})], due=T0 + day * DAY)
            drain(tenant.tenant_id, T0 + day * DAY)
        cursor = queries.history(tenant.tenant_id, lead, "sample", limit=1).next_cursor
        with pytest.raises(BadInput, match="not one of this list"):
            queries.history(tenant.tenant_id, lead + 1, "sample", cursor=cursor)
